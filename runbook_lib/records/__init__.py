"""
What the runbook knows: frozen records and their JSON form. Imports nothing of the package.

`base`, `arm`, `machines`, `network` and `inventory` hold what is read from Azure Resource Manager, `flow` what the
runbook makes of it, `codec` the JSON form of both. An ARM id is compared without case, so every mapping is keyed by
`key(id)`; the id as read is kept for display.
"""

from runbook_lib.records.arm import (
    BackupJob,
    Location,
    Lock,
    Origin,
    Policy,
    ProtectedItem,
    Provider,
    ResourceGroup,
    Subscription,
    Target,
    Unread,
    Vault,
)
from runbook_lib.records.base import Resource, id_part, key, resource_group_of, subscription_of
from runbook_lib.records.codec import decode, digest, encode, material, opened
from runbook_lib.records.collector import without_collector
from runbook_lib.records.flow import Change, Finding, Plan, Status, Step, Verdict, VmVerdict
from runbook_lib.records.inventory import Inventory
from runbook_lib.records.machines import (
    Agent,
    Disk,
    Encryption,
    Extension,
    Image,
    KeyVault,
    ManagedDisk,
    VirtualMachine,
)
from runbook_lib.records.network import (
    IpConfiguration,
    LoadBalancer,
    NatGateway,
    NetworkInterface,
    PublicIp,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityRule,
    Subnet,
)
from runbook_lib.records.servicetags import SERVICE_TAGS, ServiceTag, ServiceTagsList

__all__ = [
    "SERVICE_TAGS",
    "Agent",
    "BackupJob",
    "Change",
    "Disk",
    "Encryption",
    "Extension",
    "Finding",
    "Image",
    "Inventory",
    "IpConfiguration",
    "KeyVault",
    "LoadBalancer",
    "Location",
    "Lock",
    "ManagedDisk",
    "NatGateway",
    "NetworkInterface",
    "Origin",
    "Plan",
    "Policy",
    "ProtectedItem",
    "Provider",
    "PublicIp",
    "Resource",
    "ResourceGroup",
    "Route",
    "RouteTable",
    "SecurityGroup",
    "SecurityRule",
    "ServiceTag",
    "ServiceTagsList",
    "Status",
    "Step",
    "Subnet",
    "Subscription",
    "Target",
    "Unread",
    "Vault",
    "Verdict",
    "VirtualMachine",
    "VmVerdict",
    "decode",
    "digest",
    "encode",
    "id_part",
    "key",
    "material",
    "opened",
    "resource_group_of",
    "subscription_of",
    "without_collector",
]
