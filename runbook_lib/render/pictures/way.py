"""
The way of one VM's packets to a destination, with what decides named on it. Imports `checks.network`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from runbook_lib.checks.network import WIRE, WIRESERVER, Decision, Destination, Hop, Path, Tracer, destinations, through
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, NetworkInterface, VirtualMachine, key
from runbook_lib.render.network import decided, hop_of, way_of
from runbook_lib.render.pictures.base import (
    BAD,
    DARK,
    DIM,
    GOOD,
    LIGHT,
    UNSURE,
    WIDTH,
    Picture,
    Sheet,
    cut,
    drawn,
    wrap,
)
from runbook_lib.render.sinks import Table
from runbook_lib.text import say

__all__ = ["Leg", "Part", "legs", "way"]

_KINDS = {
    "nic": "picture.nic",
    "nsg_nic": "picture.nsg_nic",
    "nsg_subnet": "picture.nsg_subnet",
    "route": "picture.route",
    "exit": "picture.exit",
    "destination": "picture.destination",
    "proxy": "picture.proxy",
}
# By mark, colour and word.
_STATES = {
    "passes": ("✓", GOOD, "picture.passes"),
    "stops": ("✕", BAD, "picture.stops"),
    "unknown": ("?", UNSURE, "picture.unsure"),
    "absent": ("–", DIM, "picture.absent"),
    "unreached": ("", DIM, "picture.unreached"),
}
_OPEN = {True: "picture.open", False: "picture.shut", None: "picture.unclear"}
# Next hops whose owner decides, or that nobody knows.
_ELSEWHERE = ("virtualappliance", "virtualnetworkgateway", "unknown")
# Pixels.
_LEG, _HEAD, _FOOT, _GAP, _TALL = 236, 50, 16, 26, 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    A place that packets come by.

    Attributes:
        kind: `nic`, `nsg_nic`, `nsg_subnet`, `route`, `exit`, `proxy` or `destination`.
        name: of the resource, where there is one.
        state: `passes`, `stops`, `unknown`, `absent` where nothing is there, or `unreached`.
        decides: whether it is this that makes the whole way open, shut or unknown.
        decision: of an NSG.
        hop: of a route.
        way: of the exit.
    """

    kind: str
    name: str = ""
    state: str = "passes"
    decides: bool = False
    decision: Decision | None = None
    hop: Hop | None = None
    way: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """
    The way from one network interface to its destination, as `Tracer` has it.

    Attributes:
        vm: name of the VM that sends: the proxy's, on the second leg.
    """

    vm: str
    path: Path
    parts: tuple[Part, ...]


def legs(inventory: Inventory, vm: VirtualMachine, destination: Destination, asked: Parameters) -> tuple[Leg, ...]:
    """
    Follow packets of a VM to *destination* from each of its network interfaces; through the proxy where one was chosen.

    Whatever lies behind a proxy that is none of the VMs that were read is not followed.
    """
    tracer = Tracer(inventory)
    proxy = destinations(asked)[-1] if asked.network_option == "http_proxy" else None
    if proxy is None or destination in (proxy, WIRE):
        return tuple(_leg(tracer, vm, nic_id, destination) for nic_id in vm.nic_ids)
    first = [_leg(tracer, vm, nic_id, proxy) for nic_id in vm.nic_ids]
    behind = [
        _leg(tracer, sender, nic.id, destination)
        for nic in inventory.nics.values()
        if any(each.private_ip == asked.proxy_host for each in nic.ip_configurations)
        and (sender := inventory.vms.get(key(nic.vm_id)))
    ]
    return (*(replace(leg, parts=_through_proxy(leg.parts)) for leg in first), *behind)


