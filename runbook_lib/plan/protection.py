"""
Protection: what each VM's state asks for, the policies for that, and the requests that enable, resume or change it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from runbook_lib.checks import Assessment, assessment_on, goes_on, policy_change, verdicts_on
from runbook_lib.checks.prerequisites import ENABLING_FAILED
from runbook_lib.errors import InvalidParameters, PlanRefused
from runbook_lib.parameters import Parameters
from runbook_lib.placement import MOST_VMS, Place, entry_of, held_of, policy_type
from runbook_lib.plan.wanted import Job, Notes, Wanted, add_note, by_vault, lacking, subscription_name
from runbook_lib.policy import described, differences, is_built_in
from runbook_lib.records import Change, Inventory, ProtectedItem, VirtualMachine, key
from runbook_lib.selection import select

__all__ = ["POINTS", "changing", "jobs", "plan_policies", "plan_protection"]

POINTS = "Microsoft.RecoveryServices/vaults/recoveryPoints"

# The service takes so many changes of policies a day through its API (azure-contract, policies).
MOST_POLICY_WRITES = 50
# Why a VM keeps its policy, by the case of `policy_change`.
KEPT = {
    "change_unread": "policy_change_unread",
    "no_way_back": "policy_no_way_back",
    "other_workload": "policy_other_workload",
}
STATES = {"on": "change-policy", "stopped": "resume", ENABLING_FAILED: "protect-again"}


def jobs(
    inventory: Inventory, going: Sequence[VirtualMachine], asked: Parameters, assessment: Assessment, notes: Notes
) -> list[Job]:
    """
    Say what there is to do for each VM; nothing for one that is protected as it is to be, wherever that is.

    Raises:
        InvalidParameters: the vaults, or the start times, that the parameters name do not suffice.
    """
    found = []
    elsewhere: Counter[str] = Counter()
    for vm in going:
        place = assessment.placement[key(vm.id)]
        entry = held_of(inventory, vm)
        if entry and entry.protection == "on" and not entry.soft_deleted and not place.here:
            elsewhere[entry.vault_id] += 1
        job = _job(inventory, vm, entry, place, asked, notes)
        if job is not None:
            found.append(job)
    _check_room(found, asked)
    for vault_id, count in sorted(elsewhere.items()):
        facts = {"vault": vault_id.rsplit("/", 1)[-1], "subscription": subscription_name(inventory, vault_id)}
        add_note(notes, id="protected_elsewhere", count=count, **facts)
    return found


def _job(
    inventory: Inventory,
    vm: VirtualMachine,
    entry: ProtectedItem | None,
    place: Place,
    asked: Parameters,
    notes: Notes,
) -> Job | None:
    if entry is None:
        name = f"iaasvmcontainerv2;{vm.resource_group};{vm.name}"
        container = f"backupFabrics/Azure/protectionContainers/IaasVMContainer;{name}"
        item_id = f"{place.vault_id}/{container}/protectedItems/VM;{name}"
        return Job(vm=vm, kind="protect", place=place, item_id=item_id)
    if entry.soft_deleted:
        if asked.undelete:
            return Job(vm=vm, kind="undelete", place=place, item_id=entry.id)
        add_note(notes, id="soft_deleted_kept", vm=vm.name, vault=entry.vault_id.rsplit("/", 1)[-1])
        return None
    kind = STATES.get(entry.protection)
    if kind is None or (kind == "change-policy" and key(place.policy_id) == key(entry.policy_id or place.policy_id)):
        return None
    points: tuple[datetime, ...] = ()
    if kind == "change-policy":
        case, points = policy_change(inventory, entry, place, asked)
        if case not in ("changes", "loses"):
            facts = {"now": entry.policy_id.rsplit("/", 1)[-1], "policy": place.policy_name}
            add_note(notes, id=KEPT[case], vm=vm.name, vault=entry.vault_id.rsplit("/", 1)[-1], **facts)
            return None
    return Job(vm=vm, kind=kind, place=place, item_id=entry.id, lost=points)


def changing(inventory: Inventory, asked: Parameters) -> tuple[ProtectedItem, ...]:
    """
    List the items of the selected VMs that are to come under another policy than the one that they have.
    """
    placement, judged = assessment_on(inventory, asked).placement, verdicts_on(inventory, asked)
    going = (vm for vm in select(inventory, asked) if goes_on(vm, judged[vm.id][0], asked))
    entries = ((entry_of(inventory, vm), placement[key(vm.id)]) for vm in going)
    return tuple(
        entry
        for entry, place in entries
        if entry and STATES.get(entry.protection) == "change-policy" and key(place.policy_id) != key(entry.policy_id)
    )


def _check_room(found: Sequence[Job], asked: Parameters) -> None:
    """
    Refuse a fleet that is larger than what the parameters name for it.
    """
    roomless = [job for job in found if job.place.lacks == "room"]
    if roomless:
        raise InvalidParameters(
            "fleet_room",
            name="vault_name",
            value=asked.vault_name,
            count=len(roomless),
            vault=roomless[0].vault_id.rsplit("/", 1)[-1],
            location=roomless[0].location,
            most=MOST_VMS,
        )
    late = [job for job in found if job.place.lacks == "start"]
    if late:
        raise InvalidParameters(
            "fleet_start",
            name="vms_per_start",
            value=asked.vms_per_start,
            count=len(late),
            vault=late[0].vault_id.rsplit("/", 1)[-1],
        )


def plan_policies(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    """
    Plan the policies that the VMs come under, where they are not there yet.
    """
    asked, notes = wanted.asked, wanted.notes
    kept: dict[tuple[str, str], list[str]] = {}
    made: Counter[str] = Counter()
    for job in _one_for_each_policy(wanted.jobs):
        own = job.place.described(asked)
        there = world.policies.get(key(job.place.policy_id))
        vault = world.vaults.get(key(job.vault_id))
        if there:
            if other := differences(there, own):
                kept.setdefault((own.policy_name, ", ".join(other)), []).append(job.vault_id.rsplit("/", 1)[-1])
            continue
        if vault is None or not vault.policies_read:
            raise PlanRefused("unread", resource=job.place.policy_id)
        made[key(vault.id)] += 1
        if made[key(vault.id)] > MOST_POLICY_WRITES:
            raise InvalidParameters(
                "policy_writes",
                name="vms_per_start",
                value=asked.vms_per_start,
                vault=vault.name,
                most=MOST_POLICY_WRITES,
            )
        yield Change(
            kind="create-policy",
            step="03",
            target=job.place.policy_id,
            reads=(job.vault_id,),
            body={"properties": described(own, job.vault_id, wanted.day).properties},
            facts={
                "policy": own.policy_name,
                "vault": vault.name,
                "subscription": subscription_name(world, vault.id),
                "type": own.policy_type,
                "schedule": own.schedule,
                "time": own.backup_time,
                "zone": own.time_zone,
            },
        )
    notes += [
        {"id": "policy_kept", "policy": policy, "vaults": ", ".join(dict.fromkeys(vaults)), "fields": fields}
        for (policy, fields), vaults in kept.items()
    ]


def _one_for_each_policy(jobs: Iterable[Job]) -> Iterable[Job]:
    """
    Return a job for each policy, vault by vault.
    """
    found: dict[tuple[str, str], Job] = {}
    for job in jobs:
        found.setdefault((key(job.vault_id), key(job.place.policy_id)), job)
    order = {vault: number for number, vault in enumerate(dict.fromkeys(key(job.vault_id) for job in jobs))}
    return sorted(found.values(), key=lambda job: order[key(job.vault_id)])


def plan_protection(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    """
    Plan, vault by vault, the discovery of the VMs that are new to it, and a request for each VM.
    """
    for vault_id, own in by_vault(wanted.jobs).items():
        vault = world.vaults.get(key(vault_id))
        # Discovery finds the VMs of the vault's own subscription; enabling one of another needs none.
        new = [
            job.vm.id for job in own if job.kind == "protect" and vault and job.vm.subscription == vault.subscription
        ]
        if new:
            yield Change(
                kind="discover",
                step="04",
                target=vault_id,
                reads=(vault_id,),
                facts={
                    "vault": vault_id.rsplit("/", 1)[-1],
                    "subscription": subscription_name(world, vault_id),
                    "count": len(new),
                    "vm_ids": new,
                },
            )
        locks = vault is not None and not vault.redundancy_locked
        for job in own:
            yield from _requests(world, wanted, job, vault_id, locks=locks)
            locks = False


def _requests(world: Inventory, wanted: Wanted, job: Job, vault_id: str, *, locks: bool) -> Iterator[Change]:
    """
    Plan what is sent for one VM.

    Args:
        locks: whether this is the item that locks the vault's replication.
    """
    policy_id = f"{vault_id}/backupPolicies/{job.place.policy_name}"
    kind = job.kind
    reads = [job.vm.id, vault_id, *lacking(wanted.before, job.vm.subscription)]
    facts: dict[str, Any] = {
        "vm": job.vm.name,
        "group": world.group_name(job.vm),
        "vault": vault_id.rsplit("/", 1)[-1],
        "policy": job.place.policy_name,
    }
    properties = {"protectedItemType": "Microsoft.Compute/virtualMachines", "sourceResourceId": job.vm.id}
    if kind == "undelete":
        yield Change(
            kind="undelete",
            step="04",
            target=job.item_id,
            reads=tuple(reads),
            body={"properties": properties | {"isRehydrate": True, "protectionState": "ProtectionStopped"}},
            facts=facts,
        )
        kind = "resume"
        # What could not be brought back cannot be resumed.
        reads.append(job.item_id)
    if key(vault_id) in wanted.before.vaults or not is_built_in(job.place.policy_name):
        # The service picks the times of a new vault's own policies: nobody can say beforehand what they will be.
        reads.append(policy_id)
    if kind == "change-policy":
        facts |= _change_facts(world, job)
    yield Change(
        kind=kind,
        step="04",
        target=job.item_id,
        reads=tuple(reads),
        body={"properties": properties | {"policyId": policy_id}},
        irreversible=tuple(_irreversible(world, job, locks=locks)),
        facts=facts,
    )


def _change_facts(world: Inventory, job: Job) -> dict[str, Any]:
    item = world.items[key(job.item_id)]
    return {
        "from": item.policy_id.rsplit("/", 1)[-1],
        "points": len(item.points or ()),
        "lost": len(job.lost),
        "span": f" ({job.lost[0].date()}/{job.lost[-1].date()})" if job.lost else "",
        "lost_points": [point.isoformat() for point in job.lost],
    }


def _irreversible(world: Inventory, job: Job, *, locks: bool) -> Iterator[str]:
    if locks and job.kind == "protect":
        yield "replication"
    if job.kind == "protect-again":
        return
    item = world.items.get(key(job.item_id))
    earlier = policy_type(world, job.vault_id, item.policy_id.rsplit("/", 1)[-1], "") if item else ""
    if policy_type(world, job.vault_id, job.place.policy_name, job.place.policy_type) == "Enhanced" != earlier:
        yield "enhanced"
    if job.lost:
        yield "points"
