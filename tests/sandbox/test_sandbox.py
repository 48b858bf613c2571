"""
The tenant as a whole: its file, its clock, its profile, and who may share it.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.sandbox import Estate, Sandbox, SandboxError

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]


def test_loading_the_package_loads_no_client_and_no_server() -> None:
    """
    `azure`, waitress and werkzeug come only with the transport and the server.
    """
    script = (
        "import sys, runbook_lib.sandbox;"
        "print(sorted(set(sys.modules) & {'azure', 'azure.core', 'waitress', 'werkzeug'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_a_new_file_is_an_empty_tenant(tmp_path: Path, clients_of: Any) -> None:
    """
    The folder is made, and nothing is in the tenant.
    """
    sandbox = Sandbox(tmp_path / "new" / "sandbox.db")

    assert [] == list(clients_of(sandbox).subscriptions.subscriptions.list())
    assert ({}, "", 1, 0) == tuple(
        sandbox.status()[name] for name in ("resources", "estate", "requests", "pending_operations")
    )
    sandbox.close()


def test_a_file_that_is_no_sandbox_is_refused(tmp_path: Path) -> None:
    """
    A foreign file and a folder get one clear message, and the file is left alone.
    """
    foreign = tmp_path / "notes.txt"
    foreign.write_text("not a database, only some notes" * 100)

    for path in (foreign, tmp_path):
        with pytest.raises(SandboxError, match=f"{path.name}: cannot hold a sandbox .*; name a file of its own"):
            Sandbox(path)
    assert foreign.read_text().startswith("not a database")


def test_a_file_of_another_form_is_refused(sandbox: Sandbox) -> None:
    """
    A later version may keep its state otherwise.
    """
    with closing(sqlite3.connect(sandbox.path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(SandboxError, match="is of form 99, this version reads 2; remove the file"):
        Sandbox(sandbox.path)


def test_the_clock_starts_where_the_estate_was_read(sandbox: Sandbox, estate: Estate) -> None:
    """
    Time goes on from there, in UTC.
    """
    assert timedelta() <= sandbox.now() - estate.as_of < timedelta(seconds=5)
    assert UTC == sandbox.now().tzinfo


def test_the_clock_is_turned_for_everyone(sandbox: Sandbox, send: Any) -> None:
    """
    Advancing moves now, the Date header, and what is due; the waits of a transport are the same clock.
    """
    sandbox.advance(86400)
    sandbox.transport().sleep(3600)

    assert sandbox.now() > datetime(2026, 11, 2, 13, tzinfo=UTC)
    assert send("GET", "/subscriptions").headers["Date"].startswith("Mon, 02 Nov 2026 13:0")


def test_waiting_for_an_operation_takes_no_time(sandbox: Sandbox, azure: Any) -> None:
    """
    A minute of creating a vault passes on the virtual clock only, in the steps that Retry-After asks for.
    """
    start = sandbox.now()
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()

    assert 70 <= (sandbox.now() - start).total_seconds() < 75


def test_operations_take_effect_in_the_order_in_which_they_end(
    sandbox: Sandbox, azure: Any, send: Any, ids: Any
) -> None:
    """
    After a long silence everything that was due has happened, each at its own time.
    """
    path = ids.vault.replace("rsv-old", "rsv-new")
    send("PUT", path, {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}})
    sandbox.advance(10000)
    etag = azure.vaults.vaults.get("rg-vault", "rsv-new").etag

    assert etag.startswith("W/\"datetime'2026-11-01T12%3A01%3A0")
    assert 0 == sandbox.status()["pending_operations"]


def test_two_sandboxes_on_one_file_are_one_tenant(sandbox: Sandbox, azure: Any, clients_of: Any) -> None:
    """
    What one writes the other sees, and the log holds the requests of both.
    """
    other = Sandbox(sandbox.path)
    clients_of(other).resources.resource_groups.create_or_update("rg-new", {"location": "westeurope"})

    assert "rg-new" == azure.resources.resource_groups.get("rg-new").name
    assert (
        ["PUT", "GET"] == [one["method"] for one in sandbox.requests()] == [one["method"] for one in other.requests()]
    )
    assert sandbox.state_digest() == other.state_digest()
    other.close()


def test_the_state_outlives_the_process(tmp_path: Path, estate: Estate, clients_of: Any) -> None:
    """
    Another process writes and ends; its group, its request and its clock are there.
    """
    path = tmp_path / "sandbox.db"
    script = f"""
