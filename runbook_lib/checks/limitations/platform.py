"""
Kinds of VM that came after the guide.
"""

from __future__ import annotations

from runbook_lib.checks.result import result
from runbook_lib.parameters import Parameters
from runbook_lib.records import Finding, Inventory, Status, VirtualMachine

__all__ = ["CONFIDENTIAL", "scale_set_member", "trusted_launch"]

CONFIDENTIAL = "confidentialvm"


def trusted_launch(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Tell of Trusted Launch and confidential VMs; whether the policy is made for them is for `policy-fit`.
    """
    status, case = {
        "trustedlaunch": (Status.PASS, "trusted"),
        CONFIDENTIAL: (Status.WARN, "confidential"),
    }.get(vm.security_type.lower(), (Status.NOT_NEEDED, "standard"))
    return result("trusted-launch", vm, status, case, guide=Status.NOT_NEEDED)


def scale_set_member(_: Inventory, vm: VirtualMachine, __: Parameters) -> Finding:
    """
    Tell of members of scale sets: those of uniform ones are no VMs of their own, so a VM that is a member is of a
    flexible one.
    """
    status, case = (Status.PASS, "flexible") if vm.scale_set_id else (Status.NOT_NEEDED, "none")
    name = vm.scale_set_id.rsplit("/", 1)[-1]
    return result("scale-set-member", vm, status, case, guide=Status.NOT_NEEDED, scale_set=name)
