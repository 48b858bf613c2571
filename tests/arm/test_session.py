"""
The pipeline: what is let through, what is logged, and how lists are read.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.rest import HttpRequest

from runbook_lib.arm.opening import open_session
from runbook_lib.arm.pipeline import ForeignHost, public_url
from runbook_lib.arm.session import ArmError, Session, pause_of
from runbook_lib.errors import InvalidParameters, ReadOnlyViolation, SignInError
from runbook_lib.journal import Journal
from runbook_lib.sandbox import Fault, Sandbox

SUBSCRIPTIONS = "2022-12-01"
GROUP = "/subscriptions/6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24/resourceGroups/rg-data-prod"


def test_a_write_is_refused_before_it_is_sent_unless_writing_is_open(session: Session, contoso: Sandbox) -> None:
    """
    The guard lets nothing but reads through outside apply.
    """
    groups = session.clients("6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24").resources.resource_groups
    with pytest.raises(ReadOnlyViolation):
        groups.create_or_update("rg-x", {"location": "westeurope"})

    assert [] == contoso.requests()

    with session.guard.writing():
        groups.create_or_update("rg-x", {"location": "westeurope"})

    assert ["PUT"] == [each["method"] for each in contoso.requests() if each["writes"]]


def test_writing_closes_again_after_an_error(session: Session) -> None:
    """
    An exception inside the block does not leave the door open.
    """
    with pytest.raises(RuntimeError), session.guard.writing():
        raise RuntimeError

    with pytest.raises(ReadOnlyViolation):
        session.clients("6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24").resources.resource_groups.create_or_update(
            "rg-x", {"location": "westeurope"}
        )


def test_asking_for_protection_status_counts_as_reading(session: Session) -> None:
    """
    backupStatus is a POST that changes nothing.
    """
    backup = session.clients("6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24").backup
    vm = next(
        row
        for row in session.rows(
            "/subscriptions/6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24/providers/Microsoft.Compute/virtualMachines",
            "2026-04-01",
        )
        if row["name"] == "sql01"
    )
    status = backup.backup_status.get(vm["location"], {"resourceType": "VM", "resourceId": vm["id"]})

    assert "Protected" == status.protection_status


def test_each_request_is_one_journal_line_without_its_token(session: Session, tmp_path: Path) -> None:
    """
    The journal names method, url, status and Azure's ids, and never a header.
    """
    list(session.rows("/subscriptions", SUBSCRIPTIONS))
    text = (tmp_path / "journal.jsonl").read_text()
    (line,) = [json.loads(each) for each in text.splitlines()]

    assert ("GET", "/subscriptions?api-version=2022-12-01", 200) == (line["method"], line["url"], line["status"])
    assert all(line[name] for name in ("request_id", "correlation_id", "client_request_id", "date"))
    assert "e30." not in text
    assert "Bearer" not in text


def test_a_call_without_an_answer_is_logged_too(session: Session, contoso: Sandbox, tmp_path: Path) -> None:
    """
    A broken connection leaves a line with status 0, once per try.
    """
    contoso.fault(Fault(path="^/subscriptions$", does="reset", times=1))
    list(session.rows("/subscriptions", SUBSCRIPTIONS))

    assert [0, 200] == [each["status"] for each in Journal(tmp_path / "journal.jsonl").entries()]


def test_signatures_are_kept_out_of_the_journal() -> None:
    """
    Of a polling URL only path and plain query remain.
    """
    url = "https://management.azure.com/subscriptions/1/operations/2?api-version=2024-04-01&t=1&c=MII&s=abc&h=x"

    assert "/subscriptions/1/operations/2?api-version=2024-04-01" == public_url(url)


def test_lists_are_read_over_all_pages(session: Session, contoso: Sandbox) -> None:
    """
    Whatever the page size, every row comes once.
    """
    path = "/subscriptions/6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24/providers/Microsoft.Compute/virtualMachines"
    whole = [row["id"] for row in session.rows(path, "2026-04-01")]
    before = len(contoso.requests())
    contoso.configure(page_sizes={"virtualMachines": 5})
    paged = [row["id"] for row in session.rows(path, "2026-04-01")]

    assert whole == paged
    assert -(-len(whole) // 5) == len(contoso.requests()) - before


# What one reading takes for Resource Manager and another for a host of somebody else, and what is no plain link.
FOREIGN = [
    "https://evil.example/next",
    "http://management.azure.com/next",
    "https://management.azure.com:8443/next",
    "https://management.azure.com:x/next",
    "https://management.azure.com:0/next",
    "https://127.0.0.1:8443\\@management.azure.com/next",
    "https://evil.example\\.management.azure.com/next",
    "https://management.azure.com\\@evil.example/next",
    "https://evil.example#@management.azure.com/next",
    "https://management.azure.com@evil.example/next",
    "https://evil.example@management.azure.com/next",
    "https://@management.azure.com/next",
    "https://management.azure.com\n.evil.example/next",
    "https://management.azure.com/ne\txt",
    " https://management.azure.com/next",
    "https://management.azure.com /next",
    "https://management.azure.com/next?a=\u00a0",
    "https://[management.azure.com/next",
    "https:///next",
    "https:management.azure.com/next",
    "//management.azure.com/next",
    "/next",
    "next",
]


class _Pages:
    """
    A session's raw sender replaced at its edge: answers that no well-behaved service gives.
    """

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = list(pages)

    def __call__(self, _: HttpRequest) -> dict[str, Any]:
        return self.pages.pop(0)


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        *((({"value": [], "nextLink": link},), "ForeignNextLink") for link in FOREIGN),
        (
            (
                {"value": [], "nextLink": "https://management.azure.com/a?api-version=1"},
                {"value": [], "nextLink": "https://management.azure.com/a?api-version=1"},
            ),
            "PagesLoop",
        ),
        (({"rows": []},), "MalformedPage"),
    ],
)
def test_a_page_that_leads_astray_ends_the_read(
    session: Session, monkeypatch: pytest.MonkeyPatch, pages: tuple[dict[str, Any], ...], code: str
) -> None:
    """
    The token follows no link to another host, and no list goes round in circles.
    """
    monkeypatch.setattr(session, "_send", _Pages(*pages))
    with pytest.raises(ArmError) as caught:
        list(session.rows("/x", "1"))

    assert code == caught.value.code


@pytest.mark.parametrize("link", FOREIGN)
def test_no_link_of_any_kind_leads_out(session: Session, contoso: Sandbox, link: str) -> None:
    """
    An operation's, the answer to a question's, and that of an earlier reading: nothing is sent there.
    """
    rules = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/x/effectiveRouteTable"
    with pytest.raises(ArmError, match="another host"):
        session.follow(link)
    with pytest.raises(ArmError, match="another host"):
        list(session.pages("/subscriptions", SUBSCRIPTIONS, link))

    assert [] == contoso.requests()

    # No header has a line end.
    told = link.replace("\n", "\t")
    contoso.fault(Fault(method="POST", path="effectiveroutetable$", status=202, headers={"Location": told}))
    with pytest.raises(ArmError, match="another host"):
        session.ask_and_wait(rules, "2026-03-01", 60)

    assert ["POST"] == [each["method"] for each in contoso.requests()]


def test_a_link_that_stays_is_followed_word_for_word(session: Session, contoso: Sandbox) -> None:
    """
    In capitals, with its port, or with a plain space in its query as some services write it.
    """
    for link in ("https://MANAGEMENT.azure.com:443/subscriptions", "https://management.azure.com/subscriptions"):
        status, body = session.follow(f"{link}?api-version={SUBSCRIPTIONS}&$filter=a eq 'b'")

        assert (200, 2) == (status, len(body["value"]))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "link", ["https://evil.example/subscriptions", "//evil.example/x", *FOREIGN[4:6], "https://[x"]
)
def test_a_redirect_out_is_not_followed(session: Session, contoso: Sandbox, status: int, link: str) -> None:
    """
    Whoever answers there is not Resource Manager, token or no token.
    """
    contoso.fault(Fault(path="^/subscriptions$", status=status, headers={"Location": link}, times=1))
    with pytest.raises(ArmError) as caught:
        list(session.rows("/subscriptions", SUBSCRIPTIONS))

    assert (status, "ForeignRedirect") == (caught.value.status, caught.value.code)
    assert 1 == len(contoso.requests())


@pytest.mark.parametrize("link", ["https://management.azure.com/subscriptions", "/subscriptions"])
def test_a_redirect_within_is_followed(session: Session, contoso: Sandbox, link: str) -> None:
    """
    As the service may do.
    """
    headers = {"Location": f"{link}?api-version={SUBSCRIPTIONS}"}
    contoso.fault(Fault(path="^/x$", status=307, headers=headers, times=1))

    assert 2 == len(list(session.rows("/x", SUBSCRIPTIONS)))


def test_a_typed_client_is_not_led_out_either(session: Session, contoso: Sandbox) -> None:
    """
    Its pages and its redirects pass the same guard, also while writing is allowed.
    """
    groups = session.clients("6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24").resources.resource_groups
    redirect = Fault(method="PUT", path="rg-x$", status=307, headers={"Location": "https://evil.example/x"})
    contoso.fault(redirect)
    with session.guard.writing(), pytest.raises(ForeignHost):
        groups.create_or_update("rg-x", {"location": "westeurope"})
    with session.guard.writing(), pytest.raises(ForeignHost):
        session._raw.send_request(HttpRequest("PUT", "https://evil.example/x"))

    assert 1 == len(contoso.requests())


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(path="vaults", status=403, code="AuthorizationFailed", message="no"), 403, "AuthorizationFailed"),
        (Fault(path="vaults", status=404), 404, "MalformedBody"),
        (Fault(path="vaults", status=200), 200, "MalformedBody"),
    ],
)
def test_what_cannot_be_read_is_a_typed_error(
    session: Session, contoso: Sandbox, fault: Fault, status: int, code: str
) -> None:
    """
    Status and code of the service come through; an empty body is no empty list.
    """
    contoso.fault(fault)
    path = "/subscriptions/6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24/providers/Microsoft.RecoveryServices/vaults"
    with pytest.raises(ArmError) as caught:
        list(session.rows(path, "2026-11-01"))

    assert (status, code) == (caught.value.status, caught.value.code)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Sun, 29 Nov 2026 12:00:00 GMT", datetime(2026, 11, 29, 12, tzinfo=UTC)),
        ("Sun, 29 Nov 2026 12:00:00 -0000", datetime(2026, 11, 29, 12, tzinfo=UTC)),
        ("Sun, 99 Nov 2026 12:00:00 GMT", None),
        ("yesterday", None),
    ],
)
def test_a_clock_that_cannot_be_read_leaves_the_time_as_it_was(
    session: Session, contoso: Sandbox, said: str, read: datetime | None
) -> None:
    """
    The answer counts all the same; times without a zone are UTC.
    """
    list(session.rows("/subscriptions", SUBSCRIPTIONS))
    before = session.now
    contoso.fault(Fault(path="^/x$", status=200, headers={"Date": said}, times=1))
    with pytest.raises(ArmError, match="MalformedBody"):
        session.get("/x", "1")

    assert (read or before) == session.now


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("0", 1.0), ("99999999999", 3600.0), ("soon", 10.0)])
def test_nobody_waits_for_ever(said: str, seconds: float) -> None:
    """
    Between a second and an hour, and ten seconds where the service does not say.
    """
    assert seconds == pause_of({"Retry-After": said})


def test_throttling_is_waited_out_on_the_service_clock(session: Session, contoso: Sandbox) -> None:
    """
    A 429 with Retry-After costs time, not the read.
    """
    contoso.fault(
        Fault(path="^/subscriptions$", status=429, code="TooManyRequests", headers={"Retry-After": "7"}, times=5)
    )
    before = contoso.now()
    rows = list(session.rows("/subscriptions", SUBSCRIPTIONS))

    assert 2 == len(rows)
    assert (contoso.now() - before).total_seconds() >= 35


def test_a_refused_credential_is_a_sign_in_error(session: Session, contoso: Sandbox) -> None:
    """
    401 is not an unread resource: nothing at all can be read.
    """
    contoso.fault(Fault(path="^/subscriptions$", status=401, code="InvalidAuthenticationToken"))
    with pytest.raises(SignInError):
        list(session.rows("/subscriptions", SUBSCRIPTIONS))


def test_an_unreadable_estate_is_a_parameter_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is wrong with an estate file is said, with exit code 2.
    """
    broken = tmp_path / "estate.json"
    broken.write_text("{")
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(tmp_path / "new.sqlite"))
    from runbook_lib.arm.opening import sandbox_path, sandbox_state

    with pytest.raises(InvalidParameters) as caught:
        sandbox_state(sandbox_path(), str(broken))

    assert "estate.json" in str(caught.value)
    assert 2 == caught.value.exit_code


