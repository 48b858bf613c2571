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
from runbook_lib.sandbox import Fault, Sandbox, read_estate

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
    assert 43 == len(whole.vms)
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
        ("/locations$", "Microsoft.Resources/locations"),
        ("providers/microsoft.compute/disks$", "Microsoft.Compute/disks"),
        ("providers/microsoft.authorization/locks$", "Microsoft.Authorization/locks"),
        ("recoveryservices/vaults/[^/]+$", "Microsoft.RecoveryServices/vaults/redundancySettings"),
        ("keyvault/vaults/[^/]+$", "Microsoft.KeyVault/vaults"),
        ("providers/microsoft.network/natgateways$", "Microsoft.Network/natGateways"),
        ("vaults/[^/]+/backupjobs$", "Microsoft.RecoveryServices/vaults/backupJobs"),
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
    assert 43 == len(inventory.vms)


def test_a_status_list_that_fails_is_replaced_by_single_reads(session: Session, contoso: Sandbox) -> None:
    """
    The agent of a selected VM is known all the same, and the gap stays on record.
    """
    # The first request for this path is the list of the VMs themselves.
    contoso.fault(
        Fault(path="subscriptions/.*/virtualmachines$", status=500, code="InternalServerError", skip=1, times=11)
    )
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


# --- what surrounds the VMs ---------------------------------------------------------------------------------------


def test_locks_disks_and_vault_settings_are_read(session: Session) -> None:
    """
    Each by a list of the subscription, or with the vault.
    """
    inventory = read_inventory(session, Parameters())
    vaults = {each.name: each for each in inventory.vaults.values()}

    assert {
        ("freeze", "ReadOnly", "rg-backup-uksouth"),
        ("keep-ledger", "CanNotDelete", "rg-ledger-prod"),
        ("legal-hold", "ReadOnly", "rg-frozen-prod"),
    } == {(each.name, each.level, each.scope.rsplit("/", 1)[-1]) for each in inventory.locks.values()}
    assert {"cluster01-data00": 2} == {
        each.name: each.max_shares for each in inventory.disks.values() if each.max_shares > 1
    }
    assert {"rsv-legacy": "Disabled", "rsv-finance": "AlwaysON", "rsv-westeurope": "AlwaysON"} == {
        name: each.soft_delete for name, each in vaults.items()
    }
    assert ("HourlyLogBackup",) == vaults["rsv-finance"].other_policies


def test_locks_are_read_wherever_vaults_are(session: Session) -> None:
    """
    A VM may be protected in a vault of another subscription, and what holds that vault counts.
    """
    inventory = read_inventory(session, build({"subscription_ids": [DEVELOPMENT]}))

    assert {PRODUCTION} == {each.subscription for each in inventory.locks.values()}


@pytest.mark.parametrize(("selector", "asked"), [("name:secret01", ["kv-records"]), ("name:file01", [])])
def test_key_vaults_are_read_of_selected_encrypted_vms_only(
    session: Session, contoso: Sandbox, selector: str, asked: list[str]
) -> None:
    """
    Each costs a call.
    """
    since = len(contoso.requests())
    inventory = read_inventory(session, build({"vm_selector": selector}))
    calls = [each["path"].split("/")[-1] for each in contoso.requests(since) if "keyvault" in each["path"].lower()]

    assert asked == calls == [each.name for each in inventory.key_vaults.values()]


def test_a_deallocated_encrypted_vm_is_known_by_its_disk(session: Session, contoso: Sandbox) -> None:
    """
    Its instance view has neither agent nor extensions then; a Key Vault that may not be read is said.
    """
    estate = read_estate("contoso")
    view = {"statuses": [{"code": "PowerState/deallocated"}]}
    status = {vm: view if vm.endswith("/secret01") else own for vm, own in estate.status.items()}
    contoso.load(replace(estate, status=status))
    contoso.fault(Fault(path="/kv-records$", status=403, code="AuthorizationFailed", message="no"))
    inventory = read_inventory(session, Parameters())
    found = {each.check: each for each in checks.judge(inventory, [_vm(inventory, "secret01")])}

    assert ("vault_unread", "kv-records", "AuthorizationFailed") == (
        found["disk-encryption"].case,
        found["disk-encryption"].facts["vault"],
        found["disk-encryption"].facts["code"],
    )
    assert "encrypted" == found["replace-vm"].case


def test_running_jobs_are_read_from_vaults_that_hold_a_selected_vm(session: Session, contoso: Sandbox) -> None:
    """
    The service takes few reads of jobs, so nobody else's are asked for.
    """
    since = len(contoso.requests())
    inventory = read_inventory(session, build({"vm_selector": "name:nightly01"}))
    asked = [each["path"] for each in contoso.requests(since) if "backupjobs" in each["path"].lower()]
    (item,) = inventory.items_of(_vm(inventory, "nightly01").id)

    assert ["rsv-westeurope"] == [path.split("/")[-2] for path in asked]
    assert ["Backup"] == [job.operation for job in inventory.jobs_of(item)]
    assert {"rsv-westeurope": True, "rsv-finance": False, "rsv-legacy": False} == {
        each.name: each.jobs_read for each in inventory.vaults.values()
    }


