"""
The network's tables: how far packets come, and what the service makes of the same packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from runbook_lib.checks.network import MOST, WIRESERVER, Comparison, Decision, Hop, Path, needs_a_way
from runbook_lib.records import Inventory, Status, key
from runbook_lib.render.estate import machine
from runbook_lib.render.sinks import Table
from runbook_lib.text import say

__all__ = ["effective", "truth_table"]

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
    One row per network interface and destination; what is not plainly open comes first.
    """
    ranks: list[int] = []
    ways: set[str] = set()

    @cache
    def decided(nsg: str, decision: Decision | None, read: bool) -> str:
        return _decision(nsg, decision, language, unread=not read)

    @cache
    def hopped(hop: Hop | None) -> str:
        return _hop(hop, language)

    def rows() -> Iterator[dict[str, Any]]:
        # One path at a time: an estate of 50,000 VMs has 200,000.
        for path in paths:
            ranks.append((False, None, True).index(path.open))
            ways.add(path.way)
            yield _row(inventory, path, language, decided, hopped)

    columns = ("vm", "resource_group", "nic", "destination", "decision", "route", "way_out", "needed", "guide")
    table = Table(say("caption.truth_table", language), columns, rows(), language, ranks=ranks)
    table.put_worst_first()
    notes = [say("say.truth_open", language, count=ranks.count(2), total=len(ranks))]
    if "default" in ways:
        notes.append(say("say.default_access", language))
    table.notes = tuple(notes)
    return table


def _row(
    inventory: Inventory,
    path: Path,
    language: str,
    decided: Callable[[str, Decision | None, bool], str],
    hopped: Callable[[Hop | None], str],
) -> dict[str, Any]:
    platform = path.destination.where == WIRESERVER
    return machine(inventory, path.vm) | {
        "nic": path.nic,
        "destination": path.destination.name,
        "decision": say("say.not_filtered", language) if platform else decided(path.nsg, path.decision, path.nsgs_read),
        "route": "" if platform else hopped(path.hop),
        "way_out": say(_WAYS[path.way], language),
        "needed": _needed(inventory, path, language),
        # The guide knows neither of the platform's own address nor of rules about it.
        "guide": Status.NOT_NEEDED.value if platform else _GUIDE[path.open].value,
    }


def _decision(nsg: str, decision: Decision | None, language: str, *, unread: bool) -> str:
    if decision is None:
        return say("say.unknown" if unread else "say.no_nsg", language)
    facts = {"access": decision.access, "rule": decision.rule, "priority": decision.priority, "nsg": nsg}
    return say("say.decided", language, **facts)


def _hop(hop: Hop | None, language: str) -> str:
    return say("say.hop", language, type=hop.type, route=hop.route) if hop else say("say.unknown", language)


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
    decided = _decision(nsg, decision, language, unread=unread)
    return say("say.compared", language, decision=decided, hop=_hop(hop, language))
