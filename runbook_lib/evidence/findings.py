"""
What was found on each VM, and the verdicts that follow from it. Imports `checks` and `records`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runbook_lib import checks
from runbook_lib.evidence.documents import write_json
from runbook_lib.records import Finding, decode, key, opened

__all__ = ["FINDINGS", "verdicts_of", "write_findings"]

FINDINGS = "findings.json"
_JSON = json.JSONEncoder(ensure_ascii=False).encode


def write_findings(folder: Path, target: str, before: Sequence[Finding], after: Sequence[Finding]) -> None:
    """
    Write what was found before and after, for each VM as the numbers of what is said of it: the same is said of many.
    """
    said: dict[str, int] = {}
    texts: dict[int, str] = {}

    def numbers(found: Sequence[Finding]) -> dict[str, list[int]]:
        by_vm: dict[str, list[int]] = {}
        for each in found:
            # Findings share their facts (see `checks.result`), so that these are written once.
            facts = texts.get(id(each.facts)) or texts.setdefault(id(each.facts), _JSON(each.facts))
            about = f"{each.check} {each.status} {each.guide} {each.case} {facts}"
            if (number := said.get(about)) is None:
                number = said[about] = len(kinds)
                kinds.append({name: value for name, value in opened(each).items() if name != "resource"})
            by_vm.setdefault(each.resource, []).append(number)
        return by_vm

    kinds: list[dict[str, Any]] = []
    document = {"target": target, "before": numbers(before), "after": numbers(after), "said": kinds}
    write_json(folder / FINDINGS, document)


def verdicts_of(found: Mapping[str, Sequence[int]], said: Sequence[Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """
    Draw the verdict on each VM, and the checks that decided it, from what findings.json has.

    Args:
        found: by VM, numbers of what is said of it.
        said: what there is to be said.
    """
    kinds = {number: decode(Finding, {**each, "resource": ""}) for number, each in enumerate(said)}
    drawn = {key(vm): checks.verdict(kinds[number] for number in numbers) for vm, numbers in found.items()}
    return {vm: (verdict.value, decisive) for vm, (verdict, decisive) in drawn.items()}
