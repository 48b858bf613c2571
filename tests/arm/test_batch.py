"""
Many changes at once, and what becomes of each when the service does not answer as it should.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support import RunMaker, writes

from runbook_lib.applying import Progress
from runbook_lib.arm.apply import Applied
from runbook_lib.arm.apply.batch import TRIES
from runbook_lib.evidence import read_json
from runbook_lib.plan import ENABLING
from runbook_lib.run import Run
from runbook_lib.sandbox import Fault, Sandbox

WAVE = "tag:wave=1"
ALL = ("01", "02", "03", "04", "06")
ITEM = "/protecteditems/"
STATUS = "/operationsstatus/"


def outcomes(ended: list[Applied], *kinds: str) -> Counter[str]:
    """
    How changes of some kinds ended, those that enable protection when none is named.
    """
    return Counter(each.outcome for each in ended if each.change.kind in (kinds or ENABLING))


def puts(sandbox: Sandbox, path: str) -> Counter[str]:
    """
    How often the service accepted a PUT of what the path names.
    """
    found = [each for each in sandbox.requests() if each["method"] == "PUT" and path in each["path"].lower()]
    return Counter(each["path"].lower() for each in found if each["status"] < 300)


def applied(run: Run) -> list[Applied]:
    """
    Apply the whole plan of a run.
    """
    return run.apply_plan(run.plan, ALL)


@pytest.mark.parametrize("does", ["reset", "timeout", "truncate", "garble"])
@pytest.mark.parametrize("path", [ITEM, "/vaults/rsv-spaincentral$", "resourcegroups/rg-backup-spaincentral$"])
def test_a_write_whose_answer_was_lost_is_looked_for_and_not_sent_again(
    make_run: RunMaker, contoso: Sandbox, does: str, path: str
) -> None:
    """
    The service acted: what is read back says so.
    """
    contoso.fault(Fault(method="PUT", path=path, does=does, after_effect=True, seconds=5.0, times=1))
    run = make_run(vm_selector="name:bi01")

    assert {"done"} == {each.outcome for each in applied(run)}
    assert [] == [path for path in writes(contoso) if writes(contoso).count(path) > 1]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503, "code": "ServerTimeout"}, {"does": "reset"}])
@pytest.mark.parametrize("path", [ITEM, "/vaults/rsv-spaincentral$", "resourcegroups/rg-backup-spaincentral$"])
def test_a_write_that_was_never_done_is_sent_again(
    make_run: RunMaker, contoso: Sandbox, fault: dict[str, Any], path: str
) -> None:
    """
    Nothing is to be seen of it, so that it goes out once more.
    """
    contoso.fault(Fault(method="PUT", path=path, times=1, **fault))
    run = make_run(vm_selector="name:bi01")

    assert {"done"} == {each.outcome for each in applied(run)}


def test_a_post_that_was_never_answered_is_made_good(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Registering a provider is read back before it is sent again; discovery leaves nothing to read, and changes nothing.
    """
    for path in ("/register$", "/refreshcontainers$"):
        contoso.fault(Fault(method="POST", path=path, status=500, times=1))
        contoso.fault(Fault(method="POST", path=path, does="reset", after_effect=True, times=1))

    assert {"done"} == {each.outcome for each in applied(make_run(vm_selector=WAVE))}


