"""
The tables: what each of them says of an estate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    EVERYTHING,
    HELD,
    NOW,
    ONE,
    estate,
    everything,
    gap,
    group,
    item,
    planned,
    policies_of,
    vault,
    vm,
    with_records,
)

from runbook_lib import checks, render
from runbook_lib.conclusion import held_back
from runbook_lib.parameters import NAMES, Parameters
from runbook_lib.plan import diff, project
from runbook_lib.records import Agent, Extension, Verdict, VmVerdict, key
from runbook_lib.render import Table

LANGUAGE = "en"


def cells(table: Table) -> list[dict[str, Any]]:
    """
    The rows of a table by column.
    """
    return [dict(zip(table.frame.columns, row, strict=True)) for row in table.frame.itertuples(index=False, name=None)]


def test_readiness_says_where_a_vm_stands_and_where_the_plan_takes_it() -> None:
    """
    The worst first, with the sentence of what decides.
    """
    world = estate(vm("stuck", agent=None))
    machines = list(world.vms.values())
    found = checks.judge(world, machines)
    then = checks.verdicts(checks.judge(project(world, planned(world).changes), machines))
    verdicts = [VmVerdict(vm=each, verdict=v, decisive=d) for each, (v, d) in checks.verdicts(found).items()]
    table = render.readiness(world, verdicts, {key(each): v for each, (v, _) in then.items()}, found, LANGUAGE)

    assert "Readiness of 2 selected VMs: 1 BLOCKED, 1 READY" == table.caption
    assert [("stuck", "BLOCKED", "BLOCKED"), ("web", "READY", "ENABLED")] == [
        (row["vm"], row["verdict"], row["projected"]) for row in cells(table)
    ]
    assert "The VM runs, but no agent reports." == cells(table)[0]["why"]


def test_findings_leave_out_what_passes_by_both_rules() -> None:
    """
    What the guide fails and today's service passes is shown.
    """
    world = estate(vm(data_disks=17))
    found = checks.judge(world, world.vms.values())
    shown = [row["finding"] for row in cells(render.findings(world, found, LANGUAGE))]

    assert "17 data disks (managed), at most 32 are supported." in shown
    assert "The agent is Ready on a running VM." not in shown
    assert ["The agent is Ready on a running VM."] == [
        row["finding"] for row in cells(render.findings(world, found, LANGUAGE, only=("agent",)))
    ]


def test_what_informs_and_is_the_same_for_many_vms_is_said_once() -> None:
    """
    Below the rest, with their number; what risks or blocks is said of each VM, and a file has it all.
    """
    world = estate(vm("one"), vm("two"), vm("other", power_state="deallocated"), vm("dc", os_type="Linux"))
    found = checks.judge(world, world.vms.values())
    table = cells(render.findings(world, found, LANGUAGE))
    drives = [row for row in table if row["check"] == "Mounted network drives"]
    whole = cells(render.findings(world, found, LANGUAGE, whole=True))

    assert [("5 VMs", "")] == [(row["vm"], row["resource_group"]) for row in drives]
    assert drives[0]["finding"].startswith("Which network drives are mounted, only the guest knows")
    assert ["other"] == [row["vm"] for row in table if row["check"] == "VM agent"]
    assert ["4 VMs"] == [row["vm"] for row in table if row["check"] == "Domain controller of several"]
    assert table.index(drives[0]) > max(table.index(row) for row in table if row["vm"] == "other")
    assert 5 == len([row for row in whole if row["check"] == "Mounted network drives"])


def test_what_is_the_same_for_two_vms_is_said_of_each() -> None:
    """
    Names are more use than a number as long as there are few.
    """
    world = estate(vm("other"))
    found = checks.judge(world, world.vms.values())
    table = cells(render.findings(world, found, LANGUAGE))

    assert ["web", "other"] == [row["vm"] for row in table if row["check"] == "Mounted network drives"]


def test_the_agents_table_tells_settings_and_extension() -> None:
    """
    A setting that is not given is unknown, not off.
    """
    extension = Extension(name="VMSnapshot", type="", status="")
    world = estate(vm(provision_agent=False, allow_extensions=True, extensions=(extension,)), vm("old"))
    rows = cells(render.machines(world, world.vms.values(), LANGUAGE))

    assert [("no", "yes", "VMSnapshot: unknown"), ("unknown", "unknown", "none")] == [
        (row["provisioned"], row["extensions_allowed"], row["extension"]) for row in rows
    ]


def test_a_group_is_shown_as_it_names_itself() -> None:
    """
    A subscription's list of VMs has it in capitals.
    """
    world = estate(vm("web", "RG-APP"), group("rg-app"))
    table = render.machines(world, world.vms.values(), LANGUAGE)

    assert ["rg-app"] == [row["resource_group"] for row in cells(table)]


def test_a_plan_without_changes_says_so() -> None:
    """
    An empty table would read as a fault.
    """
    assert "Nothing to do in this step" in render.plan([], "Plan", LANGUAGE).text()
    assert "Nothing to do in this step" in render.results("01", [], LANGUAGE).text()


def test_a_plan_tells_how_each_change_ended() -> None:
    """
    By the change itself: two changes of one target are two.
    """
    made = planned(everything(), **EVERYTHING)
    first, *_ = made.changes
    ended = [
        row["outcome"] for row in cells(render.plan(made.steps, "", LANGUAGE, {first.sha256: {"outcome": "done"}}))
    ]

    assert ["done", *["not written"] * (len(made.changes) - 1)] == ended


def test_what_is_unknown_is_not_shown_as_no() -> None:
    """
    A vault whose items or lock could not be read is not an empty, unlocked one.
    """
    world = with_records(estate(), vault(items_read=False, redundancy_locked=None, redundancy=""))
    (row,) = cells(render.vaults(world, world, ["westeurope"], LANGUAGE))

    assert ["unknown"] * 4 == [row[name] for name in ("redundancy", "locked", "soft_delete", "items")]


def test_a_vault_is_shown_as_it_is_and_as_the_plan_leaves_it() -> None:
    """
    Nobody takes a vault that is planned for one that is there.
    """
    there = with_records(estate(), vault(redundancy=""), group(), vault("rsv-old", "rg-old"))
    planned_one = project(estate(), planned(estate(), redundancy="ZoneRedundant").changes)
    changed = project(there, planned(there, redundancy="ZoneRedundant").changes)

    assert [("rsv-westeurope", "planned", "ZoneRedundant", 0)] == [
        (row["vault"], row["exists"], row["redundancy"], row["items"])
        for row in cells(render.vaults(estate(), planned_one, ["westeurope"], LANGUAGE))
    ]
    assert [("rsv-westeurope", "yes", "unknown; planned: ZoneRedundant"), ("rsv-old", "yes", "GeoRedundant")] == [
        (row["vault"], row["exists"], row["redundancy"])
        for row in cells(render.vaults(there, changed, ["westeurope"], LANGUAGE))
    ]


def test_a_policy_is_shown_with_its_vault_and_what_it_keeps() -> None:
    """
    Planned ones among those that are there.
    """
    there = estate(HELD, group(), *policies_of(HELD))
    then = project(there, planned(there, policy_name="Nightly", weekly_retention_weeks=8).changes)
    rows = {row["policy"]: row for row in cells(render.policies(there, then, ["westeurope"], LANGUAGE))}

    assert {"DefaultPolicy": "yes", "EnhancedPolicy": "yes", "Nightly": "planned"} == {
        name: row["exists"] for name, row in rows.items()
    }
    assert ("rsv-westeurope", "Daily", "19:00", "30 days, 8 weeks") == tuple(
        rows["Nightly"][name] for name in ("vault", "schedule", "time", "retention")
    )


def test_a_vm_that_is_ready_says_what_it_is_warned_of() -> None:
    """
    A VM that is off will get crash-consistent points; one whose protection was stopped has old ones.
    """
    world = estate(vm(power_state="deallocated"), HELD, item(vm(), HELD, protection="stopped"))
    found = checks.judge(world, world.vms.values())
    said = render.why(VmVerdict(vm=vm().id, verdict=Verdict.READY), found, LANGUAGE)

    assert said.startswith("Nothing stands in the way; protection is not on. Protection was stopped in vault rsv-west")
    assert said.endswith("The VM is deallocated: its recovery points will be crash-consistent.")


def test_nothing_stands_in_the_way_is_not_said_beside_a_risk() -> None:
    """
    A VM that is ready with risks says how many and names the first.
    """
    ready = VmVerdict(vm=vm().id, verdict=Verdict.READY)
    world = estate(vm(agent=Agent(status="Ready", version="2.5.1"), unmanaged_disks=True))
    both = render.why(ready, checks.judge(world, world.vms.values()), LANGUAGE)
    single = estate(vm(unmanaged_disks=True))
    one = render.why(ready, checks.judge(single, single.vms.values()), LANGUAGE)

    assert both.startswith("Nothing blocks, and protection is not on; 2 risks, the first: ")
    assert one.startswith("Nothing blocks, and protection is not on; a risk: ")


def test_where_the_guide_has_no_rule_that_is_said() -> None:
    """
    NOT NEEDED would read as today's judgement; a file for machines keeps the stored value, and the ARM id.
    """
    world = estate(vm(power_state="deallocated", unmanaged_disks=True))
    found = checks.judge(world, world.vms.values())
    shown = next(row for row in cells(render.findings(world, found, LANGUAGE)) if row["check"] == "Unmanaged disks")
    kept = cells(render.findings(world, found, LANGUAGE, whole=True))
    stored = next(row for row in kept if row["check"] == "Unmanaged disks")

    assert ("no rule", "NOT NEEDED") == (shown["guide"], stored["guide"])
    assert {vm().id} == {row["id"] for row in kept}


def test_a_vm_that_is_held_back_shows_the_id_that_accept_risk_takes() -> None:
    """
    To be copied, with the form in which it is given.
    """
    world = estate(vm(agent=None))
    found = checks.judge(world, world.vms.values())
    held = [VmVerdict(vm=vm().id, verdict=Verdict.BLOCKED, decisive=("agent",))]
    table = render.held_back(world, held, found, LANGUAGE)

    assert [("web", "BLOCKED", vm().id)] == [(row["vm"], row["verdict"], row["id"]) for row in cells(table)]
    assert '{"ID": "reason"}' in table.text()
    assert "None: no VM waits for a decision." in render.held_back(world, [], found, LANGUAGE).text()


@pytest.mark.parametrize(
    ("fields", "undelete", "expected"),
    [
        ({"protection": "stopped"}, False, True),
        ({"protection": "protectionerror"}, False, True),
        ({"protection": "on"}, False, False),
        ({"protection": "protectionpaused"}, False, False),
        ({"protection": "stopped", "soft_deleted": True}, False, False),
        ({"protection": "stopped", "soft_deleted": True}, True, True),
    ],
)
def test_only_where_something_would_be_enabled_a_vm_is_held_back(
    fields: dict[str, Any], undelete: bool, expected: bool
) -> None:
    """
    Accepting the risk does nothing for a VM that the plan leaves as it is.
    """
    world = estate(vm(), HELD, item(vm(), HELD, **fields))
    verdict = VmVerdict(vm=vm().id, verdict=Verdict.BLOCKED, decisive=("agent",))

    assert expected == held_back(world, verdict, Parameters(undelete=undelete))


def test_a_plan_field_by_field_says_once_what_is_the_same() -> None:
    """
    By the names that people know; the file for machines has a row and the full id for each.
    """
    others = [vm(f"web{number}") for number in range(1, 8)]
    found = diff(planned(estate(*others)).steps)
    shown = render.diff(found, "", LANGUAGE)
    rows = {(row["resource"], row["field"]): row["becomes"] for row in cells(shown)}
    items = [name for name, field in rows if field == "policy_id"]
    whole = render.diff(found, "", LANGUAGE, whole=True)
    named = ", ".join(f"{name} (rg-app)" for name in ("web", "web1", "web2", "web3", "web4"))

    assert [f"protectedItems of rsv-westeurope: {named} and 3 more"] == items
    assert "rsv-westeurope/defaultpolicy" == rows[items[0], "policy_id"]
    assert "westeurope" == rows["vaults: rsv-westeurope", "location"]
    assert "tables/plan-diff.csv" in shown.text()
    assert 8 == [row["field"] for row in cells(whole)].count("policy_id")


def test_what_was_planned_and_not_made_is_a_difference() -> None:
    """
    After a failure nobody reads that all is as promised.
    """
    made = planned(everything(), **EVERYTHING)
    first, second, *_ = made.changes
    table = render.differences([], [(first, "failed"), (second, "pending")], LANGUAGE)

    names = ["/".join(each.target.rsplit("/", 2)[1:]) for each in (first, second)]

    assert [(names[0], "failed"), (names[1], "not written")] == [
        (row["resource"], row["found"]) for row in cells(table)
    ]
    assert "is what the plan promised" not in table.text()


def test_a_long_id_is_broken_rather_than_cut_at_the_edge_of_the_page() -> None:
    """
    Words of usual length are not broken.
    """
    rows = [{"vm": "web", "finding": "It runs.", "id": vm().id}]
    shown = Table("Findings", ("vm", "finding", "id"), rows, LANGUAGE).html()

    assert 1 == shown.count("overflow-wrap:anywhere")
    assert f'overflow-wrap:anywhere">{vm().id}' in shown


def test_a_table_is_wrapped_to_the_width_of_the_terminal() -> None:
    """
    The widest columns give way; no word is lost, and no line is longer.
    """
    rows = [{"vm": "web", "finding": "one two three four five six " * 8}]
    table = Table("Findings", ("vm", "finding"), rows, LANGUAGE)
    said = table.text(40)

    assert max(len(line) for line in said.splitlines()) <= 40
    assert 8 == said.count("three")
    assert 4 == len(table.text().splitlines())


def test_a_vm_that_is_blocked_says_by_what_and_what_to_do() -> None:
    """
    Only the checks that decided speak.
    """
    world = estate(vm(agent=None, data_disks=17))
    found = checks.judge(world, world.vms.values())
    blocked = VmVerdict(vm=vm().id, verdict=Verdict.BLOCKED, decisive=("agent",))

    assert "The VM runs, but no agent reports." == render.why(blocked, found, LANGUAGE)
    assert "Install the agent as notebook 05 shows, then read again." == render.remedies(blocked, found, LANGUAGE)
    assert "" == render.remedies(VmVerdict(vm=vm().id, verdict=Verdict.READY), found, LANGUAGE)


def test_only_vaults_of_the_asked_regions_are_shown() -> None:
    """
    With the number of items that each holds, ids compared without case.
    """
    held = item(vm(), HELD)
    world = estate(HELD, vault("rsv-x", location="northeurope"), replace(held, vault_id=HELD.id.upper()))

    assert [("rsv-westeurope", 1)] == [
        (row["vault"], row["items"]) for row in cells(render.vaults(world, world, ["westeurope"], LANGUAGE))
    ]


def test_the_backup_extension_is_found_by_its_type() -> None:
    """
    Whatever it is named; others are left out, and what could not be read is unknown.
    """
    snapshot = Extension(name="x", type="Microsoft.Azure.RecoveryServices.VMSnapshotLinux", status="Ready")
    other = Extension(name="VMSnapshot", type="Other", status="Ready")
    machines = [vm("a", extensions=(other, snapshot)), vm("b", extensions=(other,)), vm("c", instance_view=False)]

    assert ["x: Ready", "none", "unknown"] == [
        row["extension"] for row in cells(render.machines(estate(), machines, LANGUAGE))
    ]


def test_prerequisites_count_the_vms_that_meet_them() -> None:
    """
    A vault in the region, or one that the plan can make there; protection, an agent, the network.
    """
    machines = [vm("b", agent=None), vm("c", location="northeurope"), vm("d", location="brazilus")]
    world = estate(*machines, HELD, *policies_of(HELD), item(vm(), HELD))
    machines = list(world.vms.values())
    table = render.prerequisites(checks.judge(world, machines), machines, world, LANGUAGE)

    assert [
        "met for 2 of 4 VMs; for 1 more it is for the plan to make one",
        "met for 1 of 4 VMs",
        "met for 3 of 4 VMs",
        "met for 4 of 4 VMs",
    ] == [row["stands"] for row in cells(table)]


def test_parameters_show_what_was_given_and_else_the_default() -> None:
    """
    All of them, or those that are asked for.
    """
    table = render.parameter_values({"vault_name": "rsv-x"}, LANGUAGE, only=("vault_name", "proxy_port"))

    assert [("vault_name", "rsv-x"), ("proxy_port", 8080)] == [(row["parameter"], row["value"]) for row in cells(table)]
    assert list(NAMES) == [row["parameter"] for row in cells(render.parameter_values({}, LANGUAGE))]


def test_a_comparison_shows_a_vm_that_was_not_there_before() -> None:
    """
    Its verdict before is unknown; an accepted risk stands with its reason.
    """
    world = estate()
    found = checks.judge(world, world.vms.values())
    verdicts = [VmVerdict(vm=vm().id.upper(), verdict=Verdict.READY, accepted_risk="agreed with Ana")]
    (row,) = cells(render.comparison(world, {}, verdicts, found, LANGUAGE))

    assert ("unknown", "READY", "agreed with Ana") == (row["before"], row["after"], row["accepted_risk"])


def test_differences_that_are_none_say_so() -> None:
    """
    What was read back is what was promised.
    """
    assert "What was read back is what the plan promised." in render.differences([], [], LANGUAGE).text()


def test_what_is_unread_is_named_with_the_reason() -> None:
    """
    So that nobody takes it for absent.
    """
    world = replace(estate(), unread=(gap("Microsoft.RecoveryServices/vaults"),))
    (row,) = cells(render.unread(world, LANGUAGE))

    assert (f"/subscriptions/{ONE}", "AuthorizationFailed: no") == (row["scope"], row["detail"])
    assert "none" in render.unread(estate(), LANGUAGE).text()


def test_every_sentence_about_a_backup_names_its_time() -> None:
    """
    To the minute, with the zone.
    """
    world = estate(HELD, *policies_of(HELD), item(vm(), HELD, last_backup_time=NOW))
    found = checks.judge(world, world.vms.values())
    (said,) = (render.sentence(each, LANGUAGE) for each in found if each.check == "protection")

    assert "last backup 2026-11-22T12:00+00:00, 0 hours old, at most 36 allowed" in said
