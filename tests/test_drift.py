"""
Drift: what a plan left half made is no drift, what somebody else changed is, and a plan's digest names it.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from builders import (
    EVERYTHING,
    HELD,
    HOME,
    NOW,
    WEB,
    change,
    everything,
    group,
    item,
    kinds,
    lock,
    planned,
    policy,
    provider,
    ready,
    rule,
    vault,
    vm,
    with_records,
    without,
)
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.plan import Difference, compare, is_done, moved, plan_digest, project, world_moved
from runbook_lib.records import Agent, Inventory, Plan, Step, decode, digest, encode, key

PLAN = planned(everything(), **EVERYTHING)
# Ten VMs, two regions, a vault that is there: several changes of each kind that can come more than once.
WIDE = with_records(
    ready(),
    *(vm(f"v{number}", location=HOME if number % 2 else "northeurope") for number in range(10)),
)
WIDE_PLAN = planned(WIDE, policy_name="Nightly", redundancy="ZoneRedundant")


def world_of(plan: Plan, start: Inventory, number: str) -> Inventory:
    """
    The world as it is when a step's turn comes.
    """
    earlier = [each for step in plan.steps if step.number < number for each in step.changes]
    return project(start, earlier)


STEPS = [(everything(), PLAN, step) for step in PLAN.steps] + [(WIDE, WIDE_PLAN, step) for step in WIDE_PLAN.steps]
IDS = [f"{'wide' if plan is WIDE_PLAN else 'narrow'}-{step.number}" for _, plan, step in STEPS]


@pytest.mark.parametrize(("start", "plan", "step"), STEPS, ids=IDS)
def test_a_step_that_was_interrupted_anywhere_is_no_drift(start: Inventory, plan: Plan, step: Step) -> None:
    """
    After any number of its changes the step can go on.
    """
    world = world_of(plan, start, step.number)

    for count in range(len(step.changes) + 1):
        assert () == moved(step, project(world, step.changes[:count]))


@given(st.sampled_from(STEPS), st.data())
def test_a_step_of_which_some_changes_failed_is_no_drift(
    which: tuple[Inventory, Plan, Step], data: st.DataObject
) -> None:
    """
    A change that fails does not keep the others from being made: any of them may be missing.
    """
    start, plan, step = which
    done = [each for each in step.changes if data.draw(st.booleans())]

    assert () == moved(step, project(world_of(plan, start, step.number), done))


def test_every_way_to_half_make_an_nsg_is_known() -> None:
    """
    Three rules go to one NSG, each in a call of its own.
    """
    step = PLAN.step("06")
    world = world_of(PLAN, everything(), "06")
    ways = [some for size in range(4) for some in itertools.combinations(step.changes, size)]

    assert 8 == len(ways)
    assert [()] * 8 == [moved(step, project(world, some)) for some in ways]


@pytest.mark.parametrize(
    "volatile",
    [
        {"power_state": "deallocated"},
        {"agent": Agent(status="Not Ready", version="1")},
        {"instance_view": False},
    ],
)
def test_what_changes_by_itself_is_no_drift(volatile: dict[str, Any]) -> None:
    """
    A VM that was stopped since is enabled all the same.
    """
    assert () == moved(planned(ready()).step("04"), ready(replace(WEB, **volatile)))


def test_the_casing_of_an_answer_is_no_drift() -> None:
    """
    Azure spells an id in several ways.
    """
    shouted = replace(HELD, id=HELD.id.upper(), name=HELD.name.upper())

    assert () == moved(planned(ready()).step("04"), ready(shouted))


@pytest.mark.parametrize(
    ("step", "world", "difference"),
    [
        (
            "04",
            ready(vm(location="northeurope")),
            Difference(resource=key(WEB.id), field="location", expected=HOME, found="northeurope"),
        ),
        (
            "04",
            ready(vm(data_disks=3)),
            Difference(
                resource=key(WEB.id),
                field="data_disks",
                expected=[],
                found=[{"name": f"web-data{n}"} for n in range(3)],
            ),
        ),
        ("04", without(ready(), WEB.id), Difference(resource=key(WEB.id), field="", expected=True, found=False)),
        (
            "04",
            with_records(ready(), vault(redundancy="ZoneRedundant")),
            Difference(resource=key(HELD.id), field="redundancy", expected="GeoRedundant", found="ZoneRedundant"),
        ),
        ("04", without(ready(), HELD.id), Difference(resource=key(HELD.id), field="", expected=True, found=False)),
    ],
)
def test_what_somebody_changed_is_drift_and_is_named(step: str, world: Inventory, difference: Difference) -> None:
    """
    Which field of which resource, what the plan rests on, and what is there now.
    """
    assert (difference,) == moved(planned(ready()).step(step), world)


def test_another_vm_of_the_same_name_is_drift() -> None:
    """
    By `vmId`, where both the plan and the world have it: plans of older versions do not.
    """
    named, other = (replace(WEB, unique_id=each) for each in ("a", "b"))
    step = planned(ready(named)).step("04")
    (found,) = moved(step, ready(other))
    untold = [moved(step, ready(replace(WEB, unique_id=""))), moved(planned(ready()).step("04"), ready(other))]
    older = {
        each: tuple({n: v for n, v in state.items() if n != "unique_id"} if state else state for state in states)
        for each, states in step.world.items()
    }

    assert ("unique_id", "a", "b") == (found.field, found.expected, found.found)
    assert [(), ()] == untold
    assert () == moved(replace(step, world=older), ready(other))


def test_a_lock_on_what_is_written_is_drift_where_it_is_new() -> None:
    """
    Not on what is done already, not elsewhere, not one that the plan knew, and not for a plan that says nothing of any.
    """
    held = with_records(ready(), lock(HELD.id))
    plan = planned(ready())
    done = project(held, plan.changes)

    assert (Difference(resource=key(lock(HELD.id).id), field="", expected=False, found=True),) == world_moved(
        plan, held
    )
    assert () == world_moved(planned(held), held)
    assert () == world_moved(plan, done)
    assert () == world_moved(plan, with_records(ready(), lock(WEB.id)))
    assert () == world_moved(replace(plan, locks=None), held)
    assert None is decode(Plan, {"target": "t", "parameters": {}}).locks


def test_another_policy_under_the_same_name_is_drift() -> None:
    """
    The VMs would be backed up otherwise than what was approved.
    """
    asked = {"policy_name": "Nightly", "backup_time": "22:00"}
    world = ready(policy(HELD, **asked))
    step = planned(world, **asked).step("04")
    (found,) = moved(step, with_records(world, policy(HELD, **asked, daily_retention_days=7)))

    assert ("terms", 30, 7) == (
        found.field,
        found.expected["daily_retention_days"],
        found.found["daily_retention_days"],
    )


def test_the_times_of_a_new_vaults_own_policy_are_no_drift() -> None:
    """
    The service picks them, differently in each region: nobody can say them beforehand.
    """
    step = planned(everything()).step("04")
    world = world_of(planned(everything()), everything(), "04")
    its_own = policy(HELD, policy_name="DefaultPolicy", backup_time="03:30")

    assert () == moved(step, with_records(world, its_own))


def test_what_was_made_otherwise_meanwhile_is_compared_with_the_plan() -> None:
    """
    A vault that appeared with other settings is measured against the one that was to be made.
    """
    found = moved(PLAN.step("01"), with_records(everything(), provider(), vault(location="northeurope")))

    assert (Difference(resource=key(HELD.id), field="location", expected=HOME, found="northeurope"),) == found


def test_a_vm_that_was_enabled_otherwise_meanwhile_is_drift() -> None:
    """
    Somebody enabled it under another policy.
    """
    other = item(WEB, HELD, policy_id=f"{HELD.id}/backupPolicies/EnhancedPolicy")
    (found,) = moved(planned(ready()).step("04"), ready(other))

    assert "policy_id" == found.field


def test_a_rule_that_somebody_added_is_drift() -> None:
    """
    It may change what the plan's rules do.
    """
    step = PLAN.step("06")
    world = world_of(PLAN, everything(), "06")
    (own,) = world.nsgs.values()
    (found,) = moved(step, with_records(world, replace(own, rules=(*own.rules, rule("theirs", 100)))))

    assert (key(own.id), "rules") == (found.resource, found.field)


def test_a_step_that_is_done_has_no_drift_whatever_else_moved() -> None:
    """
    Nothing is to be sent, so nothing rests on anything.
    """
    step = planned(ready()).step("04")
    done = project(ready(), step.changes)

    assert moved(step, ready(vm(data_disks=3)))
    assert () == moved(step, with_records(done, vm(data_disks=3)))


@pytest.mark.parametrize("gone", [HELD.id, group().id, provider().id])
def test_a_resource_that_went_away_is_drift_in_every_step_that_needs_it(gone: str) -> None:
    """
    It is reported as missing; looking for it is no error.
    """
    for step in PLAN.steps:
        world = world_of(PLAN, everything(), step.number)
        found = moved(step, without(world, gone))
        needs = any(key(gone) in (key(one.target), *map(key, one.reads)) for one in step.changes)

        # What the step itself makes may be missing: it is made then.
        makes = step.world.get(key(gone), (True,))[0] is None
        assert bool(found) == (needs and not makes)


@given(st.sampled_from(STEPS), st.data())
def test_no_change_of_what_a_step_reads_goes_unseen(which: tuple[Inventory, Plan, Step], data: st.DataObject) -> None:
    """
    Take any resource away that was there when the step was planned, and the step is refused.
    """
    start, plan, step = which
    there = [each for each, states in step.world.items() if None not in states]
    world = world_of(plan, start, step.number)
    if there:
        gone = data.draw(st.sampled_from(there))

        assert [gone] == [each.resource for each in moved(step, without(world, gone)) if each.field == ""]


# --- what was promised --------------------------------------------------------------------------------------------


def test_a_world_as_promised_has_no_differences() -> None:
    """
    Whatever changed by itself since.
    """
    promised = project(everything(), PLAN.changes)
    backed_up = with_records(
        promised, replace(promised.items_of(WEB.id)[0], last_backup_time=NOW, protection_state="Protected")
    )

    assert () == compare(promised, backed_up, PLAN.changes)


def test_what_is_not_as_promised_is_named() -> None:
    """
    Only where the plan wrote: the rest of the estate is not its business.
    """
    promised = project(everything(), PLAN.changes)
    observed = with_records(
        without(promised, change(PLAN, "protect").target), vault(redundancy="GeoRedundant"), vm("new"), vm(data_disks=9)
    )

    assert [
        (key(HELD.id), "redundancy", "LocallyRedundant", "GeoRedundant"),
        (key(change(PLAN, "protect").target), "", True, False),
    ] == [(each.resource, each.field, each.expected, each.found) for each in compare(promised, observed, PLAN.changes)]


# --- digests ------------------------------------------------------------------------------------------------------


def test_a_plans_digest_is_over_all_of_its_steps() -> None:
    """
    Whoever edits a change, leaves one out, or turns two around, has another plan.
    """
    made = encode(PLAN)
    steps = made["steps"]

    def forged(edit: Any) -> str:
        copy = json.loads(json.dumps(steps))
        edit(copy)
        return plan_digest(replace(PLAN, steps=tuple(decode(Step, each) for each in copy)))

    edits = [
        lambda s: s[0]["changes"].pop(),
        lambda s: s[0]["changes"].reverse(),
        lambda s: s[1]["changes"][0].update(irreversible=["enhanced"]),
        lambda s: s[1]["changes"][0]["body"]["properties"]["redundancySettings"].update(crossRegionRestore="Enabled"),
        lambda s: s[3]["changes"][1].update(target="/subscriptions/other"),
        lambda s: s[3]["changes"][1]["facts"].update(vm="other"),
        lambda s: s[4]["world"].clear(),
        lambda s: s.reverse(),
        lambda s: s.pop(),
    ]

    assert PLAN.digest == forged(lambda _: None)
    assert len(edits) == len({forged(edit) for edit in edits} - {PLAN.digest})


def test_a_plans_digest_is_over_what_was_asked_for_too() -> None:
    """
    A risk that somebody accepts afterwards, in the file, would let a VM through that was kept back.
    """
    risky = replace(PLAN, parameters=PLAN.parameters | {"accept_risk": {WEB.id: "who cares"}})

    assert PLAN.digest == plan_digest(PLAN)
    assert PLAN.digest != plan_digest(risky)


def test_a_steps_digest_is_that_of_its_world() -> None:
    """
    Two plans that rest on the same world can be told to by it.
    """
    assert [digest(step.world) for step in PLAN.steps] == [step.digest for step in PLAN.steps]
    assert len(PLAN.steps) == len({step.digest for step in PLAN.steps})


def test_a_steps_world_holds_all_that_it_reads_and_writes() -> None:
    """
    Nothing that a change names is left out, and nothing else is in.
    """
    for step in WIDE_PLAN.steps:
        named = {key(each) for one in step.changes for each in (one.target, *one.reads)}

        assert named == set(step.world)


def test_the_policy_that_vms_are_enabled_under_is_read() -> None:
    """
    A policy that the plan makes, or that was there, is part of what protection rests on.
    """
    assert "create-policy" in kinds(WIDE_PLAN)
    for one in (each for each in WIDE_PLAN.changes if each.kind == "protect"):
        assert one.body["properties"]["policyId"] in one.reads


def test_the_same_world_gives_the_same_digest_on_another_day() -> None:
    """
    When an estate was read is no part of it.
    """
    later = replace(everything(), read_at=NOW.replace(year=2030))

    assert PLAN.digest == planned(later, **EVERYTHING).digest
    assert all(is_done(project(later, PLAN.changes), each) for each in PLAN.changes)
