"""
Jobs, and the backups that run as jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runbook_lib.sandbox import Fault

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]


def names(vm: str) -> tuple[str, str, str, str, str]:
    """
    Return the arguments by which the clients name an item of the old vault.
    """
    unique = f"iaasvmcontainerv2;rg-app;{vm}"
    return "rsv-old", "rg-vault", "Azure", f"IaasVMContainer;{unique}", f"VM;{unique}"


def back_up(azure: Any, vm: str) -> str:
    """
    Trigger a backup and return the URL of its status.
    """
    request = {
        "properties": {"objectType": "IaasVMBackupRequest", "recoveryPointExpiryTimeInUTC": "2026-12-01T00:00:00Z"}
    }
    headers = azure.backup.backups.trigger(
        *names(vm), request, cls=lambda response, body, _: response.http_response.headers
    )
    url: str = headers["Azure-AsyncOperation"]
    return url


def job_of(azure: Any, send: Any, sandbox: Any, url: str) -> Any:
    """
    Wait for the operation at *url* and return the job that it names.
    """
    sandbox.advance(2)
    name = send("GET", url).json()["properties"]["jobId"]
    return azure.backup.job_details.get("rsv-old", "rg-vault", name)


def item(azure: Any, vm: str) -> dict[str, Any]:
    """
    Return the properties of an item.
    """
    properties: dict[str, Any] = azure.backup.protected_items.get(*names(vm)).as_dict()["properties"]
    return properties


def test_enabling_protection_leaves_a_job_that_ends_later(azure: Any, protect: Any, sandbox: Any) -> None:
    """
    The operation is done before its job is; the job tells the VM and the policy.
    """
    protect(azure, "web").result()
    (job,) = azure.backup.backup_jobs.list("rsv-old", "rg-vault")
    sandbox.advance(10)
    done = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties

    assert ("ConfigureBackup", "Completed", "web") == (done.operation, done.status, done.entity_friendly_name)
    assert {"VM Name": "web", "Policy Name": "DefaultPolicy"} == done.extended_info.property_bag
    assert (timedelta(seconds=40), timedelta(seconds=40)) == (done.duration, done.end_time - done.start_time)
    assert "AzureIaaSVMJob" == done.job_type


def test_a_running_job_has_no_end_and_a_growing_duration(azure: Any, send: Any, sandbox: Any, ids: Any) -> None:
    """
    `endTime` is absent while the job runs.
    """
    back_up(azure, "kept")
    sandbox.advance(100)
    (job,) = azure.backup.backup_jobs.list("rsv-old", "rg-vault")

    assert ("InProgress", None) == (job.properties.status, job.properties.end_time)
    assert timedelta(seconds=100) <= job.properties.duration < timedelta(seconds=110)


def test_a_list_leaves_out_the_extended_information(azure: Any) -> None:
    """
    Tasks are told by the single job only.
    """
    back_up(azure, "kept")
    (job,) = azure.backup.backup_jobs.list("rsv-old", "rg-vault")

    assert job.properties.extended_info is None
    assert 2 == len(azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties.extended_info.tasks_list)


def test_the_first_backup_makes_an_item_protected(azure: Any, protect: Any, send: Any, sandbox: Any) -> None:
    """
    Snapshot, then transfer; only when the job is done the item is Protected and has a recovery point.
    """
    protect(azure, "web").result()
    job = job_of(azure, send, sandbox, back_up(azure, "web"))
    tasks = [_tasks(azure, job.name)]
    sandbox.advance(456)
    tasks.append(_tasks(azure, job.name))
    between = item(azure, "web")["protectionState"]
    sandbox.advance(6513)
    tasks.append(_tasks(azure, job.name))
    done, protected = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties, item(azure, "web")

    assert [("InProgress", "NotStarted"), ("Completed", "InProgress"), ("Completed", "Completed")] == tasks
    assert ("Backup", "Completed", timedelta(seconds=6969)) == (done.operation, done.status, done.duration)
    assert {"IsInstantRpJob": "True"} == done.extended_info.internal_property_bag
    assert ["IRPending", "Protected"] == [between, protected["protectionState"]]
    assert "Completed" == protected["lastBackupStatus"]
    assert protected["lastRecoveryPoint"] == protected["lastBackupTime"] > "2026-11-01T12:07"


def _tasks(azure: Any, name: str) -> tuple[str, str]:
    job = azure.backup.job_details.get("rsv-old", "rg-vault", name)
    snapshot, transfer = job.properties.extended_info.tasks_list
    assert ("Take Snapshot", "Transfer data to vault") == (snapshot.task_id, transfer.task_id)
    return snapshot.status, transfer.status


@pytest.mark.parametrize(("vm", "kind"), [("web", "VMSnapshot"), ("db", None)])
def test_the_first_backup_of_a_running_vm_installs_the_extension(
    azure: Any, protect: Any, sandbox: Any, vm: str, kind: str | None
) -> None:
    """
    The extension comes with the first backup, not with enabling; a VM that does not run gets none.
    """
    protect(azure, vm).result()
    before = [one.name for one in azure.compute.virtual_machine_extensions.list("rg-app", vm).value]
    back_up(azure, vm)
    sandbox.advance(456)
    after = [one.name for one in azure.compute.virtual_machine_extensions.list("rg-app", vm).value]
    view = azure.compute.virtual_machines.instance_view("rg-app", vm)

    assert [kind] * bool(kind) == [name for name in after if name not in before]
    assert [kind] * bool(kind) == [one.name for one in view.extensions or []]


def test_a_vm_that_does_not_run_is_backed_up_without_its_agent(azure: Any, protect: Any, sandbox: Any) -> None:
    """
    It gets a crash-consistent recovery point.
    """
    protect(azure, "db").result()
    back_up(azure, "db")
    sandbox.advance(7000)

    assert "Protected" == item(azure, "db")["protectionState"]


def test_a_running_vm_without_a_working_agent_fails_in_its_backup(
    azure: Any, protect: Any, send: Any, sandbox: Any
) -> None:
    """
    The job fails with UserErrorGuestAgentStatusUnavailable, and the item goes on waiting.
    """
    protect(azure, "deaf").result()
    job = job_of(azure, send, sandbox, back_up(azure, "deaf"))
    sandbox.advance(456)
    failed = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties

    assert ("Failed", "UserErrorGuestAgentStatusUnavailable") == (failed.status, failed.error_details[0].error_title)
    assert ("Failed", "Skipped") == _tasks(azure, job.name)
    assert ("IRPending", "Failed") == (item(azure, "deaf")["protectionState"], item(azure, "deaf")["lastBackupStatus"])


def test_a_failed_backup_extension_fails_the_snapshot(
    azure: Any, protect: Any, sandbox: Any, estate: Any, ids: Any, send: Any
) -> None:
    """
    The instance view says that VMSnapshot failed; other failed extensions are no hindrance.
    """

    def failed(kind: str) -> dict[str, Any]:
        return {"name": kind, "type": kind, "statuses": [{"code": "ProvisioningState/failed/1"}]}

    snapshot, monitor = failed("Microsoft.Azure.RecoveryServices.VMSnapshot"), failed("Microsoft.Azure.Monitor")
    estate.status[ids.vm("web").lower()]["extensions"] = [snapshot]
    estate.status[ids.vm("kept").lower()]["extensions"] = [monitor]
    sandbox.load(estate)
    protect(azure, "web").result()
    job = job_of(azure, send, sandbox, back_up(azure, "web"))
    other = job_of(azure, send, sandbox, back_up(azure, "kept"))
    sandbox.advance(456)
    (error,) = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties.error_details

    assert ("ExtensionSnapshotFailedNoNetwork", []) == (error.error_title, error.recommendations)
    assert [("Failed", "Skipped"), ("Completed", "InProgress")] == [_tasks(azure, one.name) for one in (job, other)]


@pytest.mark.parametrize(
    ("seconds", "status", "tasks", "points"),
    [
        (0, "Failed", ("Failed", "Skipped"), 1),
        (460, "CompletedWithWarnings", ("Completed", "Failed"), 2),
    ],
)
def test_a_vm_that_goes_during_its_backup_fails_it(
    azure: Any, send: Any, sandbox: Any, ids: Any, seconds: int, status: str, tasks: Any, points: int
) -> None:
    """
    A snapshot that was taken before stays as a recovery point; the error has its recorded number and advice.
    """
    job = job_of(azure, send, sandbox, back_up(azure, "kept"))
    sandbox.advance(seconds)
    sandbox.fault(Fault(does="remove", resource=ids.vm("kept"), times=1))
    send("GET", ids.vm("kept"))
    sandbox.advance(7000)
    done = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties
    (error,) = done.error_details

    assert (status, tasks) == (done.status, _tasks(azure, job.name))
    assert (320001, "ResourceNotFound", 1) == (error.error_code, error.error_title, len(error.recommendations))
    assert status == item(azure, "kept")["lastBackupStatus"]
    assert points == len(list(azure.backup.recovery_points.list(*names("kept"))))


def cancel(azure: Any, name: str) -> str:
    """
    Cancel a job and return the URL of the result.
    """
    headers = azure.backup.job_cancellations.trigger(
        "rsv-old", "rg-vault", name, cls=lambda response, body, _: response.http_response.headers
    )
    url: str = headers["Location"]
    return url


def test_a_backup_is_cancelled_before_its_snapshot(
    azure: Any, protect: Any, send: Any, sandbox: Any, refused: Refused
) -> None:
    """
    202 with Location alone, then 204; the job goes over Cancelling to Cancelled and no recovery point is left.
    """
    protect(azure, "web").result()
    job = job_of(azure, send, sandbox, back_up(azure, "web"))
    url = cancel(azure, job.name)
    waiting, between = send("GET", url), azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties
    assert (409, "UserErrorBackupOperationInProgress") == refused(lambda: back_up(azure, "web"))
    sandbox.advance(1)
    operation = url.split("/")[-1].split("?")[0]
    azure.backup.job_operation_results.get("rsv-old", "rg-vault", job.name, operation)
    done = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties
    sandbox.advance(7000)

    assert (202, "60", False) == (
        waiting.status_code,
        waiting.headers["Retry-After"],
        "Azure-AsyncOperation" in waiting.headers,
    )
    assert 204 == send("GET", url).status_code
    assert ["Cancelling", "Cancelled"] == [between.status, done.status]
    assert (None, ("Cancelled", "Skipped")) == (between.end_time, _tasks(azure, job.name))
    assert (400158, "UserErrorJobSuccessfullyCancelled") == (
        done.error_details[0].error_code,
        done.error_details[0].error_title,
    )
    assert ("IRPending", "Cancelled") == (item(azure, "web")["protectionState"], item(azure, "web")["lastBackupStatus"])
    assert [] == list(azure.backup.recovery_points.list(*names("web")))


def test_a_backup_cancelled_in_its_transfer_keeps_its_snapshot(
    azure: Any, protect: Any, send: Any, sandbox: Any
) -> None:
    """
    The job ends CompletedWithWarnings, the item is Protected by the snapshot, and another backup may follow.
    """
    protect(azure, "web").result()
    job = job_of(azure, send, sandbox, back_up(azure, "web"))
    sandbox.advance(460)
    cancel(azure, job.name)
    sandbox.advance(1)
    done = azure.backup.job_details.get("rsv-old", "rg-vault", job.name).properties
    (point,) = azure.backup.recovery_points.list(*names("web"))

    assert ("CompletedWithWarnings", ("Completed", "Cancelled")) == (done.status, _tasks(azure, job.name))
    assert ("Protected", "CompletedWithWarnings") == (
        item(azure, "web")["protectionState"],
        item(azure, "web")["lastBackupStatus"],
    )
    assert ["InstantRP"] == [tier.type for tier in point.properties.recovery_point_tier_details]
    assert back_up(azure, "web")


def test_only_a_backup_under_way_is_cancelled(
    azure: Any, protect: Any, send: Any, sandbox: Any, refused: Refused
) -> None:
    """
    Other jobs, and those that have ended, are refused; a job that does not exist is not found.
    """
    job = job_of(azure, send, sandbox, back_up(azure, "kept"))
    cancel(azure, job.name)
    protect(azure, "web").result()
    (configure,) = azure.backup.backup_jobs.list("rsv-old", "rg-vault", filter="operation eq 'ConfigureBackup'")

    expected = (400, "BMSUserErrorJobNotCancellable")
    assert [expected, expected] == [refused(lambda name=one.name: cancel(azure, name)) for one in (job, configure)]
    assert (404, "BMSUserErrorJobNotFound") == refused(lambda: cancel(azure, "none"))


def test_a_job_that_only_the_estate_knows_is_cancelled(azure: Any, sandbox: Any, estate: Any, ids: Any) -> None:
    """
    Recorded jobs have no operation behind them, and sometimes no container and no tasks.
    """
    job = {
        "id": f"{ids.vault}/backupJobs/known",
        "name": "known",
        "type": "Microsoft.RecoveryServices/vaults/backupJobs",
        "properties": {
            "jobType": "AzureIaaSVMJob",
            "operation": "Backup",
            "status": "InProgress",
            "startTime": "2026-11-01T11:00:00Z",
            "backupManagementType": "AzureIaasVM",
        },
    }
    sandbox.load(replace(estate, resources=(*estate.resources, job)))
    cancel(azure, "known")
    sandbox.advance(1)

    cancelled = azure.backup.job_details.get("rsv-old", "rg-vault", "known").as_dict()["properties"]
    assert ("Cancelled", False) == (cancelled["status"], "lastBackupStatus" in cancelled)


def test_the_agent_may_be_checked_when_protection_is_enabled(
    azure: Any, protect: Any, sandbox: Any, refused: Refused
) -> None:
    """
    Where the service checks is not known, so the profile can move the check forward.
    """
    sandbox.configure(agent_check="protection")

    assert (400, "UserErrorGuestAgentStatusUnavailable") == refused(lambda: protect(azure, "deaf"))
    assert "IRPending" == protect(azure, "db").result().properties["protectionState"]


def test_one_backup_of_an_item_at_a_time(azure: Any, refused: Refused) -> None:
    """
    A second trigger gets 409 while the first runs.
    """
    back_up(azure, "kept")

    assert (409, "UserErrorBackupOperationInProgress") == refused(lambda: back_up(azure, "kept"))


def test_a_stopped_or_missing_item_is_not_backed_up(azure: Any, sandbox: Any, refused: Refused) -> None:
    """
    Backups go on only while protection does.
    """
    body = {
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "policyId": "",
        "protectionState": "ProtectionStopped",
    }
    azure.backup.protected_items.begin_create_or_update(*names("kept"), {"properties": body}).result()

    assert (400, "BMSUserErrorProtectionStopped") == refused(lambda: back_up(azure, "kept"))
    assert (404, "BMSUserErrorDataSourceObjectNotFound") == refused(lambda: back_up(azure, "web"))


def test_a_change_of_policy_during_a_backup_is_not_lost(azure: Any, protect: Any, sandbox: Any) -> None:
    """
    What the backup and the change write to the item both stay.
    """
    back_up(azure, "kept")
    sandbox.advance(456 + 6500)
    protect(azure, "kept", "EnhancedPolicy").result()
    sandbox.advance(100)

    changed = item(azure, "kept")
    assert ("EnhancedPolicy", "Completed") == (changed["policyName"], changed["lastBackupStatus"])


def test_jobs_are_filtered_and_paged(azure: Any, protect: Any, sandbox: Any, refused: Refused) -> None:
    """
    Status, operation, workload, name and time of a job can be asked for.
    """
    protect(azure, "web").result()
    sandbox.advance(3600)
    back_up(azure, "web")
    jobs = azure.backup.backup_jobs

    def listed(wanted: str) -> list[str]:
        return sorted(one.properties.operation for one in jobs.list("rsv-old", "rg-vault", filter=wanted))

    sandbox.configure(page_sizes={"backupJobs": 1})
    name = next(one.name for one in jobs.list("rsv-old", "rg-vault") if one.properties.operation == "Backup")

    assert ["Backup", "ConfigureBackup"] == listed("backupManagementType eq 'AzureIaasVM'")
    assert ["Backup"] == listed("status eq 'InProgress'")
    assert ["ConfigureBackup"] == listed("operation eq 'ConfigureBackup' and status eq 'Completed'")
    assert ["Backup"] == listed(f"jobId eq '{name.upper()}'")
    assert ["Backup"] == listed("startTime eq '2026-11-01 01:00:00 PM' and endTime eq '2026-11-01 02:00:00 PM'")
    assert ["ConfigureBackup"] == listed(
        "startTime eq '2026-11-01 12:00:00 PM' and endTime eq '2026-11-01 12:30:00 PM'"
    )
    assert (400, "BMSUserErrorInvalidInput") == refused(lambda: listed("startTime eq 'yesterday'"))


def test_a_missing_job_is_not_found(azure: Any, refused: Refused) -> None:
    """
    The code tells that it is the job which is missing.
    """
    assert (404, "BMSUserErrorJobNotFound") == refused(
        lambda: azure.backup.job_details.get("rsv-old", "rg-vault", "none")
    )
