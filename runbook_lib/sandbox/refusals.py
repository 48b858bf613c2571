"""
The errors of Recovery Services and Azure Backup: status and message by code.

Imports the standard library and `answers` only.
"""

from __future__ import annotations

from runbook_lib.sandbox.answers import ArmError, backup_error

__all__ = ["OURS", "refusal"]

# Seen in recorded traffic, or told by public reports and official examples. A message that nobody told is ours.
_KNOWN: dict[str, tuple[int, str]] = {
    "BMSUserErrorConflictingProtectionOperation": (
        409,
        "Another configure protection operation is in progress for this item.",
    ),
    "BMSUserErrorContainerNameIncorrectFormat": (400, "The container name is not in the correct format."),
    "BMSUserErrorDataSourceObjectNotFound": (
        404,
        "Item not found.\r\nSelected item might have been deleted. Please check if item is registered to the vault.",
    ),
    "BMSUserErrorDisablingSoftDeleteStateNotAllowed": (400, "Soft delete is always on for this vault."),
    "BMSUserErrorInstantRPRetentionExceedsVaultedRetention": (
        400,
        "Instant recovery point retention must be less than the daily retention of the policy.",
    ),
    "BMSUserErrorInvalidConfigureProtectionRequest": (
        400,
        "Input for configure protection is not in proper format\r\nPlease ensure that container exists and other"
        " parameters are in valid format",
    ),
    "BMSUserErrorInvalidInput": (
        400,
        "Input provided for the call is invalid\r\nPlease check the required inputs",
    ),
    "BMSUserErrorInvalidPolicyForGivenProvider": (
        400,
        "Policy is not valid for given provider type. Please choose valid policy for given provider.",
    ),
    "BMSUserErrorInvalidPolicyInput": (
        400,
        "Input for create or update policy is not in proper format\nPlease check format of parameters like"
        " schedule time, schedule days, retention time and retention days",
    ),
    "BMSUserErrorProtectedItemNameIncorrectFormat": (400, "The protected item name is not in the correct format."),
    "BMSUserErrorRedundancySettingsUseVaultApi": (
        400,
        "Redundancy settings for this vault cannot be modified using this API. Since the Vault API was previously used"
        " to update the redundancy settings for this vault, you must again use the Vault API to make any further"
        " changes to this property.",
    ),
    "BMSUserErrorSoftDeleteStateNotSetToAlwaysON": (
        400,
        "Soft delete state and enhanced security state must be set to AlwaysON for this API version",
    ),
    "BMSUserErrorSoftDeleteUseVaultApi": (
        400,
        "Soft delete settings for this vault cannot be modified using this API. Use the Vault API.",
    ),
    "CloudDosAbsoluteLimitReached": (
        400,
        "Operation is blocked as you have reached the limit on number of operations permitted in 24 hours.\r\nContact"
        " Microsoft support or retry after 24 hours.",
    ),
    "ExtensionSnapshotFailedNoNetwork": (
        400,
        "Snapshot operation failed due to no network connectivity on the virtual machine.",
    ),
    "RSVaultUpdateErrorConflictingOperationInProgress": (
        409,
        "Another operation on the vault is in progress. Please retry after it.",
    ),
    "ResourceNotFound": (
        404,
        "Could not perform the operation as VM no longer exists. Stop protecting virtual machine without deleting"
        " backup data.",
    ),
    "ServiceResourceNotEmptyWithBackendMessage": (
        400,
        "Recovery Services vault cannot be deleted as there are backup items {state}. The registered items are :"
        " {items}\nPlease ensure all containers have been unregistered from the vault and all private endpoints"
        " associated with the vault have been deleted, and retry operation.",
    ),
    "StorageModelModifyError": (
        400,
        "Storage Redundancy option is locked when the first machine is registered with the vault, and cannot be"
        " modified thereafter.",
    ),
    "UserErrorBackupOperationInProgress": (409, "A backup of this item is already in progress."),
    "UserErrorChangeEnhancedSecurityStateNotAllowed": (
        400,
        "Enhanced Security is enabled for this vault. You cannot disable Enhanced Security after enabling it.",
    ),
    "UserErrorDeletedVaultUndeleteConflictingVaultPresent": (
        409,
        "A vault of this name is present in the resource group. Delete it, or choose another resource group.",
    ),
    "UserErrorGuestAgentStatusUnavailable": (
        400,
        "VM agent is unable to communicate with the Azure Backup Service.",
    ),
    "UserErrorJobSuccessfullyCancelled": (400, "Job is cancelled."),
    "VirtualMachineAlreadyProtected": (
        400,
        "Virtual machine with same name and same resource group is already protected. Please select `Disable' choice"
        " above for backup and go to backup item corresponding to this VM in the vault",
    ),
}
# The service refuses these too, but under which code no source tells; callers must not rely on them.
OURS: dict[str, tuple[int, str]] = {
    "BMSUserErrorContainerNotFound": (404, "The container '{container}' is not registered to the vault."),
    "BMSUserErrorCrossRegionRestoreCannotBeDisabled": (
        400,
        "Cross Region Restore cannot be disabled once it is enabled for the vault.",
    ),
    "BMSUserErrorCrossRegionRestoreNotSupported": (
        400,
        "Cross Region Restore needs a vault whose storage redundancy is GeoRedundant.",
    ),
    "BMSUserErrorDataDiskLimitExceeded": (
        400,
        "The virtual machine has {count} data disks. Azure Backup supports up to {most}.",
    ),
    "BMSUserErrorDatasourceRegionMismatch": (
        400,
        "The virtual machine is in region '{vm}' and the vault in region '{vault}'. Both must be in one region.",
    ),
    "BMSUserErrorEnhancedPolicyRequired": (
        400,
        "The virtual machine can be protected with an enhanced policy only.",
    ),
    "BMSUserErrorInvalidPolicyName": (
        400,
        "The policy name '{name}' is invalid: it must be 3 to 150 letters, digits and hyphens, start with a letter and"
        " not end in a hyphen.",
    ),
    "BMSUserErrorItemInSoftDeletedState": (400, "The item is in soft deleted state. Undelete it first."),
    "BMSUserErrorItemNotInSoftDeletedState": (400, "The item is not in soft deleted state."),
    "BMSUserErrorJobNotCancellable": (400, "The job '{job}' cannot be cancelled: no backup that is under way."),
    "BMSUserErrorJobNotFound": (404, "The job '{job}' was not found in the vault."),
    "BMSUserErrorOperationNotFound": (404, "The operation '{operation}' was not found in the vault."),
    "BMSUserErrorPolicyInUse": (400, "The backup policy cannot be deleted because items are protected with it."),
    "BMSUserErrorPolicyItemLimitReached": (
        400,
        "{limit} virtual machines are protected with the policy, which is the most it can have. Use another policy.",
    ),
    "BMSUserErrorPolicyLimitReached": (400, "The vault has {limit} backup policies, which is the most it can have."),
    "BMSUserErrorPolicyNotFound": (404, "The backup policy was not found in the vault."),
    "BMSUserErrorPolicyTypeChangeNotAllowed": (
        400,
        "What is protected with an enhanced policy cannot go back to a standard one.",
    ),
    "BMSUserErrorProtectionStopped": (
        400,
        "The backup cannot be triggered because protection of the item is stopped.",
    ),
    "BMSUserErrorRecoveryPointNotFound": (404, "The recovery point '{point}' was not found."),
    "BMSUserErrorVaultItemLimitReached": (
        400,
        "{limit} virtual machines are protected in the vault, which is the most it can have. Use another vault.",
    ),
    "InvalidRecoveryResourceGroup": (
        400,
        "'recoveryResourceGroupId' must be the id of a resource group in the subscription of the deleted vault.",
    ),
    "InvalidResourceName": (
        400,
        "The vault name '{name}' is invalid: it must be 2 to 50 letters, digits and hyphens, and start with a letter.",
    ),
    "OperationNotFound": (404, "The operation '{operation}' was not found."),
    "PreconditionFailed": (412, "The vault has changed since: its etag is not '{etag}'."),
    "VaultLimitReached": (
        409,
        "The subscription has {limit} vaults in region '{location}', which is the most it can have.",
    ),
}
_ALL = {**_KNOWN, **OURS}


def refusal(code: str, **facts: object) -> ArmError:
    """
    Make the error of a code, with the *facts* that its message names.
    """
    status, message = _ALL[code]
    return backup_error(status, code, message.format(**facts))
