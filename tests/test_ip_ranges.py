"""
The guide's IP ranges: the service tags list as rules of our own, kept up to date against the list.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import RANGES, change, estate, listed, networked, nic, noted, nsg, ours, planned, rule, vm
from support import RunMaker

from runbook_lib.arm.servicetags import service_tags_list
from runbook_lib.errors import Drift
from runbook_lib.parameters import Parameters
from runbook_lib.plan import compare, going_on, project, ranges, rules_by_option
from runbook_lib.plan.ranges import MOST_PREFIXES
from runbook_lib.records import Inventory, Plan, Unread, decode, encode, key
from runbook_lib.sandbox import Fault, Sandbox
from runbook_lib.text import exists

PATH = "/providers/microsoft.network/locations/[^/]+/servicetags$"


def written(made: Plan) -> dict[str, tuple[str, list[str], int]]:
    """
    The rules of a plan: by name, the kind of change, the prefixes and the priority.
    """
    return {
        each.facts["rule"]: (
            each.kind,
            each.body["properties"]["destinationAddressPrefixes"],
            each.body["properties"]["priority"],
        )
        for each in made.changes
        if each.kind.endswith("-range-rule")
    }


def test_a_denied_service_gets_a_rule_with_its_addresses() -> None:
    """
    AzureBackup and Microsoft Entra ID of all regions, Storage of the VM's region alone, before the rule that denies.
    """
    made = planned(estate(*networked(rule("deny", 300)), listed()), **RANGES)

    assert {
        "allow-backup-ranges-AzureBackup": ("add-range-rule", ["20.0.0.0/24", "20.0.1.0/24"], 290),
        "allow-backup-ranges-Storage": ("add-range-rule", ["30.1.0.0/16"], 291),
        "allow-backup-ranges-AzureActiveDirectory": ("add-range-rule", ["40.0.0.0/24"], 292),
    } == written(made)


def test_a_rule_of_ranges_names_the_lists_number_and_rests_on_the_list() -> None:
    """
    Whoever reads the NSG sees how old its addresses are; a list that changes before the apply is drift.
    """
    world = estate(*networked(rule("deny", 300)), listed("160", AzureActiveDirectory=()))
    first = next(each for each in planned(world, **RANGES).changes if each.kind == "add-range-rule")

    assert {
        "description": "AzureBackup, service tags list 160",
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "sourceAddressPrefix": "VirtualNetwork",
        "destinationAddressPrefixes": ["20.0.0.0/24", "20.0.1.0/24"],
        "destinationPortRanges": ["443"],
        "access": "Allow",
        "priority": 290,
        "direction": "Outbound",
    } == first.body["properties"]
    assert (listed().id,) == first.reads


def test_what_is_let_through_needs_no_ranges() -> None:
    """
    Neither without an NSG, nor where a rule allows the service, nor in doubt.
    """
    for rules in (
        (),
        (rule("allow", 200, "Allow"), rule("deny", 300)),
        (rule("x", 200, destinations=("13.0.0.0/8",)),),
    ):
        made = planned(estate(*networked(*rules), listed()), **RANGES)

        assert {} == written(made)


def test_a_region_without_storage_of_its_own_gets_that_of_all() -> None:
    """
    The list lacks the newest regions for a while: wider is better than shut.
    """
    world = estate(*networked(rule("deny", 300)), listed(Storage_WestEurope=()))

    assert ["30.0.0.0/8"] == written(planned(world, **RANGES))["allow-backup-ranges-Storage"][1]


def test_a_second_plan_has_nothing_to_do() -> None:
    """
    What the first one planned is what the second one finds.
    """
    world = estate(*networked(rule("deny", 300)), listed())
    after = project(world, planned(world, **RANGES).changes)

    assert {} == written(planned(after, **RANGES))


def test_what_is_left_of_a_plan_that_stopped_is_planned_again() -> None:
    """
    The rules that were made do not hide that the others are missing.
    """
    world = estate(*networked(rule("deny", 300)), listed())
    after = project(world, planned(world, **RANGES).changes[:-2])

    assert {"allow-backup-ranges-Storage", "allow-backup-ranges-AzureActiveDirectory"} <= set(
        written(planned(after, **RANGES))
    )


def test_a_newer_list_changes_the_rules_by_the_difference() -> None:
    """
    Added and removed are counted, the rule keeps its name and priority, and what did not change is not written.
    """
    world = estate(*networked(rule("deny", 300)), listed())
    after = project(world, planned(world, **RANGES).changes)
    newer = replace(after, service_tags={key(listed().id): listed("161", AzureBackup=("20.0.1.0/24", "20.0.2.0/24"))})
    made = planned(newer, **RANGES)

    assert {"allow-backup-ranges-AzureBackup": ("update-range-rule", ["20.0.1.0/24", "20.0.2.0/24"], 290)} == written(
        made
    )
    assert (1, 1, 2, "161") == tuple(
        change(made, "update-range-rule").facts[name] for name in ("added", "removed", "count", "number")
    )
    assert 4 == len(next(iter(project(newer, made.changes).nsgs.values())).rules)


def test_a_rule_that_comes_too_late_moves_before_the_denial() -> None:
    """
    Somebody has put a denial before it since.
    """
    own = ours("AzureBackup", ("20.0.0.0/24", "20.0.1.0/24"), 250)
    made = planned(estate(*networked(own, rule("deny", 200)), listed()), **RANGES)

    assert ("update-range-rule", ["20.0.0.0/24", "20.0.1.0/24"], 190) == written(made)[own.name]


def test_our_rule_is_kept_up_to_date_in_doubt_too() -> None:
    """
    A denial of some of the service's addresses leaves open what becomes of a packet; that is no reason to let ours grow
    old.
    """
    own = ours("AzureBackup", ("20.0.0.0/24",), 250)
    made = planned(estate(*networked(own, rule("some", 300, destinations=("20.0.1.0/24",))), listed()), **RANGES)

    assert {own.name: ("update-range-rule", ["20.0.0.0/24", "20.0.1.0/24"], 250)} == written(made)


@pytest.mark.parametrize("fields", [{"direction": "Inbound"}, {"access": "Deny"}, {"sources": ("10.0.0.9",)}])
def test_a_rule_that_has_our_name_but_is_not_ours_stays(fields: dict[str, Any]) -> None:
    """
    To write that name would replace it.
    """
    other = replace(ours("AzureBackup", ("20.0.0.0/24",), 150), **fields)
    world = estate(*networked(other, rule("deny", 300)), listed())
    made = planned(world, **RANGES)

    assert "allow-backup-ranges-AzureBackup-2" in written(made)
    assert other in next(iter(project(world, made.changes).nsgs.values())).rules


def test_more_addresses_than_a_rule_takes_make_several_rules() -> None:
    """
    None is over the limit, none is lost, and the plan says that the NSG as a whole may be refused.
    """
    many = tuple(f"20.{n // 256}.{n % 256}.0/24" for n in range(2 * MOST_PREFIXES + 1))
    world = estate(*networked(rule("deny", 300)), listed(AzureBackup=many))
    made = planned(world, **RANGES)
    parts = {name: held for name, (_, held, _) in written(made).items() if "AzureBackup" in name}
    after = project(world, made.changes)

    assert [f"allow-backup-ranges-AzureBackup{each}" for each in ("", "-2", "-3")] == list(parts)
    assert max(len(held) for held in parts.values()) <= MOST_PREFIXES
    assert sorted(many) == sorted(each for held in parts.values() for each in held)
    assert 1 == noted(made).count("many_ranges")
    assert {} == written(planned(after, **RANGES))


def test_fewer_addresses_leave_no_rule_of_several_behind() -> None:
    """
    A rule must name an address: what is left is dealt out among the rules that are there.
    """
    own = [ours(name, (f"20.0.{n}.0/24",), 250 + n) for n, name in enumerate(("AzureBackup", "AzureBackup-2"))]
    world = estate(*networked(*own, rule("deny", 300)), listed(AzureBackup=("20.9.0.0/24", "20.9.1.0/24")))
    made = written(planned(world, **RANGES))

    assert [["20.9.0.0/24"], ["20.9.1.0/24"]] == [made[each.name][1] for each in own]


def test_where_no_priority_is_left_the_plan_says_so() -> None:
    """
    Once, however many services have no place.
    """
    made = planned(estate(*networked(rule("deny", 100)), listed()), **RANGES)

    assert {} == written(made)
    assert 1 == noted(made).count("no_priority")


def test_without_the_list_nothing_is_planned_and_the_reason_is_said() -> None:
    """
    Addresses are never guessed.
    """
    gap = Unread(scope="/x", what="Microsoft.Network/serviceTags", status=403, code="AuthorizationFailed", message="no")
    world = replace(estate(*networked(rule("deny", 300))), unread=(gap,))
    made = planned(world, **RANGES)

    assert {} == written(made)
    assert [{"id": "ranges_unread", "problem": "AuthorizationFailed: no", "step": "06"}] == [
        note for note in made.notes if note["id"].startswith("ranges")
    ]


def test_each_nsg_in_the_way_is_compared_with_the_list() -> None:
    """
    What is there already, what is missing, what is obsolete; a region with no NSG in the way has its row as well.
    """
    shut = nsg("shut", ours("AzureBackup", ("20.0.0.0/24", "9.9.9.0/24")), rule("deny", 300))
    away = replace(vm("far"), location="northeurope")
    own = nic(nsg_id=shut.id)
    world = estate(shut, own, vm(nic_ids=(own.id,)), away, listed())
    rows = [
        (each.location, each.listed.name, each.group.name if each.group else "", len(each.missing), each.obsolete)
        for each in ranges(world, going_on(world, Parameters()))
    ]

    assert [
        ("northeurope", "AzureBackup", "", 0, ()),
        ("northeurope", "Storage", "", 0, ()),
        ("northeurope", "AzureActiveDirectory", "", 0, ()),
        ("westeurope", "AzureBackup", "shut", 1, ("9.9.9.0/24",)),
        ("westeurope", "Storage.WestEurope", "shut", 1, ()),
        ("westeurope", "AzureActiveDirectory", "shut", 1, ()),
    ] == rows


def test_options_are_counted_side_by_side() -> None:
    """
    Each as if it were chosen; one that lacks its list or its proxy is not counted as nothing.
    """
    world = estate(*networked(rule("deny", 300)))
    without = rules_by_option(world, Parameters(), going_on(world, Parameters()))
    asked = Parameters(proxy_host="10.0.0.9")
    full = replace(world, service_tags={key(listed().id): listed()})
    together = rules_by_option(full, asked, going_on(full, asked))

    assert {"none": 0, "service_tags": 3, "ip_ranges": None, "http_proxy": None} == {
        name: None if made is None else len(made) for name, made in without.items()
    }
    assert all(made is not None or exists(f"option.{name}.lacking") for name, made in without.items())
    assert {"none": 0, "service_tags": 3, "ip_ranges": 3, "http_proxy": 0} == {
        name: len(made or ()) for name, made in together.items()
    }


def test_an_inventory_with_the_list_survives_the_run_folder() -> None:
    """
    The list is part of what the evidence keeps.
    """
    world = estate(listed())

    assert world == decode(Inventory, json.loads(json.dumps(encode(world))))


# --- The list as the API has it -----------------------------------------------------------------------------------


def body(*tags: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """
    A list as the API answers it.
    """
    rows = [{"name": name, "properties": {"changeNumber": "4", "addressPrefixes": held}} for name, held in tags]
    return {"name": "Public", "cloud": "Public", "changeNumber": "160", "values": rows, **more}


NEEDED: tuple[tuple[str, Any], ...] = (
    ("AzureBackup", ["20.0.0.0/24", "2603:1000::/46"]),
    ("Storage", ["30.0.0.0/8"]),
    ("AzureActiveDirectory", ["40.0.0.0/24", "40.0.0.0/24"]),
)


def test_the_list_is_read_with_the_tags_of_the_job_alone() -> None:
    """
    IPv4 only, each range once, Storage of the VMs' regions, and no other tag of the hundreds.
    """
    more = [("Storage.WestEurope", ["30.1.0.0/16"]), ("Storage.EastUS", ["30.2.0.0/16"]), ("Sql", ["50.0.0.0/8"])]
    read = service_tags_list(body(*NEEDED, *more), "s", ["westeurope"])

    assert ("160", "Public") == (read.change_number, read.cloud)
    assert {
        "AzureBackup": ("20.0.0.0/24",),
        "Storage": ("30.0.0.0/8",),
        "AzureActiveDirectory": ("40.0.0.0/24",),
        "Storage.WestEurope": ("30.1.0.0/16",),
    } == {each.name: each.prefixes for each in read.tags}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"values": None},
        body(),
        body(*NEEDED[:2]),
        body(*NEEDED[:2], ("AzureActiveDirectory", [])),
        body(*NEEDED[:2], ("AzureActiveDirectory", None)),
        body(*NEEDED[:2], ("AzureActiveDirectory", ["*"])),
        body(*NEEDED[:2], ("AzureActiveDirectory", ["Internet"])),
        body(*NEEDED[:2], ("AzureActiveDirectory", [None])),
    ],
)
def test_a_list_that_cannot_be_trusted_is_refused(broken: dict[str, Any]) -> None:
    """
    A rule opens what the list says: half a list, or a word in place of an address, is no list.
    """
    with pytest.raises(ValueError, match=r"list of|prefix|appear"):
        service_tags_list(broken, "s", ["westeurope"])


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    """
    The lists that Azure really answered.
    """
    if not (reference := os.environ.get("RUNBOOK_REFERENCE")):
        pytest.skip("RUNBOOK_REFERENCE is not set: recorded traffic is not part of the repository")
    lines = (Path(reference) / "recordings" / "service_tags.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["response"]["body"] for line in lines]


def test_a_recorded_list_is_read(recorded: list[dict[str, Any]]) -> None:
    """
    All services are there, with Storage of each region that was asked for, and with IPv4 addresses alone.
    """
    places = ["westeurope", "francecentral", "norwayeast", "brazilsoutheast"]
    for each in recorded:
        read = service_tags_list(each, "s", places)

        assert 3 + len(places) == len(read.tags)
        assert {f"storage.{place}" for place in places} <= {tag.name.lower() for tag in read.tags}
        assert all(tag.prefixes and not any(":" in prefix for prefix in tag.prefixes) for tag in read.tags)
        assert each["changeNumber"] == read.change_number
    assert recorded


# --- With the real clients ----------------------------------------------------------------------------------------


def test_the_list_is_read_only_when_it_is_wanted(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    It has three megabytes; with ip_ranges it is read once for all regions and subscriptions.
    """
    _ = make_run(network_option="service_tags").inventory
    before = [each for each in contoso.requests() if each["path"].lower().endswith("/servicetags")]
    read = make_run(**RANGES).inventory
    calls = [each for each in contoso.requests() if each["path"].lower().endswith("/servicetags")]

    assert ([], 1) == (before, len(calls))
    assert ["1"] == [each.change_number for each in read.service_tags.values()]