from datetime import UTC, datetime
from pathlib import Path
from runbook_lib.sandbox import Estate, Sandbox
from azure.core import PipelineClient
from azure.core.rest import HttpRequest
sandbox = Sandbox(Path({str(path)!r}))
body = {{"id": "/subscriptions/s", "subscriptionId": "s"}}
as_of = datetime(2026, 1, 1, tzinfo=UTC)
sandbox.load(Estate(name="x", as_of=as_of, resources=(body,), status={{}}, profile={{}}, origin="x"))
client = PipelineClient("https://management.azure.com", transport=sandbox.transport(), policies=[])
url = "https://management.azure.com/subscriptions/s/resourcegroups/made?api-version=2025-04-01"
request = HttpRequest("PUT", url, headers={{"Authorization": "Bearer t"}}, json={{"location": "westeurope"}})
print(client.send_request(request).status_code)
sandbox.advance(86400)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    sandbox = Sandbox(path)

    assert "201\n" == done.stdout
    assert "made" == clients_of(sandbox, "s").resources.resource_groups.get("made").name
    assert datetime(2026, 1, 2, tzinfo=UTC) < sandbox.now() < datetime(2026, 1, 2, 0, 1, tzinfo=UTC)
    assert ["PUT", "GET"] == [one["method"] for one in sandbox.requests()]
    sandbox.close()


def test_many_threads_share_one_transport(sandbox: Sandbox, azure: Any) -> None:
    """
    Writes from several threads are all kept, and every request is in the log once.
    """
    groups = azure.resources.resource_groups
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda n: groups.create_or_update(f"rg-{n:02}", {"location": "westeurope"}).name, range(40))
        )

    assert [f"rg-{n:02}" for n in range(40)] == made
    assert 44 == len(list(groups.list()))
    assert 41 == len({one["request_id"] for one in sandbox.requests()})


def test_vms_are_protected_by_several_threads(azure: Any, protect: Any) -> None:
    """
    Long operations of many threads end, each in its item.
    """
    machines = ("web", "db", "deaf", "trusted")
    with ThreadPoolExecutor(4) as pool:
        items = list(pool.map(lambda vm: protect(azure, vm).result().properties["friendlyName"], machines))

    assert list(machines) == items


def test_loading_replaces_everything(sandbox: Sandbox, azure: Any, estate: Estate) -> None:
    """
    Resources, operations, the log and the clock begin anew.
    """
    azure.resources.resource_groups.create_or_update("rg-new", {"location": "westeurope"})
    azure.backup.protection_containers.refresh("rsv-old", "rg-vault", "Azure")
    sandbox.advance(1e6)
    digest = sandbox.state_digest()
    sandbox.load(estate)

    assert digest != sandbox.state_digest()
    assert ([], 0, "small") == (sandbox.requests(), sandbox.status()["pending_operations"], sandbox.status()["estate"])
    assert sandbox.now() - estate.as_of < timedelta(seconds=5)


def test_loading_a_bad_profile_changes_nothing(sandbox: Sandbox, estate: Estate) -> None:
    """
    The estate is refused as a whole.
    """
    before = sandbox.state_digest()
    with pytest.raises(SandboxError, match="unknown setting speed"):
        sandbox.load(replace(estate, resources=(), profile={"speed": 1}))

    assert before == sandbox.state_digest()


def test_an_estate_is_not_changed_by_its_use(sandbox: Sandbox, azure: Any, estate: Estate, protect: Any) -> None:
    """
    The same estate can be loaded again and gives the same state.
    """
    before = sandbox.state_digest()
    protect(azure, "web").result()
    middle = sandbox.state_digest()
    sandbox.load(estate)

    assert before == sandbox.state_digest() != middle


