"""
Build the plan: what each step of the guide has to do for the selected VMs.

Adopt before create: what is there already is used, and what is already so needs no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from runbook_lib import checks
from runbook_lib.checks.prerequisites import RECOVERY_SERVICES
from runbook_lib.checks.vaults import VAULTS
from runbook_lib.errors import InvalidParameters, PlanRefused
from runbook_lib.parameters import Parameters
from runbook_lib.placement import place_of
from runbook_lib.plan.drift import freeze, plan_digest
from runbook_lib.plan.network import plan_network
from runbook_lib.plan.reach import tell_reach
from runbook_lib.plan.wanted import Job, Notes, Wanted, add_note
from runbook_lib.policy import described, differences, is_built_in
from runbook_lib.records import (
    Change,
    Inventory,
    Plan,
    Step,
    Verdict,
    VirtualMachine,
    digest,
    key,
    subscription_of,
)
from runbook_lib.selection import accepted_risk, select

__all__ = ["build", "going_on"]

GROUPS = "Microsoft.Resources/resourceGroups"


def build(inventory: Inventory, asked: Parameters, day: date) -> Plan:
    """
    Plan what is missing for the selected VMs.

    Args:
        day: date part for policy times; ARM wants one and ignores it.

    Raises:
        InvalidParameters: the selection, a region or a resource group does not exist, or a vault's name is taken
            by one in another region.
        PlanRefused: something that the plan must know could not be read.
    """
    going = going_on(inventory, asked)
    jobs = [job for vm in going if (job := _job(inventory, vm, asked)) is not None]
    _check_regions(inventory, jobs)
    notes: Notes = []
    steps: list[Step] = []
    world = inventory
    for number, planner in _PLANNERS:
        said = len(notes)
        changes = tuple(
            planner(world, Wanted(before=inventory, asked=asked, jobs=jobs, going=going, notes=notes, day=day))
        )
        notes[said:] = [note | {"step": number} for note in notes[said:]]
        if changes:
            states, world = freeze(world, changes)
            steps.append(Step(number=number, changes=changes, world=states, digest=digest(states)))
    return Plan(
        target=inventory.target.mark,
        parameters=asked.as_dict(),
        steps=tuple(steps),
        notes=tuple(notes),
        digest=plan_digest(inventory.target.mark, steps),
    )


def going_on(inventory: Inventory, asked: Parameters) -> list[VirtualMachine]:
    """
    List the selected VMs that nothing keeps back, protected or not.
    """
    chosen = select(inventory, asked)
    verdicts = checks.verdicts(checks.judge(inventory, chosen, asked))
    return [vm for vm in chosen if _may_go_on(vm, verdicts[vm.id][0], asked)]


def _check_regions(inventory: Inventory, jobs: Sequence[Job]) -> None:
    """
    Refuse to put VMs into a vault of another region, there already or to be made for the first of them.
    """
    new = [job for job in jobs if key(job.item_id) not in inventory.items]
    for vault_id, own in _vaults(new).items():
        there = inventory.vaults.get(key(vault_id))
        location = there.location if there else own[0].location
        if astray := next((job for job in own if job.location != location), None):
            raise InvalidParameters(
                "vault_region",
                name="vault_name",
                value=vault_id.rsplit("/", 1)[-1],
                location=location,
                vm=astray.vm.name,
                other=astray.location,
            )


def _may_go_on(vm: VirtualMachine, verdict: Verdict, asked: Parameters) -> bool:
    return verdict not in (Verdict.BLOCKED, Verdict.UNDETERMINED) or bool(accepted_risk(vm, asked))


def _job(inventory: Inventory, vm: VirtualMachine, asked: Parameters) -> Job | None:
    """
    Say where the VM is to be protected; None when it is protected already, wherever that is.
    """
    items = inventory.items_of(vm.id)
    if any(item.protection != "stopped" and not item.soft_deleted for item in items):
        return None
    stopped = next((item for item in items if not item.soft_deleted), None)
    if stopped:
        # Its recovery points are in that vault; a second vault would refuse it.
        return Job(vm=vm, vault_id=stopped.vault_id, item_id=stopped.id, location=vm.location)
    place = place_of(vm, asked)
    name = f"iaasvmcontainerv2;{vm.resource_group};{vm.name}"
    item_id = (
        f"{place.vault_id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}/protectedItems/VM;{name}"
    )
    return Job(vm=vm, vault_id=place.vault_id, item_id=item_id, location=vm.location)


def _vaults(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """
    Return the jobs of each vault in play, by the vault's id as the first of them has it.
    """
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(key(job.vault_id), []).append(job)
    return {own[0].vault_id: own for own in found.values()}


def _plan_vaults(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    asked, jobs, notes = wanted.asked, wanted.jobs, wanted.notes
    missing = {vault_id: own[0] for vault_id, own in _vaults(jobs).items() if key(vault_id) not in world.vaults}
    notes += [{"id": "vault_adopted", "vault": world.vaults[key(v)].name} for v in _vaults(jobs) if v not in missing]
    subscriptions = dict.fromkeys(s for j in jobs for s in (j.vm.subscription, key(j.vault_id).split("/")[2]))
    for subscription in subscriptions:
        provider = world.providers.get(key(f"/subscriptions/{subscription}/providers/{RECOVERY_SERVICES}"))
        if provider and provider.registration_state != "Registered":
            yield Change(
                kind="register-provider",
                step="01",
                target=provider.id,
                facts={"namespace": RECOVERY_SERVICES, "subscription": _subscription_name(world, provider.id)},
            )
    groups = {vault_id.split("/providers/", 1)[0]: job for vault_id, job in missing.items()}
    for group_id, job in groups.items():
        if key(group_id) in world.groups:
            continue
        name = group_id.rsplit("/", 1)[-1]
        if world.unread_under(group_id, GROUPS):
            raise PlanRefused("unread", resource=group_id)
        if not asked.create_resource_group:
            raise InvalidParameters("group_missing", name="resource_group", value=name, resource=group_id)
        yield Change(
            kind="create-resource-group",
            step="01",
            target=group_id,
            body={"location": job.location},
            facts={"group": name, "location": job.location, "subscription": _subscription_name(world, group_id)},
        )
    for vault_id, job in missing.items():
        if world.unread_under(vault_id, VAULTS):
            raise PlanRefused("unread", resource=vault_id)
        yield Change(
            kind="create-vault",
            step="01",
            target=vault_id,
            reads=(vault_id.split("/providers/", 1)[0],),
            body={
                "location": job.location,
                "sku": {"name": "Standard"},
                "properties": {"publicNetworkAccess": "Enabled"},
            },
            facts={
                "vault": vault_id.rsplit("/", 1)[-1],
                "location": job.location,
                "subscription": _subscription_name(world, vault_id),
            },
        )


def _subscription_name(world: Inventory, arm_id: str) -> str:
    guid = subscription_of(arm_id)
    known = world.subscriptions.get(key(f"/subscriptions/{guid}"))
    return known.name if known else guid


def _plan_redundancy(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    asked, jobs, notes = wanted.asked, wanted.jobs, wanted.notes
    for vault_id in _vaults(jobs):
        vault = world.vaults.get(key(vault_id))
        if vault is None:
            continue
        restore = asked.cross_region_restore
        if restore and world.without_pair(vault.subscription, vault.location):
            add_note(notes, id="no_pair", vault=vault.name, location=vault.location)
            restore = False
        if (vault.redundancy, vault.cross_region_restore) == (asked.redundancy, restore):
            continue
        facts = {
            "vault": vault.name,
            "subscription": _subscription_name(world, vault.id),
            "from": vault.redundancy or "unknown",
            "to": asked.redundancy,
            "restore": "on" if restore else "off",
            "restore_now": "on" if vault.cross_region_restore else "off",
        }
        if vault.cross_region_restore and not restore:
            # It cannot be taken back, and holds the replication where it is (azure-contract, storage replication).
            notes.append({"id": "restore_kept"} | facts)
            continue
        # The lock is on the kind of replication: Cross Region Restore can still be added to it.
        if vault.redundancy != asked.redundancy and vault.redundancy_locked is not False:
            notes.append({"id": "redundancy_locked" if vault.redundancy_locked else "redundancy_unread"} | facts)
            continue
        yield Change(
            kind="set-redundancy",
            step="02",
            target=vault.id,
            reads=(vault.id,),
            body={
                "properties": {
                    "redundancySettings": {
                        "standardTierStorageRedundancy": asked.redundancy,
                        "crossRegionRestore": "Enabled" if restore else "Disabled",
                    }
                }
            },
            irreversible=True,
            facts=facts,
        )


def _plan_policies(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    asked, jobs, notes = wanted.asked, wanted.jobs, wanted.notes
    kept: dict[str, list[str]] = {}
    for vault_id in _vaults(jobs):
        made = described(asked, vault_id, wanted.day)
        there = world.policies.get(key(made.id))
        vault = world.vaults.get(key(vault_id))
        if there:
            if other := differences(there, asked):
                kept.setdefault(", ".join(other), []).append(vault_id.rsplit("/", 1)[-1])
            continue
        if vault is None or not vault.policies_read:
            raise PlanRefused("unread", resource=made.id)
        yield Change(
            kind="create-policy",
            step="03",
            target=made.id,
            reads=(vault_id,),
            body={"properties": made.properties},
            # An Enhanced policy cannot be left for a Standard one.
            irreversible=asked.policy_type == "Enhanced",
            facts={
                "policy": made.name,
                "vault": vault.name,
                "subscription": _subscription_name(world, vault.id),
                "type": asked.policy_type,
                "schedule": asked.schedule,
                "time": asked.backup_time,
                "zone": asked.time_zone,
            },
        )
    notes += [
        {"id": "policy_kept", "policy": asked.policy_name, "vaults": ", ".join(dict.fromkeys(vaults)), "fields": fields}
        for fields, vaults in kept.items()
    ]


def _plan_protection(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    asked, jobs = wanted.asked, wanted.jobs
    for vault_id, own in _vaults(jobs).items():
        yield Change(
            kind="discover",
            step="04",
            target=vault_id,
            reads=(vault_id,),
            facts={
                "vault": vault_id.rsplit("/", 1)[-1],
                "subscription": _subscription_name(world, vault_id),
                "count": len(own),
                "vm_ids": [job.vm.id for job in own],
            },
        )
        policy_id = f"{vault_id}/backupPolicies/{asked.policy_name}"
        rests_on = [vault_id]
        if key(vault_id) in wanted.before.vaults or not is_built_in(asked.policy_name):
            # The service picks the times of a new vault's own policies: nobody can say beforehand what they will be.
            rests_on.append(policy_id)
        for job in own:
            yield Change(
                kind="protect",
                step="04",
                target=job.item_id,
                reads=(job.vm.id, *rests_on),
                body={
                    "properties": {
                        "protectedItemType": "Microsoft.Compute/virtualMachines",
                        "sourceResourceId": job.vm.id,
                        "policyId": policy_id,
                    }
                },
                facts={
                    "vm": job.vm.name,
                    "group": world.group_name(job.vm),
                    "vault": vault_id.rsplit("/", 1)[-1],
                    "policy": asked.policy_name,
                },
            )


_PLANNERS = (
    ("01", _plan_vaults),
    ("02", _plan_redundancy),
    ("03", _plan_policies),
    ("04", _plan_protection),
    ("06", plan_network),
    ("06", tell_reach),
)
