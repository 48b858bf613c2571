"""
`runbook snapshot`: a copy of an estate that plans as the original does, and whose plan goes to the original alone.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from bench.estate import write_sandbox
from click.testing import CliRunner, Result
from support import RunMaker, writes

from runbook_lib import checks
from runbook_lib.arm.apply import check_plan
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.opening import open_session
from runbook_lib.arm.scrub import scrubbed
from runbook_lib.arm.session import Session
from runbook_lib.arm.snapshot import LEFT_OUT, read_snapshot
from runbook_lib.cli import main
from runbook_lib.cli.snapshot import estate_of
from runbook_lib.errors import PlanRefused
from runbook_lib.folder import RunFolder
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters, build
from runbook_lib.plan import build as build_plan
from runbook_lib.plan import plan_digest
from runbook_lib.records import Inventory, Origin, Plan, Target, Verdict, key, material
from runbook_lib.rehearsal import Estimate, estimate, lines
from runbook_lib.run import Run
from runbook_lib.sandbox import Fault, Sandbox, read_estate, write_estate

pytestmark = pytest.mark.commands

PRODUCTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
DEVELOPMENT = "b2d84e17-93c5-4f0a-8e26-71a9c4d0f5e3"
SECRET = "correct-horse-battery"
EXTENSIONS = "Microsoft.Azure.Extensions"
WAVE = ("-p", "vm_selector", "tag:wave=1")
# What a run never looks at, or only the instance view tells of.
NOT_COPIED = ("/backupjobs/", "/extensions/", "/virtualmachinescalesets/")


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def _snapshot(tmp_path: Path, *arguments: str) -> tuple[Path, Result]:
    file = tmp_path / "copy.json"
    return file, _runbook("snapshot", str(file), *arguments)


@pytest.fixture
def copied(contoso: Sandbox, tmp_path: Path) -> Sandbox:
    """
    A sandbox that holds a copy of the example estate.
    """
    file, result = _snapshot(tmp_path)
    assert 0 == result.exit_code, result.output
    return _loaded(file, tmp_path)


def _loaded(file: Path, tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(tmp_path / "copy.sqlite")
    sandbox.load(read_estate(file))
    return sandbox


def _on(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> tuple[Inventory, Plan]:
    """
    Read a sandbox and plan on it.
    """
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(sandbox.path))
    parameters = build(asked)
    inventory = read_inventory(open_session("sandbox", Journal(sandbox.path.with_suffix(".jsonl"))), parameters)
    return inventory, build_plan(inventory, parameters, inventory.read_at.date())


def _normal(sandbox: Sandbox) -> dict[str, Any]:
    """
    Return the bodies that a copy is to have, as a copy has them: what passes, what is secret and spelling aside.
    """
    found = {}
    for body in sandbox.resources():
        name = key(body["id"])
        if not any(each in name for each in (*NOT_COPIED, "/locations/")):
            found[name] = json.loads(json.dumps(_lasting(scrubbed(body))))
    return found


def _lasting(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        passing = {"etag", "deferredDeleteTimeRemaining", "name", "type", "lastRecoveryPoint", "protectedItemDataId"}
        passing |= {"resourceGuid", "time", "protectedItemsCount", "deferredDeleteTimeInUTC", "duration"}
        return {own: _lasting(each, own) for own, each in value.items() if own not in passing}
    if isinstance(value, list):
        return [_lasting(each, name) for each in value]
    times = ("scheduleRunTimes", "retentionTimes", "scheduleWindowStartTime")
    if isinstance(value, str) and name in times:
        return value[10:]
    return value.lower() if isinstance(value, str) and value.startswith("/subscriptions/") else value


# --- the copy -------------------------------------------------------------------------------------------------------


def test_a_copy_holds_what_the_original_does(contoso: Sandbox, copied: Sandbox) -> None:
    """
    Resource by resource; what the service fills in when it is asked is filled in.
    """
    original, copy = _normal(contoso), _normal(copied)

    assert set() == original.keys() ^ copy.keys()
    assert [] == [name for name, body in original.items() if not _within(body, copy[name])]


def _within(body: Any, copy: Any) -> bool:
    """
    Tell whether a copy has all that a body has: the service adds defaults where it shows it.
    """
    if isinstance(body, dict) and isinstance(copy, dict):
        return all(value is None or _within(value, copy.get(name)) for name, value in body.items())
    return bool(body == copy)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"vm_selector": "tag:wave=1", "redundancy": "LocallyRedundant"},
        {"change_policy": True, "policy_name": "Nightly", "undelete": True},
        {"network_option": "ip_ranges"},
        {"network_option": "http_proxy", "proxy_host": "10.20.4.4"},
    ],
    ids=lambda asked: "-".join(asked) or "defaults",
)
def test_a_plan_on_the_copy_is_the_plan_on_the_original(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """
    The same changes on the same worlds, and the same verdicts before them.
    """
    pairs = [("-p", name, str(value)) for name, value in asked.items() if name != "vm_selector"]
    file, result = _snapshot(tmp_path, *(word for pair in pairs for word in pair))
    assert 0 == result.exit_code, result.output
    seen, planned = _on(contoso, monkeypatch, **asked)
    copy = _loaded(file, tmp_path)
    again, replanned = _on(copy, monkeypatch, **asked)
    copy.close()

    assert planned.changes == replanned.changes
    assert [step.digest for step in planned.steps] == [step.digest for step in replanned.steps]
    assert planned.notes == replanned.notes
    parameters = build(asked)
    assert checks.verdicts_on(seen, parameters) == checks.verdicts_on(again, parameters)
    assert planned.copy_of is None
    assert Origin(
        kind="sandbox",
        name="contoso",
        tenant="3c9e7f52-18ab-4d6e-b047-5f2a9d81c6e0",
        subscriptions=(PRODUCTION, DEVELOPMENT),
        read_at=contoso.now().replace(microsecond=0),
    ) == replace(replanned.copy_of, read_at=contoso.now().replace(microsecond=0))  # type: ignore[type-var]


def test_a_copy_of_real_shapes_reads_as_the_original(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of what Azure was recorded to answer nothing gets lost or another meaning: every kind of resource, in every case.
    """
    if not (reference := os.environ.get("RUNBOOK_REFERENCE")):
        pytest.skip("RUNBOOK_REFERENCE is unset: it names the folder that holds recordings/ of real traffic")
    contoso.load(read_estate(Path(reference) / "recordings"))
    file, result = _snapshot(tmp_path)
    copy = _loaded(file, tmp_path)
    read = []
    for sandbox in (contoso, copy):
        monkeypatch.setenv("RUNBOOK_SANDBOX", str(sandbox.path))
        read.append(read_inventory(open_session("sandbox", Journal(tmp_path / "j.jsonl")), Parameters()))
    copy.close()
    original, again = read

    assert 3 == result.exit_code, result.output
    assert original.unread == again.unread
    for kind in fields(original):
        found, copied = getattr(original, kind.name), getattr(again, kind.name)
        if isinstance(found, dict):
            assert {each: material(one) for each, one in found.items()} == {
                each: material(one) for each, one in copied.items()
            }


