"""
The shapes of real answers that a naive library gets wrong, one recorded answer each; `kind#n` is line n of a recording.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from recorded.feeding import READERS, Fed, error_fed, fed, feed
from recorded.replay import REFERENCE, cited, path_of, replayed

from runbook_lib.arm import machines, networks, shapes
from runbook_lib.arm.apply.operations import begun
from runbook_lib.arm.effective import effective
from runbook_lib.arm.pipeline import public_url
from runbook_lib.arm.servicetags import service_tags_list
from runbook_lib.arm.session import pause_of
from runbook_lib.records import key, subscription_of

pytestmark = pytest.mark.skipif(not REFERENCE, reason="RUNBOOK_REFERENCE is unset: no recorded traffic to read")


def rows(place: str) -> list[dict[str, Any]]:
    """
    The rows of a recorded list, or the one recorded resource.
    """
    body: dict[str, Any] = cited(place)["response"]["body"]
    found: list[dict[str, Any]] = body.get("value", [body])
    return found


def vm(place: str) -> Any:
    """
    Read the first VM of a record.
    """
    return READERS["microsoft.compute/virtualmachines"](rows(place)[0])


def agent(place: str) -> tuple[str, str, str]:
    """
    Power state of a VM, then status and version of its agent, empty where there is none.
    """
    read = vm(place)
    return read.power_state, *((read.agent.status, read.agent.version) if read.agent else ("", ""))


def item(place: str, number: int = 0) -> Any:
    """
    Read a protected item of a record.
    """
    return shapes.protected_item(rows(place)[number])


def health(place: str) -> tuple[str, ...]:
    """
    What an item says of its protection, its health and its last backup.
    """
    read = item(place)
    return read.protection, read.health_status, read.last_backup_status


def policy(place: str, name: str) -> dict[str, Any]:
    """
    The terms of the policy *name* for VMs in a recorded list.
    """
    read = (shapes.policy(row) for row in rows(place))
    return next(each.terms for each in read if each is not None and each.name == name)


def job(place: str) -> tuple[str, str]:
    """
    Operation and container of a recorded job.
    """
    read = shapes.backup_job(rows(place)[0])
    return read.operation, read.container


def nsg(place: str) -> Any:
    """
    Read a recorded NSG.
    """
    return networks.security_group(rows(place)[0])


def rules(place: str) -> Any:
    """
    Read recorded effective rules.
    """
    return effective(cited(place)["response"]["body"], {})


# The bullet of real-shapes.md, the record that it cites, how the library reads it, and what that has to give.
CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    # The newest SDK on this traffic: what its models lose is read by wire name.
    "item-by-wire-name": (lambda: item("protected_items_list#4").protection_state, "ProtectionStopped"),
    "job-of-a-workload": (lambda: job("backup_job_get#10"), ("Restore (Invalid)", "")),
    "job-of-a-file-share": (lambda: job("backup_job_get#41"), ("ConfigureBackup", "")),
    "job-v2": (lambda: job("backup_job_get#1")[0], "Restore"),
    "duration-of-2016": (lambda: job("backup_job_get#7")[0], "ConfigureBackup"),
    "duration-of-2016-in-a-list": (lambda: job("backup_jobs_list#2")[0], "ConfigureBackup"),
    # VM agent and instance view.
    "agent-absent-when-deallocated": (lambda: agent("vm_get_expand#111"), ("deallocated", "", "")),
    "agent-absent-while-creating": (lambda: agent("vm_get_expand#148"), ("running", "", "")),
    "no-power-state-while-creating": (lambda: agent("vm_get_expand#201"), ("", "", "")),
    "starting": (lambda: agent("vm_get_expand#241"), ("starting", "", "")),
    "stale-ready-deallocated": (lambda: agent("vm_get_expand#10"), ("deallocated", "Ready", "2.1.3")),
    "stale-ready-stopped": (lambda: agent("vm_get_expand#23"), ("stopped", "Ready", "2.2.52")),
    "not-populated-yet": (lambda: agent("vm_get_expand#13"), ("running", "Not Ready", "Unknown")),
    "unresponsive": (lambda: vm("vm_get_expand#28").agent.message, "VM Agent is unresponsive."),
    "ready-waiting-for-network": (lambda: agent("vm_get_expand#8"), ("running", "Ready", "2.7.41491.888")),
    "statuses-in-any-order": (
        lambda: (vm("vm_get_expand#2").power_state, vm("vm_get_expand#2").provisioning_state),
        ("", "creating"),
    ),
    "provisioning-state-in-lower-case": (lambda: vm("vm_get#27").provisioning_state, "succeeded"),
    "no-os-profile": (lambda: vm("vm_get#24").provision_agent, None),
    "os-disk-without-size": (lambda: [(disk.size_gb, disk.unmanaged) for disk in vm("vm_get#25").disks], [(0, False)]),
    "two-identities-in-one-text": (lambda: bool(vm("vm_get#31").name), True),
    # Ids and names.
    "id-in-the-callers-casing": (lambda: len(subscription_of(rows("backup_policies_list#6")[0]["id"])), 36),
    "id-in-lower-case": (lambda: "/resourcegroups/" in shapes.backup_job(rows("backup_job_get#9")[0]).vault_id, True),
    "group-in-capitals": (lambda: key(vm("vm_list#1").id) == rows("vm_list#1")[0]["id"].lower(), True),
    "scope-of-a-lock": (lambda: shapes.lock(rows("locks#2")[0]).scope.count("/"), 2),
    "container-with-an-empty-first-part": (lambda: job("backup_job_get#9")[1].split(";")[1], "iaasvmcontainerv2"),
    "item-named-without-vm": (lambda: item("protected_items_list#48").source_id.rsplit("/", 1)[-1], "vkencryrestore"),
    "nothing-follows-null": (lambda: len(pages("rsv_vault_list#6")[1]), 1),
    "nothing-follows-empty-text": (lambda: len(pages("nic_list#8")[1]), 1),
    # Vault settings.
    "storage-config-locked": (
        lambda: shapes.vault_settings({}, rows("backup_storage_config#6")[0])["redundancy_locked"],
        True,
    ),
    "no-tags-no-identity": (
        lambda: shapes.vault(rows("rsv_vault_list#6")[0], items_read=True, policies=None).location,
        "eastus",
    ),
    # Policies.
    "only-policies-for-vms": (
        lambda: {
            row["properties"]["backupManagementType"] for row in rows("backup_policies_list#1") if shapes.policy(row)
        },
        {"AzureIaasVM"},
    ),
    "hourly-has-no-run-times": (lambda: policy("backup_policies_list#2", "EnhancedPolicy")["backup_time"], "08:00"),
    "weekly-has-no-daily": (
        lambda: policy("backup_policies_list#1", "DefaultPolicy").get("daily_retention_days"),
        None,
    ),
    "no-time-zone-of-2016": (lambda: policy("backup_policies_list#6", "DefaultPolicy").get("time_zone"), None),
    "no-instant-restore-of-2016": (
        lambda: policy("backup_policies_list#6", "DefaultPolicy").get("instant_restore_days"),
        None,
    ),
    # Items and jobs.
    "never-backed-up-though-healthy": (
        lambda: (
            item("protected_items_list#4", 1).protection_state,
            item("protected_items_list#4", 1).last_backup_time,
        ),
        ("IRPending", None),
    ),
    "stopped-and-soft-deleted": (
        lambda: (
            item("protected_items_list#4").protection,
            item("protected_items_list#4").soft_deleted,
            item("protected_items_list#4").policy_id,
        ),
        ("stopped", True, ""),
    ),
    "action-required-though-healthy": (
        lambda: health("protected_items_list#5"),
        ("on", "ActionRequired", "CompletedWithWarnings"),
    ),
    "action-suggested": (lambda: health("protected_items_list#9"), ("on", "ActionSuggested", "Failed")),
    "warnings-though-passed": (lambda: health("protected_items_list#16"), ("on", "Passed", "CompletedWithWarnings")),
    "health-absent": (lambda: health("protected_items_list#48"), ("on", "", "")),
    "fractions-of-seven-digits": (
        lambda: item("protected_items_list#5").last_backup_time,
        datetime(2021, 1, 16, 16, 45, 22, 185112, tzinfo=UTC),
    ),
    # Network.
    "no-security-rules": (lambda: nsg("nsg_get#16").rules, ()),
    "effective-forms": (
        lambda: [(rule.ports, rule.sources) for rule in rules("effective_nsg_result#1").groups[0].rules[:1]],
        [(("22-22",), ("0.0.0.0/0",))],
    ),
    "tag-map-null-or-not": (
        lambda: [len(rules(f"effective_nsg_result#{number}").groups) for number in (1, 3)],
        [1, 1],
    ),
    "associated-with-nic-and-subnet": (lambda: len(rules("effective_nsg#2").groups), 2),
    "effective-routes-are-lists": (
        lambda: [
            (route.prefix, route.name)
            for route in effective({}, cited("effective_routes#1")["response"]["body"]).routes[:2]
        ],
        [("10.0.0.0/16", ""), ("0.0.0.0/0", "")],
    ),
    "ipv6-has-no-address": (
        lambda: [each.private_ip for each in networks.network_interface(rows("nic_list#3")[0]).ip_configurations],
        ["10.0.0.4", ""],
    ),
    "unattached-nic": (lambda: networks.network_interface(rows("nic_list#3")[0]).vm_id, ""),
    "dynamic-address-of-a-vm-that-is-off": (
        lambda: {networks.public_ip(row).address for row in rows("public_ip#5")[:3]},
        {""},
    ),
    "service-tags-of-one-region": (
        lambda: service_tags_list(
            cited("service_tags#1")["response"]["body"], "0" * 8, {"centraluseuap"}
        ).change_number.isdecimal(),
        True,
    ),
}


def pages(place: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """
    Read a recorded page and what follows it, which is an empty one; with the requests that this took.
    """
    page = cited(place)
    last = {"response": {"status": 200, "headers": {}, "body": {"value": []}}}
    session, transport = replayed([page, last], Path(), page["request"]["uri"])
    return list(session.rows(path_of(page), "x")), transport.sent


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_a_real_shape_is_read_for_what_it_is(case: str) -> None:
    """
    Absent, null, empty, stale, spelt otherwise: what was recorded is read without loss and without surprise.
    """
    read, expected = CASES[case]

    assert expected == read()


@pytest.mark.parametrize("place", ["vm_list#30", "rsv_vault_list#10"])
def test_a_next_link_is_followed_whole(place: str) -> None:
    """
    With a port, with a bare or an encoded `$skiptoken`: it is the same host, and the link is used as it is.
    """
    found, sent = pages(place)

    assert len(rows(place)) == len(found)
    assert 2 == len(sent)


@pytest.mark.parametrize(
    ("place", "ended"),
    [
        ("rsv_vault_put#9", "at once"),
        ("rsv_vault_put#23", "at once"),
        ("rsv_vault_put#6", "under way"),
        ("rsv_vault_put#26", "under way"),
        ("rsv_vault_put#4", "at once"),
        ("rsv_vault_put#8", "under way"),
        ("backup_operation_status#2", "under way"),
    ],
)
def test_a_write_of_any_age_is_over_or_followed(place: str, ended: str, tmp_path: Path) -> None:
    """
    200, 201 with and without a header, 202 without a body; an `endTime` without a zone is compared with nothing.
    """
    assert ended == feed(place, cited(place), tmp_path).ended


@pytest.mark.parametrize(
    ("place", "ended"),
    [
        ("lro_chains#1", "in the end"),
        ("lro_chains#2", "in the end"),
        ("lro_chains#39", "in the end"),
        ("lro_chains#40", "in the end"),
        ("lro_chains#42", "in the end"),
    ],
)
def test_an_operation_is_followed_to_its_end(place: str, ended: str) -> None:
    """
    By header in any case, by body or by status, ending with 200 or 204; `;` plain or encoded.
    """
    (found,) = (each for each in fed() if each.place == place)

    assert (None, ended) == (found.error, found.ended)


@pytest.mark.parametrize("place", ["lro_chains#122", "lro_chains#123"])
def test_effective_rules_come_at_once_or_after_polls(place: str) -> None:
    """
    202 and a place to ask, or 200 with the list.
    """
    (found,) = (each for each in fed() if each.place == place)

    assert found.error is None
    assert 1 == len(found.records)


def test_a_pause_is_what_the_service_asks_for() -> None:
    """
    60 seconds for backup, whatever the case of the header; a default where it asks for none.
    """
    headers = cited("lro_chains#2")["steps"][0]["response"]["headers"]

    assert 60.0 == pause_of(headers)
    assert pause_of({}) == pause_of({"Retry-After": "0"}) + 9.0


def test_a_signed_url_is_used_whole_and_kept_out_of_the_journal() -> None:
    """
    Certificate and signature stay with the operation that needs them.
    """
    first = cited("lro_chains#1")["steps"][0]
    session, _ = replayed([first], Path())
    answer = session._raw.send_request(_get(first))
    operation = begun(answer, path_of(first))

    assert operation is not None
    assert "&t=638512734205713059&c=" in operation.url
    assert "&t=" not in public_url(operation.url)


def _get(exchange: dict[str, Any]) -> Any:
    from azure.core.rest import HttpRequest

    return HttpRequest("GET", exchange["request"]["uri"])


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("errors#6", "CloudInternalError", "Microsoft Azure Backup encountered"),
        ("errors#41", "ResourceExtendedInfoNotFound", ""),
        ("errors#14", "InvalidScheduledEventId", "Scheduled event not found"),
        ("errors#13", "MalformedBody", "no JSON object"),
        ("errors#21", "ServiceResourceNotEmptyWithBackendMessage", "cannot be deleted"),
        ("errors#80", "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups", "running virtual machine"),
        ("errors#1", "LinkedAuthorizationFailed", "does not have"),
        ("errors#5", "OperationNotAllowed", "quota"),
        ("throttled#3", "429", "exclusive lock"),
        ("throttled#4", "ResourceRequestsThrottled", "Please try again"),
        *((f"errors#{each}", "", "") for each in (16, 23, 35, 37, 89, 91)),
    ],
)
def test_an_error_of_any_form_says_its_code_and_message(place: str, code: str, words: str) -> None:
    """
    Four bodies, none, and codes that are numbers; failures in passing are errors only after they were tried again.
    """
    (read,) = (each for each in error_fed(place, cited(place)) if each.met == "read")

    assert read.error is not None
    assert code in (read.code, "")
    assert words in str(read.error)


def test_a_refusal_without_a_header_is_waited_out_as_its_message_says(tmp_path: Path) -> None:
    """
    324 seconds, before the same read is sent again.
    """
    refused = cited("throttled#4")
    good = refused | {"response": {"status": 200, "headers": {}, "body": {"value": []}}}
    session, transport = replayed([refused, good], tmp_path)
    list(session.rows(path_of(refused), "x"))

    assert 324 <= transport.now < 400
    assert 2 == len(transport.sent)


def test_no_shape_of_a_record_is_a_surprise(tmp_path: Path) -> None:
    """
    The case without which this file is worth little: an item that names no VM is not passed over.
    """
    found: Fed = feed("protected_items_list#6", cited("protected_items_list#6"), tmp_path)

    assert "Unknown" == found.code


def test_a_vm_that_was_read_without_its_view_has_none() -> None:
    """
    A list of VMs has no agent: that is unread, and not absent.
    """
    assert not machines.virtual_machine(rows("vm_list#1")[0]).instance_view
