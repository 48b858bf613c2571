"""
Build the plan: what each step of the guide has to do for the selected VMs.

Adopt before create: what is there already is used, and what is already so needs no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

from runbook_lib import checks
from runbook_lib.checks.kinds import GROUPS, RECOVERY_SERVICES, VAULTS
from runbook_lib.errors import InvalidParameters, PlanRefused
from runbook_lib.parameters import Parameters
from runbook_lib.plan.drift import freeze, locks_of, plan_digest
from runbook_lib.plan.network import plan_network
from runbook_lib.plan.protection import jobs as plan_jobs
from runbook_lib.plan.protection import plan_policies, plan_protection
from runbook_lib.plan.reach import tell_reach
from runbook_lib.plan.wanted import Job, Notes, Wanted, add_note, by_vault, lacking, subscription_name
from runbook_lib.records import Change, Inventory, Plan, Step, VirtualMachine, digest, key, subscription_of
from runbook_lib.selection import select

__all__ = ["build", "going_on"]


def build(inventory: Inventory, asked: Parameters, day: date) -> Plan:
    """
    Plan what is missing for the selected VMs.

    Args:
        day: date part for policy times; ARM wants one and ignores it.

    Raises:
        InvalidParameters: the selection, a region or a resource group does not exist, a vault's name is taken by one in
            another region, or the vaults or start times that are named do not suffice.
        PlanRefused: something that the plan must know could not be read.
    """
    chosen = select(inventory, asked)
    assessment = checks.assessment_on(inventory, asked)
    going = _going(chosen, inventory, asked)
    protecting: Notes = []
    jobs = plan_jobs(inventory, going, asked, assessment, protecting)
    _check_regions(inventory, jobs)
    notes: Notes = []
    steps: list[Step] = []
    world = inventory
    for number, planner in _PLANNERS:
        said = len(notes)
        changes = tuple(
            planner(world, Wanted(before=inventory, asked=asked, jobs=jobs, going=going, notes=notes, day=day))
        )
        notes += protecting if number == "04" else []
        notes[said:] = [note | {"step": number} for note in notes[said:]]
        if changes:
            states, world = freeze(world, changes)
            steps.append(Step(number=number, changes=changes, world=states, digest=digest(states)))
    made = Plan(
        target=inventory.target.mark,
        # Neither where it was made nor whether it was to be applied is part of a plan.
        parameters={name: value for name, value in asked.as_dict().items() if name not in ("run_dir", "apply")},
        steps=tuple(steps),
        notes=tuple(notes),
        copy_of=inventory.target.copy_of,
        locks=tuple(sorted(locks_of(inventory, [change for step in steps for change in step.changes]))),
    )
    return replace(made, digest=plan_digest(made))


def going_on(inventory: Inventory, asked: Parameters) -> list[VirtualMachine]:
    """
    List the selected VMs that nothing keeps back, protected or not.
    """
    chosen = select(inventory, asked)
    return _going(chosen, inventory, asked)


def _going(chosen: Iterable[VirtualMachine], inventory: Inventory, asked: Parameters) -> list[VirtualMachine]:
    verdicts = checks.verdicts_on(inventory, asked)
    return [vm for vm in chosen if checks.goes_on(vm, verdicts[vm.id][0], asked)]


def _check_regions(inventory: Inventory, jobs: Sequence[Job]) -> None:
    """
    Refuse to put VMs into a vault of another region, there already or to be made for the first of them.
    """
    new = [job for job in jobs if key(job.item_id) not in inventory.items]
    for vault_id, own in by_vault(new).items():
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


def _plan_vaults(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    asked, jobs, notes = wanted.asked, wanted.jobs, wanted.notes
    # One that holds something was made once: to make it anew would take its settings back.
    there = {each for each, vault in world.vaults.items() if not vault.failed or world.held_in(vault.id)}
    missing = {vault_id: own[0] for vault_id, own in by_vault(jobs).items() if key(vault_id) not in there}
    notes += [{"id": "vault_adopted", "vault": world.vaults[key(v)].name} for v in by_vault(jobs) if v not in missing]
    subscriptions = dict.fromkeys(s for j in jobs for s in (j.vm.subscription, key(j.vault_id).split("/")[2]))
    for subscription in subscriptions:
        for provider in lacking(world, subscription):
            yield Change(
                kind="register-provider",
                step="01",
                target=provider,
                facts={"namespace": RECOVERY_SERVICES, "subscription": subscription_name(world, provider)},
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
            facts={"group": name, "location": job.location, "subscription": subscription_name(world, group_id)},
        )
    for vault_id, job in missing.items():
        if world.unread_under(vault_id, VAULTS):
            raise PlanRefused("unread", resource=vault_id)
        yield Change(
            kind="create-vault",
            step="01",
            target=vault_id,
            reads=(vault_id.split("/providers/", 1)[0], *lacking(world, subscription_of(vault_id))),
            body={
                "location": job.location,
                "sku": {"name": "Standard"},
                "properties": {"publicNetworkAccess": "Enabled"},
            },
            facts={
                "vault": vault_id.rsplit("/", 1)[-1],
                "location": job.location,
                "subscription": subscription_name(world, vault_id),
            },
        )


def _plan_redundancy(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    asked, notes = wanted.asked, wanted.notes
    # A vault whose VMs only come under another policy stays as it is.
    for vault_id in by_vault(job for job in wanted.jobs if job.kind != "change-policy"):
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
            "subscription": subscription_name(world, vault.id),
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
            # The replication itself locks with the first item; until then it can be set again.
            irreversible=("cross_region_restore",) if restore else (),
            facts=facts,
        )


_PLANNERS = (
    ("01", _plan_vaults),
    ("02", _plan_redundancy),
    ("03", plan_policies),
    ("04", plan_protection),
    ("06", plan_network),
    ("06", tell_reach),
)