def test_a_new_sandbox_holds_the_example_estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever starts without any set-up rehearses on contoso.
    """
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(tmp_path / "deep" / "new.sqlite"))

    assert "contoso" == open_session("sandbox", Journal(tmp_path / "j.jsonl")).target.name


def test_azure_is_refused_on_binder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nobody is led to sign in on a public machine.
    """
    monkeypatch.setenv("BINDER_SERVICE_HOST", "x")
    with pytest.raises(InvalidParameters, match="Binder"):
        open_session("azure", Journal(tmp_path / "j.jsonl"))


def test_what_this_process_answers_is_asked_one_after_the_other(session: Session) -> None:
    """
    Side by side its answers would only come later.
    """
    assert [(1, threading.get_ident()), (2, threading.get_ident())] == list(
        session.each(lambda number: (number, threading.get_ident()), [1, 2])
    )


def test_over_the_network_several_are_asked_at_one_time(session: Session, tmp_path: Path) -> None:
    """
    None of them goes on before the last one has begun, and the answers keep their order.
    """
    remote = Session(session.target, session._credential, Journal(tmp_path / "remote.jsonl"))
    all_there = threading.Barrier(4)

    def look(number: int) -> int:
        all_there.wait(10)
        return number

    assert [1, 2, 3, 4] == list(remote.each(look, [1, 2, 3, 4], 4))
