"""
The rules and routes that the service itself says hold for a network interface (NIC).

It answers for running VMs only and takes seconds for each, but it tells what ARM's lists cannot: routes that a gateway
learnt. So a few NICs are asked about, and where it refuses that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runbook_lib.arm.networks import security_rule
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.arm.wire import Json, as_list, as_object, as_text, id_of, name_of
from runbook_lib.checks.network import (
    WIRESERVER,
    Comparison,
    Destination,
    Effective,
    Tracer,
    compare,
    sample,
)
from runbook_lib.records import Inventory, NetworkInterface, Route, SecurityGroup, VirtualMachine

__all__ = ["compare_effective", "effective"]

VERSION = "2026-03-01"
# Seconds that each question may take; recorded ones are answered after up to 20 polls.
DEADLINE = 120.0


def compare_effective(
    session: Session, inventory: Inventory, vms: Iterable[VirtualMachine], destinations: Sequence[Destination]
) -> tuple[Comparison, ...]:
    """
    Ask the service about a sample of NICs, and send the same packets through its rules and routes as through ours.
    """
    tracer = Tracer(inventory)

    def look(pair: tuple[VirtualMachine, NetworkInterface]) -> list[Comparison]:
        vm, nic = pair
        ours = [tracer.path(vm, nic.id, each) for each in destinations if each.where != WIRESERVER]
        try:
            theirs = _ask(session, nic)
        except ArmError as error:
            return [Comparison(path=ours[0], outcome="refused", why=f"{error.code}: {error.message}")]
        return [compare(tracer, nic, each, theirs) for each in ours]

    return tuple(each for found in session.each(look, sample(inventory, vms)) for each in found)


def _ask(session: Session, nic: NetworkInterface) -> Effective:
    rules = session.ask_and_wait(f"{nic.id}/effectiveNetworkSecurityGroups", VERSION, DEADLINE)
    routes = session.ask_and_wait(f"{nic.id}/effectiveRouteTable", VERSION, DEADLINE)
    return effective(rules, routes)


def effective(rules: Json, routes: Json) -> Effective:
    """
    Read the answers of both operations, of whatever age (real-shapes, "Network").
    """
    rows = sorted((as_object(each) for each in as_list(rules.get("value"))), key=_on_subnet)
    return Effective(
        groups=tuple(_group(each) for each in rows),
        routes=tuple(route for each in as_list(routes.get("value")) for route in _routes(as_object(each))),
        space=tuple(dict.fromkeys(prefix for each in rows for prefix in _space(each))),
    )


def _on_subnet(row: Json) -> bool:
    return not id_of(as_object(row.get("association")).get("networkInterface"))


def _rules_of(row: Json) -> list[Json]:
    return [as_object(each) for each in as_list(row.get("effectiveSecurityRules"))]


def _group(row: Json) -> SecurityGroup:
    arm_id = id_of(row.get("networkSecurityGroup"))
    return SecurityGroup(
        id=arm_id,
        name=arm_id.rsplit("/", 1)[-1],
        location="",
        # `defaultSecurityRules/AllowInternetOutBound`
        rules=tuple(security_rule(name_of(each).rsplit("/", 1)[-1], each) for each in _rules_of(row)),
    )


def _space(row: Json) -> Iterable[str]:
    """
    List what the tag VirtualNetwork is expanded to, less the host's own address, which stands beside it.
    """
    for each in _rules_of(row):
        if security_rule("", each).destinations == ("VirtualNetwork",):
            expanded = map(as_text, as_list(each.get("expandedDestinationAddressPrefix")))
            yield from (prefix for prefix in expanded if prefix != f"{WIRESERVER}/32")


def _routes(row: Json) -> Iterable[Route]:
    if as_text(row.get("state")).lower() != "active":
        return
    hop, source = as_text(row.get("nextHopType")), as_text(row.get("source"))
    named = as_text(row.get("name"))
    # Only the system's plain routes have no name: those of a gateway or to a service are told apart from them.
    if not named and (source.lower() != "default" or hop.lower() == "virtualnetworkserviceendpoint"):
        named = source if source.lower() != "default" else hop
    prefixes = as_list(row.get("destinationServiceTags")) or as_list(row.get("addressPrefix"))
    for prefix in map(as_text, prefixes):
        yield Route(name=named, prefix=prefix, next_hop_type=hop)
