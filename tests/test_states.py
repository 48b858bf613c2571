"""
The states of protection: each has its change or its refusal, and finding, plan and projection agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    HELD,
    NOW,
    STATES,
    TWO,
    WEB,
    change,
    item,
    kinds,
    noted,
    planned,
    policies_of,
    policy,
    provider,
    ready,
    states,
    subscription,
    vault,
    vm,
)

from runbook_lib import checks, text
from runbook_lib.parameters import Parameters
from runbook_lib.plan import diff, moved, project
from runbook_lib.records import Inventory, Status

MOVES: dict[str, Any] = {"change_policy": True}
OTHER = policy(HELD, policy_name="Other")


def _under(policy_id: str, **fields: Any) -> Inventory:
    return ready(OTHER, item(WEB, HELD, policy_id=policy_id, points=(NOW,), **fields))


def _finding(world: Inventory, check: str, **asked: Any) -> tuple[str, str]:
    found = checks.judge(world, world.vms.values(), Parameters(**asked))
    (own,) = (each for each in found if each.check == check and each.resource == WEB.id)
    return own.status.value, own.case


def test_each_state_has_its_change() -> None:
    """
    What is missing is enabled, what was stopped resumed, what was deleted brought back first.
    """
    made = planned(states(), **STATES)

    assert {
        "a-new": ["protect"],
        "c-stopped": ["resume"],
        "d-deleted": ["undelete", "resume"],
        "e-other": ["change-policy"],
        "f-failed": ["protect-again"],
    } == {
        name: [each.kind for each in made.changes if each.facts.get("vm") == name]
        for name in sorted({each.facts["vm"] for each in made.changes if "vm" in each.facts})
    }


def test_what_is_not_asked_for_is_not_done() -> None:
    """
    Without leave nothing is brought back, and no policy is changed.
    """
    assert ["discover", "protect", "resume", "protect-again"] == kinds(planned(states()))


def test_after_the_plan_every_vm_is_protected_and_nothing_has_moved() -> None:
    """
    The projected world is judged as the real one will be, and a second apply finds it done.
    """
    before = states()
    made = planned(before, **STATES)
    after = project(before, made.changes)
    found = checks.judge(after, after.vms.values(), Parameters(**STATES))

    assert {"on"} == {each.protection for each in after.items.values()}
    assert set() == {each.case for each in found if each.check == "protection"} - {"protected", "pending"}
    assert [()] == [moved(step, after) for step in made.steps]
    assert () == planned(after, **STATES).changes


def test_only_new_vms_are_discovered() -> None:
    """
    What has an entry in the vault is known there.
    """
    assert [vm("a-new").id] == change(planned(states(), **STATES), "discover").facts["vm_ids"]


def test_a_vm_in_a_vault_that_the_parameters_do_not_name_stays_there() -> None:
    """
    A VM can be in one vault only: the note names that vault, and its subscription.
    """
    far = vault("rsv-far", "rg-far", TWO)
    world = ready(subscription(TWO, "Development"), provider(TWO), far, *policies_of(far), item(WEB, far))
    made = planned(world, **MOVES)
    named = planned(ready(item(WEB, HELD)), vault_name="rsv-x")

    assert ([], ["protected_elsewhere"]) == (kinds(made), noted(made))
    assert ("rsv-far", "Development", 1) == tuple(made.notes[0][name] for name in ("vault", "subscription", "count"))
    assert ([], ["protected_elsewhere"]) == (kinds(named), noted(named))


def test_the_points_that_a_policy_loses_are_named_in_the_change_and_the_difference() -> None:
    """
    Counted by the new policy's retention, before anything is sent.
    """
    made = planned(states(), **STATES)
    moving = change(made, "change-policy")
    counts = [each for each in diff(made.steps) if each.field == "recovery_points"]

    assert (4, 2, ("points",)) == (moving.facts["points"], moving.facts["lost"], moving.irreversible)
    assert 2 == len(moving.facts["lost_points"])
    assert text.say("change.change-policy", **moving.facts).endswith(
        "from Long to DefaultPolicy; recovery points lost: 2 of 4 (2026-09-23/2026-10-22)"
    )
    assert [(4, 2)] == [(each.found, each.expected) for each in counts]
    assert 2 == len(project(states(), made.changes).items[moving.target.lower()].points or ())


@pytest.mark.parametrize(
    ("world", "case"),
    [
        (_under(OTHER.id), "changes"),
        (ready(item(WEB, HELD, policy_id=f"{HELD.id}/backupPolicies/EnhancedPolicy", points=())), "no_way_back"),
        (ready(OTHER, item(WEB, HELD, policy_id=OTHER.id)), "change_unread"),
        (ready(item(WEB, HELD)), "protected"),
    ],
)
def test_a_policy_is_changed_or_the_refusal_says_why(world: Inventory, case: str) -> None:
    """
    What the service would refuse, or nobody can count, is no change; the VM stays protected.
    """
    status = {"changes": Status.PASS, "protected": Status.NOT_NEEDED}.get(case, Status.WARN)
    made = planned(world, **MOVES)

    assert (status.value, case) == _finding(world, "policy-fit", **MOVES)
    assert (["change-policy"] if case == "changes" else []) == kinds(made)
    assert (case in ("no_way_back", "change_unread")) == (f"policy_{case}" in noted(made))


def test_an_enhanced_policy_that_is_named_is_the_one_for_a_vm_under_an_enhanced_one() -> None:
    """
    It cannot come under the Standard one, so the Enhanced one is what is asked for.
    """
    world = ready(item(WEB, HELD, policy_id=f"{HELD.id}/backupPolicies/EnhancedPolicy", points=(NOW,)))

    assert [] == kinds(planned(world, **MOVES, enhanced_policy_name="EnhancedPolicy"))
    assert ["create-policy", "change-policy"] == kinds(planned(world, **MOVES, enhanced_policy_name="Other-V2"))


def test_coming_under_an_enhanced_policy_cannot_be_undone() -> None:
    """
    It is marked at the VM, once.
    """
    there = policy(HELD, policy_name="Other-V2", policy_type="Enhanced")
    standard = replace(_under(OTHER.id), policies=_under(OTHER.id).policies | {there.id.lower(): there})

    assert {"enhanced": 1} == planned(standard, **MOVES, policy_name="Other-V2").irreversible


def test_a_state_that_nobody_knows_how_to_mend_is_left_alone() -> None:
    """
    Paused, suspended or new: it is a finding, not a change.
    """
    world = ready(item(WEB, HELD, protection="protectionpaused", protection_state="ProtectionPaused"))

    assert [] == kinds(planned(world, accept_risk={WEB.id: "look"}))
    assert ("FAIL", "suspended") == _finding(world, "protection")