def test_a_write_that_fails_every_time_fails_alone(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    With the service's last word; all others are made.
    """
    contoso.fault(Fault(method="PUT", path=f"{ITEM}.*;hr01$", status=500, code="CloudInternalError", message="sorry"))
    ended = applied(make_run(vm_selector=WAVE))
    failed = [each for each in ended if each.outcome == "failed"]
    tried = [each for each in contoso.requests() if each["method"] == "PUT" and each["path"].lower().endswith(";hr01")]

    assert {"done": 6, "failed": 1} == outcomes(ended)
    assert [("hr01", "CloudInternalError")] == [(each.change.facts["vm"], each.code) for each in failed]
    assert TRIES == len(tried)


def test_a_sign_in_that_is_over_stops_the_run_and_fails_nothing(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    Nothing was done by what was refused, and nothing more is sent: whoever signs in again goes on.
    """
    contoso.fault(Fault(method="PUT", path=ITEM, status=401, code="ExpiredAuthenticationToken", message="over"))
    ended = applied(make_run(vm_selector=WAVE))
    kept = [each for each in ended if each.change.kind == "protect"]

    assert {("pending", "ExpiredAuthenticationToken")} == {(each.outcome, each.code) for each in kept}


def test_an_operation_that_the_service_ends_badly_says_why(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    It is asked for by itself when the list does not show its VM; the VMs around it are done.
    """
    rule = {"code": "UserErrorGuestAgentStatusUnavailable", "message": "The agent does not answer."}
    contoso.fault(Fault(method="PUT", path=f"{ITEM}.*;hr01$", does="fail_operation", **rule))
    ended = applied(make_run(vm_selector=WAVE))

    assert [tuple(rule.values())] == [(each.code, each.message) for each in ended if each.outcome == "failed"]
    assert 6 == outcomes(ended)["done"]


@pytest.mark.parametrize(
    ("path", "kind"), [(f"{ITEM}.*;hr01$", "protect"), ("/vaults/rsv-spaincentral$", "create-vault")]
)
def test_an_operation_that_never_ends_is_in_doubt_and_found_later(
    make_run: RunMaker, contoso: Sandbox, path: str, kind: str
) -> None:
    """
    After its deadline the run goes on, and is left open; what rests on it is not tried, and not called failed.
    """
    contoso.fault(Fault(method="PUT", path=path, does="hold_operation", times=1))
    run = make_run(vm_selector=WAVE)
    ended = applied(run)
    run.conclude()
    outcome = read_json(run.folder.path / "outcome.json")

    assert 1 == outcomes(ended, kind)["in_doubt"]
    assert 0 == sum(each.outcome == "failed" for each in ended)
    assert 5 == outcome["exit_code"]


def test_an_operation_that_nobody_knows_any_more_is_read_off_its_resource(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The status is gone, as it is when it lay under what was deleted: the resource says what became of it.
    """
    contoso.fault(Fault(path=STATUS, status=404, code="ResourceNotFound"))

    assert {"done"} == {each.outcome for each in applied(make_run(vm_selector="name:bi01"))}


def test_an_operation_without_any_url_is_read_off_its_resource(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    An answer of 202 that names no place to ask is followed by looking at what it was to make.
    """
    contoso.fault(Fault(method="PUT", path=ITEM, does="answer", status=202, content="", after_effect=True))

    assert {"done"} == {each.outcome for each in applied(make_run(vm_selector="name:bi01"))}


@pytest.mark.parametrize(
    "code",
    [
        "AnotherOperationInProgress",
        "RSVaultUpdateErrorConflictingOperationInProgress",
        "RetryableErrorDueToAnotherOperation",
    ],
)
def test_other_work_in_the_way_is_waited_for(make_run: RunMaker, contoso: Sandbox, code: str) -> None:
    """
    What was refused for it goes out again when it is over.
    """
    contoso.fault(Fault(method="PUT", path=f"{ITEM}|/vaults/rsv-", status=409, code=code, times=3))

    assert {"done"} == {each.outcome for each in applied(make_run(vm_selector=WAVE))}


def test_too_many_failures_stop_a_fleet(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    No more are sent once the budget is used up; the rest is pending, and a later run sends it.
    """
    contoso.fault(Fault(method="PUT", path=ITEM, status=400, code="UserErrorVmNotFound"))
    run = make_run(vm_selector="all", max_errors=2)
    ended = run.apply_plan(run.plan, ALL)
    counted = outcomes(ended)
    sent = [each for each in contoso.requests() if each["method"] == "PUT" and ITEM in each["path"].lower()]
    contoso.clear_faults()
    run.read_again()
    later = run.apply_plan(run.plan, ALL)

    # Some are on their way side by side when the last failure comes.
    assert 2 < counted["failed"] == len(sent) < 2 + 8 * 2 + 1
    assert {"ErrorBudget"} == {each.code for each in ended if each.outcome == "pending"}
    assert counted["failed"] + counted["pending"] == outcomes(later)["done"]


def test_the_service_shutting_its_doors_stops_at_once(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A code that asks for hours of peace is not answered by trying the next vault.
    """
    closed = {"status": 429, "code": "CloudDosTimeboudLimitReached", "headers": {"Retry-After": "7200"}}
    contoso.fault(Fault(method="PUT", path="/vaults/rsv-", **closed))
    run = make_run(vm_selector=WAVE)
    ended = applied(run)
    run.conclude()

    assert {"pending": 3} == outcomes(ended, "create-vault")
    assert 5 == read_json(run.folder.path / "outcome.json")["exit_code"]


def test_throttling_costs_time_and_no_vm(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    However often the service refuses: each VM is enabled, once.
    """
    contoso.fault(
        Fault(method="PUT", path=ITEM, status=429, code="TooManyRequests", headers={"Retry-After": "9"}, times=12)
    )
    run = make_run(vm_selector=WAVE)
    ended = applied(run)
    told = [entry for entry in run.folder.journal.entries() if entry["entry"] == "limits"]

    assert {"done": 7} == outcomes(ended)
    assert {1} == set(puts(contoso, ITEM).values())
    assert [12] == [each["refused"] for each in told]
    assert told[0]["waited_seconds"] >= 9


def test_progress_is_read_off_lists(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The number of reads does not grow with the number of VMs: one list for each vault and look.
    """
    run = make_run(vm_selector="all")
    run.apply_plan(run.plan, ["01", "02", "03"])
    run.read_again()
    plan = run.plan
    since = contoso.requests()[-1]["seq"]
    ended = run.apply_plan(plan, ["04"])
    asked = [
        each for each in contoso.requests(since) if STATUS in each["path"].lower() and ITEM in each["path"].lower()
    ]

    assert 20 <= outcomes(ended)["done"]
    # Alone in its vault: asking for its operation costs the same.
    assert len(asked) <= len({each["path"].lower().split("/backupfabrics/")[0] for each in asked}) * 2


def test_discovery_holds_nothing_back(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    A VM is protected by its id, whether the vault has found it or not.
    """
    contoso.fault(Fault(method="POST", path="/refreshcontainers$", status=400, code="BMSUserErrorX"))
    ended = applied(make_run(vm_selector=WAVE))

    assert ({"failed": 4}, {"done": 7}) == (outcomes(ended, "discover"), outcomes(ended))


def test_what_was_discovered_is_not_discovered_again_when_a_run_goes_on(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    It leaves nothing to be read back: the journal tells that it was done.
    """
    contoso.fault(Fault(method="PUT", path=ITEM, status=400, code="BMSUserErrorX", times=1))
    run = make_run(vm_selector=WAVE)
    plan = run.plan
    run.folder.save_plan(plan)
    first, second = run.apply_plan(plan, ALL), run.apply_plan(plan, ALL)
    sent = [each["path"] for each in contoso.requests() if each["path"].lower().endswith("/refreshcontainers")]

    assert {"failed": 1, "done": 6} == outcomes(first)
    assert {"adopted": 6, "done": 1} == outcomes(second)
    assert ({"done": 4}, {"adopted": 4}) == (outcomes(first, "discover"), outcomes(second, "discover"))
    assert 4 == len(sent)


def test_progress_tells_what_was_sent_and_what_ended(make_run: RunMaker) -> None:
    """
    Counts, and the time on the target's clock.
    """
    run = make_run(vm_selector=WAVE)
    plan = run.plan
    told: list[tuple[int, int, int]] = []
    run.apply_plan(plan, ALL, lambda now: told.append((now.total, now.sent, now.ended.total())))

    assert (len(plan.changes),) * 3 == told[-1]
    assert told == sorted(told)


class Killed(Exception):
    """
    Stands for the death of the process.
    """


def test_what_an_interrupted_try_has_sent_is_looked_for_first(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    The process died while VMs were on their way: the next try waits for them, and sends only what is missing.
    """
    run = make_run(vm_selector=WAVE)
    plan = run.plan

    def die(now: Progress) -> None:
        if now.last is None and now.sent > 15:
            raise Killed

    with pytest.raises(Killed):
        run.apply_plan(plan, ALL, die)
    sent = puts(contoso, ITEM)
    again = run.apply_plan(plan, ALL)

    assert 0 < sent.total()
    assert {"done": 7} == outcomes(again) | Counter({"adopted": 0})
    assert {1} == set(puts(contoso, ITEM).values())


def test_a_new_run_finds_what_another_has_on_its_way(make_run: RunMaker, contoso: Sandbox) -> None:
    """
    It knows nothing of the other's journal: the service says that work is going on, and then that all is done.
    """
    first, second = make_run(vm_selector=WAVE), make_run(vm_selector=WAVE)

    def die(now: Progress) -> None:
        if now.last is None and now.sent > 15:
            raise Killed

    with pytest.raises(Killed):
        first.apply_plan(first.plan, ALL, die)
    second.apply_plan(second.plan, ALL)

    assert {1} == set(puts(contoso, ITEM).values())
    assert 7 == len(puts(contoso, ITEM))


@pytest.mark.parametrize(("ended", "left"), [(0, "?"), (2, "?"), (50, "190"), (500, "10")])
def test_the_time_left_is_told_when_there_is_something_to_tell_it_by(ended: int, left: str) -> None:
    """
    The first to end are groups and vaults, which say nothing of how long a thousand VMs take.
    """
    now = Progress(total=1000, ended=Counter(done=ended), seconds=10.0)

    assert left == now.event.facts["left"]
