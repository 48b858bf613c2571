"""
Placement of a fleet: the fewest vaults and policies that take it, the same ones in every run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from builders import (
    HELD,
    HOME,
    ONE,
    TWO,
    WEB,
    change,
    group,
    inventory,
    item,
    kinds,
    lock,
    noted,
    planned,
    policies_of,
    policy,
    provider,
    ready,
    region,
    vault,
    vm,
)
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.checks import assess
from runbook_lib.errors import InvalidParameters
from runbook_lib.parameters import Parameters
from runbook_lib.placement import place
from runbook_lib.plan import project
from runbook_lib.records import Disk, Inventory, Plan, Vault, VirtualMachine, key

NORTH = "northeurope"
NUMBERED = {"vault_name": "rsv-{location}-{n}"}
STAGGERED = {"policy_name": "Nightly-{time}"}


@pytest.fixture(autouse=True, scope="module")
def _small_vaults() -> Iterator[None]:
    """
    Vaults of ten VMs, so that a fleet is small: the rules are the same.
    """
    with _room_for(10):
        yield


@contextmanager
def _room_for(most: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("placement.vaults", "checks.vaults", "plan.protection"):
            patch.setattr(f"runbook_lib.{module}.MOST_VMS", most)
        yield


def fleet(count: int, first: int = 0, **fields: Any) -> list[VirtualMachine]:
    """
    VMs that nothing keeps back, named by number.
    """
    return [vm(f"{fields.get('location', HOME)[:1]}{number:05}", **fields) for number in range(first, first + count)]


def numbered(number: int, location: str = HOME, guid: str = ONE, **fields: Any) -> Vault:
    """
    A vault with a name of the template.
    """
    return vault(f"rsv-{location}-{number}", f"rg-backup-{location}", guid, location=location, **fields)


def others(holder: Vault, count: int, **fields: Any) -> list[Any]:
    """
    Entries of VMs that are not selected, for they are not there any more.
    """
    return [
        item(vm(f"gone{number}-{holder.name}", location=holder.location), holder, **fields) for number in range(count)
    ]


def vaults_of(plan: Plan) -> dict[str, str]:
    """
    The vault of every VM that a plan enables.
    """
    return {each.facts["vm"]: each.facts["vault"] for each in plan.changes if each.kind == "protect"}


def policies(plan: Plan) -> Counter[str]:
    """
    How many VMs a plan puts under each policy.
    """
    return Counter(each.facts["policy"] for each in plan.changes if each.kind == "protect")


def world(*records: Any) -> Inventory:
    """
    An estate with the provider and the groups.
    """
    return inventory(provider(), group(), group(f"rg-backup-{NORTH}", location=NORTH), *records)


# --- vaults -----------------------------------------------------------------------------------------------------------


def test_a_fleet_gets_as_many_vaults_as_it_needs_numbered_from_one() -> None:
    """
    In the order of the VMs' ids: the first vault is full before the second begins.
    """
    made = planned(world(*fleet(23)), **NUMBERED)

    assert Counter({f"rsv-{HOME}-1": 10, f"rsv-{HOME}-2": 10, f"rsv-{HOME}-3": 3}) == Counter(vaults_of(made).values())
    assert [f"rsv-{HOME}-{number}" for number in (1, 2, 3)] == [
        each.facts["vault"] for each in made.changes if each.kind == "create-vault"
    ]


def test_a_fleet_that_one_vault_cannot_hold_is_refused() -> None:
    """
    Where the name has no number; with the field, the rule and the remedy.
    """
    with pytest.raises(
        InvalidParameters, match=r"'vault_name'.*no room for 3 of the VMs in westeurope.*Put \{n\} into"
    ):
        planned(world(*fleet(13)))


def test_what_a_vault_holds_already_takes_its_room() -> None:
    """
    VMs of others, and deleted ones that soft delete keeps.
    """
    held = numbered(1)
    there = (held, *policies_of(held), *others(held, 4), *others(held, 7, soft_deleted=True)[4:])
    made = planned(world(*fleet(5), *there), **NUMBERED)

    assert Counter({f"rsv-{HOME}-1": 3, f"rsv-{HOME}-2": 2}) == Counter(vaults_of(made).values())


def test_what_is_there_is_filled_before_anything_is_made() -> None:
    """
    A vault with a higher number is used as long as it has room; a new one gets the lowest free number.
    """
    held = numbered(3)
    few = planned(world(*fleet(10), held, *policies_of(held)), **NUMBERED)
    many = planned(world(*fleet(12), held, *policies_of(held)), **NUMBERED)

    assert {f"rsv-{HOME}-3"} == set(vaults_of(few).values())
    assert {f"rsv-{HOME}-1", f"rsv-{HOME}-3"} == set(vaults_of(many).values())


def test_a_group_may_have_the_number_too() -> None:
    """
    A resource group for each vault, of the same number; another vault of that name is none of them.
    """
    astray = vault("rsv-1", "rg-2")
    made = planned(world(*fleet(11), astray), vault_name="rsv-{n}", resource_group="rg-{n}")

    assert ["rg-1/rsv-1", "rg-2/rsv-2"] == [
        f"{each.target.split('/')[4]}/{each.facts['vault']}" for each in made.changes if each.kind == "create-vault"
    ]


def test_regions_without_a_region_in_the_name_share_the_numbers() -> None:
    """
    No number is given twice, and no VM goes into a vault of another region.
    """
    made = planned(world(*fleet(11), *fleet(2, location=NORTH)), vault_name="rsv-{n}", resource_group="rg-backup")
    created = {each.facts["vault"]: each.facts["location"] for each in made.changes if each.kind == "create-vault"}

    assert {"rsv-1": NORTH, "rsv-2": HOME, "rsv-3": HOME} == created
    assert made == planned(
        world(*fleet(11), *fleet(2, location=NORTH)), vault_name="rsv-{n}", resource_group="rg-backup"
    )


def test_vms_that_are_kept_back_take_no_room_from_others() -> None:
    """
    They are placed, for they are judged, but after those that go.
    """
    stuck = [replace(each, agent=None) for each in fleet(30)]
    made = planned(world(*stuck, *fleet(10, 30)), **NUMBERED)

    assert {f"rsv-{HOME}-1"} == set(vaults_of(made).values())


def test_another_vault_that_is_as_asked_is_adopted_while_the_name_is_left_as_it_is() -> None:
    """
    It holds VMs already, and the plan says that it is used.
    """
    other = vault("rsv-old", "rg-old", soft_delete="AlwaysON")
    made = planned(world(*fleet(3), other, *policies_of(other), *others(other, 1)))

    assert {"rsv-old"} == set(vaults_of(made).values())
    assert "vault_adopted" in noted(made)
    assert {"rsv-x"} == set(vaults_of(planned(world(*fleet(3), other, *others(other, 1)), vault_name="rsv-x")).values())


def test_where_no_restore_can_be_planned_a_vault_without_it_is_as_asked() -> None:
    """
    In a region without a pair Cross Region Restore is left out of the plan, and of what a vault must have.
    """
    other = vault("rsv-old", "rg-old", soft_delete="AlwaysON")
    there = (*fleet(3), other, *policies_of(other), *others(other, 1))

    assert {"rsv-old"} == set(vaults_of(planned(world(*there, region()), cross_region_restore=True)).values())
    assert {f"rsv-{HOME}"} == set(vaults_of(planned(world(*there), cross_region_restore=True)).values())


@pytest.mark.parametrize(
    "unfit",
    [
        {"redundancy": "LocallyRedundant"},
        {"cross_region_restore": True},
        {"soft_delete": "Disabled"},
        {"soft_delete": ""},
        {"redundancy_locked": None},
        {"policies_read": False},
        {"location": NORTH},
        {"guid": TWO},
    ],
)
def test_a_vault_that_is_not_as_asked_or_not_known_is_not_adopted(unfit: dict[str, Any]) -> None:
    """
    Unknown is never fine.
    """
    other = vault("rsv-old", "rg-old", **{"soft_delete": "AlwaysON"} | unfit)

    assert {f"rsv-{HOME}"} == set(vaults_of(planned(world(*fleet(3), other, *others(other, 1)))).values())


def test_a_vault_that_holds_no_vm_or_is_locked_is_not_adopted() -> None:
    """
    It may be there for something else, or refuse every write.
    """
    other = vault("rsv-old", "rg-old", soft_delete="AlwaysON")
    locked = (*others(other, 1), lock(other.id, "ReadOnly"))

    for more in ((), locked):
        assert {f"rsv-{HOME}"} == set(vaults_of(planned(world(*fleet(3), other, *more))).values())


def test_the_named_vault_comes_first_and_others_take_what_it_cannot() -> None:
    """
    The named one is made where the others do not suffice, and then filled first.
    """
    other = vault("rsv-old", "rg-old", soft_delete="AlwaysON")
    there = (other, *policies_of(other), *others(other, 8))

    assert Counter({"rsv-old": 2}) == Counter(vaults_of(planned(world(*fleet(2), *there))).values())
    assert Counter({f"rsv-{HOME}": 3}) == Counter(vaults_of(planned(world(*fleet(3), *there))).values())
    assert Counter({f"rsv-{HOME}": 10, "rsv-old": 2}) == Counter(vaults_of(planned(world(*fleet(12), *there))).values())


# What may be there before: vaults by number with what they hold, others with theirs, VMs by region.
_ROOMS = st.dictionaries(st.integers(1, 4), st.integers(0, 10), max_size=3)
_COUNTS = st.tuples(st.integers(0, 25), st.integers(0, 25))


def _estate(rooms: dict[int, int], counts: tuple[int, int]) -> Inventory:
    held = [(numbered(number), used) for number, used in rooms.items()]
    return world(
        vm("unready", agent=None),
        *fleet(counts[0]),
        *fleet(counts[1], location=NORTH),
        *(record for holder, used in held for record in (holder, *policies_of(holder), *others(holder, used))),
    )


@given(_ROOMS, _COUNTS)
def test_no_vault_is_over_its_limit_or_in_another_region_and_no_more_are_made_than_needed(
    rooms: dict[int, int], counts: tuple[int, int]
) -> None:
    """
    Whatever is there already.
    """
    before = _estate(rooms, counts)
    made = planned(before, **NUMBERED)
    after = project(before, made.changes)
    new = Counter(each.facts["location"] for each in made.changes if each.kind == "create-vault")
    room = {HOME: sum(10 - used for used in rooms.values()), NORTH: 0}

    assert all(after.held_in(each) <= 10 for each in after.vaults)
    assert all(
        after.vaults[key(each.vault_id)].location == machine.location
        for machine in after.vms.values()
        for each in after.items_of(machine.id)
    )
    assert sum(counts) == kinds(made).count("protect")
    for location, count in zip((HOME, NORTH), counts, strict=True):
        assert -(-max(0, count - room[location]) // 10) == new[location]


@given(_ROOMS, _COUNTS, st.data())
def test_a_run_that_goes_on_places_the_rest_as_the_first_one_did(
    rooms: dict[int, int], counts: tuple[int, int], data: st.DataObject
) -> None:
    """
    However much of the plan was made, in whatever order; numbers stay.
    """
    before = _estate(rooms, counts)
    asked: dict[str, Any] = NUMBERED | STAGGERED | {"vms_per_start": 4}
    made = planned(before, **asked)
    done = [each for each in made.changes if data.draw(st.booleans())]
    there = _reachable(before, done)
    again = planned(there, **asked)
    places = {(each.target, each.body["properties"]["policyId"]) for each in made.changes if each.kind == "protect"}

    assert places == {
        (each.target, each.body["properties"]["policyId"]) for each in again.changes if each.kind == "protect"
    } | {(each.target, each.body["properties"]["policyId"]) for each in done if each.target in _items(there)}


def _reachable(before: Inventory, done: Iterable[Any]) -> Inventory:
    """
    Make those changes that can be made without the others.
    """
    there = before
    for each in done:
        needed = each.reads if each.kind in ("create-policy", "protect") else ()
        if all(there.find(one) is not None for one in needed):
            there = project(there, [each])
    return there


def _items(there: Inventory) -> set[str]:
    return {each.id for each in there.items.values()}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 28), st.data())
def test_adopting_is_stable_too(one: int, other: int, count: int, data: st.DataObject) -> None:
    """
    The order in which vaults are adopted does not change while they fill up.
    """
    holders = [vault(f"rsv-{name}", "rg-old", soft_delete="AlwaysON") for name in ("a", "b")]
    there = [r for h, used in zip(holders, (one, other), strict=True) for r in (h, *policies_of(h), *others(h, used))]
    before = world(*fleet(count), *there)
    try:
        made = planned(before)
    except InvalidParameters:
        assert count > 10
        return
    done = [each for each in made.changes if data.draw(st.booleans())]
    partly = _reachable(before, done)
    again = vaults_of(planned(partly))

    assert vaults_of(made) == again | {
        each.facts["vm"]: each.facts["vault"] for each in done if each.target in _items(partly)
    }


# --- policies ---------------------------------------------------------------------------------------------------------


def test_vms_start_in_turns_of_half_an_hour() -> None:
    """
    So many of a vault at one time, as few policies as suffice; the time is in the policy's name.
    """
    made = planned(world(*fleet(9)), **STAGGERED, vms_per_start=4, backup_time="23:30")
    created = [(each.facts["policy"], each.facts["time"]) for each in made.changes if each.kind == "create-policy"]

    assert [("Nightly-2330", "23:30"), ("Nightly-0000", "00:00"), ("Nightly-0030", "00:30")] == created
    assert {"Nightly-2330": 4, "Nightly-0000": 4, "Nightly-0030": 1} == policies(made)


def test_a_weekly_schedule_does_not_wrap_into_the_next_day() -> None:
    """
    The fleet that would need it is refused.
    """
    weekly: dict[str, Any] = {"schedule": "Weekly", "weekly_retention_weeks": 8, "instant_restore_days": 5}
    fits = planned(world(*fleet(4)), **STAGGERED, **weekly, vms_per_start=2, backup_time="23:00")

    assert {"Nightly-2300": 2, "Nightly-2330": 2} == policies(fits)
    with pytest.raises(InvalidParameters, match=r"'vms_per_start' is 2.*1 VMs are left.*Let more VMs start"):
        planned(world(*fleet(5)), **STAGGERED, **weekly, vms_per_start=2, backup_time="23:00")


def test_an_hourly_schedule_has_the_start_times_of_its_interval() -> None:
    """
    The next one would be its own second run.
    """
    hourly: dict[str, Any] = {"schedule": "Hourly", "policy_type": "Enhanced"}

    assert 8 == len(policies(planned(world(*fleet(8)), **STAGGERED, **hourly, vms_per_start=1)))
    with pytest.raises(InvalidParameters, match="'vms_per_start' is 1"):
        planned(world(*fleet(9)), **STAGGERED, **hourly, vms_per_start=1)


def test_what_starts_at_a_time_already_counts() -> None:
    """
    VMs under whatever policy of the vault, if it starts then.
    """
    other = policy(HELD, policy_name="Other", backup_time="19:00")
    there = (HELD, other, *others(HELD, 3, policy_id=other.id))

    assert {"Nightly-1930": 4, "Nightly-2000": 1} == policies(
        planned(world(*fleet(5), *there), **STAGGERED, vms_per_start=4)
    )


def test_policies_that_are_there_are_filled_first() -> None:
    """
    A later start is used as long as its policy has room.
    """
    own = policy(HELD, policy_name="Nightly-2000", backup_time="20:00")
    made = planned(world(*fleet(4), HELD, own), **STAGGERED, vms_per_start=4)

    assert {"Nightly-2000": 4} == policies(made)
    assert "create-policy" not in kinds(made)


def ultra(number: int) -> VirtualMachine:
    """
    A VM that needs an Enhanced policy.
    """
    return vm(f"u{number}", data_disks=(Disk(name="data", storage="UltraSSD_LRS"),))


def test_one_run_covers_vms_that_need_an_enhanced_policy_and_others() -> None:
    """
    Each gets the policy that is for it; no more than these two.
    """
    made = planned(world(*fleet(2), ultra(1)), enhanced_policy_name="EnhancedPolicy")

    assert {"DefaultPolicy": 2, "EnhancedPolicy": 1} == policies(made)
    assert {"enhanced": 1, "replication": 1} == made.irreversible
    assert {"DefaultPolicy": 2} == policies(planned(world(*fleet(2), ultra(1))))


def test_a_new_enhanced_policy_is_made_from_the_same_values() -> None:
    """
    But for its type.
    """
    made = planned(world(ultra(1)), enhanced_policy_name="Nightly-V2", daily_retention_days=40)
    body = change(made, "create-policy").body["properties"]

    assert ("V2", 40) == (
        body["policyType"],
        body["retentionPolicy"]["dailySchedule"]["retentionDuration"]["count"],
    )


def test_an_enhanced_policy_for_all_needs_no_second_one() -> None:
    """
    The fewest that fit.
    """
    made = planned(
        world(*fleet(2), ultra(1)), policy_name="All", policy_type="Enhanced", enhanced_policy_name="EnhancedPolicy"
    )

    assert {"All": 3} == policies(made)


def test_both_kinds_share_the_start_times() -> None:
    """
    The limit is on what starts at a time, whichever its policy.
    """
    made = planned(
        world(*fleet(5), ultra(1), ultra(2)),
        **STAGGERED,
        enhanced_policy_name="Nightly-V2-{time}",
        vms_per_start=4,
    )

    assert {"Nightly-1900": 4, "Nightly-1930": 1, "Nightly-V2-2000": 2} == policies(made)


def test_more_policies_than_a_vault_takes_in_a_day_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The service takes 50 changes of policies a day.
    """
    monkeypatch.setattr("runbook_lib.plan.protection.MOST_POLICY_WRITES", 3)

    assert 3 == len(policies(planned(world(*fleet(3)), **STAGGERED, vms_per_start=1)))
    with pytest.raises(InvalidParameters, match=r"more than 3 new policies.*changes of policies in a vault a day"):
        planned(world(*fleet(4)), **STAGGERED, vms_per_start=1)


