"""
The shapes of real answers that a naive reader gets wrong, one test a trap.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runbook_lib.arm import networks, shapes

ID = "/subscriptions/S/resourceGroups/RG/providers"
VM = f"{ID}/Microsoft.Compute/virtualMachines/vm1"


def test_a_rule_has_singular_and_plural_forms_and_both_count() -> None:
    """
    The other form is absent, empty or filled.
    """
    group = networks.security_group(
        {
            "id": f"{ID}/Microsoft.Network/networkSecurityGroups/n",
            "properties": {
                "securityRules": [
                    {
                        "name": "r",
                        "properties": {
                            "direction": "Outbound",
                            "access": "Allow",
                            "priority": 100,
                            "protocol": "TCP",
                            "sourceAddressPrefix": "",
                            "sourceAddressPrefixes": ["10.0.0.0/8"],
                            "destinationAddressPrefix": "Storage",
                            "destinationAddressPrefixes": ["AzureBackup"],
                            "destinationPortRange": "443",
                            "destinationPortRanges": [],
                        },
                    }
                ]
            },
        }
    )
    (rule,) = group.rules

    assert (("10.0.0.0/8",), ("Storage", "AzureBackup"), ("443",), "Tcp") == (
        rule.sources,
        rule.destinations,
        rule.ports,
        rule.protocol,
    )
    assert "n" == group.name


def test_a_group_without_rules_has_none() -> None:
    """
    `securityRules` can be absent.
    """
    assert () == networks.security_group({"id": "/subscriptions/S/x", "properties": {}}).rules


def test_policies_for_other_workloads_are_left_out() -> None:
    """
    A vault's list mixes VM, SQL and file share policies.
    """
    assert shapes.policy({"id": "/x", "properties": {"backupManagementType": "AzureWorkload"}}) is None


def _item(**properties: Any) -> Any:
    return shapes.protected_item(
        {
            "id": "/Subscriptions/S/resourceGroups/RG/providers/Microsoft.RecoveryServices/vaults/V"
            "/backupFabrics/Azure/protectionContainers/c/protectedItems/i",
            "properties": {"protectedItemType": "Microsoft.Compute/virtualMachines", "virtualMachineId": VM}
            | properties,
        }
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00", None),
        ("", None),
        (None, None),
        ("not a time", None),
        ("2022-11-23T07:31:32.3219588Z", datetime(2022, 11, 23, 7, 31, 32, 321958, tzinfo=UTC)),
        ("2022-11-23T07:31:32", datetime(2022, 11, 23, 7, 31, 32, tzinfo=UTC)),
    ],
)
def test_times_have_any_number_of_digits_and_2001_means_never(said: Any, expected: datetime | None) -> None:
    """
    A naive time is UTC, so that it can be compared.
    """
    assert expected == _item(lastBackupTime=said).last_backup_time


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("IRPending", "on"),
        ("Protected", "on"),
        ("ProtectionStopped", "stopped"),
        ("ProtectionError", "protectionerror"),
        ("BackupsSuspended", "backupssuspended"),
    ],
)
def test_protection_is_on_only_in_the_two_states_that_say_so(state: str, expected: str) -> None:
    """
    Any other word of the service stays its own.
    """
    assert expected == _item(protectionState=state).protection


def test_an_item_is_matched_by_the_vm_it_names() -> None:
    """
    `virtualMachineId` first, `sourceResourceId` where it is missing; classic VMs are left out.
    """
    assert VM == _item(sourceResourceId="/other").source_id
    assert VM == _item(virtualMachineId=None, sourceResourceId=VM).source_id
    assert _item(protectedItemType="Microsoft.ClassicCompute/virtualMachines") is None


def test_an_item_that_names_no_vm_is_not_passed_over() -> None:
    """
    What it protects cannot be told, so nobody may say "not protected".
    """
    with pytest.raises(ValueError, match="names no VM"):
        _item(virtualMachineId=None)


def test_an_old_vault_tells_its_redundancy_in_the_storage_config() -> None:
    """
    Without `redundancySettings` the legacy road says it, and the lock.
    """
    row = {"id": f"{ID}/Microsoft.RecoveryServices/vaults/v", "location": "westus", "properties": {}}
    storage = {"properties": {"storageModelType": "LocallyRedundant", "storageTypeState": "Locked"}}
    settings = shapes.vault_settings(row, storage)

    assert ("LocallyRedundant", True) == (settings["redundancy"], settings["redundancy_locked"])
    assert shapes.vault_settings(row, None)["redundancy_locked"] is None


def test_an_ipv6_configuration_has_no_private_address() -> None:
    """
    Absent members of a network interface are empty, not errors.
    """
    nic = networks.network_interface({"id": "/x", "properties": {"ipConfigurations": [{"properties": {}}, {}]}})

    assert ["", ""] == [each.private_ip for each in nic.ip_configurations]
    assert not nic.primary