def test_taking_a_copy_writes_nothing(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Every request is a GET.
    """
    before = contoso.state_digest()
    _snapshot(tmp_path)

    assert {"GET"} == {each["method"] for each in contoso.requests()}
    assert before == contoso.state_digest()


def test_only_the_owner_may_read_it_and_it_holds_no_secret(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Neither passwords nor start-up data, scripts, what they print, or signatures; what was read on the way is gone.
    """
    secret = SECRET
    estate = read_estate("contoso")
    profile = {"adminPassword": secret, "customData": secret, "secrets": [{"x": secret}], "computerName": "pc"}
    profile |= {"windowsConfiguration": {"provisionVMAgent": True, "additionalUnattendContent": [{"content": secret}]}}
    more = {"osProfile": profile, "userData": secret, "link": f"https://x.blob.core.windows.net/a?sig={secret}&se=1"}
    bodies = tuple(
        body | {"properties": body["properties"] | more} if "/virtualMachines/" in body["id"] else body
        for body in estate.resources
    )
    printed = {"extensions": [{"name": "Run", "substatuses": [{"message": secret}], "statuses": []}]}
    contoso.load(replace(estate, resources=bodies, status={vm: view | printed for vm, view in estate.status.items()}))
    file, result = _snapshot(tmp_path)

    assert 0 == result.exit_code, result.output
    assert secret not in file.read_text()
    assert '"computerName": "pc"' in file.read_text()
    assert {"copy.json", "copy.json.journal.jsonl"} == {path.name for path in tmp_path.glob("copy.json*")}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("copy.json*")}


@pytest.mark.parametrize(
    "body",
    [
        {"tags": {"dbSecret": SECRET, "apikey": SECRET, "Passphrase ": SECRET}},
        {"properties": {"extra": {"secret": SECRET, "tokens": [], "token": [SECRET]}}},
        {"properties": {"notes": f"password={SECRET}", "rules": [{"description": f"pwd={SECRET}"}]}},
        {"type": "Microsoft.Compute/virtualMachines/extensions", "properties": {"settings": {"x": SECRET}}},
        {"id": "/subscriptions/s/VMs/v/Extensions/e", "properties": {"Settings": {"x": SECRET}}},
        {"properties": {"TypeHandlerVersion": "1.0", "settings": SECRET, "protectedSettings": SECRET}},
        {"extensionProfile": {"extensions": [{"properties": {"settings": {"x": SECRET}}}]}},
        {"osprofile": {"WindowsConfiguration": {"additionalUnattendContent": [{"content": SECRET}]}}},
        {"OSProfile": {"linuxconfiguration": {"ssh": {"publicKeys": [{"keyData": SECRET}]}}, "secrets": [SECRET]}},
        {"osProfile": {"LinuxConfiguration": [{"keyData": SECRET}]}},
        {"extensions": [{"type": f"{EXTENSIONS}.CustomScript", "statuses": [{"message": SECRET}]}]},
        {"Extensions": [{"name": "VMSnapshot", "Statuses": [{"Message": SECRET}]}]},
        {"extensions": [{"name": "VMSnapshot", "type": "Example.VMSnapshot", "statuses": [{"message": SECRET}]}]},
        {"vmAgent": {"extensionHandlers": [{"type": f"{EXTENSIONS}.CustomScript", "status": {"message": SECRET}}]}},
        {"VMAgent": {"ExtensionHandlers": [{"Status": {"message": SECRET}}]}},
        {"properties": {"publisher": EXTENSIONS, "typeHandlerVersion": "2.1", "instanceView": {"message": SECRET}}},
        {"statuses": [{"code": "ProvisioningState/failed", "message": f"stdout: {SECRET}"}]},
        {"instanceView": {"vmHealth": {"status": {"message": SECRET}}}},
    ],
)
def test_secrets_are_left_out_wherever_they_stand(body: dict[str, Any]) -> None:
    """
    By the name of the member, by the text itself, and with all settings of an extension, however little it says.
    """
    assert SECRET not in json.dumps(scrubbed(body))


