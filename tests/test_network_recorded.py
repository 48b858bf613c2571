"""
Effective rules and routes that Azure itself gave, set against raw rules by the same evaluator.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import HOME

from runbook_lib.arm import networks
from runbook_lib.arm.effective import effective
from runbook_lib.checks.network import TAGS, Packet, next_hop, outbound
from runbook_lib.records import SecurityGroup, key

REFERENCE = os.environ.get("RUNBOOK_REFERENCE", "")
pytestmark = pytest.mark.skipif(not REFERENCE, reason="RUNBOOK_REFERENCE is unset: no recorded traffic to read")
# What the service writes for what a raw rule has; a single port is a range.
_RAW = {"All": "*", "0.0.0.0/0": "*", "0-65535": "*"}
SENDERS = ("10.0.0.4", "10.0.255.255")
RECEIVERS = (*TAGS, "Internet", "10.0.0.9", "10.1.0.9", "20.1.2.3", "167.220.148.7", "168.63.129.16", "")
PORTS = (22, 53, 80, 443, 3389, 65535)


def recorded(kind: str) -> Iterator[dict[str, Any]]:
    """
    The records of a kind that have a list or a resource as their answer.
    """
    path = Path(REFERENCE) / "recordings" / f"{kind}.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if REFERENCE else ():
        record = json.loads(line)
        if record["response"]["status"] == 200 and isinstance(record["response"]["body"], dict):
            yield record


def groups(kinds: tuple[str, ...] = ("effective_nsg", "effective_nsg_result")) -> list[tuple[str, dict[str, Any]]]:
    """
    Every effective NSG that was recorded, with the cassette that it stands in.
    """
    return [
        (record["source"], group)
        for kind in kinds
        for record in recorded(kind)
        for group in record["response"]["body"].get("value", [])
    ]


def raw(row: dict[str, Any]) -> dict[str, Any]:
    """
    Write an effective rule as its NSG would have it.
    """
    given = {name: row[name] for name in ("access", "priority", "direction")}
    given["protocol"] = _RAW.get(row["protocol"], row["protocol"])
    for side in ("source", "destination"):
        ports = dict.fromkeys(row.get(f"{side}PortRanges") or [row[f"{side}PortRange"]])
        prefixes = dict.fromkeys(row.get(f"{side}AddressPrefixes") or [row[f"{side}AddressPrefix"]])
        singles = [low if low == high else written for written in ports for low, _, high in [written.partition("-")]]
        given[f"{side}PortRanges"] = [_RAW.get(each, each) for each in singles]
        given[f"{side}AddressPrefixes"] = [_RAW.get(each, each) for each in prefixes]
    return {"name": row["name"].rpartition("/")[2], "properties": given}


def read_raw(group: dict[str, Any]) -> SecurityGroup:
    """
    Read an effective NSG in its raw form, without the default rules: these the evaluator adds by itself.
    """
    rules = [raw(row) for row in group["effectiveSecurityRules"] if not row["name"].startswith("defaultSecurityRules")]
    return networks.security_group(group["networkSecurityGroup"] | {"properties": {"securityRules": rules}})


def turned(group: SecurityGroup) -> SecurityGroup:
    """
    Take rules about incoming packets for rules about outgoing ones, which recorded NSGs have hardly any of.
    """
    own = [each for each in group.rules if each.priority < 65000]
    inbound = [replace(each, direction="Outbound") for each in own if each.direction == "Inbound"]
    return replace(group, rules=tuple(inbound + [each for each in group.rules if each.priority >= 65000]))


def grid(space: tuple[str, ...]) -> Iterator[Packet]:
    """
    Packets of all kinds to all kinds of receivers.
    """
    for address, receiver, port, protocol in itertools.product(SENDERS, RECEIVERS, PORTS, ("Tcp", "Udp")):
        yield Packet(
            address=address,
            destination=receiver,
            port=port,
            location=HOME,
            protocol=protocol,
            asg_ids=frozenset(),
            space=space,
            whole_space=True,
        )


def test_every_recorded_answer_is_read() -> None:
    """
    All ages of it: without plural forms, without a map of tags, with a NIC's and a subnet's NSG, with one twice.
    """
    answers = [
        record["response"]["body"] for kind in ("effective_nsg", "effective_nsg_result") for record in recorded(kind)
    ]
    read = [effective(answer, {}) for answer in answers]

    assert len(answers) >= 17
    assert sum(len(answer["value"]) for answer in answers) == sum(len(each.groups) for each in read)
    assert {("10.0.0.0/16",)} == {each.space for each in read if each.groups}
    assert all(len(group.rules) >= 6 for each in read for group in each.groups)


@pytest.mark.parametrize("turn", [False, True], ids=["as-recorded", "turned-round"])
def test_effective_and_raw_form_decide_alike(turn: bool) -> None:
    """
    Same access, rule and priority for each packet of a grid, the service's own default rules against ours.
    """
    seen = set()
    for _, group in groups():
        found = effective({"value": [group]}, {})
        (theirs,) = found.groups
        ours = read_raw(group)
        theirs, ours = (turned(theirs), turned(ours)) if turn else (theirs, ours)
        for packet in grid(found.space):
            decided = outbound(ours, [packet])
            seen.add((decided.access, decided.rule))

            assert decided == outbound(theirs, [packet])
    decisive = {"AllowVnetOutBound", "AllowInternetOutBound", "DenyAllOutBound"}
    assert decisive | ({"default-allow-ssh", "Cleanuptool-Allow-101"} if turn else set()) <= {rule for _, rule in seen}


def test_an_nsg_that_was_recorded_in_both_forms_decides_alike() -> None:
    """
    The raw NSG of the same cassette, as the service gave it.
    """
    known = {
        (record["source"], key(record["response"]["body"]["id"])): record["response"]["body"]
        for record in recorded("nsg_get")
    }
    both = [
        (known[source, key(group["networkSecurityGroup"]["id"])], group)
        for source, group in groups()
        if (source, key(group["networkSecurityGroup"]["id"])) in known
    ]

    assert both
    for row, group in both:
        found = effective({"value": [group]}, {})
        for packet in grid(found.space):
            assert outbound(networks.security_group(row), [packet]) == outbound(found.groups[0], [packet])


def test_the_default_rules_of_every_recorded_nsg_are_ours() -> None:
    """
    An NSG without rules of its own decides by them as the evaluator does.
    """
    rows = [record["response"]["body"] for record in recorded("nsg_get")]
    listed = [
        row["properties"]["defaultSecurityRules"] for row in rows if row["properties"].get("defaultSecurityRules")
    ]
    empty = networks.security_group({"id": "/nsg", "properties": {}})

    assert len(listed) >= 80
    for rules in listed:
        group = networks.security_group({"id": "/nsg", "properties": {"securityRules": rules}})
        # Every seventh: with it each sender, receiver, port and protocol is met.
        packets = list(grid(("10.0.0.0/16",)))[::7]

        assert [outbound(empty, [each]) for each in packets] == [outbound(group, [each]) for each in packets]


def test_every_recorded_route_table_lets_packets_out() -> None:
    """
    The ranges that the system drops are none of the three services, and private ones stay inside or are dropped.
    """
    kinds = ("effective_routes", "effective_routes_result")
    tables = [record["response"]["body"] for kind in kinds for record in recorded(kind)]

    assert len(tables) >= 13
    for table in tables:
        routes = effective({}, table).routes
        hops = [next_hop(routes, where, HOME).type for where in (*TAGS, "10.0.0.9", "10.1.0.9", "20.1.2.3")]

        assert ["Internet", "Internet", "Internet", "VnetLocal", "None", "Internet"] == hops
