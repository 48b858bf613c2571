"""
Reading the example estate: whole, over all subscriptions, and honest about what could not be read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runbook_lib import checks
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import Session
from runbook_lib.errors import InvalidParameters
from runbook_lib.parameters import Parameters, build
from runbook_lib.records import Inventory, Status, Verdict, VirtualMachine, key
from runbook_lib.sandbox import Fault, Sandbox

PRODUCTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
DEVELOPMENT = "b2d84e17-93c5-4f0a-8e26-71a9c4d0f5e3"


def _vm(inventory: Inventory, name: str, group: str = "") -> VirtualMachine:
    (found,) = (
        vm for vm in inventory.vms.values() if vm.name == name and group.lower() in ("", vm.resource_group.lower())
    )
    return found


def test_everything_is_read_over_all_pages_and_subscriptions(session: Session, contoso: Sandbox) -> None:
    """
    With pages of three the inventory is the same as with Azure's page sizes.
    """
    whole = read_inventory(session, Parameters())
    contoso.configure(page_sizes=dict.fromkeys(("virtualMachines", "networkInterfaces", "vaults", "resourceGroups"), 3))
    paged = read_inventory(session, Parameters())

    assert replace(whole, read_at=paged.read_at) == paged
    assert 22 == len(whole.vms)
    assert {PRODUCTION, DEVELOPMENT} == {vm.subscription for vm in whole.vms.values()}
    assert () == whole.unread


def test_reading_writes_nothing(session: Session, contoso: Sandbox) -> None:
    """
    The state of the estate is the same after reading it.
    """
    before = contoso.state_digest()
    read_inventory(session, Parameters())

    assert before == contoso.state_digest()
    assert not any(each["writes"] for each in contoso.requests())


def test_the_clock_is_the_services_own(session: Session, contoso: Sandbox) -> None:
    """
    read_at comes from the Date header, so recovery points are judged by the clock that stamped them.
    """
    read = read_inventory(session, Parameters())

    assert abs((contoso.now() - read.read_at).total_seconds()) < 60
    assert read.read_at.tzinfo is not None


@pytest.mark.parametrize("status_only", ["full", "power"])
def test_agent_states_are_the_same_whatever_the_status_list_holds(
    session: Session, contoso: Sandbox, status_only: str
) -> None:
    """
    Where the status list has no agent, the instance views of the selected VMs are read one by one.
    """
    full = read_inventory(session, Parameters())
    contoso.configure(status_only=status_only)
    read = read_inventory(session, Parameters())

    assert {k: (vm.power_state, vm.agent) for k, vm in full.vms.items() if vm.power_state == "running"} == {
        k: (vm.power_state, vm.agent) for k, vm in read.vms.items() if vm.power_state == "running"
    }


def test_single_instance_views_are_read_for_selected_vms_only(session: Session, contoso: Sandbox) -> None:
    """
    Each costs a call, so nobody else's is read.
    """
    contoso.configure(status_only="power")
    since = len(contoso.requests())
    read_inventory(session, build({"vm_selector": "name:sql01"}))
    views = [each["path"] for each in contoso.requests(since) if each["path"].lower().endswith("/instanceview")]

    assert 1 == len(views)
    assert "/sql01/" in views[0]


def test_vms_of_one_name_are_told_apart(session: Session) -> None:
    """
    Of the two web01, the one whose full id is in a vault is protected, the other is not.
    """
    inventory = read_inventory(session, Parameters())
    found = checks.verdicts(checks.judge(inventory, inventory.vms.values()))
    own, other = _vm(inventory, "web01", "rg-shop-prod"), _vm(inventory, "web01", "rg-shop-staging")

    assert (Verdict.PROTECTED, Verdict.READY) == (found[own.id][0], found[other.id][0])


def test_only_named_subscriptions_are_searched_for_vms_but_all_for_vaults(session: Session) -> None:
    """
    A VM may be protected from another subscription, so vaults count wherever they are.
    """
    inventory = read_inventory(session, build({"subscription_ids": [DEVELOPMENT]}))

    assert {DEVELOPMENT} == {vm.subscription for vm in inventory.vms.values()}
    assert {PRODUCTION} == {vault.subscription for vault in inventory.vaults.values()}


def test_a_subscription_that_cannot_be_seen_is_a_parameter_error(session: Session) -> None:
    """
    A typing error in an id must not pass for an empty subscription.
    """
    with pytest.raises(InvalidParameters, match="00000000-0000-0000-0000-000000000000"):
        read_inventory(session, build({"subscription_ids": ["00000000-0000-0000-0000-000000000000"]}))


@pytest.mark.parametrize(
    "path",
    [
        "vaults/rsv-westeurope/backupprotecteditems",
        f"subscriptions/{PRODUCTION}/providers/microsoft.recoveryservices/vaults$",
    ],
)
def test_an_unreadable_vault_leaves_its_vms_undetermined(session: Session, contoso: Sandbox, path: str) -> None:
    """
    Whether a VM is protected there is unknown: never "not protected", and never "absent".
    """
    contoso.fault(Fault(path=path, status=403, code="AuthorizationFailed", message="no right"))
    inventory = read_inventory(session, Parameters())
    vm = _vm(inventory, "file01")
    finding = next(each for each in checks.judge(inventory, [vm]) if each.check == "protection")

    assert (Status.UNKNOWN, "unread") == (finding.status, finding.case)
    assert {"AuthorizationFailed"} == {gap.code for gap in inventory.unread}


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("providers/microsoft.network/networksecuritygroups$", "Microsoft.Network/networkSecurityGroups"),
        ("providers/microsoft.recoveryservices$", "Microsoft.RecoveryServices"),
        ("resourcegroups$", "Microsoft.Resources/resourceGroups"),
    ],
)
def test_each_list_that_fails_is_named(session: Session, contoso: Sandbox, path: str, what: str) -> None:
    """
    What could not be read stands in the inventory with scope, type and the service's words; the rest is read.
    """
    contoso.fault(Fault(path=path, status=403, code="AuthorizationFailed", message="no right"))
    inventory = read_inventory(session, Parameters())

    assert {what} == {gap.what for gap in inventory.unread}
    assert {403} == {gap.status for gap in inventory.unread}
    assert 22 == len(inventory.vms)


def test_a_status_list_that_fails_is_replaced_by_single_reads(session: Session, contoso: Sandbox) -> None:
    """
    The agent of a selected VM is known all the same, and the gap stays on record.
    """
    contoso.fault(Fault(path="subscriptions/.*/virtualmachines$", status=500, code="InternalServerError", times=11))
    inventory = read_inventory(session, build({"vm_selector": "name:sql01", "subscription_ids": [PRODUCTION]}))

    assert _vm(inventory, "sql01").instance_view
    assert any("instanceView" in gap.what for gap in inventory.unread)


def test_an_instance_view_that_cannot_be_read_leaves_the_agent_unknown(session: Session, contoso: Sandbox) -> None:
    """
    UNKNOWN, not missing.
    """
    contoso.configure(status_only="power")
    contoso.fault(Fault(path="sql01/instanceview$", status=403, code="AuthorizationFailed", message="no"))
    inventory = read_inventory(session, build({"vm_selector": "name:sql01"}))
    unreadable: list[Any] = [gap for gap in inventory.unread if key(gap.scope).endswith("/sql01")]

    assert 1 == len(unreadable)


def test_settings_are_read_of_vaults_in_the_regions_of_vms(session: Session, contoso: Sandbox) -> None:
    """
    A list of vaults shows no settings; a vault where none of the VMs is, is not asked for them.
    """
    near = read_inventory(session, Parameters())
    (region,) = {vault.location for vault in near.vaults.values() if vault.soft_delete}
    asked = len(contoso.requests())
    far = read_inventory(session, build({"subscription_ids": [DEVELOPMENT]}))
    paths = [call["path"] for call in contoso.requests(asked)]

    assert ("westeurope", {"GeoRedundant"}) == (region, {vault.redundancy for vault in near.vaults.values()} - {""})
    assert {""} == {vault.redundancy for vault in far.vaults.values()}
    assert [] == [path for path in paths if path.lower().endswith("vaultstorageconfig")]


def test_settings_that_cannot_be_read_are_unknown(session: Session, contoso: Sandbox) -> None:
    """
    The vault is there all the same, and what protects its VMs is known.
    """
    contoso.fault(Fault(method="GET", path="/vaults/[^/]+$", status=403, code="AuthorizationFailed", message="no"))
    inventory = read_inventory(session, Parameters())
    gaps = {gap.what for gap in inventory.unread}

    assert {"Microsoft.RecoveryServices/vaults/redundancySettings"} == gaps
    assert {""} == {vault.soft_delete for vault in inventory.vaults.values()}
    assert all(vault.items_read for vault in inventory.vaults.values())
