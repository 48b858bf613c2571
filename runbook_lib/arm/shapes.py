"""
From ARM's JSON to records: pure functions that cope with every shape that Azure was seen to answer (real-shapes).

A member may be absent, null or empty, an id in any case, a list in singular and plural form: each is met here, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from runbook_lib.parameters import location_name
from runbook_lib.policy import terms
from runbook_lib.records import (
    Agent,
    Extension,
    IpConfiguration,
    NetworkInterface,
    Policy,
    ProtectedItem,
    Provider,
    PublicIp,
    ResourceGroup,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityRule,
    Subnet,
    Subscription,
    Vault,
    VirtualMachine,
)

__all__ = [
    "group",
    "instance_view",
    "network_interface",
    "policy",
    "power_state",
    "protected_item",
    "provider",
    "public_ip",
    "route_table",
    "security_group",
    "subnets",
    "subscription",
    "vault",
    "vault_settings",
    "virtual_machine",
]

Json = dict[str, Any]
# The service's word for "never".
NEVER = datetime(2001, 1, 1, tzinfo=UTC)
_PROTECTION = {"irpending": "on", "protected": "on", "protectionstopped": "stopped"}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _properties(row: Json) -> Json:
    return _object(row.get("properties"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _id(value: Any) -> str:
    return _text(_object(value).get("id"))


def _name(row: Json) -> str:
    return _text(row.get("name")) or _text(row.get("id")).rstrip("/").rsplit("/", 1)[-1]


def _base(row: Json) -> Json:
    return {"id": _text(row.get("id")), "name": _name(row)}


def _located(row: Json) -> Json:
    return _base(row) | {"location": location_name(_text(row.get("location")))}


def subscription(row: Json) -> Subscription:
    """
    Read a subscription; its name is what people call it.
    """
    return Subscription(
        id=_text(row.get("id")) or f"/subscriptions/{_text(row.get('subscriptionId'))}",
        name=_text(row.get("displayName")) or _text(row.get("subscriptionId")),
        state=_text(row.get("state")),
        tenant=_text(row.get("tenantId")),
    )


def provider(row: Json) -> Provider:
    """
    Read a resource provider and where it offers vaults.
    """
    kinds = [_object(each) for each in _list(row.get("resourceTypes"))]
    offered = [
        each
        for kind in kinds
        if _text(kind.get("resourceType")).lower() == "vaults"
        for each in _list(kind.get("locations"))
    ]
    return Provider(
        id=_text(row.get("id")),
        name=_text(row.get("namespace")),
        registration_state=_text(row.get("registrationState")),
        vault_locations=tuple(sorted({location_name(_text(each)) for each in offered})),
    )


def group(row: Json) -> ResourceGroup:
    """
    Read a resource group.
    """
    return ResourceGroup(**_located(row))


def virtual_machine(row: Json) -> VirtualMachine:
    """
    Read a VM without its run-time status.
    """
    properties = _properties(row)
    storage = _object(properties.get("storageProfile"))
    os_disk = _object(storage.get("osDisk"))
    data_disks = [_object(each) for each in _list(storage.get("dataDisks"))]
    network = _object(properties.get("networkProfile"))
    tags = {name: _text(value) for name, value in _object(row.get("tags")).items()}
    return VirtualMachine(
        **_located(row),
        size=_text(_object(properties.get("hardwareProfile")).get("vmSize")),
        os_type=_os_type(properties, os_disk),
        tags=tags,
        data_disks=len(data_disks),
        # Neither vhd nor managedDisk was seen too: only a vhd says that a disk is in a storage account.
        unmanaged_disks=any(_object(disk.get("vhd")) for disk in [os_disk, *data_disks]),
        nic_ids=tuple(_id(each) for each in _list(network.get("networkInterfaces")) if _id(each)),
    )


def _os_type(properties: Json, os_disk: Json) -> str:
    said = _text(os_disk.get("osType"))
    profile = _object(properties.get("osProfile"))
    if said:
        return said.capitalize()
    if profile.get("windowsConfiguration") is not None:
        return "Windows"
    return "Linux" if profile.get("linuxConfiguration") is not None else ""


def power_state(view: Json) -> str:
    """
    Find the power state among an instance view's statuses: by its prefix, for order and set vary.
    """
    for status in _list(view.get("statuses")):
        code = _text(_object(status).get("code"))
        if code.lower().startswith("powerstate/"):
            return code.split("/", 1)[1].lower()
    return ""


def instance_view(view: Json) -> Json:
    """
    Read an instance view as the fields of a `VirtualMachine`.
    """
    return {
        "instance_view": True,
        "power_state": power_state(view),
        "agent": _agent(view),
        "extensions": tuple(_extensions(view)),
    }


def _agent(view: Json) -> Agent | None:
    given = view.get("vmAgent")
    if not isinstance(given, dict):
        return None
    first = next((_object(each) for each in _list(given.get("statuses"))), {})
    return Agent(
        status=_text(first.get("displayStatus")) or _text(first.get("code")),
        version=_text(given.get("vmAgentVersion")),
        message=_text(first.get("message")),
    )


def _extensions(view: Json) -> Iterator[Extension]:
    for row in map(_object, _list(view.get("extensions"))):
        first = next((_object(each) for each in _list(row.get("statuses"))), {})
        yield Extension(name=_name(row), type=_text(row.get("type")), status=_text(first.get("displayStatus")))


def network_interface(row: Json) -> NetworkInterface:
    """
    Read a network interface.
    """
    properties = _properties(row)
    configurations = [_properties(_object(each)) for each in _list(properties.get("ipConfigurations"))]
    return NetworkInterface(
        **_located(row),
        vm_id=_id(properties.get("virtualMachine")),
        nsg_id=_id(properties.get("networkSecurityGroup")),
        primary=properties.get("primary") is True,
        ip_configurations=tuple(
            IpConfiguration(
                subnet_id=_id(each.get("subnet")),
                private_ip=_text(each.get("privateIPAddress")),
                public_ip_id=_id(each.get("publicIPAddress")),
            )
            for each in configurations
        ),
    )


def subnets(row: Json) -> Iterator[Subnet]:
    """
    Read the subnets of a virtual network.
    """
    for each in map(_object, _list(_properties(row).get("subnets"))):
        properties = _properties(each)
        prefixes = [_text(properties.get("addressPrefix")), *map(_text, _list(properties.get("addressPrefixes")))]
        yield Subnet(
            **_base(each),
            nsg_id=_id(properties.get("networkSecurityGroup")),
            route_table_id=_id(properties.get("routeTable")),
            nat_gateway_id=_id(properties.get("natGateway")),
            prefixes=tuple(dict.fromkeys(each for each in prefixes if each)),
        )


def security_group(row: Json) -> SecurityGroup:
    """
    Read a network security group and its own rules, ordered by direction and priority.
    """
    rules = [_rule(_object(each)) for each in _list(_properties(row).get("securityRules"))]
    return SecurityGroup(**_located(row), rules=tuple(sorted(rules, key=lambda each: (each.direction, each.priority))))


def _rule(row: Json) -> SecurityRule:
    given = _properties(row)
    priority = given.get("priority")
    return SecurityRule(
        name=_name(row),
        direction=_text(given.get("direction")).capitalize(),
        access=_text(given.get("access")).capitalize(),
        priority=priority if isinstance(priority, int) else 0,
        protocol=_text(given.get("protocol")).capitalize(),
        sources=_prefixes(given, "source"),
        destinations=_prefixes(given, "destination"),
        ports=_both(given, "destinationPortRange", "destinationPortRanges"),
    )


def _prefixes(given: Json, side: str) -> tuple[str, ...]:
    groups = tuple(_id(each) for each in _list(given.get(f"{side}ApplicationSecurityGroups")) if _id(each))
    return _both(given, f"{side}AddressPrefix", f"{side}AddressPrefixes") + groups


def _both(given: Json, single: str, plural: str) -> tuple[str, ...]:
    """
    Merge a member's two forms: either may be absent, empty or filled, and both may be.
    """
    found = [_text(given.get(single)), *map(_text, _list(given.get(plural)))]
    return tuple(dict.fromkeys(each for each in found if each))


def route_table(row: Json) -> RouteTable:
    """
    Read a route table.
    """
    routes = [_object(each) for each in _list(_properties(row).get("routes"))]
    return RouteTable(
        **_located(row),
        routes=tuple(
            Route(
                name=_name(each),
                prefix=_text(_properties(each).get("addressPrefix")),
                next_hop_type=_text(_properties(each).get("nextHopType")),
                next_hop_ip=_text(_properties(each).get("nextHopIpAddress")),
            )
            for each in routes
        ),
    )


def public_ip(row: Json) -> PublicIp:
    """
    Read a public IP address.
    """
    return PublicIp(**_located(row), address=_text(_properties(row).get("ipAddress")))


def vault(row: Json, *, items_read: bool, policies_read: bool) -> Vault:
    """
    Read a vault as a list shows it: without its settings.
    """
    return Vault(**_located(row), items_read=items_read, policies_read=policies_read)


def vault_settings(body: Json | None, storage: Json | None) -> Json:
    """
    Read the settings of a vault as the fields of a `Vault`.

    Old vaults have no `redundancySettings`: the storage configuration says it then.

    Args:
        body: the vault as a GET shows it; None when it could not be read.
        storage: its storage configuration, likewise.
    """
    properties = _properties(body or {})
    redundancy = _object(properties.get("redundancySettings"))
    security = _object(properties.get("securitySettings"))
    config = _properties(storage or {})
    locked = {"locked": True, "unlocked": False}.get(_text(config.get("storageTypeState")).lower())
    crr = (
        _text(redundancy.get("crossRegionRestore")).lower() == "enabled" or config.get("crossRegionRestoreFlag") is True
    )
    return {
        "redundancy": _text(redundancy.get("standardTierStorageRedundancy"))
        or _text(config.get("storageType"))
        or _text(config.get("storageModelType")),
        "cross_region_restore": crr,
        "redundancy_locked": locked,
        "soft_delete": _text(_object(security.get("softDeleteSettings")).get("softDeleteState")),
        "immutability": _text(_object(security.get("immutabilitySettings")).get("state")),
    }


def policy(row: Json) -> Policy | None:
    """
    Read a policy; None when it is not for Azure VMs: a vault's list mixes all kinds.
    """
    properties = _properties(row)
    if _text(properties.get("backupManagementType")).lower() != "azureiaasvm":
        return None
    arm_id = _text(row.get("id"))
    return Policy(
        id=arm_id,
        name=_name(row),
        vault_id=re.split("/backupPolicies/", arm_id, flags=re.IGNORECASE)[0],
        terms=terms(properties),
        properties={name: value for name, value in properties.items() if name != "protectedItemsCount"},
    )


def protected_item(row: Json) -> ProtectedItem | None:
    """
    Read a protected item by wire names (SDK 11.x loses its type); None when it is a classic VM.

    Raises:
        ValueError: it does not name an ARM VM: what it protects cannot be told.
    """
    properties = _properties(row)
    source = _text(properties.get("virtualMachineId")) or _text(properties.get("sourceResourceId"))
    if _text(properties.get("protectedItemType")).lower() == "microsoft.classiccompute/virtualmachines":
        return None
    if "/providers/microsoft.compute/virtualmachines/" not in source.lower():
        raise ValueError(f"{_text(row.get('id'))}: a protected item that names no VM")
    arm_id = _text(row.get("id"))
    state = _text(properties.get("protectionState"))
    return ProtectedItem(
        id=arm_id,
        name=_name(row),
        vault_id=re.split("/backupFabrics/", arm_id, flags=re.IGNORECASE)[0],
        source_id=source,
        policy_id=_text(properties.get("policyId")),
        protection=_PROTECTION.get(state.lower(), state.lower()),
        soft_deleted=properties.get("isScheduledForDeferredDelete") is True,
        protection_state=state,
        protection_status=_text(properties.get("protectionStatus")),
        health_status=_text(properties.get("healthStatus")),
        last_backup_status=_text(properties.get("lastBackupStatus")),
        last_backup_time=_time(properties.get("lastBackupTime")),
    )


def _time(value: Any) -> datetime | None:
    """
    Read a time; Azure's fractions have 0 to 7 digits, and 2001 stands for "never".
    """
    if not isinstance(value, str) or not value:
        return None
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", value.replace("Z", "+00:00"))
    try:
        read = datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    return aware if aware.date() > NEVER.date() else None