def test_ranges_are_written_and_read_back_as_planned(make_run: RunMaker) -> None:
    """
    After the apply the NSG is what the plan promised, the table has nothing to add, and the next plan is empty.
    """
    run = make_run(**RANGES)
    plan = run.plan
    wrote = plan.step("06").changes
    ended = run.apply_plan(plan, ["06"])
    run.read_again()

    assert ["done"] * 3 == [each.outcome for each in ended]
    assert () == compare(project(run.before, wrote), run.inventory, wrote)
    assert () == run.plan.step("06").changes
    lockdown = run.ranges().frame.query("nsg == 'NSG-lockdown'")
    assert ([0, 0, 0], [0, 0, 0]) == (list(lockdown["missing"]), list(lockdown["obsolete"]))


def test_a_list_that_changes_before_the_apply_is_drift(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Nothing is sent on addresses that are no longer those that were approved.
    """
    run = make_run(**RANGES)
    plan = run.plan
    tags = [("AzureBackup", ["192.0.2.0/24"]), *NEEDED[1:]]
    (known,) = run.inventory.service_tags.values()
    changed = body(*tags, changeNumber="2")
    contoso.fault(Fault(method="GET", path=PATH, status=200, content=json.dumps(changed | {"id": known.id})))

    with pytest.raises(Drift):
        run.apply_plan(plan, ["06"])


@pytest.mark.parametrize("content", [None, '{"values": []}'])
def test_a_list_that_cannot_be_read_is_told_of(make_run: RunMaker, contoso: Sandbox, content: str | None) -> None:
    """
    Nothing is planned, the note and the list of what is unread say why, and the table does not pretend.
    """
    refusal: dict[str, Any] = {"status": 403, "code": "AuthorizationFailed", "message": "no"}
    contoso.fault(Fault(method="GET", path=PATH, **refusal if content is None else {"status": 200, "content": content}))
    run = make_run(**RANGES)

    assert () == run.plan.step("06").changes
    assert "ranges_unread" in [note["id"] for note in run.plan.notes]
    assert ["Microsoft.Network/serviceTags"] == [gap.what for gap in run.inventory.unread]
    assert "was not read" in run.ranges().text()


def test_choosing_ranges_later_reads_the_list(make_run: RunMaker) -> None:
    """
    The estate was read without it when the option was another.
    """
    run = make_run()
    form = run.form("network_option")
    form.controls["network_option"].value = "ip_ranges"
    before = dict(run.inventory.service_tags)
    run.choose(form)

    assert ({}, 1) == (before, len(run.inventory.service_tags))


def test_a_notebook_that_is_given_ranges_reads_the_list(make_run: RunMaker) -> None:
    """
    Headlessly too: the run folder's inventory was read by an earlier notebook.
    """
    run = make_run()
    _ = run.before
    run.asked = replace(run.asked, network_option="ip_ranges")
    run.arrive("06_network")

    assert 1 == len(run.inventory.service_tags)


def test_the_options_are_shown_with_what_they_change(make_run: RunMaker) -> None:
    """
    One that is not known yet says what it lacks.
    """
    shown = make_run(network_option="service_tags").options().frame.set_index("option")

    assert "NSG rules: 3, files: 4" == shown.loc["service_tags", "changes"]
    assert "proxy_host" in shown.loc["http_proxy", "changes"]