@given(st.integers(0, 10), st.integers(0, 10), st.integers(1, 5), st.sampled_from(("19:00", "19:30", "")))
def test_no_more_vms_start_at_a_time_than_were_asked_for_and_no_policy_is_made_for_nothing(
    plain: int, special: int, most: int, taken: str
) -> None:
    """
    Whatever starts then already.
    """
    plain = min(max(plain, not special), 10 - special)
    other = policy(HELD, policy_name="Other", backup_time=taken or "04:00")
    before = world(HELD, other, *fleet(plain), *(ultra(number) for number in range(special)))
    made = planned(before, **STAGGERED, enhanced_policy_name="V2-{time}", vms_per_start=most)
    after = project(before, made.changes)
    starts = Counter(after.policies[key(each.policy_id)].terms["backup_time"] for each in after.items.values())

    assert plain + special == sum(policies(made).values())
    assert all(count <= most for count in starts.values())
    assert -(-plain // most) + -(-special // most) == kinds(made).count("create-policy")


# --- subscriptions ----------------------------------------------------------------------------------------------------


def test_vms_of_another_subscription_are_enabled_without_discovery() -> None:
    """
    Discovery finds the VMs of the vault's own subscription alone; the request that enables names the VM by its id.
    """
    mixed = inventory(provider(), provider(TWO, "NotRegistered"), vm("near"), vm("far", guid=TWO))
    made = planned(mixed, vault_subscription=ONE)
    alone = planned(mixed, vault_subscription=ONE, vm_selector="name:far")

    assert [vm("near").id] == change(made, "discover").facts["vm_ids"]
    assert 2 == kinds(made).count("protect")
    assert ["register-provider", "create-resource-group", "create-vault", "protect"] == kinds(alone)


# --- how fast ---------------------------------------------------------------------------------------------------------


def test_fifty_thousand_vms_are_placed_in_two_seconds() -> None:
    """
    With numbers, start times and both kinds of policies.
    """
    machines = [vm(f"m{number:05}", location=(HOME, NORTH)[number % 2]) for number in range(50_000)]
    before = inventory(provider(), *machines[:2])
    asked = Parameters(**NUMBERED, **STAGGERED, vms_per_start=50, enhanced_policy_name="V2-{time}")
    with _room_for(1000):
        began = time.process_time()
        places = place(before, [machines], asked, {key(each.id) for each in machines[::7]})
        spent = time.process_time() - began

    assert 50 == len({each.vault_id for each in places.values()})
    assert spent < 2


def test_every_vm_of_a_selection_has_a_place() -> None:
    """
    Those that are kept back and those that are protected too.
    """
    before = ready(item(WEB, HELD), vm("stuck", agent=None), *fleet(12))
    placement = assess(before, before.vms.values(), Parameters()).placement

    assert set(before.vms) == set(placement)
    assert 4 == sum(each.lacks == "room" for each in placement.values())