def _through_proxy(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return (*parts[:-1], replace(parts[-1], kind="proxy"))


def _leg(tracer: Tracer, vm: VirtualMachine, nic_id: str, destination: Destination) -> Leg:
    path = tracer.path(vm, nic_id, destination)
    nic = tracer.inventory.nics.get(key(nic_id))
    address = next((each.private_ip for each in nic.ip_configurations if each.private_ip), "") if nic else ""
    start = Part(kind="nic", name=" ".join([path.nic, address]).strip(), state="passes" if nic else "unknown")
    parts = [start, *_groups(tracer, nic, destination, path), _route(path), _exit(path)]
    end = Part(kind="destination", name=path.destination.name, state=_state(path.open))
    return Leg(vm=vm.name, path=path, parts=tuple(_greyed([*_marked(parts, path), end])))


def _groups(tracer: Tracer, nic: NetworkInterface | None, destination: Destination, path: Path) -> Iterator[Part]:
    """
    Tell of the NSG of the network interface and that of each of its subnets what it does with the packets.
    """
    own = [("nsg_nic", nic.nsg_id)] if nic else [("nsg_nic", None)]
    subnets = dict.fromkeys(key(each.subnet_id) for each in nic.ip_configurations if each.subnet_id) if nic else {}
    found = [tracer.inventory.subnets.get(each) for each in subnets]
    # Several subnets mostly have one NSG.
    others = dict.fromkeys(subnet.nsg_id if subnet else None for subnet in found) or {None: None}
    for kind, nsg_id in [*own, *(("nsg_subnet", each) for each in others)]:
        group = tracer.inventory.nsgs.get(key(nsg_id)) if nsg_id else None
        if destination == WIRE or nsg_id == "":
            yield Part(kind=kind, state="absent")
        elif group is None or nic is None:
            yield Part(kind=kind, name=(nsg_id or "").rpartition("/")[2], state="unknown")
        else:
            _, decision = through((group,), tracer.packets(nic, destination))
            access = decision.access if decision else "Unknown"
            yield Part(kind=kind, name=group.name, state=_ACCESS[access], decision=decision)


_ACCESS = {"Allow": "passes", "Deny": "stops", "Unknown": "unknown"}


def _state(is_open: bool | None) -> str:
    return {True: "passes", False: "stops", None: "unknown"}[is_open]


def _route(path: Path) -> Part:
    if path.way == "platform":
        return Part(kind="route", state="absent")
    if path.hop is None:
        return Part(kind="route", state="unknown")
    kind = path.hop.type.lower()
    state = "stops" if kind == "none" else "unknown" if kind in _ELSEWHERE else "passes"
    return Part(kind="route", name=path.hop.route, state=state, hop=path.hop)


def _exit(path: Path) -> Part:
    state = {"closed": "stops", "unknown": "unknown", "elsewhere": "unknown"}.get(path.way, "passes")
    return Part(kind="exit", state=state, way=path.way)


def _marked(parts: list[Part], path: Path) -> Iterable[Part]:
    """
    Mark the one part that makes the way what it is: the NSG that the tracer names, else what holds packets up.
    """
    wanted = _state(path.open)
    fitting = [each for each, part in enumerate(parts) if part.state == wanted and part.kind != "nic"]
    named = [
        each
        for each in fitting
        if parts[each].decision and (parts[each].name, parts[each].decision) == (path.nsg, path.decision)
    ]
    # Of the NSGs that let packets through the last one has the last word, as in the tracer.
    decisive = (named[-1:] if path.open else named[:1]) or (fitting[-1:] if path.open else fitting[:1])
    return [replace(part, decides=each in decisive) for each, part in enumerate(parts)]


def _greyed(parts: Iterable[Part]) -> Iterator[Part]:
    """
    Nothing is reached behind what stops packets.
    """
    stopped = False
    for part in parts:
        yield replace(part, state="unreached") if stopped else part
        stopped = stopped or part.state == "stops"


def way(
    inventory: Inventory, vm: VirtualMachine, destination: Destination, asked: Parameters, language: str
) -> Picture:
    """
    Show the way of a VM's packets to *destination*, and the rule or the route that decides.
    """
    found = legs(inventory, vm, destination, asked)
    port = f"{destination.protocol.upper()} {destination.port}"
    caption = say("picture.way", language, vm=vm.name, destination=destination.name, port=port)
    said = [_summary(leg, language) for leg in found] or [say("picture.no_nic", language)]
    rows = [
        {
            "vm": leg.vm,
            "nic": leg.path.nic,
            "place": say(_KINDS[part.kind], language),
            "resource": part.name,
            "state": say(_STATES[part.state][2], language),
            "detail": _detail(part, leg.path, language),
            "decisive": say("say.yes" if part.decides else "say.no", language),
        }
        for leg in found
        for part in leg.parts
    ]
    columns = ("vm", "nic", "place", "resource", "state", "detail", "decisive")
    height = _HEAD + _LEG * max(len(found), 1) + _FOOT
    return Picture(
        caption,
        " ".join([say("picture.sentence", language, said=caption), *said]),
        Table(caption, columns, rows, language),
        lambda: drawn(height, lambda sheet: _draw(sheet, caption, found, said, language)),
        language,
    )


def _summary(leg: Leg, language: str) -> str:
    decisive = next((part for part in leg.parts if part.decides), None)
    why = say("say.unknown", language)
    if decisive:
        said = _detail(decisive, leg.path, language) or say(_STATES[decisive.state][2], language)
        why = say("picture.by", language, place=say(_KINDS[decisive.kind], language), said=said)
    facts = {"vm": leg.vm, "nic": leg.path.nic, "destination": leg.path.destination.name, "why": why}
    return say(_OPEN[leg.path.open], language, **facts)


def _detail(part: Part, path: Path, language: str) -> str:
    """
    Say what a part does, in the words of the truth table.
    """
    if part.kind in ("nsg_nic", "nsg_subnet"):
        if part.decision:
            return decided(part.name, part.decision, language, unread=False)
        if path.destination == WIRE:
            return say("say.not_filtered", language)
        return decided(part.name, None, language, unread=part.state != "absent")
    if part.kind == "route":
        platform = path.destination.where == WIRESERVER
        return say("picture.by_platform", language) if platform else hop_of(part.hop, language)
    return way_of(part.way, language) if part.kind == "exit" else ""


def _draw(sheet: Sheet, caption: str, found: Iterable[Leg], said: Iterable[str], language: str) -> None:
    sheet.write(8, 20, cut(caption, WIDTH - 16, size=13, bold=True), size=13, bold=True)
    top = _HEAD
    legs_left = iter(found)
    for sentence in said:
        for line, words in enumerate(wrap(sentence, WIDTH - 16, 2)):
            sheet.write(8, top + 12 + 18 * line, words)
        if leg := next(legs_left, None):
            _draw_leg(sheet, top + 56, leg, language)
        top += _LEG


def _draw_leg(sheet: Sheet, top: float, leg: Leg, language: str) -> None:
    count = len(leg.parts)
    width = (WIDTH - 16 - _GAP * (count - 1)) / count
    for place, part in enumerate(leg.parts):
        x = 8 + place * (width + _GAP)
        _draw_part(sheet, x, top, width, part, leg.path, language)
        if place + 1 < count:
            goes_on = part.state not in ("stops", "unreached")
            color = DARK if goes_on else LIGHT
            y = top + _TALL / 2
            sheet.line((x + width + 4, y), (x + width + _GAP - 8, y), color=color, width=2)
            sheet.marks([(x + width + _GAP - 8, y)], ">", 10, color)


def _draw_part(sheet: Sheet, x: float, top: float, width: float, part: Part, path: Path, language: str) -> None:
    mark, color, word = _STATES[part.state]
    faint = part.state in ("absent", "unreached")
    ink = DIM if faint else DARK
    sheet.box(x, top, width, _TALL, fill="#fafafa" if faint else "white", edge=color, line=3.2 if part.decides else 1)
    sheet.box(x, top, width, 24, fill=LIGHT if faint else color)
    head = ink if faint else "white"
    title = f"{mark} {say(_KINDS[part.kind], language)}".strip()
    sheet.write(x + 7, top + 12, cut(title, width - 12, size=9.5, bold=True), size=9.5, bold=True, color=head)
    y = top + 40.0
    # The words about a route have its name already.
    for line in wrap(part.name, width - 14, 2, bold=True, size=9.5) if part.name and part.kind != "route" else []:
        sheet.write(x + 7, y, line, size=9.5, bold=True, color=ink)
        y += 17
    for line in wrap(_detail(part, path, language) or say(word, language), width - 14, 4, size=9):
        sheet.write(x + 7, y, line, size=9, color=ink)
        y += 16
    if part.decides:
        sheet.write(x + 7, top + _TALL - 11, say("picture.decides", language), size=9, bold=True, color=color)
