"""
Whether a virtual machine may be protected in a vault with a policy.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from runbook_lib.sandbox.backup.policyrules import is_enhanced
from runbook_lib.sandbox.call import Tenant, member
from runbook_lib.sandbox.compute import agent_ready, is_running, vm_properties
from runbook_lib.sandbox.refusals import refusal
from runbook_lib.sandbox.state import Body, key_of, normal_location

__all__ = ["check_agent", "check_extension", "check_policy", "check_vm"]

_MOST_DATA_DISKS = 32
_ENHANCED_DISKS = ("UltraSSD_LRS", "PremiumV2_LRS")
_BACKUP_EXTENSIONS = "microsoft.azure.recoveryservices.vmsnapshot"
# From this api-version on a standard policy may protect a Trusted Launch VM (Azure Backup, enhanced policy, June 2025).
_TRUSTED_LAUNCH_SINCE = "2025-01-01"


def check_vm(tenant: Tenant, vault: Body, vm: Body) -> None:
    """
    Refuse to protect a VM that cannot be protected in *vault*, whatever the policy.

    Raises:
        ArmError: it is protected elsewhere, lies in another region, or has what Azure Backup does not support.
    """
    for item in tenant.state.protecting(vm["id"]):
        if not key_of(item["id"]).startswith(f"{key_of(vault['id'])}/"):
            raise refusal("VirtualMachineAlreadyProtected")
    if normal_location(vm.get("location", "")) != normal_location(vault.get("location", "")):
        raise refusal(
            "BMSUserErrorDatasourceRegionMismatch", vm=vm.get("location", ""), vault=vault.get("location", "")
        )
    disks = member(vm_properties(vm), "storageProfile").get("dataDisks") or []
    if len(disks) > _MOST_DATA_DISKS:
        raise refusal("BMSUserErrorDataDiskLimitExceeded", count=len(disks), most=_MOST_DATA_DISKS)
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
        raise refusal("UserErrorGuestAgentStatusUnavailable")


def check_extension(tenant: Tenant, vm: Body) -> None:
    """
    Refuse a VM whose backup extension has failed, by its instance view.

    Raises:
        ArmError: ExtensionSnapshotFailedNoNetwork.
    """
    for extension in tenant.state.runtime(vm["id"]).get("extensions") or []:
        statuses = extension.get("statuses") or []
        failed = any(key_of(status.get("code", "")).startswith("provisioningstate/failed") for status in statuses)
        if failed and key_of(extension.get("type", "")).startswith(_BACKUP_EXTENSIONS):
            raise refusal("ExtensionSnapshotFailedNoNetwork")


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
        raise refusal("BMSUserErrorInvalidPolicyForGivenProvider")
    if is_enhanced(policy):
        return
    if old is not None and is_enhanced(old):
        raise refusal("BMSUserErrorPolicyTypeChangeNotAllowed")
    properties = vm_properties(vm)
    security = member(properties, "securityProfile").get("securityType")
    storage = member(properties, "storageProfile")
    disks = [member(storage, "osDisk"), *(storage.get("dataDisks") or [])]
    kinds = {member(disk, "managedDisk").get("storageAccountType") for disk in disks}
    trusted = security == "TrustedLaunch" and api_version < _TRUSTED_LAUNCH_SINCE
    if trusted or security == "ConfidentialVM" or kinds & set(_ENHANCED_DISKS):
        raise refusal("BMSUserErrorEnhancedPolicyRequired")
