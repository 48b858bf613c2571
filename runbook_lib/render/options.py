"""
Tables of the network options: the guide's comparison with what each option changes here, the IP ranges, and the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbook_lib.plan import Ranges
from runbook_lib.records import Inventory
from runbook_lib.render.sinks import Table
from runbook_lib.scripts import File
from runbook_lib.text import say

__all__ = ["files", "options", "ranges"]


def options(counts: Mapping[str, tuple[int | None, int]], language: str) -> Table:
    """
    The guide's advantages and drawbacks of each option, and what it changes here.

    Args:
        counts: by option, how many rules it plans, None where something is lacking, and how many files it makes.
    """
    rows = [
        {
            "option": option,
            "for_it": say(f"option.{option}.for", language),
            "against_it": say(f"option.{option}.against", language),
            "changes": _changes(option, rules, files, language),
        }
        for option, (rules, files) in counts.items()
    ]
    columns = ("option", "for_it", "against_it", "changes")
    return Table(say("caption.options", language), columns, rows, language)


def _changes(option: str, rules: int | None, files: int, language: str) -> str:
    if rules is None:
        return say(f"option.{option}.lacking", language)
    return say("say.option_changes", language, rules=rules, files=files)


def ranges(inventory: Inventory, found: Iterable[Ranges], language: str) -> Table:
    """
    One row per region, service and NSG in the way: what the service tags list has, and what the NSG has of it.
    """
    version = next(iter(inventory.service_tags.values()), None)
    rows = [
        {
            "region": each.location,
            "tag": each.listed.name,
            "number": each.listed.change_number,
            "prefixes": len(each.listed.prefixes),
            "nsg": each.group.name if each.group else say("say.none", language),
            "there": len(each.there) - len(each.obsolete),
            "missing": len(each.missing),
            "obsolete": len(each.obsolete),
        }
        for each in found
    ]
    if version:
        note = say("say.ranges_version", language, number=version.change_number, cloud=version.cloud)
    else:
        note = say("say.ranges_not_read", language)
    columns = ("region", "tag", "number", "prefixes", "nsg", "there", "missing", "obsolete")
    return Table(say("caption.ranges", language), columns, rows, language, notes=(note,))


def files(made: Iterable[File], language: str) -> Table:
    """
    One row per file of the run: for whom it is, what it does, and how it is run.
    """
    rows = [
        {
            "file": f"files/{each.name}",
            "whom": _whom(each, language),
            "does": say(each.does, language),
            "command": each.command,
        }
        for each in made
    ]
    return Table(say("caption.files", language), ("file", "whom", "does", "command"), rows, language)


def _whom(file: File, language: str) -> str:
    return say(file.whom, language, count=file.count, doubted=file.doubted)