def test_the_profile_of_an_estate_holds(tmp_path: Path, estate: Estate, clients_of: Any) -> None:
    """
    An estate may bring its own settings.
    """
    sandbox = Sandbox(tmp_path / "own.db")
    sandbox.load(replace(estate, profile={"page_sizes": {"virtualMachines": 2}}))
    azure = clients_of(sandbox)

    assert 4 == len([list(page) for page in azure.compute.virtual_machines.list_all().by_page()])
    sandbox.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 1}, "profile: unknown setting speed; known are agent_check, caller"),
        ({"status_only": "some"}, "profile.status_only: 'some' is none of full, power"),
        ({"durations": {"nap": 1}}, "profile.durations: unknown name 'nap'"),
        ({"durations": {"vault.create": -1}}, "profile.durations.vault.create: -1 must be a number of at least 0"),
        ({"page_sizes": {"vaults": 0}}, "profile.page_sizes.vaults: 0 must be a number of at least 1"),
        ({"page_sizes": {"vaults": 2.5}}, "profile.page_sizes.vaults: 2.5 must be a number of at least 1"),
        ({"page_sizes": {"vaults": True}}, "profile.page_sizes.vaults: True must be a number"),
        ({"page_sizes": 7}, "profile.page_sizes: must be an object of names and numbers"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused(sandbox: Sandbox, settings: dict[str, Any], message: str) -> None:
    """
    The message names the setting and the rule, and the profile stays as it was.
    """
    with pytest.raises(SandboxError, match=message):
        sandbox.configure(**settings)
    sandbox.configure()


def test_settings_add_up(sandbox: Sandbox, azure: Any, send: Any, ids: Any) -> None:
    """
    A later setting of one duration leaves the others.
    """
    sandbox.configure(durations={"vault.create": 0})
    sandbox.configure(durations={"vault.update": 500})
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", body).result()
    send("PATCH", ids.vault, {"tags": {}})
    sandbox.advance(499)

    assert "Updating" == azure.vaults.vaults.get("rg-vault", "rsv-old").properties.provisioning_state
    assert "Succeeded" == azure.vaults.vaults.get("rg-vault", "rsv-new").properties.provisioning_state


def test_equal_end_states_have_equal_digests(sandbox: Sandbox, azure: Any, protect: Any, estate: Estate) -> None:
    """
    Another order, another hour and another id of an item do not matter; another policy does.
    """

    def run(*machines: str, policy: str = "DefaultPolicy") -> str:
        sandbox.load(estate)
        for vm in machines:
            sandbox.advance(3600)
            protect(azure, vm, policy).result()
        return sandbox.state_digest()

    first, second, other = run("web", "db"), run("db", "web"), run("web", "db", policy="EnhancedPolicy")

    assert first == second
    assert first != other


def test_the_digest_sees_the_hour_of_a_policy_but_not_its_day(sandbox: Sandbox, azure: Any) -> None:
    """
    Default policies carry the day of their vault, which is no difference; their hour would be one.
    """
    vault = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}

    def create() -> str:
        azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", vault).result()
        digest = sandbox.state_digest()
        azure.vaults.vaults.begin_delete("rg-vault", "rsv-new").result()
        return digest

    first = create()
    # Long enough for the deleted vault to be gone for good.
    sandbox.advance(15 * 86400)
    assert first == create()

    policies = azure.backup.protection_policies
    policy = policies.get("rsv-old", "rg-vault", "EnhancedPolicy").as_dict()["properties"]
    before = sandbox.state_digest()
    policy["schedulePolicy"]["hourlySchedule"]["scheduleWindowStartTime"] = "2026-11-01T09:00:00Z"
    policy["retentionPolicy"]["dailySchedule"]["retentionTimes"] = ["2026-11-01T09:00:00Z"]
    policies.create_or_update("rsv-old", "rg-vault", "EnhancedPolicy", {"properties": policy})
    assert before != sandbox.state_digest()


def test_resources_are_told_in_the_order_of_their_ids(sandbox: Sandbox, ids: Any) -> None:
    """
    Every stored body is there once, by lower-cased id.
    """
    keys = [body["id"].lower() for body in sandbox.resources()]

    assert sorted(set(keys)) == keys
    assert ids.vm("web").lower() in keys


def test_the_default_policies_that_a_vault_lacks_are_added(
    sandbox: Sandbox, estate: Estate, azure: Any, ids: Any
) -> None:
    """
    Those that the estate has stay as they are.
    """
    own = {
        "id": f"{ids.vault}/backupPolicies/defaultpolicy",
        "name": "defaultpolicy",
        "type": "Microsoft.RecoveryServices/vaults/backupPolicies",
        "properties": {"backupManagementType": "AzureIaasVM", "timeZone": "Tokyo Standard Time"},
    }
    sandbox.load(replace(estate, resources=(*estate.resources, own)))
    zones = {
        one.name: one.properties.time_zone
        for one in azure.backup.backup_policies.list(
            "rsv-old", "rg-vault", filter="backupManagementType eq 'AzureIaasVM'"
        )
    }

    assert {"defaultpolicy": "Tokyo Standard Time", "EnhancedPolicy": "UTC"} == zones


def test_status_counts_what_is_there(sandbox: Sandbox, azure: Any) -> None:
    """
    Resources by type, requests, and operations under way.
    """
    azure.backup.protection_containers.refresh("rsv-old", "rg-vault", "Azure")
    status = sandbox.status()

    assert (str(sandbox.path), "small", 1, 1) == tuple(
        status[name] for name in ("path", "estate", "requests", "pending_operations")
    )
    assert 9 == status["resources"]["microsoft.compute/virtualmachines"]
    assert timedelta() <= status["now"] - sandbox.now() + timedelta(seconds=5)
