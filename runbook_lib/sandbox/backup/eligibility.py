"""
Whether a virtual machine may be protected in a vault with a policy.

Where the code of the service is not known, the one here is ours; contract section 12 lists which.
Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import ArmError, backup_error
from runbook_lib.sandbox.backup.policyrules import is_enhanced
from runbook_lib.sandbox.call import Tenant, member
from runbook_lib.sandbox.compute import agent_ready, is_running, vm_properties
from runbook_lib.sandbox.state import Body, key_of, normal_location

__all__ = ["check_policy", "check_vm", "invalid_request"]

_MOST_DATA_DISKS = 32
_ENHANCED_DISKS = ("UltraSSD_LRS", "PremiumV2_LRS")
# From this api-version on a standard policy may protect a Trusted Launch VM (contract section 11).
_TRUSTED_LAUNCH_SINCE = "2025-01-01"


def check_vm(tenant: Tenant, vault: Body, vm: Body) -> None:
    """
    Refuse to protect a VM that cannot be protected in *vault*, whatever the policy.

    Raises:
        ArmError: it is protected elsewhere, lies in another region, or has what Azure Backup does not support.
    """
    for item in tenant.state.protecting(vm["id"]):
        if not key_of(item["id"]).startswith(f"{key_of(vault['id'])}/"):
            raise backup_error(
                400,
                "VirtualMachineAlreadyProtected",
                "Virtual machine with same name and same resource group is already protected. Please select `Disable'"
                " choice above for backup and go to backup item corresponding to this VM in the vault",
            )
    if normal_location(vm.get("location", "")) != normal_location(vault.get("location", "")):
        raise backup_error(
            400,
            "BMSUserErrorDatasourceRegionMismatch",
            f"The virtual machine is in region '{vm.get('location', '')}' and the vault in region"
            f" '{vault.get('location', '')}'. Both must be in one region.",
        )
    disks = member(vm_properties(vm), "storageProfile").get("dataDisks") or []
    if len(disks) > _MOST_DATA_DISKS:
        raise backup_error(
            400,
            "BMSUserErrorDataDiskLimitExceeded",
            f"The virtual machine has {len(disks)} data disks. Azure Backup supports up to {_MOST_DATA_DISKS}.",
        )
    profile = tenant.profile
    if profile.agent_check == "protection" and is_running(tenant.state, vm["id"]):
        check_agent(tenant, vm)


def check_agent(tenant: Tenant, vm: Body) -> None:
    """
    Refuse a VM whose agent does not answer.

    Raises:
        ArmError: UserErrorGuestAgentStatusUnavailable.
    """
    if not agent_ready(tenant.state, vm["id"]):
        raise backup_error(
            400,
            "UserErrorGuestAgentStatusUnavailable",
            "VM agent is unable to communicate with the Azure Backup Service.",
        )


def check_policy(vm: Body, policy: Body, old: Body | None, api_version: str) -> None:
    """
    Refuse to protect a VM with a policy that is not made for it.

    Args:
        policy: the properties of the policy.
        old: the properties of the policy in force; None when there is none.

    Raises:
        ArmError: the policy is for other workloads, or of the standard type where the enhanced one is needed.
    """
    if policy.get("backupManagementType") != "AzureIaasVM":
        raise backup_error(
            400,
            "BMSUserErrorInvalidPolicyForGivenProvider",
            "Policy is not valid for given provider type. Please choose valid policy for given provider.",
        )
    if is_enhanced(policy):
        return
    if old is not None and is_enhanced(old):
        raise backup_error(
            400,
            "BMSUserErrorPolicyTypeChangeNotAllowed",
            "An item that is protected with an enhanced policy cannot go back to a standard one.",
        )
    properties = vm_properties(vm)
    security = member(properties, "securityProfile").get("securityType")
    storage = member(properties, "storageProfile")
    disks = [member(storage, "osDisk"), *(storage.get("dataDisks") or [])]
    kinds = {member(disk, "managedDisk").get("storageAccountType") for disk in disks}
    trusted = security == "TrustedLaunch" and api_version < _TRUSTED_LAUNCH_SINCE
    if trusted or security == "ConfidentialVM" or kinds & set(_ENHANCED_DISKS):
        raise backup_error(
            400,
            "BMSUserErrorEnhancedPolicyRequired",
            "The virtual machine can be protected with an enhanced policy only.",
        )


def invalid_request() -> ArmError:
    """
    Make the error for a request to protect that names things which do not exist or do not belong together.
    """
    return backup_error(
        400,
        "BMSUserErrorInvalidConfigureProtectionRequest",
        "Input for configure protection is not in proper format\r\nPlease ensure that container exists and other"
        " parameters are in valid format",
    )
