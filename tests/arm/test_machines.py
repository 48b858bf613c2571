"""
VMs, instance views and disks as Azure was seen to answer them, one test a trap.
"""

from __future__ import annotations

from typing import Any

import pytest

from runbook_lib.arm import machines
from runbook_lib.records import Agent, Disk, Encryption, Image, VirtualMachine

ID = "/subscriptions/S/resourceGroups/RG/providers"
VM = f"{ID}/Microsoft.Compute/virtualMachines/vm1"
# Where the secrets of Azure Disk Encryption are; what wraps them may be named by its address alone.
KEYS = {
    "diskEncryptionKey": {"sourceVault": {"id": "/kv"}, "secretUrl": "https://kv.vault.azure.net/secrets/a/b"},
    "keyEncryptionKey": {"keyUrl": "https://kv-keys.vault.azure.net/keys/a/b"},
}
SNAPSHOT = "Microsoft.Azure.RecoveryServices.VMSnapshot"


def _vm(**properties: Any) -> VirtualMachine:
    return machines.virtual_machine({"id": VM, "name": "vm1", "location": "West Europe", "properties": properties})


def _viewed(view: Any, **row: Any) -> VirtualMachine:
    return machines.with_instance_view(machines.virtual_machine({"id": VM, "properties": {}} | row), view)


def test_a_region_is_normalised() -> None:
    """
    `West Europe` and `westeurope` are one.
    """
    assert "westeurope" == _vm().location


@pytest.mark.parametrize(
    ("storage", "profile", "expected"),
    [
        ({"osDisk": {"osType": "Linux"}}, None, "Linux"),
        ({"osDisk": {"osType": "windows"}}, None, "Windows"),
        ({"osDisk": {}}, {"linuxConfiguration": {}}, "Linux"),
        (None, {"windowsConfiguration": {}}, "Windows"),
        ({}, {}, ""),
    ],
)
def test_the_os_type_is_found_where_it_is_said(storage: Any, profile: Any, expected: str) -> None:
    """
    A disk attached as it is has no osProfile; an image has no osType: either says it.
    """
    assert expected == _vm(storageProfile=storage, osProfile=profile).os_type


def test_only_a_vhd_makes_a_disk_unmanaged() -> None:
    """
    Neither vhd nor managedDisk was seen too: that is not unmanaged.
    """
    assert not _vm(storageProfile={"osDisk": {}}).unmanaged_disks
    assert _vm(storageProfile={"osDisk": {"vhd": {"uri": "https://x"}}}).unmanaged_disks
    assert _vm(storageProfile={"dataDisks": [{"vhd": {"uri": "https://x"}}]}).unmanaged_disks


def test_a_disk_tells_what_backup_asks_of_it() -> None:
    """
    Storage and size may be left out, as Azure does while a VM is deallocated.
    """
    whole = {
        "name": "d",
        "diskSizeGB": 64,
        "managedDisk": {"id": "/d", "storageAccountType": "UltraSSD_LRS"},
        "writeAcceleratorEnabled": True,
        "diffDiskSettings": {"option": "Local"},
        "encryptionSettings": {"enabled": True} | KEYS,
    }
    read = _vm(storageProfile={"osDisk": whole, "dataDisks": [{"name": "e", "managedDisk": {"id": "/e"}}, None]})

    assert read.os_disk == Disk(
        name="d",
        id="/d",
        storage="UltraSSD_LRS",
        size_gb=64,
        write_accelerator=True,
        ephemeral=True,
        encryption=Encryption(secret_vaults=("/kv",), key_vaults=("kv-keys",)),
    )
    assert (Disk(name="e", id="/e"), Disk()) == read.data_disks


@pytest.mark.parametrize("given", [None, {}, {"publisher": None}])
def test_an_image_reference_may_be_absent_null_or_empty(given: Any) -> None:
    """
    A disk that was attached as it is has no image.
    """
    assert Image() == _vm(storageProfile={"imageReference": given}).image


def test_a_custom_image_has_an_id_and_no_publisher() -> None:
    """
    Of one's own, or shared by a gallery.
    """
    assert Image(id="/i") == _vm(storageProfile={"imageReference": {"id": "/i"}}).image
    assert Image(id="/g") == _vm(storageProfile={"imageReference": {"sharedGalleryImageId": "/g"}}).image


@pytest.mark.parametrize(
    ("profile", "provisioned", "allowed"),
    [
        (None, None, None),
        ({"linuxConfiguration": {}}, None, None),
        ({"linuxConfiguration": {"provisionVMAgent": True}, "allowExtensionOperations": True}, True, True),
        ({"windowsConfiguration": {"provisionVMAgent": False}, "allowExtensionOperations": False}, False, False),
    ],
)
def test_an_absent_setting_of_the_agent_is_not_false(
    profile: Any, provisioned: bool | None, allowed: bool | None
) -> None:
    """
    314 old Linux VMs of the recordings do not say provisionVMAgent.
    """
    read = _vm(osProfile=profile)

    assert (provisioned, allowed) == (read.provision_agent, read.allow_extensions)


def test_a_member_of_a_scale_set_names_it() -> None:
    """
    And what else a VM says of itself beside its properties.
    """
    read = machines.virtual_machine(
        {
            "id": VM,
            "zones": ["1"],
            "properties": {
                "virtualMachineScaleSet": {"id": "/s"},
                "securityProfile": {"securityType": "TrustedLaunch"},
            },
        }
    )

    assert (("1",), "/s", "TrustedLaunch") == (read.zones, read.scale_set_id, read.security_type)


