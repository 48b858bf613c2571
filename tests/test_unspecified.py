"""
What the sandbox does though Microsoft's specs do not have it: they know neither that a command may be refused, nor
members that are none, nor the names of groups beyond ASCII that the service takes.

Beside the sandbox's own suite, whose exchanges are held against the specs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.recoveryservices import RecoveryServicesClient
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
from azure.mgmt.resource.resources import ResourceManagementClient

from runbook_lib.sandbox import Sandbox

_PRODUCTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
_DEVELOPMENT = "b2d84e17-93c5-4f0a-8e26-71a9c4d0f5e3"
_WINDOWS = {"commandId": "RunPowerShellScript"}


class _Credential:
    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken("a-token-of-the-tests", 4_000_000_000)


@pytest.fixture
def client_of(contoso: Sandbox) -> Callable[..., Any]:
    """
    Makes a client of a class for a subscription of the example estate.
    """

    def make(kind: Any, subscription: str = _PRODUCTION) -> Any:
        return kind(_Credential(), subscription, transport=contoso.transport(), base_url="https://management.azure.com")

    return make


def _refusal(call: Callable[[], Any]) -> tuple[int | None, str, str | None]:
    with pytest.raises(HttpResponseError) as caught:
        call()
    error = caught.value.error
    assert error is not None
    return caught.value.status_code, str(error.code), error.target


@pytest.mark.parametrize(
    ("subscription", "group", "name", "command"),
    [
        (_DEVELOPMENT, "rg-dev-apps", "dev-build01", "RunPowerShellScript"),
        (_DEVELOPMENT, "rg-dev-apps", "dev-test01", "RunShellScript"),
        (_PRODUCTION, "rg-mail_(legacy)", "mail01", "RunPowerShellScript"),
        (_PRODUCTION, "rg-mail_(legacy)", "print01", "RunPowerShellScript"),
    ],
    ids=["deallocated", "stopped", "agent not ready", "no agent"],
)
def test_a_command_needs_a_running_vm_with_a_ready_agent(
    client_of: Callable[..., Any], subscription: str, group: str, name: str, command: str
) -> None:
    """
    Otherwise it is refused at once.
    """
    machines = client_of(ComputeManagementClient, subscription).virtual_machines

    assert (409, "OperationNotAllowed", None) == _refusal(
        lambda: machines.begin_run_command(group, name, {"commandId": command})
    )


def test_one_command_runs_at_a_time(contoso: Sandbox, client_of: Callable[..., Any]) -> None:
    """
    A second one has to wait for the end of the first; another VM need not.
    """
    machines = client_of(ComputeManagementClient).virtual_machines
    machines.begin_run_command("rg-shop-prod", "web01", _WINDOWS, polling=False)
    machines.begin_run_command("rg-shop-prod", "web02", _WINDOWS, polling=False)

    assert (409, "Conflict", None) == _refusal(lambda: machines.begin_run_command("rg-shop-prod", "web01", _WINDOWS))
    contoso.advance(60)

    assert 2 == len(machines.begin_run_command("rg-shop-prod", "web01", _WINDOWS).result().value)


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ({}, "commandId"),
        ({"commandId": None}, "commandId"),
        ({"commandId": "MakeCoffee"}, "commandId"),
        ({"commandId": "RunShellScript"}, "commandId"),
        ({**_WINDOWS, "script": "dir"}, "script"),
        ({**_WINDOWS, "parameters": {"a": "b"}}, "parameters"),
    ],
)
def test_a_command_that_cannot_be_is_refused(client_of: Callable[..., Any], asked: Any, target: str) -> None:
    """
    It has a known id, fits the system, and has lists where lists belong.
    """
    machines = client_of(ComputeManagementClient).virtual_machines

    assert (400, "InvalidParameter", target) == _refusal(
        lambda: machines.begin_run_command("rg-shop-prod", "web01", asked)
    )


def test_a_rule_is_taken_without_what_it_cannot_have(client_of: Callable[..., Any]) -> None:
    """
    Members that nobody knows and members that only the service sets are passed over.
    """
    rules = client_of(NetworkManagementClient).security_rules
    properties = {
        "protocol": "Tcp",
        "access": "Allow",
        "direction": "Outbound",
        "priority": 4000,
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "Storage",
        "destinationPortRange": "443",
        "provisioningState": "Failed",
        "unheardOf": 1,
    }
    rule = rules.begin_create_or_update(
        "rg-network-prod", "nsg-web", "Own", {"name": "Other", "etag": "mine", "properties": properties}
    ).result()

    assert ("Own", "Succeeded") == (rule.name, rule.properties["provisioningState"])
    assert "mine" != rule.etag
    assert "unheardOf" not in rule.properties


def test_an_extension_is_taken_without_what_it_cannot_have(client_of: Callable[..., Any]) -> None:
    """
    Members that nobody knows and members that only the service sets are passed over.
    """
    extensions = client_of(ComputeManagementClient).virtual_machine_extensions
    properties = {
        "publisher": "Microsoft.Azure.NetworkWatcher",
        "type": "NetworkWatcherAgentWindows",
        "typeHandlerVersion": "1.4",
        "provisioningState": "Failed",
        "unheardOf": 1,
    }
    extension = extensions.begin_create_or_update(
        "rg-shop-prod", "web01", "Watcher", {"location": "westeurope", "properties": properties}
    ).result()

    assert ("Watcher", "Succeeded") == (extension.name, extension.properties["provisioningState"])
    assert "unheardOf" not in extension.properties


def test_names_beyond_ascii_are_compared_as_keys_are(contoso: Sandbox, client_of: Callable[..., Any]) -> None:
    """
    A policy in use is not deleted because its vault's group has an accented capital.
    """
    place: Any = {"location": "westeurope"}
    vault: Any = place | {"sku": {"name": "Standard"}, "properties": {}}
    client_of(ResourceManagementClient).resource_groups.create_or_update("rg-\u00c9", place)
    client_of(RecoveryServicesClient).vaults.begin_create_or_update("rg-\u00c9", "rsv-acc", vault).result()
    backup = client_of(RecoveryServicesBackupClient)
    policy = backup.protection_policies.get("rsv-acc", "rg-\u00c9", "DefaultPolicy")
    vm = next(each for each in client_of(ComputeManagementClient).virtual_machines.list_all() if each.name == "file01")
    unique = f"iaasvmcontainerv2;{vm.id.split('/')[4]};file01"
    wanted = {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "sourceResourceId": vm.id,
        "policyId": policy.id,
    }
    backup.protected_items.begin_create_or_update(
        "rsv-acc", "rg-\u00c9", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}", {"properties": wanted}
    ).result()
    counted = backup.protection_policies.get("rsv-acc", "rg-\u00c9", "DefaultPolicy").properties

    assert 1 == counted.protected_items_count
    assert (400, "BMSUserErrorPolicyInUse") == _refusal(
        lambda: backup.protection_policies.begin_delete("rsv-acc", "rg-\u00c9", "DefaultPolicy")
    )[:2]
