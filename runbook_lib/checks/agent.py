"""
The VM agent (guide, section "Install the VM agent"). Power is read first: what an instance view says of the agent of a
VM that is off may be stale.
"""

from __future__ import annotations

import re

from runbook_lib.records import Finding, Inventory, Status, VirtualMachine

__all__ = ["agent", "agent_version"]

# The guide's table, and the minimum that Azure supports today (Microsoft support article 4049215).
GUIDE_WINDOWS = "2.6.1198.718"
MINIMUM = {"Windows": "2.7.41491.1010", "Linux": "2.2.53.1"}
# Both are the normal minutes after a start, not a fault.
STARTING = ("not yet populated", "not yet available")


def agent(_: Inventory, vm: VirtualMachine) -> Finding:
    """
    Judge whether the agent answers; a VM that is off still gets crash-consistent recovery points.
    """
    status, case = _agent(vm)
    facts = {
        "power": vm.power_state or "unknown",
        "agent": vm.agent.status if vm.agent else "none",
        "message": vm.agent.message if vm.agent else "",
    }
    return Finding(check="agent", resource=vm.id, status=status, guide=status, case=case, facts=facts)


def _agent(vm: VirtualMachine) -> tuple[Status, str]:
    if not vm.instance_view:
        return Status.UNKNOWN, "unread"
    if vm.power_state in ("stopped", "stopping", "deallocated", "deallocating"):
        return Status.WARN, "off"
    if vm.power_state != "running":
        return Status.UNKNOWN, "power"
    if vm.agent is None:
        return Status.FAIL, "missing"
    if vm.agent.status == "Ready":
        waiting = "waiting for network" in vm.agent.message
        return (Status.WARN, "waiting") if waiting else (Status.PASS, "ready")
    if any(word in vm.agent.message for word in STARTING):
        return Status.UNKNOWN, "starting"
    return Status.FAIL, "not_ready"


def agent_version(_: Inventory, vm: VirtualMachine) -> Finding:
    """
    Judge the agent's version: the guide names one for Windows only, Azure today one for each.
    """
    found = _numbers(vm.agent.version) if vm.agent else ()
    minimum = MINIMUM.get(vm.os_type, "")
    facts = {"version": vm.agent.version if vm.agent else "none", "minimum": minimum, "guide": GUIDE_WINDOWS}
    if not found or not minimum:
        return Finding(
            check="agent-version",
            resource=vm.id,
            status=Status.UNKNOWN,
            guide=Status.UNKNOWN,
            case="unknown",
            facts=facts,
        )
    guide = Status.NOT_NEEDED
    if vm.os_type == "Windows":
        guide = Status.PASS if found >= _numbers(GUIDE_WINDOWS) else Status.FAIL
    passes = found >= _numbers(minimum)
    return Finding(
        check="agent-version",
        resource=vm.id,
        status=Status.PASS if passes else Status.WARN,
        guide=guide,
        case="current" if passes else "old",
        facts=facts,
    )


def _numbers(version: str) -> tuple[int, ...]:
    """
    Return the numbers of a version; some agents report `WALinuxAgent-2.0.16` or `Unknown`.
    """
    found = re.search(r"\d+(\.\d+)+", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()
