"""
What each kind of change makes of the world, and when it is done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    EVERYTHING,
    HELD,
    HOME,
    PROXY,
    RANGES,
    STATES,
    TWO,
    WEB,
    change,
    estate,
    everything,
    group,
    item,
    kinds,
    nsg,
    planned,
    policy,
    provider,
    proxied,
    ranged,
    ready,
    rule,
    states,
    vault,
    vm,
    with_records,
    without,
)

from runbook_lib.plan import EFFECTS, is_done, project
from runbook_lib.records import Inventory, key


def test_every_change_does_what_it_says_and_is_done_then() -> None:
    """
    Before it is made it is not done, after it is, and then making it again changes nothing.
    """
    world = everything()
    for each in planned(world, **EVERYTHING).changes:
        assert each.kind == "discover" or not is_done(world, each)
        world = project(world, [each])
        assert each.kind == "discover" or is_done(world, each)
        assert world == project(world, [each])


def test_the_projected_world_has_all_that_was_planned() -> None:
    """
    Registered, created, replicated, described, enabled, opened.
    """
    made = planned(everything(), **EVERYTHING)
    world = project(everything(), made.changes)
    held = world.vaults[key(HELD.id)]
    (entry,) = world.items_of(WEB.id)

    assert "Registered" == world.providers[key(provider().id)].registration_state
    assert HOME == world.groups[key(group().id)].location
    assert ("LocallyRedundant", True) == (held.redundancy, held.redundancy_locked)
    assert ["DefaultPolicy", "EnhancedPolicy", "Nightly"] == sorted(each.name for each in world.policies.values())
    assert policy(HELD, policy_name="Nightly").terms == world.policies[key(f"{HELD.id}/backupPolicies/Nightly")].terms
    assert ("on", "IRPending", None) == (entry.protection, entry.protection_state, entry.last_backup_time)
    assert ["allow-backup-AzureBackup", "allow-backup-Storage", "allow-backup-AzureActiveDirectory", "deny-all"] == [
        each.name for each in world.nsgs[key(nsg("nsg-app").id)].rules
    ]


def test_a_world_that_the_plan_was_made_in_needs_no_plan() -> None:
    """
    Projected and planned again, nothing is left to do.
    """
    made = planned(everything(), **EVERYTHING)

    assert () == planned(project(everything(), made.changes), **EVERYTHING).changes


@pytest.mark.parametrize(
    "asked",
    [
        {},
        EVERYTHING,
        {"redundancy": "GeoRedundant", "cross_region_restore": True},
        {"policy_type": "Enhanced", "schedule": "Hourly", "policy_name": "Hourly-4"},
        {"schedule": "Weekly", "weekly_retention_weeks": 8, "instant_restore_days": 5, "policy_name": "Weekly-8"},
        PROXY,
        RANGES,
        STATES,
        {"vault_subscription": TWO},
        {"vault_name": "rsv-{n}", "policy_name": "Nightly-{time}", "vms_per_start": 1},
        {"accept_risk": {vm("broken", agent=None).id: "known"}},
    ],
)
@pytest.mark.parametrize(
    "world",
    [
        with_records(everything(), vm("broken", agent=None)),
        with_records(everything(), vm("broken", agent=None), vm("north", location="northeurope")),
        with_records(proxied(rule("deny", 300)), vm("broken", agent=None), provider(TWO)),
        with_records(ready(item(WEB, HELD, protection="stopped", policy_id="")), vm("broken", agent=None)),
        with_records(ranged(), vm("broken", agent=None)),
        with_records(states(), vm("broken", agent=None)),
    ],
)
def test_planning_ends(world: Inventory, asked: dict[str, Any]) -> None:
    """
    Whatever was asked for of whatever estate: after the plan there is nothing more to plan.
    """
    made = planned(world, **asked)

    assert () == planned(project(world, made.changes), **asked).changes


def test_adopting_a_group_leaves_it_where_it_is() -> None:
    """
    Creating it again in another region does nothing.
    """
    world = estate(group(location="northeurope"))
    made = change(planned(estate()), "create-resource-group")

    assert is_done(world, made)
    assert world == project(world, [made])


def test_a_vault_that_was_made_meanwhile_keeps_its_settings() -> None:
    """
    Creating it again would take back what was set since; in another region it is another vault.
    """
    made = change(planned(estate()), "create-vault")
    same, other = estate(vault(redundancy="ZoneRedundant")), estate(vault(location="northeurope"))

    assert is_done(same, made)
    assert "ZoneRedundant" == project(same, [made]).vaults[key(HELD.id)].redundancy
    assert not is_done(other, made)


def test_resuming_keeps_the_recovery_points_and_locks_the_vault() -> None:
    """
    The item stays what it was, with protection on under the policy; ids come in the service's casing.
    """
    stopped = item(WEB, HELD, protection="stopped", policy_id="", protection_state="ProtectionStopped")
    lowered = replace(stopped, id=stopped.id.lower(), vault_id=HELD.id.lower())
    world = ready(lowered)
    made = change(planned(world), "resume")
    after = project(world, [made])
    (entry,) = after.items_of(WEB.id)

    assert lowered.id == made.target
    assert ("on", "Protected", stopped.last_backup_time) == (
        entry.protection,
        entry.protection_state,
        entry.last_backup_time,
    )
    assert key(f"{HELD.id}/backupPolicies/DefaultPolicy") == key(entry.policy_id)
    assert after.vaults[key(HELD.id)].redundancy_locked is True
    assert 1 == len(after.vaults)


def test_discovery_is_done_once_its_vms_are_in_the_vault() -> None:
    """
    It leaves no trace of its own.
    """
    made = change(planned(ready(vm("b"))), "discover")

    assert not is_done(ready(vm("b"), item(WEB, HELD)), made)
    assert not is_done(ready(item(vm("b"), HELD), item(WEB, HELD, soft_deleted=True)), made)
    assert is_done(ready(vm("b"), item(WEB, HELD), item(vm("b"), HELD)), made)


@pytest.mark.parametrize("kind", sorted(set(EFFECTS) - {"discover"}))
def test_a_change_of_what_is_not_there_is_not_done(kind: str) -> None:
    """
    A resource that went away is found missing, not stumbled over.
    """
    before, asked = (ranged(), RANGES) if "range" in kind else (everything(), EVERYTHING)
    if kind in kinds(planned(states(), **STATES)):
        before, asked = states(), STATES
    made = planned(before, **asked)
    one = next(each for each in made.changes if each.kind == kind)
    world = without(project(before, made.changes), one.target)

    assert not is_done(world, one)


def test_an_effect_leaves_the_world_before_it_alone() -> None:
    """
    Projection is pure: what was read stays as it was read.
    """
    before, again = everything(), everything()
    project(before, planned(before, **EVERYTHING).changes)

    assert again == before