def test_no_more_job_lists_are_read_than_the_service_takes(
    session: Session, contoso: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of what was not read nobody may say that no job runs.
    """
    monkeypatch.setattr("runbook_lib.arm.inventory.MOST_JOB_LISTS", 1)
    inventory = read_inventory(session, Parameters())
    found = checks.judge(inventory, inventory.vms.values())

    assert 1 == sum(each.jobs_read for each in inventory.vaults.values())
    assert {"unread"} < {each.case for each in found if each.check == "agent-update"}


def test_a_policy_for_another_workload_is_not_taken_for_one_of_vms(session: Session) -> None:
    """
    It is not in the list of policies, but its name is known to be taken.
    """
    inventory = read_inventory(session, Parameters())

    assert set() == {each.name for each in inventory.policies.values()} & {"HourlyLogBackup"}
    assert all(each.other_policies == ("HourlyLogBackup",) for each in inventory.vaults.values())


def test_settings_of_a_vault_that_cannot_be_read_keep_nobody_back(session: Session, contoso: Sandbox) -> None:
    """
    The list of vaults says what matters; soft delete stays unknown.
    """
    contoso.fault(Fault(path="vaults/rsv-westeurope$", status=403, code="AuthorizationFailed", message="no"))
    inventory = read_inventory(session, Parameters())
    found = checks.judge(inventory, [_vm(inventory, "hr01")])

    settings = next(each for each in found if each.check == "vault-in-region")

    assert Verdict.READY is checks.verdict(found)[0]
    assert (Status.UNKNOWN, "settings_unread", "unknown") == (
        settings.status,
        settings.case,
        settings.facts["soft_delete"],
    )


def test_settings_that_cannot_be_read_are_unknown(session: Session, contoso: Sandbox) -> None:
    """
    The vault is there all the same, and what protects its VMs is known.
    """
    contoso.fault(
        Fault(method="GET", path="recoveryservices/vaults/[^/]+$", status=403, code="AuthorizationFailed", message="no")
    )
    inventory = read_inventory(session, Parameters())
    gaps = {gap.what for gap in inventory.unread}

    assert {"Microsoft.RecoveryServices/vaults/redundancySettings"} == gaps
    assert {""} == {vault.soft_delete for vault in inventory.vaults.values()}
    assert all(vault.items_read for vault in inventory.vaults.values())


def test_regions_are_read_with_their_pairs(session: Session) -> None:
    """
    Once for each subscription; a region without a pair is told from one that could not be read.
    """
    inventory = read_inventory(session, build({}))
    one = next(iter(inventory.vms.values())).subscription

    assert [False, True, False] == [
        inventory.without_pair(one, each) for each in ("westeurope", "spaincentral", "nowhere")
    ]


# --- what is read of what -----------------------------------------------------------------------------------------


def _asked(sandbox: Sandbox, subscription: str, since: int = 0) -> set[str]:
    scope = f"/subscriptions/{subscription}/providers/"
    paths = [each["path"].lower() for each in sandbox.requests(since)]
    return {path.removeprefix(scope) for path in paths if path.startswith(scope)}


def test_a_subscription_without_vms_is_not_asked_for_networks(session: Session, contoso: Sandbox) -> None:
    """
    It may hold vaults and groups; disks, interfaces and networks are of its own VMs.
    """
    empty = "0e0e0e0e-0000-4000-8000-000000000000"
    estate = read_estate("contoso")
    body = {"id": f"/subscriptions/{empty}", "subscriptionId": empty, "displayName": "Empty", "state": "Enabled"}
    contoso.load(replace(estate, resources=(*estate.resources, {**body, "name": empty})))
    read = read_inventory(session, Parameters())
    network = {each for each in _asked(contoso, empty) if each.startswith(("microsoft.network/", "microsoft.compute/"))}

    assert () == read.unread
    assert {"microsoft.compute/virtualmachines"} == network
    assert "microsoft.recoveryservices/vaults" in _asked(contoso, empty)


def test_a_subscription_for_vaults_is_not_asked_for_its_vms(session: Session, contoso: Sandbox) -> None:
    """
    Vaults of another subscription need its groups and its provider, and what protects VMs there.
    """
    asked = build({"subscription_ids": [DEVELOPMENT], "vault_subscription": PRODUCTION})
    read = read_inventory(session, asked)

    assert "microsoft.compute/virtualmachines" not in _asked(contoso, PRODUCTION)
    assert {DEVELOPMENT} == {vm.subscription for vm in read.vms.values()}
    assert PRODUCTION in {group.subscription for group in read.groups.values()}
    assert PRODUCTION in {vault.subscription for vault in read.vaults.values()}


def test_addresses_and_balancers_are_read_where_something_refers_to_them(session: Session, contoso: Sandbox) -> None:
    """
    Nothing is looked up in a list that nothing names, so nobody asks for it.
    """
    read_inventory(session, Parameters())
    lists = {"microsoft.network/publicipaddresses", "microsoft.network/loadbalancers"}

    assert lists == _asked(contoso, PRODUCTION) & lists
    assert {"microsoft.network/publicipaddresses"} == _asked(contoso, DEVELOPMENT) & lists


def test_a_vault_that_holds_vms_is_known_to_be_locked(session: Session, contoso: Sandbox) -> None:
    """
    An item locks the replication of its vault; only a vault without one is asked whether it can still be changed.
    """
    read = read_inventory(session, Parameters())
    paths = {each["path"].lower() for each in contoso.requests()}
    asked = {each: f"{each}/backupstorageconfig/vaultstorageconfig" in paths for each in read.vaults}

    assert {each: read.held_in(each) == 0 for each in asked} == asked
    assert all(read.vaults[each].redundancy_locked is True for each, was in asked.items() if not was)
