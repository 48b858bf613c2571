"""
Resource types that are read and may stay unread, by which the gaps of an inventory are looked up.

Imports nothing of the package.
"""

__all__ = [
    "GROUPS",
    "ITEMS",
    "KEY_VAULTS",
    "LOCKS",
    "NAT_GATEWAYS",
    "NSGS",
    "RECOVERY_SERVICES",
    "SETTINGS",
    "STORAGE",
    "VAULTS",
]

RECOVERY_SERVICES = "Microsoft.RecoveryServices"
VAULTS = "Microsoft.RecoveryServices/vaults"
ITEMS = "Microsoft.RecoveryServices/vaults/backupProtectedItems"
# What a list of vaults does not show, and a second one that old vaults alone need.
SETTINGS = "Microsoft.RecoveryServices/vaults/redundancySettings"
STORAGE = "Microsoft.RecoveryServices/vaults/backupstorageconfig"
LOCKS = "Microsoft.Authorization/locks"
GROUPS = "Microsoft.Resources/resourceGroups"
KEY_VAULTS = "Microsoft.KeyVault/vaults"
NAT_GATEWAYS = "Microsoft.Network/natGateways"
NSGS = "Microsoft.Network/networkSecurityGroups"
