"""
The network's findings (guide, section "Network connectivity"), and which destinations its truth table has.

Imports `parameters`, `records`, `path` and `rules`.
"""

from __future__ import annotations

from typing import Any

from runbook_lib.checks.agent import WAITING, is_ready
from runbook_lib.checks.network.path import NAMES, SERVICES, WIRE, Destination, Path, Tracer
from runbook_lib.checks.network.proxy import proxy_of
from runbook_lib.checks.result import GUEST, result
from runbook_lib.parameters import Parameters
from runbook_lib.records import Finding, Inventory, Status, VirtualMachine

__all__ = ["agent_wireserver", "destinations", "needs_a_way", "network_outbound"]

# Extensions of workloads that are backed up from inside the guest (recorded: that of SQL Server).
_WORKLOADS = ("azurebackupwindowsworkload", "azurebackuplinuxworkload")
_STATUS = {True: Status.PASS, False: Status.FAIL, None: Status.UNKNOWN}
# Where the way is needed today: the case by need and by whether it is open.
_NEEDED = {
    "accelerator": {True: "accelerator_open", False: "accelerator_shut", None: "accelerator_unclear"},
    "workload": {True: "workload_open", False: "workload_shut", None: "workload_unclear"},
}


def destinations(asked: Parameters) -> tuple[Destination, ...]:
    """
    List where a VM's packets matter to backup: the platform, the three services, and the proxy if one was chosen.
    """
    if asked.network_option != "http_proxy":
        return (WIRE, *SERVICES)
    return (WIRE, *SERVICES, proxy_of(asked))


def needs_a_way(vm: VirtualMachine) -> str:
    """
    Name what needs an outbound path today, `accelerator` or `workload`; empty for VMs that do not.

    Backup of a VM needs none; disks with Write Accelerator and workloads inside the guest do (support matrix of
    2023-07-05, backup-azure-arm-vms-prepare of 2026-03-25).
    """
    if any(disk.write_accelerator for disk in vm.disks):
        return "accelerator"
    named = {word.lower().rsplit(".", 1)[-1] for each in vm.extensions for word in (each.name, each.type)}
    return "workload" if named & set(_WORKLOADS) else ""


def network_outbound(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Judge whether every NIC of the VM reaches the services over HTTPS, as the guide asks; today few VMs need it.
    """
    is_open, case, facts = _over_nics(Tracer(inventory), vm)
    need = needs_a_way(vm)
    status = Status.NOT_NEEDED
    if need:
        case = _NEEDED[need][is_open]
        status = Status.WARN if is_open is False else _STATUS[is_open]
    return result("network-outbound", vm, status, case, guide=_STATUS[is_open], **facts)


def _over_nics(tracer: Tracer, vm: VirtualMachine) -> tuple[bool | None, str, dict[str, Any]]:
    """
    Return what holds for all paths of the VM: the first that is shut, else the first that nobody can tell of.
    """
    paths = list(tracer.paths(vm, SERVICES))
    for outcome in (False, None):
        if found := next((path for path in paths if path.open is outcome), None):
            return outcome, *_reason(found)
    return (True, "allowed", {}) if paths else (None, "unclear", {})


def _reason(path: Path) -> tuple[str, dict[str, Any]]:
    decision = path.decision
    facts = {"nic": path.nic, "nsg": path.nsg, "rule": decision.rule if decision else "", "tag": path.destination.name}
    if decision and decision.access == "Deny":
        return "denied", facts
    facts = {"nic": path.nic, "route": path.hop.route if path.hop else "", "tag": path.destination.name}
    if path.way == "closed":
        return ("dropped" if path.hop and path.hop.type.lower() == "none" else "no_way_out"), facts
    if path.way == "elsewhere" and path.open is None and not (decision and decision.access == "Unknown"):
        return "elsewhere", facts
    return "unclear", facts


def agent_wireserver(inventory: Inventory, vm: VirtualMachine, _: Parameters) -> Finding:
    """
    Judge whether the agent reaches the platform at 168.63.129.16: Azure's network lets it, its own reports show it.
    """
    waiting = vm.agent is not None and WAITING in vm.agent.message.lower()
    if vm.power_state == "running" and is_ready(vm) and not waiting:
        return result("agent-wireserver", vm, Status.PASS, "reached", guide=Status.NOT_NEEDED)
    refused = next((path for path in Tracer(inventory).paths(vm, (NAMES,)) if path.open is False), None)
    if refused and refused.decision:
        # The guide does not know of this address.
        facts = {"nsg": refused.nsg, "rule": refused.decision.rule}
        return result("agent-wireserver", vm, Status.WARN, "names_denied", guide=Status.NOT_NEEDED, **facts)
    return result("agent-wireserver", vm, Status.UNKNOWN, GUEST, guide=Status.NOT_NEEDED)
