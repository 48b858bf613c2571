"""
The only reader: from a session to an `Inventory`, over all pages and subscriptions.

Bulk lists only, so that the number of calls does not grow with the number of VMs; the instance view of a single VM is
read where the status list does not have it. What cannot be read is recorded as unread, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from runbook_lib.arm import machines, networks, shapes
from runbook_lib.arm.reader import API_VERSIONS, Readable, Reader
from runbook_lib.arm.servicetags import service_tags_list, service_tags_path
from runbook_lib.arm.session import ArmError
from runbook_lib.arm.wire import Json, as_text, properties_of
from runbook_lib.checks.kinds import (
    GROUPS,
    ITEMS,
    KEY_VAULTS,
    LOCKS,
    NAT_GATEWAYS,
    NSGS,
    RECOVERY_SERVICES,
    SETTINGS,
    STORAGE,
    VAULTS,
)
from runbook_lib.checks.limitations.disks import key_vaults_of
from runbook_lib.errors import InvalidParameters, SignInError
from runbook_lib.parameters import Parameters
from runbook_lib.plan import POINTS, changing
from runbook_lib.records import (
    SERVICE_TAGS,
    Inventory,
    ProtectedItem,
    Unread,
    Vault,
    VirtualMachine,
    key,
    without_collector,
)
from runbook_lib.selection import VMS, select

__all__ = ["read_inventory"]

JOBS = f"{VAULTS}/backupJobs"
# The service takes 150 reads of jobs an hour (azure-contract, throttling), and a run reads the estate several times.
MOST_JOB_LISTS = 20


@without_collector()
def read_inventory(session: Readable, asked: Parameters, sought: tuple[str, ...] = ()) -> Inventory:
    """
    Read the estate as far as the job needs it.

    Vaults and locks are read in every subscription that the caller sees: a VM may be protected from another one.
    Everything else is read in `subscription_ids` (all enabled ones when empty) and in `vault_subscription`.

    Args:
        sought: ids of the VMs that were selected when the run began; nothing on the first read.

    Raises:
        SignInError: the target refuses the caller, or does not answer.
        InvalidParameters: a subscription that is named cannot be seen.
    """
    reader = Reader(session)
    try:
        seen = [shapes.subscription(row) for row in session.rows("/subscriptions", API_VERSIONS["subscriptions"])]
    except ArmError as error:
        raise SignInError("subscriptions_unread", problem=str(error)) from error
    enabled = {key(each.id): each for each in seen if each.state.lower() in ("enabled", "warned", "pastdue")}
    chosen = _chosen(asked, enabled.keys())
    also = [] if asked.vault_subscription == "same" else _named((asked.vault_subscription,), enabled.keys())
    scopes = dict.fromkeys([*chosen, *also])
    parts = list(session.each(lambda scope: _read_subscription(reader, scope, for_vaults=scope not in chosen), scopes))
    vaults = list(session.each(lambda scope: _read_vaults(reader, scope), enabled))
    inventory = Inventory(
        read_at=session.now.astimezone(UTC),
        target=replace(session.target, tenant=session.target.tenant or next((s.tenant for s in seen), "")),
        subscriptions=enabled,
        sought=sought,
        **_merge([*parts, *vaults]),  # type: ignore[arg-type]
    )
    # A selection that finds nothing is told from one of VMs that could not be read.
    inventory = replace(inventory, unread=tuple(reader.unread))
    if inventory.vms:
        inventory = _with_vault_settings(reader, inventory)
        selected = select(inventory, asked)
        inventory = _with_jobs(reader, _with_instance_views(reader, inventory, selected), selected)
        if asked.change_policy:
            inventory = _with_points(reader, inventory, changing(inventory, asked))
        inventory = _with_key_vaults(reader, inventory, selected)
        if asked.network_option == "ip_ranges" and selected:
            inventory = _with_service_tags(reader, inventory, selected)
    return replace(inventory, unread=tuple(sorted(reader.unread, key=lambda gap: (gap.scope, gap.what))))


def _chosen(asked: Parameters, visible: Iterable[str]) -> list[str]:
    return _named(asked.subscription_ids, visible) if asked.subscription_ids else list(visible)


def _named(ids: Iterable[str], visible: Iterable[str]) -> list[str]:
    known = set(visible)
    for each in ids:
        if key(f"/subscriptions/{each}") not in known:
            raise InvalidParameters("subscription_missing", name="subscription_ids", value=each)
    return [key(f"/subscriptions/{each}") for each in ids]


def _merge(parts: Iterable[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for part in parts:
        for kind, found in part.items():
            merged.setdefault(kind, {}).update(found)
    return merged


def _keyed(rows: Iterable[Json] | None, read: Callable[[Json], Any]) -> dict[str, Any]:
    found = (read(row) for row in rows or ())
    return {key(record.id): record for record in found if record is not None and record.id}


def _read_subscription(reader: Reader, scope: str, *, for_vaults: bool) -> dict[str, dict[str, Any]]:
    """
    Read a subscription's VMs and what surrounds them.

    Args:
        for_vaults: whether it is only to hold the vaults of other subscriptions' VMs.
    """

    def lists(what: str, family: str, read: Callable[[Json], Any]) -> dict[str, Any]:
        return reader.keyed(scope, what, f"{scope}/providers/{what}", family, read) or {}

    provider = reader.one(scope, RECOVERY_SERVICES, f"{scope}/providers/{RECOVERY_SERVICES}", "resources")
    groups = reader.keyed(scope, GROUPS, f"{scope}/resourcegroups", "resources", shapes.group)
    vms = {} if for_vaults else lists(VMS, "compute", machines.virtual_machine)
    regions = reader.keyed(
        scope, "Microsoft.Resources/locations", f"{scope}/locations", "subscriptions", shapes.location
    )
    found = {
        "locations": regions or {},
        "providers": _keyed([provider] if provider else [], shapes.provider),
        "groups": groups or {},
        "vms": _with_statuses(reader, scope, vms) if vms else {},
    }
    if not vms:
        # What is left is of no account without VMs: each has its own in its own subscription.
        return found
    nics = lists("Microsoft.Network/networkInterfaces", "network", networks.network_interface)
    subnets = _read_subnets(reader, scope)
    found |= {
        "nics": nics,
        "nsgs": lists(NSGS, "network", networks.security_group),
        "subnets": subnets,
        "route_tables": lists("Microsoft.Network/routeTables", "network", networks.route_table),
    }
    # These only where something refers to them.
    addresses = [each for nic in nics.values() for each in nic.ip_configurations]
    if attached := {key(disk.id) for vm in vms.values() for disk in vm.disks if disk.id}:
        disks = lists("Microsoft.Compute/disks", "disks", machines.managed_disk)
        # Others, such as those that restores leave behind, are looked up by nobody.
        found["disks"] = {each: disk for each, disk in disks.items() if each in attached}
    if any(each.public_ip_id for each in addresses):
        found["public_ips"] = lists("Microsoft.Network/publicIPAddresses", "network", networks.public_ip)
    if any(each.backend_pool_ids for each in addresses):
        found["load_balancers"] = lists("Microsoft.Network/loadBalancers", "network", networks.load_balancer)
    if any(subnet.nat_gateway_id for subnet in subnets.values()):
        found["nat_gateways"] = lists(NAT_GATEWAYS, "network", networks.nat_gateway)
    return found


def _with_statuses(reader: Reader, scope: str, vms: dict[str, VirtualMachine]) -> dict[str, VirtualMachine]:
    """
    Add to the VMs of a subscription what its list of statuses says of them; nothing if that cannot be read whole.
    """
    seen: dict[str, VirtualMachine] = {}

    def take(row: Json) -> None:
        vm = vms.get(key(as_text(row.get("id"))))
        view = properties_of(row).get("instanceView")
        if vm is not None and isinstance(view, dict):
            seen[key(vm.id)] = machines.with_instance_view(vm, view)

    path = f"{scope}/providers/{VMS}"
    return vms | seen if reader.stream(scope, f"{VMS}/instanceView", path, "compute", take, statusOnly="true") else vms


def _read_subnets(reader: Reader, scope: str) -> dict[str, Any]:
    what = "Microsoft.Network/virtualNetworks"
    found: dict[str, Any] = {}

    def take(row: Json) -> None:
        for subnet in networks.subnets(row):
            found[key(subnet.id)] = subnet

    return found if reader.stream(scope, what, f"{scope}/providers/{what}", "network", take) else {}


def _read_vaults(reader: Reader, scope: str) -> dict[str, dict[str, Any]]:
    rows = reader.rows(scope, VAULTS, f"{scope}/providers/{VAULTS}", "vaults") or []
    # Wherever there may be a vault that a selected VM is in, what holds it matters.
    locks = reader.rows(scope, LOCKS, f"{scope}/providers/{LOCKS}", "locks")
    vaults: dict[str, Vault] = {}
    policies: dict[str, Any] = {}
    items: dict[str, Any] = {}
    for row in rows:
        vault_id = str(row.get("id") or "")
        # Those for other workloads too: a policy for VMs cannot have the name of one of them.
        kept = reader.rows(vault_id, f"{VAULTS}/backupPolicies", f"{vault_id}/backupPolicies", "backup")
        held = reader.rows(
            vault_id,
            ITEMS,
            f"{vault_id}/backupProtectedItems",
            "backup",
            **{"$filter": "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'"},
        )
        found, understood = _items(reader, vault_id, held or ())
        vault = shapes.vault(row, items_read=held is not None and understood, policies=kept)
        vaults[key(vault.id)] = vault
        policies |= _keyed(kept, shapes.policy)
        items |= found
    return {"vaults": vaults, "policies": policies, "items": items, "locks": _keyed(locks, shapes.lock)}


def _items(reader: Reader, vault_id: str, rows: Iterable[Json]) -> tuple[dict[str, Any], bool]:
    """
    Read a vault's items; one that cannot be understood may protect any VM, so the vault counts as unread.
    """
    found: dict[str, Any] = {}
    understood = True
    for row in rows:
        try:
            found |= _keyed([row], shapes.protected_item)
        except ValueError as error:
            understood = False
            reader.unread.append(Unread(scope=vault_id, what=ITEMS, status=200, code="Unknown", message=str(error)))
    return found, understood


def _with_instance_views(reader: Reader, inventory: Inventory, chosen: Iterable[VirtualMachine]) -> Inventory:
    """
    Read single instance views where the status list leaves a question: no status, no power state, or running without an
    agent. Only for the selected VMs, for each costs a call.
    """
    open_questions = [
        vm
        for vm in chosen
        if not vm.instance_view or not vm.power_state or (vm.power_state == "running" and vm.agent is None)
    ]

    def look(vm: VirtualMachine) -> VirtualMachine:
        view = reader.one(vm.id, "Microsoft.Compute/virtualMachines/instanceView", f"{vm.id}/instanceView", "compute")
        return vm if view is None else machines.with_instance_view(vm, view)

    looked = {key(vm.id): vm for vm in reader.session.each(look, open_questions)}
    return replace(inventory, vms={**inventory.vms, **looked})


def _with_vault_settings(reader: Reader, inventory: Inventory) -> Inventory:
    """
    Read the settings of the vaults where there are VMs that they could protect; a list of vaults does not show them.
    """
    regions = {vm.location for vm in inventory.vms.values()}

    def look(vault: Vault) -> Vault:
        body = reader.one(vault.id, SETTINGS, vault.id, "vaults")
        known = replace(vault, **shapes.vault_settings(body, None))
        if known.redundancy and inventory.held_in(vault.id):
            # What it holds locks it: there is nothing left to ask, and Azure Backup counts its own reads.
            return replace(known, redundancy_locked=True)
        path = f"{vault.id}/backupstorageconfig/vaultstorageconfig"
        storage = reader.one(vault.id, STORAGE, path, "backup")
        return replace(vault, **shapes.vault_settings(body, storage))

    near = [vault for vault in inventory.vaults.values() if vault.location in regions]
    looked = {key(vault.id): vault for vault in reader.session.each(look, near)}
    return replace(inventory, vaults={**inventory.vaults, **looked})


def _with_jobs(reader: Reader, inventory: Inventory, chosen: Iterable[VirtualMachine]) -> Inventory:
    """
    Read the running jobs of the vaults that hold a selected VM: the agent is not to be updated meanwhile.
    """
    items = (item for vm in chosen for item in inventory.items_of(vm.id) if not item.soft_deleted)
    holding = dict.fromkeys(each for item in items if (each := key(item.vault_id)) in inventory.vaults)
    vaults = [inventory.vaults[each] for each in holding][:MOST_JOB_LISTS]

    def look(vault: Vault) -> list[Json] | None:
        running = "backupManagementType eq 'AzureIaasVM' and status eq 'InProgress'"
        return reader.rows(vault.id, JOBS, f"{vault.id}/backupJobs", "backup", **{"$filter": running})

    lists = list(zip(vaults, reader.session.each(look, vaults), strict=True))
    read = {key(vault.id): replace(vault, jobs_read=True) for vault, rows in lists if rows is not None}
    return replace(
        inventory,
        vaults={**inventory.vaults, **read},
        jobs=_keyed((row for _, rows in lists for row in rows or ()), shapes.backup_job),
    )


def _with_points(reader: Reader, inventory: Inventory, items: Iterable[ProtectedItem]) -> Inventory:
    """
    Read the recovery points of the items that are to come under another policy, for it may not keep them all.
    """

    def look(item: ProtectedItem) -> ProtectedItem:
        rows = reader.rows(item.id, POINTS, f"{item.id}/recoveryPoints", "backup")
        policy = inventory.policies.get(key(item.policy_id))
        zone = str(policy.terms.get("time_zone", "")) if policy else ""
        times = None if rows is None else [shapes.recovery_point(row, zone) for row in rows]
        # One whose time cannot be read may be lost or not: then nobody can count.
        known = None if times is None or None in times else tuple(sorted(each for each in times if each))
        return replace(item, points=known)

    looked = {key(item.id): item for item in reader.session.each(look, items)}
    return replace(inventory, items={**inventory.items, **looked})


def _with_key_vaults(reader: Reader, inventory: Inventory, chosen: Iterable[VirtualMachine]) -> Inventory:
    """
    Read the Key Vaults of selected VMs with Azure Disk Encryption: each once, and no other.
    """
    named = (each for vm in chosen for each in key_vaults_of(inventory, vm) if each.startswith("/"))
    wanted = {key(each): each for each in named}

    def look(vault_id: str) -> Json | None:
        return reader.one(vault_id, KEY_VAULTS, vault_id, "keyvault")

    read = list(reader.session.each(look, wanted.values()))
    return replace(inventory, key_vaults=_keyed((row for row in read if row is not None), machines.key_vault))


def _with_service_tags(reader: Reader, inventory: Inventory, chosen: Sequence[VirtualMachine]) -> Inventory:
    """
    Read the service tags list once: it is the same wherever it is asked for.
    """
    first = chosen[0]
    path = service_tags_path(first.subscription, first.location)
    body = reader.one(path, SERVICE_TAGS, path, "network")
    if body is None:
        return inventory
    try:
        found = service_tags_list(body, first.subscription, {vm.location for vm in chosen})
    except ValueError as error:
        reader.unread.append(
            Unread(scope=path, what=SERVICE_TAGS, status=200, code="MalformedBody", message=str(error))
        )
        return inventory
    return replace(inventory, service_tags={key(found.id): found})
