"""
The resources that a call implies, made on a stage where they are missing.

Imports the sandbox and `stage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fidelity.stage import BASE, Stage

from runbook_lib.sandbox.backup.defaults import default_policies
from runbook_lib.sandbox.backup.items import new_item
from runbook_lib.sandbox.bodies import SERVED, arm_type, complete
from runbook_lib.sandbox.state import State, key_of
from runbook_lib.sandbox.vaults import remember

__all__ = ["Body", "World", "bodies_in", "named", "vm_of"]

Body = dict[str, Any]

_PROVIDERS = "Microsoft.Resources/providers"
_GROUP = "Microsoft.Resources/resourceGroups"
_SUBSCRIPTION = "Microsoft.Resources/subscriptions"
_VM = "Microsoft.Compute/virtualMachines"
_NIC = "Microsoft.Network/networkInterfaces"
_NSG = "Microsoft.Network/networkSecurityGroups"
_VAULT = "Microsoft.RecoveryServices/vaults"
_POLICY = f"{_VAULT}/backupPolicies"
_JOB = f"{_VAULT}/backupJobs"
_ITEM = f"{_VAULT}/backupFabrics/protectionContainers/protectedItems"
# What the service itself adds to a body, so that an estate need not have it.
_FILLED_IN = {_NSG: ("defaultSecurityRules",), _POLICY: ("protectedItemsCount",)}
# What shows neither a name nor a type.
_NAMELESS = (_PROVIDERS, _SUBSCRIPTION)
# What stands in the body of its parent, where a read of either finds it.
_INLINE = {
    "Microsoft.Network/networkSecurityGroups/defaultSecurityRules": "defaultSecurityRules",
    "Microsoft.Network/networkSecurityGroups/securityRules": "securityRules",
    "Microsoft.Network/routeTables/routes": "routes",
    "Microsoft.Network/virtualNetworks/subnets": "subnets",
}
# It is there because of the item in it.
_VM_CONTAINER = re.compile(r"/protectionContainers/IaasVMContainer;[^/]+$", re.IGNORECASE)
_ITEM_NAME = re.compile(r"vm;iaasvmcontainerv2;(?P<group>[^;]+);(?P<vm>[^;]+)", re.IGNORECASE)
_PLACE = "westus"
_MADE = datetime(2026, 11, 1, tzinfo=UTC)
_POINT = "2026-10-31T22:00:00Z"
_SOME_ITEM = (
    "/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;group;vm"
    "/protectedItems/VM;iaasvmcontainerv2;group;vm"
)
_VIEW: Body = {
    "statuses": [{"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"}],
    "vmAgent": {
        "vmAgentVersion": "2.7.41491.1095",
        "statuses": [{"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready"}],
    },
}
_OWN: dict[str, Body] = {
    _VM: {
        "provisioningState": "Succeeded",
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "storageProfile": {"osDisk": {"createOption": "FromImage"}, "dataDisks": []},
    },
    f"{_VM}/extensions": {"provisioningState": "Succeeded", "publisher": "P", "type": "T", "typeHandlerVersion": "1.0"},
    "Microsoft.Network/networkSecurityGroups/securityRules": {
        "provisioningState": "Succeeded",
        "protocol": "*",
        "sourcePortRange": "*",
        "destinationPortRange": "80",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
        "access": "Allow",
        "priority": 4096,
        "direction": "Inbound",
    },
}


def bodies_in(answer: Any) -> Iterator[Body]:
    """
    Give the resources that the body of an answer is or lists.
    """
    rows = answer.get("value", [answer]) if isinstance(answer, dict) else ()
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("id"), str) and arm_type(row["id"]) in SERVED:
            yield row


def named(path: str) -> list[str]:
    """
    Return the ids of the resources on the way that *path* names, outermost first.
    """
    parts = path.strip("/").split("/")
    ids = ["/" + "/".join(parts[: end + 2]) for end in range(0, len(parts) - 1, 2)]
    return [
        one for one in ids if arm_type(one) in SERVED and arm_type(one) != _PROVIDERS and not _VM_CONTAINER.search(one)
    ]


def vm_of(item_id: str) -> str:
    """
    Return the id of the VM that a protected item is named after, in the subscription of its vault; or nothing.
    """
    name = _ITEM_NAME.fullmatch(item_id.rpartition("/")[2])
    if name is None:
        return ""
    return f"/subscriptions/{item_id.split('/')[2]}/resourceGroups/{name['group']}/providers/{_VM}/{name['vm']}"


class World:
    """
    What stands on a stage.

    Args:
        known: bodies that a recording or an example shows; where a resource is missing, the one of its id is taken.
    """

    def __init__(self, stage: Stage, known: Iterable[Body] = ()) -> None:
        self._stage = stage
        self._known: dict[str, Body] = {}
        for body in known:
            self._known.setdefault(key_of(body["id"]), body)

    def get(self, resource_id: str) -> Body:
        """
        Return a resource that stands on the stage and not in another's body; an empty object when it does not.
        """
        with self._stage.edit() as state:
            return state.get(resource_id) or {}

    def has(self, resource_id: str) -> bool:
        """
        Tell whether a resource stands on the stage.
        """
        with self._stage.edit() as state:
            return _found(state, resource_id)

    def add(self, resource_id: str, body: Body | None = None) -> None:
        """
        Put a resource on the stage, with those that it lies in or cannot be without, unless it stands there.
        """
        with self._stage.edit() as state:
            for one in named(resource_id)[:-1]:
                self._add(state, one, None)
            self._add(state, resource_id, body)

    def remove(self, resource_id: str) -> None:
        """
        Take a resource off the stage.
        """
        parent, _, name = resource_id.rpartition("/")
        with self._stage.edit() as state:
            member = _INLINE.get(arm_type(resource_id))
            owner = state.get(parent.rpartition("/")[0]) if member else None
            if member and owner is not None:
                rows = owner["properties"].get(member, [])
                owner["properties"][member] = [row for row in rows if key_of(row["name"]) != key_of(name)]
                state.put(owner)
            state.delete(resource_id)

    def change(self, resource_id: str, properties: Mapping[str, Any]) -> None:
        """
        Change properties of a resource on the stage.

        Raises:
            ValueError: it does not stand there.
        """
        with self._stage.edit() as state:
            body = state.get(resource_id)
            if body is None:
                raise ValueError(f"{resource_id} does not stand on the stage, so it cannot be changed")
            state.put({**body, "properties": {**body["properties"], **properties}})

    def show(self, vm_id: str, view: Body) -> None:
        """
        Let a VM on the stage have an instance view.
        """
        with self._stage.edit() as state:
            state.set_runtime(vm_id, view)

    def below(self, resource_id: str, kind: str) -> list[Body]:
        """
        Return the resources of a kind below another.
        """
        with self._stage.edit() as state:
            return [body for _, body in state.scan(key_of(kind), resource_id)]

    def item_of(self, vault: str) -> str:
        """
        Return the id of an item that a vault protects, which is put there when there is none.
        """
        items = self.below(vault, _ITEM)
        if not items:
            self.add(vault + _SOME_ITEM)
        return items[0]["id"] if items else vault + _SOME_ITEM

    def start_backup(self, vault: str) -> str:
        """
        Let the sandbox back up an item of a vault, and return the name of the job.
        """
        item = self.item_of(vault)
        before = {job["id"] for job in self.below(vault, _JOB)}
        self._stage.send("POST", f"{BASE}{quote(item)}/backup?api-version=2024-04-01", kept=False)
        names: list[str] = [job["name"] for job in self.below(vault, _JOB) if job["id"] not in before]
        return names[0]

    def _add(self, state: State, resource_id: str, body: Body | None) -> None:
        if _found(state, resource_id):
            return
        kind = arm_type(resource_id)
        known = body or self._known.get(key_of(resource_id))
        made = deepcopy((known or _stand_in(state, resource_id, kind)) | {"id": _spelled(resource_id)})
        for name in _FILLED_IN.get(kind, ()):
            (made.get("properties") or {}).pop(name, None)
        if kind in _INLINE:
            made |= {"name": resource_id.rpartition("/")[2]}
        elif kind not in _NAMELESS:
            made = complete(made)
        if kind in _INLINE:
            parent = state.get(resource_id.rpartition("/")[0].rpartition("/")[0])
            if parent is not None:
                rows = parent.setdefault("properties", {}).setdefault(_INLINE[kind], [])
                rows.append(made)
                state.put(parent)
            return
        self._add_needed(state, made, kind)
        state.put(made)

    def _add_needed(self, state: State, body: Body, kind: str) -> None:
        properties = body.get("properties") or {}
        if kind == _VAULT:
            properties["provisioningState"] = "Succeeded"
            remember(state, body, discovered=True)
            state.put_all(default_policies(body["id"], _MADE))
        elif kind == _VM and not state.runtime(body["id"]):
            state.set_runtime(body["id"], properties.pop("instanceView", None) or _VIEW)
        elif kind == _NIC:
            for reference in ("virtualMachine", "networkSecurityGroup"):
                for one in named((properties.get(reference) or {}).get("id", "")):
                    self._add(state, one, None)
        elif kind == _ITEM:
            for one in named(vm_of(body["id"])):
                self._add(state, one, None)
            vault = state.get(body["id"].partition("/backupFabrics/")[0])
            if vault is not None:
                remember(state, vault, registered=True)


def _spelled(resource_id: str) -> str:
    """
    Return an id with its first words as Azure spells them, however a client did.
    """
    return re.sub(
        r"^/subscriptions/([^/]+)/resourcegroups/", r"/subscriptions/\1/resourceGroups/", resource_id, flags=re.I
    )


def _provider(resource_id: str, kind: str) -> str:
    return f"{resource_id.partition('/providers/')[0]}/providers/{kind}"


def _found(state: State, resource_id: str) -> bool:
    member = _INLINE.get(arm_type(resource_id))
    if member is None:
        return state.get(resource_id) is not None
    parent, _, name = resource_id.rpartition("/")
    owner = state.get(parent.rpartition("/")[0])
    rows = ((owner or {}).get("properties") or {}).get(member) or []
    return any(key_of(row.get("name") or row["id"].rpartition("/")[2]) == key_of(name) for row in rows)


def _stand_in(state: State, resource_id: str, kind: str) -> Body:
    parts = resource_id.split("/")
    if kind == _SUBSCRIPTION:
        return {"subscriptionId": parts[2], "tenantId": parts[2], "displayName": parts[2], "state": "Enabled"}
    if kind == _POLICY:
        vault = resource_id.rpartition("/backupPolicies/")[0]
        default = next(one for one in default_policies(vault, _MADE) if one["name"] == "DefaultPolicy")
        return {"properties": default["properties"]}
    if kind == _ITEM:
        vault_id = resource_id.partition("/backupFabrics/")[0]
        item = new_item({"id": vault_id}, vm_of(resource_id).split("/")[4], {"id": vm_of(resource_id)})
        policy = f"{vault_id}/backupPolicies/DefaultPolicy"
        item["properties"] |= {"protectionState": "Protected", "policyId": policy, "policyName": "DefaultPolicy"}
        item["properties"] |= {"lastBackupStatus": "Completed", "lastBackupTime": _POINT, "lastRecoveryPoint": _POINT}
        return item
    if kind == _NIC:
        properties = {"virtualMachine": {"id": f"{_provider(resource_id, _VM)}/vm-of-{parts[-1]}"}}
        properties["networkSecurityGroup"] = {"id": f"{_provider(resource_id, _NSG)}/nsg-of-{parts[-1]}"}
        return {"location": _PLACE, "properties": {"provisioningState": "Succeeded", **properties}}
    # A vault and what it protects lie in one region.
    place = next((vault.get("location", _PLACE) for _, vault in state.scan(key_of(_VAULT))), _PLACE)
    return {"location": place, "properties": {"provisioningState": "Succeeded", **_OWN.get(kind, {})}}