def test_what_scripts_printed_is_left_out_and_what_checks_go_by_is_kept(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of the VM agent and of the backup extension, in the model and in the view, a message says what is wrong.
    """
    backup = "Microsoft.Azure.RecoveryServices.VMSnapshotLinux"
    failed = {"code": "ProvisioningState/failed/5", "displayStatus": "Provisioning failed", "message": "SNAPSHOT"}
    printed = {"code": "ProvisioningState/succeeded", "displayStatus": "done", "message": f"[stdout] {SECRET}"}
    told = {"code": "ProvisioningState/succeeded", "displayStatus": "Not Ready", "message": "AGENT says"}
    view = {
        "statuses": [printed, {"code": "PowerState/running"}],
        "extensions": [
            {"name": "x", "type": backup, "typeHandlerVersion": "1.0", "statuses": [failed]},
            {"name": "y", "type": f"{EXTENSIONS}.CustomScript", "statuses": [printed]},
        ],
        "vmAgent": {
            "vmAgentVersion": "2.9",
            "statuses": [told],
            "extensionHandlers": [
                {"type": backup, "status": failed},
                {"type": f"{EXTENSIONS}.CustomScript", "status": printed},
            ],
        },
    }
    estate = read_estate("contoso")
    seen = {vm: one | view if "vmAgent" in one else one for vm, one in estate.status.items()}
    contoso.load(replace(estate, status=seen))
    file, result = _snapshot(tmp_path)
    original, planned = _on(contoso, monkeypatch)
    copy = _loaded(file, tmp_path)
    again, replanned = _on(copy, monkeypatch)
    copy.close()
    verdicts = checks.verdicts_on(again, Parameters())
    facts = {finding.facts.get("message") for finding in checks.findings_on(again, Parameters())}

    assert 0 == result.exit_code, result.output
    assert SECRET not in file.read_text()
    assert {"SNAPSHOT", "AGENT says"} <= facts
    assert checks.verdicts_on(original, Parameters()) == verdicts
    assert planned.changes == replanned.changes


def test_what_is_no_secret_is_copied_as_it_is() -> None:
    """
    Settings of a policy, and names that only sound like secrets.
    """
    body = {"properties": {"settings": {"timeZone": "UTC"}, "secretUrl": "https://kv.example/s", "notes": "see ITSM"}}

    assert body == scrubbed(body)


def test_what_is_no_copy_of_a_whole_subscription_is_refused(contoso: Sandbox, tmp_path: Path) -> None:
    """
    So are a file that is there, and a folder that is not; nothing is sent.
    """
    (tmp_path / "there.json").write_text("mine")
    selecting = _snapshot(tmp_path, *WAVE)[1]
    there = _runbook("snapshot", str(tmp_path / "there.json"))
    nowhere = _runbook("snapshot", str(tmp_path / "no" / "copy.json"))
    both = _snapshot(tmp_path, "-p", "subscription_ids", "x", "-p", "apply", "perhaps")[1]

    assert [2, 2, 2, 2] == [each.exit_code for each in (selecting, there, nowhere, both)]
    assert "vm_selector" in selecting.stderr
    assert "Name another file" in there.stderr
    assert "apply" in both.stderr
    assert [] == contoso.requests()
    assert "mine" == (tmp_path / "there.json").read_text()


def test_another_subscription_is_unread_not_empty(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A copy of one subscription knows the vaults of the others, and says that it does not know their VMs.
    """
    file, result = _snapshot(tmp_path, "-p", "subscription_ids", PRODUCTION)
    copy = _loaded(file, tmp_path)
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(copy.path))
    read = read_inventory(open_session("sandbox", Journal(tmp_path / "j.jsonl")), Parameters())
    copy.close()

    assert 0 == result.exit_code, result.output
    assert {PRODUCTION} == {vm.subscription for vm in read.vms.values()}
    assert (LEFT_OUT, 404) in {(gap.code, gap.status) for gap in read.unread if DEVELOPMENT in gap.scope}
    assert "Microsoft.Compute/virtualMachines" in {gap.what for gap in read.unread if DEVELOPMENT in gap.scope}


def test_points_and_service_tags_are_never_made_up(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A copy that was not asked for them refuses them, for the simulator's own would get into a plan for the original.
    """
    file, _ = _snapshot(tmp_path)
    copy = _loaded(file, tmp_path)
    asked = build({"change_policy": True, "policy_name": "Nightly", "network_option": "ip_ranges"})
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(copy.path))
    read = read_inventory(open_session("sandbox", Journal(tmp_path / "j.jsonl")), asked)
    copy.close()

    assert {} == read.service_tags
    assert {LEFT_OUT} == {gap.code for gap in read.unread}
    assert any(gap.what.endswith("recoveryPoints") for gap in read.unread)


def test_a_vault_whose_replication_is_locked_stays_so(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Also where it holds nothing any more, and where it is so old that only its storage configuration knows.
    """
    estate = read_estate("contoso")
    (vault,) = (body["id"] for body in estate.resources if body["id"].endswith("/vaults/rsv-westeurope"))
    storage = {"storageType": "LocallyRedundant", "storageTypeState": "Locked", "crossRegionRestoreFlag": False}
    bodies = []
    for body in estate.resources:
        if body["id"] == vault:
            body = body | {"properties": {"provisioningState": "Succeeded"}}
        if not body["id"].startswith(f"{vault}/backupFabrics/"):
            bodies.append(body)
    contoso.load(replace(estate, resources=tuple(bodies), status=estate.status | {vault.lower(): storage}))
    file, _ = _snapshot(tmp_path)
    copy = _loaded(file, tmp_path)
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(copy.path))
    read = read_inventory(open_session("sandbox", Journal(tmp_path / "j.jsonl")), Parameters())
    copy.close()

    assert ("LocallyRedundant", True) == (
        read.vaults[key(vault)].redundancy,
        read.vaults[key(vault)].redundancy_locked,
    )