def test_the_power_state_is_found_by_prefix() -> None:
    """
    Order and set of statuses vary, and a code may have three parts.
    """
    view = {
        "statuses": [
            {"code": "OSState/generalized"},
            {"code": "ProvisioningState/failed/OSProvisioningTimedOut"},
            {"code": "PowerState/deallocated"},
        ]
    }

    assert "deallocated" == machines.power_state(view)
    assert "" == machines.power_state({"statuses": [{"code": "ProvisioningState/succeeded"}]})
    assert "" == machines.power_state({})


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({}, None),
        ({"vmAgent": None}, None),
        (
            {"vmAgent": {"vmAgentVersion": "Unknown", "statuses": [{"displayStatus": "Not Ready", "message": "m"}]}},
            Agent(status="Not Ready", version="Unknown", message="m"),
        ),
        ({"vmAgent": {"statuses": []}}, Agent(status="", version="")),
    ],
)
def test_an_agent_may_be_absent_null_or_without_status(view: Any, expected: Agent | None) -> None:
    """
    Absent is not "Not Ready".
    """
    assert expected == _viewed(view).agent


def test_an_extension_is_known_by_its_id_alone() -> None:
    """
    A subscription's list of VMs has no more; its name is its type for the service's own.
    """
    (found,) = machines.virtual_machine({"id": VM, "resources": [{"id": f"{VM}/extensions/VMSnapshot"}]}).extensions

    assert ("vmsnapshot", "", False) == (found.kind, found.status, found.failed)


def test_the_instance_view_says_more_of_an_extension_than_the_model() -> None:
    """
    One entry for one extension, with the state that is reported.
    """
    status = {"code": "ProvisioningState/failed/42", "displayStatus": "Provisioning failed", "message": "m"}
    view = {"extensions": [{"name": "vmsnapshot", "type": SNAPSHOT, "statuses": [status]}]}
    (found,) = _viewed(view, resources=[{"id": f"{VM}/extensions/VMSnapshot"}]).extensions

    assert ("vmsnapshot", "Provisioning failed", "m", True) == (found.kind, found.status, found.message, found.failed)


def test_a_handler_of_the_agent_counts_as_an_extension() -> None:
    """
    The agent may know of one that the list lacks.
    """
    status = {"code": "ProvisioningState/succeeded", "displayStatus": "Ready"}
    view = {"vmAgent": {"extensionHandlers": [{"type": SNAPSHOT, "status": status}, {"type": None}]}}

    assert [("vmsnapshot", "Ready"), ("", "")] == [(each.kind, each.status) for each in _viewed(view).extensions]


def test_a_disk_that_says_nothing_of_shares_has_one() -> None:
    """
    Older answers leave the member out.
    """
    row = {"id": f"{ID}/Microsoft.Compute/disks/d", "location": "westus", "sku": {"name": "Premium_LRS"}}

    assert ("Premium_LRS", 1) == (machines.managed_disk(row).storage, machines.managed_disk(row).max_shares)
    assert 3 == machines.managed_disk(row | {"properties": {"maxShares": 3}}).max_shares


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ({"enabled": False, "encryptionSettings": [KEYS]}, None),
        ({"enabled": True}, Encryption()),
        (
            {"enabled": True, "encryptionSettings": [KEYS, None]},
            Encryption(secret_vaults=("/kv",), key_vaults=("kv-keys",)),
        ),
        ({"enabled": True, "encryptionSettings": [{"diskEncryptionKey": {"secretUrl": 3}}]}, Encryption()),
    ],
)
def test_a_disk_says_where_its_keys_are(given: Any, expected: Encryption | None) -> None:
    """
    Its settings stay when its VM is off and shows no extension.
    """
    read = machines.managed_disk({"id": "/d", "properties": {"encryptionSettingsCollection": given}})

    assert expected == read.encryption


def test_a_key_vault_tells_whose_policies_do_for_backup() -> None:
    """
    Get, list and backup, in any case, or all; roles take the place of policies.
    """

    def policy(name: str, *rights: str) -> dict[str, Any]:
        return {"objectId": name, "permissions": {"secrets": list(rights), "keys": ["Get"]}}

    policies = [
        policy("few", "Get", "List"),
        policy("enough", "get", "LIST", "Backup", "Set"),
        policy("all", "All"),
        None,
    ]
    read = machines.key_vault({"id": "/kv", "location": "West Europe", "properties": {"accessPolicies": policies}})

    assert (("enough", "all"), (), False, "westeurope") == (
        read.secret_readers,
        read.key_readers,
        read.rbac,
        read.location,
    )
    assert machines.key_vault({"id": "/kv", "properties": {"enableRbacAuthorization": True}}).rbac


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["ProvisioningState/creating/osProvisioningInProgress", "PowerState/running"], "creating"),
        (["PowerState/running"], "succeeded"),
    ],
)
def test_a_vm_that_is_being_made_says_so(codes: list[str], expected: str) -> None:
    """
    Its power state is running long before its agent is there; the model says it where the instance view does not.
    """
    view = {"statuses": [{"code": code} for code in codes]}

    assert expected == _viewed(view, properties={"provisioningState": "Succeeded"}).provisioning_state
