"""
What judging costs: all checks on an inventory of 10,000 VMs in memory.

`PYTHONPATH=tests python -m bench.readiness` prints each figure with its target; the exit code is 1 when one is missed.
"""

from __future__ import annotations

import sys
import time

import builders
from bench.figures import Figure, report

from runbook_lib import checks
from runbook_lib.parameters import Parameters
from runbook_lib.records import Disk, Inventory, Resource, key

__all__ = ["estate", "main"]

VMS = 10_000
# Every tenth VM is protected, so that the items of all VMs are looked through; groups and security groups are shared.
PROTECTED = 10
GROUPS = 50
# Groups that Azure Backup makes for restore points: one for each 600 of them, so that a large estate has many.
RESTORE_POINTS = 100


def estate(vms: int) -> Inventory:
    """
    Make an inventory of *vms* VMs, each with an interface, a data disk and an address in a subnet under two NSGs.
    """
    held = builders.vault()
    rules = [builders.rule(f"rule-{number}", 100 + number, "Allow", ports=("443",)) for number in range(20)]
    shared = [builders.nsg(f"nsg-{number}", *rules, builders.rule("deny", 4000)) for number in range(GROUPS)]
    subnets = [builders.subnet(f"net-{number}", nsg_id=shared[number].id) for number in range(GROUPS)]
    groups = [builders.group(f"rg-{number}") for number in range(GROUPS)]
    groups += [builders.group(f"AzureBackupRG_{builders.HOME}_{number}") for number in range(RESTORE_POINTS)]
    locks = [builders.lock(group.id) for group in groups[:GROUPS:PROTECTED]]
    records: list[Resource] = [held, *builders.policies_of(held), *shared, *subnets, *groups, *locks]
    for number in range(vms):
        place = number % GROUPS
        group = f"rg-{place}"
        disk = builders.managed_disk(f"data-{number}")
        own = builders.nic(f"nic-{number}", nsg_id=shared[place - 1].id, subnet_id=subnets[place].id)
        vm = builders.vm(
            f"vm-{number}",
            group,
            nic_ids=(own.id,),
            data_disks=(Disk(name=disk.name, id=disk.id, storage=disk.storage),),
        )
        records += [disk, own, vm]
        if number % PROTECTED == 0:
            records.append(builders.item(vm, held))
    kinds: dict[str, dict[str, Resource]] = {}
    for record in records:
        kinds.setdefault(builders.kind_of(record), {})[key(record.id)] = record
    return builders.inventory(builders.subscription(), builders.provider(), **kinds)


def main() -> int:
    """
    Run the benchmark and return its exit code.
    """
    world = estate(VMS)
    start = time.process_time()
    found = checks.judge(world, world.vms.values(), Parameters())
    judged = time.process_time()
    verdicts = checks.verdicts(found)
    taken = time.process_time() - judged
    if len(verdicts) != VMS:
        raise ValueError(f"{len(verdicts)} of {VMS} VMs have a verdict")
    return report(
        "Readiness",
        [
            Figure(what=f"{len(found):,} findings on {VMS:,} VMs", value=judged - start, most=5, unit=" s"),
            Figure(what="their verdicts", value=taken, most=1, unit=" s"),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