# --- what stands in the way of reading ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query", "what"),
    [
        ("/providers/microsoft.network/networksecuritygroups$", "", "Microsoft.Network/networkSecurityGroups"),
        ("/vaults/rsv-westeurope/backupprotecteditems$", "", "backupProtectedItems"),
        ("/virtualmachines(/[^/]+/instanceview)?$", "statusonly=true|^api-version=[^&]*$", "instanceView"),
    ],
    ids=["rules", "items", "statuses"],
)
def test_what_could_not_be_read_is_unread_in_the_copy(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, query: str, what: str
) -> None:
    """
    The file says so, the rehearsal says so with the service's own code, and its VMs stand where those of the original
    do: undetermined, never absent.
    """
    if what == "instanceView":
        # The list of VMs itself can be read.
        contoso.fault(Fault(path="/virtualmachines$", query="statusonly=true", status=403, code="AuthorizationFailed"))
        contoso.fault(Fault(path="/instanceview$", status=403, code="AuthorizationFailed"))
    else:
        contoso.fault(Fault(path=path, query=query, status=403, code="AuthorizationFailed", message="Not you."))
    file, result = _snapshot(tmp_path)
    seen, _ = _on(contoso, monkeypatch)
    copy = _loaded(file, tmp_path)
    again, _ = _on(copy, monkeypatch)
    copy.close()
    told = json.loads(file.read_text())["source"]["unread"]

    assert 3 == result.exit_code, result.output
    assert "AuthorizationFailed" in result.stdout
    assert any(what in each["what"] for each in told)
    assert {(key(gap.scope), gap.what, gap.code) for gap in seen.unread} == {
        (key(gap.scope), gap.what, gap.code) for gap in again.unread
    }
    before, after = (checks.verdicts_on(each, Parameters()) for each in (seen, again))
    assert {key(vm): verdict for vm, (verdict, _) in before.items()} == {
        key(vm): verdict for vm, (verdict, _) in after.items()
    }
    if what != "Microsoft.Network/networkSecurityGroups":
        assert Verdict.UNDETERMINED in {verdict for verdict, _ in after.values()}


def _lists(requests: list[dict[str, Any]]) -> Counter[str]:
    answered = (each for each in requests if each["status"] == 200)
    return Counter(f"{each['path'].lower()}?{sorted(each['query'].items())}" for each in answered)


