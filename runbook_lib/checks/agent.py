"""
The VM agent and the backup extension (guide, section "Install the VM agent"). Power is read first: what an instance
view says of the agent of a VM that is off may be stale.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from runbook_lib.checks.result import result
from runbook_lib.checks.vaults import policy_of, unread_vaults
from runbook_lib.parameters import Parameters
from runbook_lib.placement import Place, entry_of
from runbook_lib.records import Extension, Finding, Inventory, Status, VirtualMachine, key

__all__ = [
    "BACKUP_EXTENSIONS",
    "WAITING",
    "agent",
    "agent_settings",
    "agent_update",
    "agent_version",
    "backup_extension",
    "is_ready",
]

# The guide's table, and the minimum that Azure supports today (Microsoft support article 4049215).
GUIDE_WINDOWS = "2.6.1198.718"
MINIMUM = {"Windows": "2.7.41491.1010", "Linux": "2.2.53.1"}
# Both are the normal minutes after a start, not a fault.
STARTING = ("not yet populated", "not yet available")
WAITING = "waiting for network"
# An Enhanced policy may take crash-consistent points alone, without an agent (Enhanced policies, SDK
# 11.0.0: IaasVMSnapshotConsistencyType).
CONSISTENCY, CRASH_ONLY = "snapshotConsistencyType", "onlycrashconsistent"
BACKUP_EXTENSIONS = frozenset({"vmsnapshot", "vmsnapshotlinux"})


def agent(inventory: Inventory, vm: VirtualMachine, _: Parameters, place: Place | None = None) -> Finding:
    """
    Judge whether the agent answers; a VM that is off still gets crash-consistent recovery points, and a policy that
    takes no others needs no agent.

    Args:
        place: None where the VM's policy is not known yet.
    """
    guide, case = _agent(vm)
    status = guide
    if status in (Status.FAIL, Status.UNKNOWN) and place and _does_without(inventory, vm, place):
        status, case = Status.WARN, "crash_only"
    return result(
        "agent",
        vm,
        status,
        case,
        guide=guide,
        power=vm.power_state or "unknown",
        agent=vm.agent.status if vm.agent else "none",
        message=vm.agent.message if vm.agent else "",
    )


def _agent(vm: VirtualMachine) -> tuple[Status, str]:
    if not vm.instance_view:
        return Status.UNKNOWN, "unread"
    if vm.power_state in ("stopped", "stopping", "deallocated", "deallocating"):
        return Status.WARN, "off"
    if vm.power_state != "running":
        return Status.UNKNOWN, "power"
    if vm.agent is None:
        # While the VM is made its agent is still to come.
        return (Status.UNKNOWN, "creating") if vm.provisioning_state == "creating" else (Status.FAIL, "missing")
    message = vm.agent.message.lower()
    if is_ready(vm):
        return (Status.WARN, "waiting") if WAITING in message else (Status.PASS, "ready")
    if any(word in message for word in STARTING):
        return Status.UNKNOWN, "starting"
    return Status.FAIL, "not_ready"


def is_ready(vm: VirtualMachine) -> bool:
    """
    Tell whether the agent says that it is ready; of a VM that does not run that may be stale.
    """
    return vm.agent is not None and vm.agent.status.lower() == "ready"


def _does_without(inventory: Inventory, vm: VirtualMachine, place: Place) -> bool:
    policy = inventory.policies.get(key(policy_of(inventory, vm, place)))
    return policy is not None and str(policy.properties.get(CONSISTENCY)).lower() == CRASH_ONLY


def agent_version(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Judge the agent's version: the guide names one for Windows only, Azure today one for each.
    """
    found = _numbers(vm.agent.version) if vm.agent else ()
    minimum = MINIMUM.get(vm.os_type, "")
    facts: dict[str, Any] = {
        "version": vm.agent.version if vm.agent else "none",
        "minimum": minimum,
        "by_guide": GUIDE_WINDOWS,
    }
    if not found or not minimum:
        return result("agent-version", vm, Status.UNKNOWN, "unknown", **facts)
    guide = Status.NOT_NEEDED
    if vm.os_type == "Windows":
        guide = Status.PASS if found >= _numbers(GUIDE_WINDOWS) else Status.FAIL
    status, case = (Status.PASS, "current") if found >= _numbers(minimum) else (Status.WARN, "old")
    return result("agent-version", vm, status, case, guide=guide, **facts)


@lru_cache(maxsize=256)
def _numbers(version: str) -> tuple[int, ...]:
    """
    Return the numbers of a version; some agents report `WALinuxAgent-2.0.16` or `Unknown`.
    """
    found = re.search(r"\d{1,9}(\.\d{1,9})+", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def agent_settings(inventory: Inventory, vm: VirtualMachine, _: Parameters, place: Place | None = None) -> Finding:
    """
    Judge what the VM was made with: extensions must be allowed, and an agent that was left out must be put in by hand.
    """
    if vm.allow_extensions is False and not (place and _does_without(inventory, vm, place)):
        return result("agent-settings", vm, Status.FAIL, "no_extensions", guide=Status.NOT_NEEDED)
    if vm.provision_agent is not False:
        # Absent is not false: old VMs and attached disks do not say.
        return result("agent-settings", vm, Status.PASS, "provisioned")
    if is_ready(vm):
        return result("agent-settings", vm, Status.PASS, "by_hand")
    return result("agent-settings", vm, Status.WARN, "not_provisioned")


def backup_extension(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Judge the state of the backup extension; it comes with the first backup, so its absence is none.
    """
    found = next((each for each in vm.extensions if each.kind in BACKUP_EXTENSIONS), None)
    status, case = _extension_state(vm, found)
    return result(
        "backup-extension",
        vm,
        status,
        case,
        name=found.name if found else "none",
        state=found.status if found else "",
        message=found.message if found else "",
    )


def _extension_state(vm: VirtualMachine, found: Extension | None) -> tuple[Status, str]:
    if found is None:
        return (Status.PASS, "absent") if vm.instance_view else (Status.UNKNOWN, "unread")
    if found.failed:
        return Status.WARN, "failed"
    if found.code.lower().startswith("provisioningstate/succeeded"):
        return Status.PASS, "installed"
    return (Status.UNKNOWN, "changing") if found.status else (Status.UNKNOWN, "silent")


def agent_update(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Tell whether a backup of the VM runs now: the agent must not be updated meanwhile.
    """
    entry = entry_of(inventory, vm)
    if entry is None:
        if dark := unread_vaults(inventory, vm):
            return result("agent-update", vm, Status.UNKNOWN, "vaults_unread", vaults=", ".join(dark))
        return result("agent-update", vm, Status.NOT_NEEDED, "unprotected")
    vault = inventory.vaults.get(key(entry.vault_id))
    name = vault.name if vault else entry.vault_id.rsplit("/", 1)[-1]
    if any(job.operation.lower() == "backup" for job in inventory.jobs_of(entry)):
        return result("agent-update", vm, Status.WARN, "running", vault=name)
    if vault is None or not vault.jobs_read:
        return result("agent-update", vm, Status.UNKNOWN, "unread", vault=name)
    return result("agent-update", vm, Status.PASS, "idle", vault=name)
