"""
The network's tables: how far packets come, and what the service makes of the same packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from runbook_lib.checks.network import MOST, WIRESERVER, Comparison, Decision, Hop, Path, needs_a_way
from runbook_lib.records import Inventory, Status, key
from runbook_lib.render.estate import machine
from runbook_lib.render.sinks import Table
from runbook_lib.text import say

__all__ = ["decided", "effective", "hop_of", "truth_table", "way_of"]

_WAYS = {
    "platform": "way.platform",
    "network": "way.network",
    "endpoint": "way.endpoint",
    "nat_gateway": "way.nat_gateway",
    "public_ip": "way.public_ip",
    "load_balancer": "way.load_balancer",
    "default": "way.default",
    "closed": "way.closed",
    "elsewhere": "way.elsewhere",
    "unknown": "way.unknown",
}
_NEEDS = {"accelerator": "say.needed_accelerator", "workload": "say.needed_workload", "": "say.needed_not"}
_GUIDE = {True: Status.PASS, False: Status.FAIL, None: Status.UNKNOWN}
_OUTCOMES = {
    "agrees": "say.compared_agrees",
    "differs": "say.compared_differs",
    "settled": "say.compared_settled",
    "unclear": "say.compared_unclear",
    "refused": "say.compared_refused",
}


def truth_table(inventory: Inventory, paths: Iterable[Path], language: str) -> Table:
    """
    One row per network interface and destination where the way is not plainly open, those first; one row per VM for all
    of its ways that are.
    """
    found = list(paths)
    held_up = sorted((path for path in found if not path.open), key=lambda path: path.open is None)
    plain: dict[str, list[Path]] = {}
    for path in found:
        if path.open:
            plain.setdefault(path.vm, []).append(path)
    rows = [_row(inventory, path, language) for path in held_up]
    rows += [_folded([_row(inventory, path, language) for path in own], language) for own in plain.values()]
    ranks = [1 if path.open is None else 0 for path in held_up] + [2] * len(plain)
    columns = ("vm", "resource_group", "nic", "destination", "decision", "route", "way_out", "needed", "guide")
    count = len(found) - len(held_up)
    notes = [say("say.truth_open", language, open=count, total=len(found)), say("say.admin_rules", language)]
    if any(path.way == "default" for path in found):
        notes.append(say("say.default_access", language))
    return Table(say("caption.truth_table", language), columns, rows, language, notes=notes, ranks=ranks)


def _folded(rows: Sequence[dict[str, Any]], language: str) -> dict[str, Any]:
    """
    Make one row of several: each column names what there is, once.
    """
    folded = {name: dict.fromkeys(str(row[name]) for row in rows if row[name]) for name in rows[0]}
    if len(folded["needed"]) > 1:
        # Beside what needs a way, what does not says nothing.
        folded["needed"].pop(say("say.needed_not", language), None)
    return {name: "; ".join(values) for name, values in folded.items()}


def _row(inventory: Inventory, path: Path, language: str) -> dict[str, Any]:
    platform = path.destination.where == WIRESERVER
    filtered = decided(path.nsg, path.decision, language, unread=not path.nsgs_read)
    return machine(inventory, path.vm) | {
        "nic": path.nic,
        "destination": path.destination.name,
        "decision": say("say.not_filtered", language) if platform else filtered,
        "route": "" if platform else hop_of(path.hop, language),
        "way_out": way_of(path.way, language),
        "needed": _needed(inventory, path, language),
        # The guide knows neither of the platform's own address nor of rules about it.
        "guide": say("say.no_rule", language) if platform else _GUIDE[path.open].value,
    }


def decided(nsg: str, decision: Decision | None, language: str, *, unread: bool) -> str:
    """
    Say which rule decides, and how.
    """
    if decision is None:
        return say("say.unknown" if unread else "say.no_nsg", language)
    facts = {"rule": decision.rule, "priority": decision.priority, "nsg": nsg}
    if decision.access == "Unknown":
        return say("say.undecided", language, **facts)
    return say("say.decided", language, access=decision.access, **facts)


def hop_of(hop: Hop | None, language: str) -> str:
    """
    Say where packets go next.
    """
    return say("say.hop", language, type=hop.type, route=hop.route) if hop else say("say.unknown", language)


def way_of(way: str, language: str) -> str:
    """
    Say what lets packets out.
    """
    return say(_WAYS[way], language)


def _needed(inventory: Inventory, path: Path, language: str) -> str:
    if path.destination.where == WIRESERVER:
        return say("say.needed_agent", language)
    if path.destination.name != path.destination.where:
        return say("say.needed_proxy", language)
    return say(_NEEDS[needs_a_way(inventory.vms[key(path.vm)])], language)


def effective(inventory: Inventory, compared: Sequence[Comparison], language: str) -> Table:
    """
    One row per path that the service was asked about: our answer, the service's, and whether they agree.
    """
    rows = []
    for each in compared:
        path = each.path
        row = machine(inventory, path.vm) | {"nic": path.nic, "agreement": say(_OUTCOMES[each.outcome], language)}
        if each.outcome == "refused":
            rows.append(row | {"detail": each.why})
            continue
        ours = _said(path.nsg, path.decision, path.hop, language, unread=not path.nsgs_read)
        theirs = _said(each.nsg, each.decision, each.hop, language, unread=False)
        rows.append(row | {"destination": path.destination.name, "ours": ours, "service": theirs})
    columns = ("vm", "resource_group", "nic", "destination", "ours", "service", "agreement", "detail")
    notes = (say("say.compared_how", language, most=MOST) if rows else say("say.compared_nothing", language),)
    return Table(say("caption.effective", language), columns, rows, language, notes=notes)


def _said(nsg: str, decision: Decision | None, hop: Hop | None, language: str, *, unread: bool) -> str:
    filtered = decided(nsg, decision, language, unread=unread)
    return say("say.compared", language, decision=filtered, hop=hop_of(hop, language))