def test_a_broken_connection_stops_it_and_nothing_is_read_twice(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Exit code 5; the same command goes on between two pages, and the copy is the one that nothing would have broken.
    """
    contoso.configure(page_sizes={"virtualMachines": 4, "disks": 10, "networkInterfaces": 5})
    whole, _ = _snapshot(tmp_path)
    kept = json.loads(whole.read_text())
    for path in tmp_path.glob("copy.json*"):
        path.unlink()
    since = contoso.requests()[-1]["seq"]
    contoso.fault(Fault(does="reset", path="/disks$", skip=3))
    broken = _snapshot(tmp_path)[1]
    contoso.clear_faults()
    file, again = _snapshot(tmp_path)

    assert 5 == broken.exit_code, broken.output
    assert "Run the same command again" in broken.stderr
    assert 0 == again.exit_code, again.output
    assert 1 == max(_lists(contoso.requests(since)).values())
    read = json.loads(file.read_text())
    assert _lasting([kept["resources"], kept["status"]]) == _lasting([read["resources"], read["status"]])


def test_a_killed_one_goes_on_where_it_stopped(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Killed at once and without a word, in the middle of a line as it may be: no answer is asked for again.
    """
    contoso.configure(
        page_sizes={"virtualMachines": 2, "disks": 3}, latency={"median": 0.02, "p99": 0.03}, clock_scale=1
    )
    file = tmp_path / "copy.json"
    child = subprocess.Popen(
        [sys.executable, "-m", "runbook_lib", "snapshot", str(file)], env=os.environ, stdout=subprocess.DEVNULL
    )
    while child.poll() is None and len(contoso.requests()) < 50:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    part = tmp_path / "copy.json.part"
    kept = part.read_bytes()
    answers = kept.count(b"\n") - 1
    since = contoso.requests()[-1]["seq"]
    with part.open("ab") as lines:
        lines.write(b'{"path": "/subscr')
    result = _runbook("snapshot", str(file))
    first = _lists(contoso.requests()) - _lists(contoso.requests(since))

    assert 0 == result.exit_code, result.output
    assert f"{answers} there from an earlier try" in result.stdout
    # An answer that was on its way when the process died never came.
    assert len(_lists(contoso.requests(since)) & first) <= 8
    assert answers + len(_lists(contoso.requests(since))) == len(_lists(contoso.requests()))
    assert not part.exists()
    assert 43 == len([each for each in read_estate(file).resources if each["type"].endswith("/virtualMachines")])


def test_a_part_of_another_reading_is_refused(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What was read with other parameters, or is no such file at all, is not gone on with; it stays as it is.
    """
    contoso.fault(Fault(does="reset", path="/disks$"))
    _snapshot(tmp_path)
    contoso.clear_faults()
    part = tmp_path / "copy.json.part"
    kept = part.read_bytes()
    other = _snapshot(tmp_path, "-p", "change_policy", "true")[1]
    (tmp_path / "else.json.part").write_text("not ours\n")
    alien = _runbook("snapshot", str(tmp_path / "else.json"))

    assert (2, 2) == (other.exit_code, alien.exit_code)
    assert "with other parameters" in other.stderr
    assert kept == part.read_bytes()
    assert "not ours\n" == (tmp_path / "else.json.part").read_text()


def _interrupted(contoso: Sandbox, tmp_path: Path, *arguments: str) -> Path:
    """
    Begin a copy that is cut off before it is whole; return what it left.
    """
    contoso.fault(Fault(does="reset", path="/disks$"))
    _, broken = _snapshot(tmp_path, *arguments)
    contoso.clear_faults()
    assert 5 == broken.exit_code, broken.output
    return tmp_path / "copy.json.part"


def _subscriptions_changed(part: Path, change: dict[str, Any]) -> None:
    """
    Edit the list of subscriptions among what was read.
    """
    lines = [json.loads(line) for line in part.read_text().splitlines()]
    lines = [each | change if each.get("path") == "/subscriptions" else each for each in lines]
    part.write_text("".join(f"{json.dumps(each)}\n" for each in lines))


def test_a_reading_that_ended_in_an_error_is_not_gone_on_with(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Whoever gets to see the subscription later gets the copy by the same command.
    """
    estate = read_estate("contoso")
    others = tuple(body for body in estate.resources if DEVELOPMENT not in body["id"])
    status = {vm: view for vm, view in estate.status.items() if DEVELOPMENT not in vm}
    contoso.load(replace(estate, resources=others, status=status))
    _, unseen = _snapshot(tmp_path, "-p", "subscription_ids", DEVELOPMENT)
    left = sorted(path.name for path in tmp_path.glob("copy.json*"))
    contoso.load(estate)
    file, result = _snapshot(tmp_path, "-p", "subscription_ids", DEVELOPMENT)

    assert (2, True) == (unseen.exit_code, "is not among those" in unseen.stderr), unseen.output
    assert ["copy.json.journal.jsonl"] == left
    assert 0 == result.exit_code, result.output
    assert [DEVELOPMENT] == json.loads(file.read_text())["source"]["subscriptions"]


def test_an_error_that_an_earlier_reading_leads_to_is_looked_at_anew(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What was not there when it began may be there by now; what is still not there is an error, once.
    """
    chosen = ("-p", "subscription_ids", PRODUCTION)
    part = _interrupted(contoso, tmp_path, *chosen)
    _subscriptions_changed(part, {"rows": []})
    _, result = _snapshot(tmp_path, *chosen)

    assert 0 == result.exit_code, result.output
    assert ", 0 there from an earlier try" in result.stdout


@pytest.mark.parametrize("link", ["https://127.0.0.1:1\\@management.azure.com/planted", "https://evil.example/planted"])
def test_a_part_that_leads_to_another_host_is_read_anew(contoso: Sandbox, tmp_path: Path, link: str) -> None:
    """
    Whoever writes into it gets neither a request nor a row into the copy.
    """
    part = _interrupted(contoso, tmp_path)
    planted = {"id": "/subscriptions/planted", "subscriptionId": "planted"}
    _subscriptions_changed(part, {"rows": [planted], "following": link})
    since = contoso.requests()[-1]["seq"]
    file, result = _snapshot(tmp_path)

    assert 0 == result.exit_code, result.output
    assert "planted" not in file.read_text()
    assert [] == [each["path"] for each in contoso.requests(since) if "planted" in each["path"]]


@pytest.mark.parametrize(("hours", "goes_on"), [(20, True), (25, False), (240, False)])
def test_a_part_of_another_day_is_read_anew(contoso: Sandbox, tmp_path: Path, hours: int, *, goes_on: bool) -> None:
    """
    Up to a day it is gone on with, and the copy is as old as its oldest answer; a rehearsal begins at the newest one.
    """
    part = _interrupted(contoso, tmp_path)
    began = min(json.loads(line)["at"] for line in part.read_text().splitlines()[1:])
    contoso.advance(hours * 3600)
    file, result = _snapshot(tmp_path)
    estate = read_estate(file)

    assert 0 == result.exit_code, result.output
    assert goes_on == (", 0 there from an earlier try" not in result.stdout)
    assert goes_on == (began == estate.source["read_at"])
    assert (contoso.now() - estate.as_of).total_seconds() < 60
    assert f"read at {estate.source['read_at']}" in result.stdout


def test_a_part_that_lacks_nothing_is_of_another_day_by_this_machine(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Where nothing is asked any more, no answer tells the time.
    """
    session = _session(contoso, tmp_path)
    part = tmp_path / "copy.part"
    whole = read_snapshot(session, Parameters(), part, lambda *_: None)
    again = read_snapshot(_session(contoso, tmp_path), Parameters(), part, lambda *_: None)
    contoso.advance(25 * 3600)
    anew = read_snapshot(_session(contoso, tmp_path), Parameters(), part, lambda *_: None)

    assert (0, 0, 0) == (whole.kept, again.asked, anew.kept)
    assert whole.origin == again.origin
    assert anew.origin.read_at > whole.origin.read_at


@pytest.mark.parametrize("content", ["notes\nwithout an end", "no line at all", '{"snapshot":1}\n[', "[]\n{"])
def test_a_foreign_part_is_refused_and_left_as_it_is(contoso: Sandbox, tmp_path: Path, content: str) -> None:
    """
    Nothing is cut off a file before it is known to be what an earlier reading left.
    """
    part = tmp_path / "copy.json.part"
    part.write_text(content)
    _, result = _snapshot(tmp_path)

    assert (2, True) == (result.exit_code, "copy.json.part" in result.stderr), result.output
    assert content == part.read_text()


@pytest.mark.parametrize("suffix", ["", ".part", ".journal.jsonl"])
def test_a_copy_is_never_written_through_a_link(contoso: Sandbox, tmp_path: Path, suffix: str) -> None:
    """
    Whether there is something at its end or not.
    """
    (tmp_path / f"copy.json{suffix}").symlink_to(tmp_path / "elsewhere")
    _, result = _snapshot(tmp_path)

    assert (2, True) == (result.exit_code, "symbolic link" in result.stderr), result.output
    assert not (tmp_path / "elsewhere").exists()


def test_limits_cost_time_and_nothing_else(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Under the documented limits, with pages so small that they are felt, everything is read.
    """
    file = tmp_path / "bench.sqlite"
    write_sandbox(file, 300, {"throttle": "arm2024", "page_sizes": {"virtualMachines": 1, "networkInterfaces": 1}})
    sandbox = Sandbox(file)
    session = _session(sandbox, tmp_path)
    found = read_snapshot(session, Parameters(), tmp_path / "copy.part", lambda *_: None)
    sandbox.close()

    assert () == found.unread
    assert 300 == sum("/virtualmachines/" in each for each in found.resources)
    assert session.limiter.waited > 10


# --- the rehearsal and the original ---------------------------------------------------------------------------------


def test_a_rehearsed_plan_brings_the_original_where_the_rehearsal_ended(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The rehearsal shows plan, verdicts, calls and time, and says how to go on; going on does what it did.
    """
    file, _ = _snapshot(tmp_path)
    since = contoso.requests()[-1]["seq"]
    rehearsed = _runbook("run", "--estate", str(file), *WAVE, "--apply", "--out", str(tmp_path / "r"))

    assert 0 == rehearsed.exit_code, rehearsed.output
    assert [] == contoso.requests(since)
    assert "enable backup of VM hr01" in rehearsed.stdout
    assert "A copy of SANDBOX (simulated), read at 2026-11-18T07:30:00+00:00." in rehearsed.stdout
    assert "Applying this to the original takes about " in rehearsed.stdout
    assert f"runbook apply {tmp_path / 'r'} --target sandbox" in rehearsed.stdout

    applied = _runbook("apply", str(tmp_path / "r"), "--target", "sandbox", "--out", str(tmp_path / "a"))
    own = Sandbox(tmp_path / "r.sandbox.sqlite")
    original, copy = _normal(contoso), _normal(own)
    own.close()
    plans = [json.loads((tmp_path / name / "plan.json").read_text()) for name in ("r", "a")]

    assert 0 == applied.exit_code, applied.output
    assert "Changes: 18 done" in applied.stdout
    assert "Applying this to the original" not in applied.stdout
    assert set() == original.keys() ^ copy.keys()
    assert [] == [name for name, body in original.items() if not _within(body, copy[name])]
    assert plans[0] == plans[1]
    assert 0 == _runbook("verify", str(tmp_path / "a")).exit_code


def test_without_a_word_a_rehearsed_plan_stays_on_the_copy(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Only --target leads from a copy to the original.
    """
    file, _ = _snapshot(tmp_path)
    _runbook("run", "--estate", str(file), "-p", "vm_selector", "name:hr01", "--out", str(tmp_path / "r"))
    applied, again = (_runbook("apply", str(tmp_path / "r"), "--out", str(tmp_path / name)) for name in ("a", "b"))

    assert 0 == applied.exit_code, applied.output
    assert [] == writes(contoso)
    assert "takes about" in applied.stdout
    # What is there already takes no time that anybody could count.
    assert (0, True, False) == (again.exit_code, "A copy of" in again.stdout, "takes about" in again.stdout)


def test_an_original_that_moved_is_refused_with_what_moved(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Somebody made the vault of the plan meanwhile, elsewhere: exit code 4, and no write.
    """
    file, _ = _snapshot(tmp_path)
    _runbook("run", "--estate", str(file), *WAVE, "--apply", "--out", str(tmp_path / "r"))
    estate = read_estate("contoso")
    group = f"/subscriptions/{PRODUCTION}/resourceGroups/rg-backup-spaincentral"
    vault = f"{group}/providers/Microsoft.RecoveryServices/vaults/rsv-spaincentral"
    body = {"id": vault, "location": "westeurope", "properties": {"provisioningState": "Succeeded"}}
    contoso.load(replace(estate, resources=(*estate.resources, body)))
    since = (contoso.requests() or [{"seq": 0}])[-1]["seq"]
    refused = _runbook("apply", str(tmp_path / "r"), "--target", "sandbox", "--out", str(tmp_path / "a"))

    assert 4 == refused.exit_code, refused.output
    assert "rg-backup-spaincentral" in refused.stderr
    assert "planned on" in refused.stderr
    assert [] == writes(contoso, since)
    assert not (tmp_path / "a").exists()


class _Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("a-token-of-the-tests", int(time.time()) + 3600)


def _session(sandbox: Sandbox, tmp_path: Path, **target: str) -> Session:
    """
    Sign in to a sandbox as if it were another target, such as Azure.
    """
    given = {"kind": "sandbox", "name": "bench"} | target
    return Session(
        Target(**given),
        _Credential(),
        Journal(tmp_path / "session.jsonl"),
        sandbox.transport(),
        clock=lambda: sandbox.now().timestamp(),
    )


AZURE = {"kind": "azure", "name": "AzureCloud", "tenant": "3c9e7f52-18ab-4d6e-b047-5f2a9d81c6e0"}


def _copy_of_azure(contoso: Sandbox, tmp_path: Path, **asked: Any) -> Path:
    """
    Take a copy of the example estate, signed in as to Azure, into an estate file.
    """
    found = read_snapshot(_session(contoso, tmp_path, **AZURE), build(asked), tmp_path / "azure.part", lambda *_: None)
    file = tmp_path / "azure.json"
    write_estate(estate_of(file, found, build(asked)), file)
    return file


@pytest.mark.parametrize(
    ("target", "accepted"),
    [
        (AZURE, True),
        (AZURE | {"tenant": AZURE["tenant"].upper()}, True),
        (AZURE | {"tenant": "00000000-0000-0000-0000-000000000000"}, False),
        (AZURE | {"tenant": ""}, False),
        (AZURE | {"name": "AzureChinaCloud"}, False),
        ({"kind": "sandbox", "name": "contoso"}, False),
    ],
)
def test_a_plan_goes_to_the_tenant_that_was_copied_and_to_no_other(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: dict[str, str], *, accepted: bool
) -> None:
    """
    Cloud and tenant have to be known and the same; another sandbox is another target too.
    """
    copy = _loaded(_copy_of_azure(contoso, tmp_path), tmp_path)
    _, plan = _on(copy, monkeypatch, vm_selector="name:hr01")
    copy.close()
    session = _session(contoso, tmp_path, **target)

    assert "SANDBOX (simulated)" == plan.target
    if accepted:
        check_plan(plan, session)
    else:
        with pytest.raises(PlanRefused, match="a copy of AZURE AzureCloud"):
            check_plan(plan, session)


def test_a_plan_for_an_invented_estate_never_goes_to_azure(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nor does that of a copy of it, nor one for a subscription that was not copied.
    """
    azure = _session(contoso, tmp_path, **AZURE)
    _, invented = _on(contoso, monkeypatch, vm_selector="name:hr01")
    copy = _loaded(_snapshot(tmp_path)[0], tmp_path)
    _, second_hand = _on(copy, monkeypatch, vm_selector="name:hr01")
    copy.close()
    for plan in (invented, second_hand):
        with pytest.raises(PlanRefused, match="nowhere else"):
            check_plan(plan, azure)

    monkeypatch.setenv("RUNBOOK_SANDBOX", str(contoso.path))
    part = _loaded(_copy_of_azure(contoso, tmp_path, subscription_ids=[DEVELOPMENT]), tmp_path)
    _, plan = _on(part, monkeypatch, subscription_ids=[DEVELOPMENT], vm_selector="all")
    part.close()
    check_plan(plan, azure)
    origin = replace(plan.copy_of, subscriptions=(PRODUCTION,))  # type: ignore[type-var]
    other = replace(plan, copy_of=origin)
    with pytest.raises(PlanRefused, match="does not have the subscription"):
        check_plan(replace(other, digest=plan_digest(other)), azure)


def test_a_plan_for_an_invented_estate_is_refused_before_anybody_signs_in(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    There is no credential here, and nobody is told so: signing in would not help.
    """
    monkeypatch.setattr("runbook_lib.arm.opening.SignIn", None)
    _runbook("run", "-p", "vm_selector", "name:hr01", "--out", str(tmp_path / "r"))
    result = _runbook("apply", str(tmp_path / "r"), "--target", "azure", "--out", str(tmp_path / "a"))

    assert (4, True) == (result.exit_code, "nowhere else" in result.stderr), result.output
    assert not (tmp_path / "a").exists()


def test_a_plan_that_names_another_origin_has_another_digest(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: RunMaker
) -> None:
    """
    What an estate was copied from cannot be written into a plan by hand.
    """
    path = make_run(vm_selector="name:hr01")
    path.folder.save_plan(path.plan)
    file = path.folder.path / "plan.json"
    plan = json.loads(file.read_text())
    plan["copy_of"] = AZURE | {"subscriptions": [PRODUCTION], "read_at": "2026-11-18T07:30:00+00:00"}
    file.write_text(json.dumps(plan))
    refused = _runbook("apply", str(file), "--target", "sandbox", "--out", str(tmp_path / "a"))

    assert 4 == refused.exit_code, refused.output
    assert "does not match its digest" in refused.stderr


def test_a_rehearsed_plan_applies_where_azure_is(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The world as read there is the world that it was rehearsed on: nothing of the step is refused as moved.
    """
    copy = _loaded(_copy_of_azure(contoso, tmp_path), tmp_path)
    _, plan = _on(copy, monkeypatch, vm_selector="tag:wave=1")
    copy.close()
    run = Run(RunFolder(tmp_path / "azure"), build({"vm_selector": "tag:wave=1"}))
    run.session = _session(contoso, tmp_path, **AZURE)
    ended = run.apply_plan(plan, [step.number for step in plan.steps])

    assert {"done"} == {each.outcome for each in ended}
    assert any("protecteditems" in each.lower() for each in writes(contoso))


SIGNED_IN = {"sign_in": "environment", "tenant_id": "contoso.onmicrosoft.com", "cloud": "AzureUSGovernment"}


def _asked_for(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    """
    Return what a command would have a run do.
    """
    seen: list[Parameters] = []
    monkeypatch.setattr("runbook_lib.cli.runs._run", lambda asked, *_, **__: seen.append(asked) or 0)
    result = _runbook(*arguments)
    monkeypatch.undo()
    assert 0 == result.exit_code, result.output
    return seen[0].as_dict()


def test_how_to_sign_in_is_not_lost_between_copy_and_apply(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The copy keeps it, the rehearsal prints it in the command that applies, and that command signs in so; a word of the
    rehearsal's own goes before.
    """
    file = _copy_of_azure(contoso, tmp_path, **SIGNED_IN)
    small = ("--estate", str(file), "-p", "vm_selector", "name:hr01", "--apply")
    printed = []
    for name, more in (("r", ()), ("s", ("-p", "sign_in", "cli"))):
        result = _runbook("run", *small, *more, "--out", str(tmp_path / name))
        assert 0 == result.exit_code, result.output
        (line,) = (each for each in result.stdout.splitlines() if "runbook apply" in each)
        printed.append(shlex.split(line.partition("runbook ")[2]))
    asked = [_asked_for(monkeypatch, *words) for words in printed]

    assert ["apply", str(tmp_path / "r"), "--target", "azure"] == printed[0][:4]
    assert SIGNED_IN == {name: asked[0][name] for name in SIGNED_IN}
    assert SIGNED_IN | {"sign_in": "cli"} == {name: asked[1][name] for name in SIGNED_IN}
    assert ("azure", "name:hr01", True) == (asked[0]["target"], asked[0]["vm_selector"], asked[0]["apply"])


def test_a_copy_prints_how_to_rehearse_what_it_was_made_for(contoso: Sandbox, tmp_path: Path) -> None:
    """
    With each parameter that is not as it is by default, as a shell takes it; none where there is none.
    """
    asked = {"subscription_ids": f"{PRODUCTION},{DEVELOPMENT}", "change_policy": "true", "policy_name": "Nightly"}
    asked |= {"sign_in": "environment", "resource_group": "rg-{location}"}
    _, plain = _snapshot(tmp_path)
    result = _runbook("snapshot", str(tmp_path / "b.json"), *(w for pair in asked.items() for w in ("-p", *pair)))
    words = shlex.split(result.stdout.splitlines()[-1].partition("runbook ")[2])
    done = _runbook(*words, "-p", "vm_selector", "name:hr01", "--out", str(tmp_path / "r"))
    planned = json.loads((tmp_path / "r" / "plan.json").read_text())["parameters"]

    assert plain.stdout.splitlines()[-1].endswith(f"runbook run --estate {tmp_path / 'copy.json'} --apply")
    assert 0 == done.exit_code, done.output
    assert asked == {name: words[words.index(name) + 1] for name in asked}
    assert ([PRODUCTION, DEVELOPMENT], True) == (planned["subscription_ids"], planned["change_policy"])
    # The original is a sandbox, where nobody signs in.
    assert "sign_in" not in done.stdout


def test_apply_and_resume_take_how_to_sign_in_and_nothing_else(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Over what the plan, or the run that goes on, says; without a word a run goes on as it was started.
    """
    _runbook("run", "-p", "vm_selector", "name:hr01", "-p", "sign_in", "cli", "--out", str(tmp_path / "r"))
    applied = _runbook("apply", str(tmp_path / "r"), "-p", "tenant_id", PRODUCTION, "--out", str(tmp_path / "a"))
    kept = json.loads((tmp_path / "a" / "parameters.json").read_text())
    as_it_was = _asked_for(monkeypatch, "resume", str(tmp_path / "a"))
    otherwise = _asked_for(monkeypatch, "resume", str(tmp_path / "a"), "-p", "sign_in", "environment")

    assert 0 == applied.exit_code, applied.output
    assert ("cli", PRODUCTION) == (kept["sign_in"], kept["tenant_id"])
    assert ("cli", PRODUCTION, True) == tuple(as_it_was[each] for each in ("sign_in", "tenant_id", "apply"))
    assert ("environment", PRODUCTION) == (otherwise["sign_in"], otherwise["tenant_id"])

    for command in ("apply", "resume"):
        refused = _runbook(command, str(tmp_path / "r"), "-p", "vm_selector", "all", "-p", "sign_in", "cli")
        wrong = _runbook(command, str(tmp_path / "r"), "-p", "cloud", "Mine")

        assert 2 == refused.exit_code, refused.output
        assert "'vm_selector' cannot be given here" in refused.stderr
        assert "sign_in, tenant_id, cloud" in refused.stderr
        assert (2, True) == (wrong.exit_code, "AzureUSGovernment" in wrong.stderr), wrong.output


@pytest.mark.parametrize(
    "asked", [{"sign_in": "x; reboot"}, {"tenant_id": "$(reboot)"}, {"vm_selector": "all"}, {"cloud": 5}, "cli"]
)
def test_a_copy_puts_no_words_of_its_own_into_a_command(contoso: Sandbox, tmp_path: Path, asked: Any) -> None:
    """
    What it says of signing in is held against what the parameters take, before anything is done.
    """
    document = json.loads(_copy_of_azure(contoso, tmp_path).read_text())
    document["source"]["asked"] = asked
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(document))
    refused = _runbook("run", "--estate", str(file), "--apply", "--out", str(tmp_path / "r"))

    assert 2 == refused.exit_code, refused.output
    assert "source: " in refused.stderr


def test_a_source_that_says_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An estate that says that it is a copy has to say of what.
    """
    estate = read_estate("contoso")
    file = tmp_path / "odd.json"
    write_estate(replace(estate, source={"kind": "azure"}), file)
    refused = _runbook("run", "--estate", str(file), "--out", str(tmp_path / "r"))

    assert 2 == refused.exit_code, refused.output
    assert f"{file}: source: Origin" in refused.stderr
    assert ["odd.json"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no hay tal entorno; indique uno incluido (contoso)"),
        (b"{", "no es JSON en UTF-8"),
        (b"{}", "estate: la versión es None y esta edición lee 1"),
        (b'{"estate": 1, "resources": {}}', "resources: tiene que ser una lista; es {}"),
    ],
)
def test_a_bad_estate_is_refused_in_the_language_of_the_run(tmp_path: Path, content: bytes | None, said: str) -> None:
    """
    With the file, and nothing of it in English.
    """
    file = tmp_path / "odd.json"
    if content is not None:
        file.write_bytes(content)
    refused = _runbook("run", "-p", "language", "es", "--estate", str(file), "--out", str(tmp_path / "r"))

    assert (2, True) == (refused.exit_code, f"{file}: {said}" in refused.stderr), refused.stderr


def test_a_spanish_copy_is_rehearsed_and_refused_in_spanish(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The line to go on with keeps the language; numbers have their comma.
    """
    file, result = _snapshot(tmp_path, "-p", "language", "es")
    origin = Origin(kind="azure", name="AzureCloud", tenant="t", subscriptions=(), read_at=datetime.now(UTC))
    took = Estimate(reads=1, writes=1, refused=0, around=1, seconds=168, waited=0)
    made = Plan(target="SANDBOX (simulated)", parameters={}, copy_of=origin)
    with pytest.raises(PlanRefused) as refused:
        check_plan(replace(made, digest=plan_digest(made)), _session(contoso, tmp_path))

    assert f"runbook run --estate {file} -p language es --apply" in result.stdout
    assert "unos 2,8 minutos" in " ".join(lines(took, origin, "arm2024", "r", "", "es"))
    assert "about 2.8 minutes" in " ".join(lines(took, origin, "arm2024", "r", "", "en"))
    assert "una copia de AZURE AzureCloud, tenant t" in refused.value.describe("es")


# --- what applying will take ----------------------------------------------------------------------------------------


def _call(method: str, status: int = 200, second: int = 0) -> dict[str, Any]:
    return {
        "entry": "call",
        "method": method,
        "status": status,
        "date": f"Wed, 18 Nov 2026 07:30:{second:02} GMT",
    }


def test_an_estimate_counts_what_lies_between_approval_and_end() -> None:
    """
    Refused requests are counted, answers that overtake each other cost no time twice, and two tries add up.
    """
    found = estimate(
        [
            _call("GET"),
            {"entry": "approved"},
            _call("PUT", 429, 1),
            _call("PUT", 202, 11),
            _call("GET", 200, 9),
            _call("GET", 200, 21),
            {"entry": "limits", "waited_seconds": 7.5},
            _call("GET", 200, 50),
            {"entry": "approved"},
            _call("PUT", 201, 52),
            _call("GET", 0) | {"date": ""},
            _call("GET", 200, 54),
            {"entry": "limits", "waited_seconds": 0.5},
        ]
    )

    assert (4, 3, 1, 2) == (found.reads, found.writes, found.refused, found.around)
    assert (22.0, 8.0) == (found.seconds, found.waited)


def test_a_fleet_takes_as_long_as_its_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is told of 400 VMs lies between what the bucket of writes lets through and half as much again.
    """
    monkeypatch.setenv("RUNBOOK_STATE", str(tmp_path / "state"))
    path = tmp_path / "fleet.sqlite"
    write_sandbox(path, 450, {"throttle": "arm2024"})
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(path))
    run = Run(RunFolder(tmp_path / "run"), build({"max_errors": 1000}))
    run.apply_plan(run.plan, [step.number for step in run.plan.steps])
    found = estimate(run.folder.journal.entries())

    floor = max(0, found.writes - 200) / 10
    assert found.writes > 380
    assert floor < found.seconds < floor + 58 + 122 + 60
