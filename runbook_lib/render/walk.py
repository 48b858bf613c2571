"""
What a person who walks through the notebooks is told on the way: where they stand, who they are, what there is to
choose from, what was decided, and what comes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.checks import CATALOGUE
from runbook_lib.errors import RunbookError
from runbook_lib.naming import fill_name
from runbook_lib.parameters import Parameters, schema
from runbook_lib.records import Finding, Inventory, Status, VirtualMachine, VmVerdict, key
from runbook_lib.render.estate import machine
from runbook_lib.render.sinks import Table
from runbook_lib.render.verdicts import why
from runbook_lib.text import say

__all__ = ["board", "candidates", "identity", "parameter_values", "placed", "summary"]

_LIMITS = frozenset(
    check.id for check in CATALOGUE if check.section == "limitations" and check.effect in ("blocks", "risks")
)


def board(states: Mapping[str, str], here: str, language: str) -> Table:
    """
    One line with the steps of the runbook and their state in this run.

    Args:
        states: by the number of the step, what is to be said of it.
        here: number of the step that is on screen.
    """
    row = {f"step_{number}": state for number, state in states.items()}
    row[f"step_{here}"] = say("board.here", language, state=states[here])
    rows = [{"step": say("board.state", language)} | row]
    return Table(say("caption.board", language), ("step", *row), rows, language)


def identity(inventory: Inventory, language: str) -> Table:
    """
    Who is signed in, and one row for each subscription that they see.
    """
    target = inventory.target
    counts = Counter(vm.subscription for vm in inventory.vms.values())
    rows = [
        {
            "subscription": each.name,
            "id": each.id.rsplit("/", 1)[-1],
            "tenant": each.tenant or say("say.unknown", language),
            "enabled": each.state,
            "vms": counts[each.id.rsplit("/", 1)[-1].lower()],
        }
        for _, each in sorted(inventory.subscriptions.items())
    ]
    note = say("say.caller", language, caller=target.caller or say("say.unknown", language), mark=target.mark)
    columns = ("subscription", "id", "tenant", "enabled", "vms")
    return Table(say("caption.identity", language), columns, rows, language, notes=(note,))


def placed(inventory: Inventory, chosen: Sequence[VirtualMachine], asked: Parameters) -> Table:
    """
    One row for each region with selected VMs: the vault that the names come to, and whether it is there.
    """
    language = asked.language
    counts = Counter((vm.subscription, vm.location) for vm in chosen)
    rows = [_placed(inventory, asked, *where) | {"vms": count} for where, count in sorted(counts.items())]
    columns = ("region", "subscription", "vms", "vault", "resource_group", "redundancy")
    note = say("say.one_vault_per_region", language)
    return Table(say("caption.placed", language), columns, rows, language, notes=(note,))


def _placed(inventory: Inventory, asked: Parameters, subscription: str, location: str) -> dict[str, Any]:
    language = asked.language
    home = subscription if asked.vault_subscription == "same" else asked.vault_subscription.lower()
    words = {"location": location, "subscription": home, "n": "1"}
    known = inventory.subscriptions.get(key(f"/subscriptions/{home}"))
    where = {"region": location, "subscription": known.name if known else home}
    offered = {each for provider in inventory.providers.values() for each in provider.vault_locations}
    if offered and location not in offered:
        return where | {"vault": say("placed.not_offered", language)}
    try:
        group = fill_name("resource_group", asked.resource_group, **words)
        name = fill_name("vault_name", asked.vault_name, **words)
    except RunbookError as error:
        return where | {"vault": error.describe(language)}
    scope = f"/subscriptions/{home}/resourceGroups/{group}"
    vault = inventory.vaults.get(key(f"{scope}/providers/Microsoft.RecoveryServices/vaults/{name}"))
    there = key(scope) in inventory.groups
    new = "placed.group_new" if asked.create_resource_group else "placed.group_missing"
    return where | {
        "vault": say("placed.vault_there" if vault else "placed.vault_new", language, name=name),
        "resource_group": say("placed.group_there" if there else new, language, name=group),
        "redundancy": _replication(vault.redundancy, vault.redundancy_locked, language)
        if vault
        else say("placed.choose", language),
    }


def _replication(redundancy: str, locked: bool | None, language: str) -> str:
    case = {True: "placed.locked", False: "placed.open", None: "placed.unknown"}[locked]
    return say(case, language, redundancy=redundancy or say("say.unknown", language))


def candidates(inventory: Inventory, verdicts: Sequence[VmVerdict], found: Iterable[Finding], language: str) -> Table:
    """
    One row for each VM that can be chosen, with what decides about it.
    """
    grouped: dict[str, list[Finding]] = {}
    for each in found:
        grouped.setdefault(key(each.resource), []).append(each)
    rows = [_candidate(inventory, each, grouped[key(each.vm)], language) for each in verdicts]
    columns = (
        "vm",
        "resource_group",
        "region",
        "verdict",
        "why",
        "protection",
        "agent",
        "network",
        "limitations",
        "size",
        "system",
    )
    return Table(say("caption.candidates", language, count=len(rows)), columns, rows, language)


def _candidate(inventory: Inventory, verdict: VmVerdict, own: Sequence[Finding], language: str) -> dict[str, Any]:
    vm = inventory.vms[key(verdict.vm)]
    by_check = {each.check: each for each in own}
    limits = [
        say(f"check.{each.check}.title", language)
        for each in own
        if each.check in _LIMITS and each.status in (Status.FAIL, Status.WARN, Status.UNKNOWN)
    ]
    return machine(inventory, verdict.vm) | {
        "size": vm.size,
        "system": vm.os_type or say("say.unknown", language),
        "verdict": verdict.verdict.value,
        "protection": say(f"standing.{by_check['protection'].case}", language),
        "agent": by_check["agent"].status.value,
        "network": by_check["network-outbound"].status.value,
        "limitations": ", ".join(limits) or say("say.none", language),
        "why": why(verdict, own, language),
    }


def summary(rows: Sequence[tuple[str, str]], language: str) -> Table:
    """
    Say at a notebook's end what was decided, what changed, and what is next.
    """
    told = [{"ending": say(f"ending.{name}", language), "said": said} for name, said in rows]
    return Table(say("caption.ending", language), ("ending", "said"), told, language)


def parameter_values(values: Mapping[str, Any], language: str, only: Sequence[str] = ()) -> Table:
    """
    Every parameter, or those in *only*: its meaning and choices, and the value in *values*, else its default.
    """
    rows = [
        {
            "parameter": row.name,
            "type": row.type,
            "value": values.get(row.name, row.default),
            "choices": ", ".join(row.choices),
            "meaning": row.help(language),
        }
        for row in schema()
        if not only or row.name in only
    ]
    return Table(
        say("caption.parameters", language), ("parameter", "type", "value", "choices", "meaning"), rows, language
    )
