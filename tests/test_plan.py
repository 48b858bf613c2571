"""
The plan: what is missing, in the guide's order, and what the world becomes once it is made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    DAY,
    EVERYTHING,
    HELD,
    HOME,
    NOW,
    ONE,
    RANGES,
    STATES,
    TWO,
    WEB,
    arm_id,
    change,
    estate,
    everything,
    gap,
    group,
    inventory,
    item,
    kinds,
    noted,
    planned,
    policies_of,
    provider,
    ranged,
    ready,
    region,
    states,
    subscription,
    vault,
    vm,
    with_records,
)
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib import render, text
from runbook_lib.errors import InvalidParameters, PlanRefused
from runbook_lib.parameters import Parameters
from runbook_lib.plan import EFFECTS, build, project
from runbook_lib.records import Inventory

# --- what is planned ----------------------------------------------------------------------------------------------


def test_changes_come_in_the_order_of_the_guide() -> None:
    """
    Provider, group, vault; replication; policy; discovery before protection; network last.
    """
    made = planned(everything(), **EVERYTHING)

    assert [
        "register-provider",
        "create-resource-group",
        "create-vault",
        "set-redundancy",
        "create-policy",
        "discover",
        "protect",
        "add-security-rule",
        "add-security-rule",
        "add-security-rule",
    ] == kinds(made)
    assert ["01", "02", "03", "04", "06"] == [step.number for step in made.steps]
    assert all(each.step == step.number for step in made.steps for each in step.changes)
    assert set(EFFECTS) == {*kinds(made), *kinds(planned(ranged(), **RANGES)), *kinds(planned(states(), **STATES))}


def test_every_change_has_a_sentence_with_its_facts() -> None:
    """
    Whoever approves a plan reads what will be done, to what.
    """
    made = planned(everything(), **EVERYTHING)
    said = [text.say(f"change.{each.kind}", **each.facts) for each in made.changes]

    assert "enable backup of VM web (group rg-app) in vault rsv-westeurope with policy Nightly" in said
    assert "create Recovery Services vault rsv-westeurope in westeurope (subscription Production)" in said
    assert len(said) == len(set(said))


def test_only_what_cannot_be_undone_is_marked_so() -> None:
    """
    The replication can be set again, and the policy deleted, until the first VM comes in: that locks the one, and no VM
    goes back from an Enhanced policy to a Standard one. Cross Region Restore cannot be taken back at once.
    """
    world = with_records(everything(), vm("b"))
    restored = {"redundancy": "GeoRedundant", "cross_region_restore": True}

    assert {"replication": 1} == planned(world, **EVERYTHING).irreversible
    assert {"replication": 1, "enhanced": 2} == planned(world, **EVERYTHING, policy_type="Enhanced").irreversible
    assert {"replication": 1, "cross_region_restore": 1} == planned(world, **EVERYTHING | restored).irreversible
    assert ["web"] == [
        each.facts["vm"] for each in planned(ready(vm("z"))).changes if "replication" in each.irreversible
    ]
    locked = estate(group(), vault(redundancy_locked=True), *policies_of(HELD))

    assert {} == planned(locked).irreversible


def test_bodies_are_what_arm_takes() -> None:
    """
    Each body as the contract has it; the item names the VM and the policy by id.
    """
    made = planned(everything(), **EVERYTHING)

    assert {"location": HOME} == change(made, "create-resource-group").body
    assert {
        "location": HOME,
        "sku": {"name": "Standard"},
        "properties": {"publicNetworkAccess": "Enabled"},
    } == change(made, "create-vault").body
    assert {
        "redundancySettings": {
            "standardTierStorageRedundancy": "LocallyRedundant",
            "crossRegionRestore": "Disabled",
        }
    } == change(made, "set-redundancy").body["properties"]
    assert {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "sourceResourceId": WEB.id,
        "policyId": f"{HELD.id}/backupPolicies/Nightly",
    } == change(made, "protect").body["properties"]
    assert (
        f"{HELD.id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;rg-app;web"
        "/protectedItems/VM;iaasvmcontainerv2;rg-app;web"
    ) == change(made, "protect").target


def test_what_is_there_is_adopted() -> None:
    """
    A vault, a group and a policy that exist are used, and the plan says so.
    """
    made = planned(ready())

    assert ["discover", "protect"] == kinds(made)
    assert ["vault_adopted", "policy_kept"] == noted(made)


def test_a_vault_is_adopted_whatever_the_case_of_its_id() -> None:
    """
    ARM's ids have no case.
    """
    world = estate(group(), replace(HELD, id=HELD.id.upper()), *policies_of(HELD))

    assert ["discover", "protect"] == kinds(planned(world))


def test_a_policy_that_is_the_same_is_kept_without_a_word() -> None:
    """
    Only where it differs from the parameters does the plan say in what.
    """
    same = planned(ready(), backup_time="16:30")
    other = planned(ready(), backup_time="16:30", daily_retention_days=60)

    assert ["vault_adopted"] == noted(same)
    assert ["daily_retention_days"] == [note["fields"] for note in other.notes if note["id"] == "policy_kept"]


def test_regions_get_a_vault_each() -> None:
    """
    A vault protects VMs of its own region only.
    """
    made = planned(estate(vm("north", location="northeurope")))

    assert ["rsv-northeurope", "rsv-westeurope"] == sorted(
        each.facts["vault"] for each in made.changes if each.kind == "create-vault"
    )


def test_vms_of_one_region_share_a_vault() -> None:
    """
    It is created and discovered once, and each VM enabled.
    """
    made = planned(estate(vm("a"), vm("b", "rg-b")))

    assert [1, 1, 3] == [kinds(made).count(kind) for kind in ("create-vault", "discover", "protect")]
    assert 3 == change(made, "discover").facts["count"]


def test_subscriptions_get_a_vault_each_unless_told_otherwise() -> None:
    """
    `vault_subscription` puts all of them into one.
    """
    world = inventory(provider(), provider(TWO), vm("a"), vm("b", guid=TWO))
    own, shared = planned(world), planned(world, vault_subscription=TWO.upper())

    assert [f"/subscriptions/{ONE}", f"/subscriptions/{TWO}"] == sorted(
        each.target.split("/resourceGroups/")[0] for each in own.changes if each.kind == "create-vault"
    )
    assert f"/subscriptions/{TWO}" == change(shared, "create-vault").target.split("/resourceGroups/")[0]


def test_providers_are_registered_where_vms_and_vaults_are() -> None:
    """
    Discovery and protection reach across, so both subscriptions need it.
    """
    world = inventory(provider(state="NotRegistered"), provider(TWO, state="Unregistering"), vm())
    made = planned(world, vault_subscription=TWO)

    assert [ONE, TWO] == [each.target.split("/")[2] for each in made.changes if each.kind == "register-provider"]


def test_what_azure_backup_does_rests_on_its_provider() -> None:
    """
    Without its provider registered a subscription takes no vault and no protection: neither is sent if that fails.
    """
    world = inventory(provider(state="Registering"), subscription(), vm())
    made = planned(world)
    needed = change(made, "register-provider").target

    assert needed in change(made, "create-vault").reads
    assert needed in change(made, "protect").reads


@pytest.mark.parametrize(("held", "expected"), [(False, 1), (True, 0)])
def test_a_vault_that_could_not_be_made_is_made_anew(held: bool, expected: int) -> None:
    """
    What the service calls failed is not adopted, unless it holds something: then it was made once.
    """
    there = vault(failed=True)
    own = [item(vm("other"), there)] if held else []
    made = planned(estate(group(), there, *policies_of(there), *own))

    assert expected == kinds(made).count("create-vault")
    assert not any(each.failed for each in project(estate(there), made.changes).vaults.values() if expected)


def test_templates_are_filled_for_each_place() -> None:
    """
    With the region, and eight digits of the subscription.
    """
    made = planned(estate(), vault_name="v-{subscription}-{location}", resource_group="g-{location}")
    group_id = f"/subscriptions/{ONE}/resourceGroups/g-westeurope"

    assert group_id == change(made, "create-resource-group").target
    assert f"{group_id}/providers/Microsoft.RecoveryServices/vaults/v-11111111-westeurope" == (
        change(made, "create-vault").target
    )


def test_a_name_that_is_too_long_with_its_region_is_refused() -> None:
    """
    It passed as a template, with a shorter region.
    """
    far = vm(location="germanywestcentral")
    world = inventory(provider(locations=("germanywestcentral",)), far)

    with pytest.raises(InvalidParameters, match="not a valid vault name"):
        planned(world, vault_name="v" * 40 + "{location}")


@pytest.mark.parametrize(
    "world",
    [
        estate(vm("north", location="northeurope")),
        inventory(provider(), vm(), vault("rsv", "rg-backup", location="northeurope")),
    ],
)
def test_no_vm_is_put_into_a_vault_of_another_region(world: Inventory) -> None:
    """
    Neither into one that the plan makes for others, nor into one that has the name already.
    """
    with pytest.raises(InvalidParameters, match="A vault protects VMs of its own region only"):
        planned(world, vault_name="rsv", resource_group="rg-backup")


# --- who is planned for -------------------------------------------------------------------------------------------


def test_a_protected_vm_needs_nothing() -> None:
    """
    Wherever it is protected.
    """
    elsewhere = vault("rsv-other", "rg-x")

    assert [] == kinds(planned(ready(item(WEB, HELD))))
    assert [] == kinds(planned(ready(elsewhere, *policies_of(elsewhere), item(WEB, elsewhere))))


def test_a_vm_of_the_same_name_is_not_taken_for_protected() -> None:
    """
    The other one still is to be enabled, under an item of its own.
    """
    other = vm("web", "rg-b")
    made = planned(ready(other, item(WEB, HELD)))

    assert other.id == change(made, "protect").body["properties"]["sourceResourceId"]
    assert change(made, "protect").target.endswith("VM;iaasvmcontainerv2;rg-b;web")


def test_a_stopped_item_is_resumed_in_its_own_vault() -> None:
    """
    Its recovery points are there, and a second vault would be refused.
    """
    elsewhere = vault("rsv-old", "rg-old")
    stopped = item(WEB, elsewhere, protection="stopped", protection_state="ProtectionStopped", policy_id="")
    made = planned(ready(elsewhere, *policies_of(elsewhere), stopped))

    assert ["resume"] == kinds(made)
    assert stopped.id == change(made, "resume").target
    assert f"{elsewhere.id}/backupPolicies/DefaultPolicy" == change(made, "resume").body["properties"]["policyId"]


def test_one_vault_under_two_casings_is_one() -> None:
    """
    A stopped item's id has the service's casing, the template ours: policy and discovery are planned once.
    """
    shouted = replace(HELD, id=HELD.id.upper())
    stopped = item(vm("old"), shouted, protection="stopped", last_backup_time=None)
    made = planned(ready(vm("old"), replace(stopped, vault_id=shouted.id)), policy_name="Nightly")

    assert ["create-policy", "discover", "resume", "protect"] == kinds(made)


@pytest.mark.parametrize("blocked", [vm(agent=None), vm(instance_view=False), vm(data_disks=40)])
def test_a_vm_that_is_blocked_or_undetermined_is_left_out(blocked: Any) -> None:
    """
    Not even its vault is made.
    """
    assert [] == kinds(planned(estate(blocked)))


def test_a_risk_that_was_accepted_lets_that_vm_go_on() -> None:
    """
    That one alone, by its id.
    """
    one, other = vm("web", "rg-a", agent=None), vm("web", "rg-b", agent=None)
    made = planned(inventory(provider(), one, other), accept_risk={one.id.upper(): "agent follows on Monday"})

    assert one.id == change(made, "protect").body["properties"]["sourceResourceId"]


def test_a_deleted_item_is_left_alone_unless_it_is_to_be_brought_back() -> None:
    """
    Soft delete still keeps it: the service refuses to enable it anew, whatever risk is accepted; undelete comes first.
    """
    world = ready(item(WEB, HELD, protection="stopped", soft_deleted=True))
    risky = planned(world, accept_risk={WEB.id: "it will be undeleted"})

    assert [] == kinds(planned(world))
    assert ([], ["soft_deleted_kept"]) == (kinds(risky), noted(risky))
    assert ["undelete", "resume"] == kinds(planned(world, undelete=True))


def test_only_selected_vms_are_planned_for() -> None:
    """
    By `vm_selector` and `location`.
    """
    made = planned(estate(vm("a", tags={"wave": "1"})), vm_selector="tag:wave=1")

    assert "a" == change(made, "protect").facts["vm"]


# --- what cannot be planned ---------------------------------------------------------------------------------------


def test_a_missing_group_is_an_error_where_it_may_not_be_created() -> None:
    """
    Before anything is sent.
    """
    with pytest.raises(InvalidParameters, match="resource group 'rg-backup-westeurope' does not exist"):
        planned(estate(), create_resource_group=False)
    assert "create-resource-group" not in kinds(planned(estate(group()), create_resource_group=False))


def test_an_unknown_region_is_an_error() -> None:
    """
    With the regions that there are.
    """
    with pytest.raises(InvalidParameters, match="Offered are: northeurope, westeurope"):
        planned(estate(), location="atlantis")


def test_a_group_that_may_be_there_is_not_created() -> None:
    """
    A list of groups that failed says nothing.
    """
    world = replace(estate(), unread=(gap("Microsoft.Resources/resourceGroups"),))

    with pytest.raises(PlanRefused, match="rg-backup-westeurope, and it could not be read"):
        planned(world)


def test_a_vault_that_may_be_there_is_not_created() -> None:
    """
    A risk that was accepted does not change that.
    """
    world = replace(estate(group()), unread=(gap("Microsoft.RecoveryServices/vaults"),))

    with pytest.raises(PlanRefused, match="vaults/rsv-westeurope, and it could not be read"):
        planned(world, accept_risk={WEB.id: "known"})
    assert [] == kinds(planned(world))


def test_a_policy_that_may_be_there_is_not_created() -> None:
    """
    Its vault's list of policies failed: its VMs are left out, and a risk that was accepted does not change that.
    """
    world = estate(group(), vault(policies_read=False))

    with pytest.raises(PlanRefused, match="backupPolicies/Nightly, and it could not be read"):
        planned(world, policy_name="Nightly", accept_risk={WEB.id: "known"})
    assert [] == kinds(planned(world, policy_name="Nightly"))


def test_what_is_unread_elsewhere_does_not_stand_in_the_way() -> None:
    """
    Another subscription's groups are not needed here.
    """
    world = replace(estate(), unread=(gap("Microsoft.Resources/resourceGroups", f"/subscriptions/{TWO}"),))

    assert "create-vault" in kinds(planned(world))


# --- replication --------------------------------------------------------------------------------------------------


def test_no_restore_is_planned_into_a_region_that_has_no_pair() -> None:
    """
    A note says so, and what else was asked for is done.
    """
    alone = (region(), group(), vault(redundancy="LocallyRedundant"), *policies_of(vault()))
    made = planned(estate(*alone), cross_region_restore=True)
    paired = planned(estate(*alone, region(pair="northeurope")), cross_region_restore=True)

    assert "no_pair" in noted(made)
    assert "no_pair" not in noted(paired)
    assert ["Disabled", "Enabled"] == [
        change(each, "set-redundancy").body["properties"]["redundancySettings"]["crossRegionRestore"]
        for each in (made, paired)
    ]


def test_adding_restore_alone_does_not_read_as_a_change_of_replication() -> None:
    """
    What the vault has and what it gets are both named whole.
    """
    made = planned(ready(), cross_region_restore=True)
    said = render.plan(made.steps, "", "en").text()

    assert (
        "to GeoRedundant with Cross Region Restore on, where it has GeoRedundant with Cross Region Restore off" in said
    )


@pytest.mark.parametrize(
    ("there", "asked", "changes", "notes"),
    [
        ({}, {}, [], []),
        ({}, {"redundancy": "ZoneRedundant"}, ["set-redundancy"], []),
        ({}, {"cross_region_restore": True}, ["set-redundancy"], []),
        ({"redundancy_locked": True}, {}, [], []),
        ({"redundancy_locked": True}, {"redundancy": "ZoneRedundant"}, [], ["redundancy_locked"]),
        ({"redundancy_locked": None}, {"redundancy": "ZoneRedundant"}, [], ["redundancy_unread"]),
        ({"redundancy": ""}, {}, ["set-redundancy"], []),
        ({"redundancy": "", "redundancy_locked": None}, {}, [], ["redundancy_unread"]),
        # The lock holds the kind of replication, not the restore that comes on top.
        ({"redundancy_locked": True}, {"cross_region_restore": True}, ["set-redundancy"], []),
        # Cross Region Restore cannot be taken back.
        ({"cross_region_restore": True}, {}, [], ["restore_kept"]),
        ({"cross_region_restore": True}, {"redundancy": "LocallyRedundant"}, [], ["restore_kept"]),
        ({"cross_region_restore": True}, {"cross_region_restore": True}, [], []),
    ],
)
def test_replication_is_changed_where_that_can_be_done(
    there: dict[str, Any], asked: dict[str, Any], changes: list[str], notes: list[str]
) -> None:
    """
    What the service would refuse is a note, not a change that fails.
    """
    held = vault(**there)
    made = planned(estate(group(), held, *policies_of(held)), backup_time="16:30", **asked)

    assert changes == [kind for kind in kinds(made) if kind == "set-redundancy"]
    assert notes == [each for each in noted(made) if each != "vault_adopted"]


# --- the plan as a document ---------------------------------------------------------------------------------------


def test_the_same_estate_gives_the_same_plan_in_any_order() -> None:
    """
    Pages and threads bring records in any order; plan and digest do not change.
    """
    world = with_records(everything(), vm("b"), vm("c", location="northeurope"))
    turned: dict[str, Any] = {
        name: dict(reversed(list(getattr(world, name).items())))
        for name in ("vms", "nics", "nsgs", "vaults", "policies", "items", "groups", "providers")
    }

    assert planned(world, **EVERYTHING) == planned(replace(world, **turned), **EVERYTHING)


def test_a_plan_names_its_target_and_its_parameters() -> None:
    """
    It can be applied only where it was made for.
    """
    made = planned(everything(), **EVERYTHING)

    assert "SANDBOX (simulated)" == made.target
    assert Parameters(**EVERYTHING).as_dict() == made.parameters | {"run_dir": "", "apply": False}


def test_a_step_without_changes_is_not_there_but_can_be_asked_for() -> None:
    """
    A notebook whose step has nothing to do shows an empty one.
    """
    made = planned(ready())

    assert ["04"] == [step.number for step in made.steps]
    assert () == made.step("02").changes


@pytest.mark.parametrize("name", ["{0}", "{vm}", "a{b}c", "{{", "<b>", "\u202e", "x" * 500])
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    """
    Braces and commands in what Azure calls things go through plan and sentence unread.
    """
    world = inventory(replace(subscription(), name=name), provider(), replace(vm(), name=name))
    made = planned(world)
    shown = render.plan(made.steps, "", "en")

    assert name == change(made, "protect").facts["vm"]
    assert all(text.say(f"change.{each.kind}", **each.facts) for each in made.changes)
    assert "<b>" not in shown.html()


@given(st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_there_is_a_change_for_each_vm_that_lacks_protection(ready_: int, done: int, blocked: bool) -> None:
    """
    No more, no fewer, and none for those that are blocked.
    """
    waiting = [vm(f"w{n}") for n in range(ready_)]
    safe = [vm(f"s{n}") for n in range(done)]
    stuck = [vm("stuck", agent=None)] if blocked else []
    world = inventory(provider(), group(), HELD, *policies_of(HELD), *waiting, *safe, *stuck, vm("one"))
    world = with_records(world, *(item(each, HELD) for each in safe))

    assert ready_ + 1 == kinds(planned(world)).count("protect")
    assert len(safe) + ready_ + 1 == len(project(world, planned(world).changes).items)


def test_a_plan_does_not_depend_on_the_day_but_for_its_bodies() -> None:
    """
    The date part of a policy's times is ignored by ARM.
    """
    world = everything()
    one, other = planned(world, **EVERYTHING), build(world, Parameters(**EVERYTHING), NOW.date().replace(year=2030))

    assert kinds(one) == kinds(other)
    assert [step.world for step in one.steps] == [step.world for step in other.steps]
    assert DAY.isoformat() in str(change(one, "create-policy").body)


def test_ids_in_a_plan_are_arms() -> None:
    """
    Every target is a full id, every read as well.
    """
    made = planned(everything(), **EVERYTHING)
    ids = {each for one in made.changes for each in (one.target, *one.reads)}

    assert all(each.startswith("/subscriptions/") for each in ids)
    assert arm_id("Microsoft.Compute/virtualMachines", "web") in ids
