"""
How fast requests go out: what the service tells is believed, and shared by all who have one file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runbook_lib.arm.limiter import Budgets, Limiter, budgets_of

SUBSCRIPTION = "/subscriptions/1/resourceGroups/rg"
VAULT = f"https://management.azure.com{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/vaults/rsv"
VAULTS = "microsoft.recoveryservices/vaults"
WRITE = budgets_of("PUT", f"{VAULT}/backupPolicies/p?api-version=1", "me")
LEFT = "x-ms-ratelimit-remaining-subscription-writes"
OWN = "x-ms-ratelimit-remaining-subscription-resource-requests"


@dataclass(slots=True)
class Clock:
    """
    A clock that whoever sleeps turns on.
    """

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class Bucket:
    """
    The service's own bucket: *size* tokens, of which *refill* come back in a second.
    """

    clock: Clock
    size: float = 200
    refill: float = 10
    tokens: float = 200
    at: float = 1000.0
    refused: int = field(default=0)

    def take(self) -> dict[str, str] | None:
        """
        Take a token and tell what is left; None where there is none.
        """
        self.tokens = min(self.size, self.tokens + (self.clock.now - self.at) * self.refill)
        self.at = self.clock.now
        if self.tokens < 1:
            self.refused += 1
            return None
        self.tokens -= 1
        return {LEFT: str(int(self.tokens))}


def limiter(clock: Clock, path: Path | None = None) -> Limiter:
    """
    A limiter on *clock*.
    """
    return Limiter(path, clock, clock.sleep)


@pytest.mark.parametrize(
    ("method", "url", "kind", "action"),
    [
        ("GET", f"{VAULT}/backupJobs?$filter=x", "1|me|reads", f"1|me|{VAULTS}/backupjobs|reads"),
        ("PUT", f"{VAULT}/backupPolicies/p", "1|me|writes", f"1|me|{VAULTS}/backuppolicies|writes"),
        ("POST", f"{VAULT}/backupJobs/j/cancel", "1|me|writes", f"1|me|{VAULTS}/backupjobs/cancel|writes"),
        ("DELETE", f"https://x{SUBSCRIPTION}", "1|me|deletes", "1|me||deletes"),
        ("GET", "https://management.azure.com/subscriptions?api-version=1", "tenant|me|reads", "tenant|me||reads"),
    ],
)
def test_a_request_counts_for_its_subscriptions_bucket_and_for_its_action(
    method: str, url: str, kind: str, action: str
) -> None:
    """
    Reads, writes and deletes of a principal are counted apart, and so is every type of resource.
    """
    budgets = budgets_of(method, url, "me")

    assert (kind, action) == (budgets.kind, budgets.action)


def test_nothing_is_held_back_before_the_service_has_told_of_a_limit() -> None:
    """
    The sandbox without limits is not slowed down.
    """
    clock = Clock()
    own = limiter(clock)
    for _ in range(1000):
        own.acquire(WRITE)
        own.answered(WRITE, {})

    assert (1000.0, 0.0) == (clock.now, own.waited)


@pytest.mark.parametrize("refill", [2.0, 10.0, 100.0])
def test_requests_go_out_as_fast_as_the_bucket_fills_and_hardly_any_is_refused(refill: float) -> None:
    """
    Also where it fills faster or slower than the documentation says.
    """
    clock = Clock()
    bucket, own = Bucket(clock, refill=refill), limiter(clock)
    sent = 0
    while sent < 1000:
        own.acquire(WRITE)
        clock.sleep(0.002)
        headers = bucket.take()
        own.answered(WRITE, headers or {})
        if headers is None:
            own.refused(WRITE, 1.0, whole=True)
        else:
            sent += 1

    assert bucket.refused <= 10
    assert (clock.now - 1000.0) <= 1.15 * 800 / refill + 5


def test_a_refusal_holds_back_its_own_budget_only() -> None:
    """
    Other actions of the subscription go on, unless it is the subscription's bucket that is empty.
    """
    clock = Clock()
    own = limiter(clock)
    other = budgets_of("PUT", f"{VAULT}/backupFabrics/Azure/x/y", "me")
    for budgets in (WRITE, other):
        own.acquire(budgets)
        own.answered(budgets, {})
    own.refused(WRITE, 60, whole=False)
    own.acquire(other)
    before = clock.now
    own.acquire(WRITE)
    first = clock.now
    own.refused(WRITE, 60, whole=True)
    own.acquire(other)

    assert (1000.0, True, True) == (before, 60 <= first - before <= 63, 60 <= clock.now - first <= 63)


def test_an_action_with_a_budget_of_its_own_does_not_count_for_the_bucket() -> None:
    """
    Azure Backup tells what is left of its own reads, and they are not the subscription's.
    """
    clock = Clock()
    own = limiter(clock)
    jobs = budgets_of("GET", f"{VAULT}/backupJobs", "me")
    plain = budgets_of("GET", VAULT, "me")
    own.acquire(plain)
    own.answered(plain, {"x-ms-ratelimit-remaining-subscription-reads": "1"})
    own.acquire(jobs)
    own.answered(jobs, {OWN: "100"})
    for _ in range(50):
        own.acquire(jobs)

    assert 1000.0 == clock.now


def test_what_one_process_learns_holds_for_all_with_the_same_file(tmp_path: Path) -> None:
    """
    One principal has one bucket, however many runs it has going.
    """
    clock = Clock()
    one, two = limiter(clock, tmp_path / "limits.sqlite"), limiter(clock, tmp_path / "limits.sqlite")
    one.acquire(WRITE)
    one.answered(WRITE, {LEFT: "0"})
    two.acquire(WRITE)
    one.close()
    two.close()

    assert 0.09 <= clock.now - 1000.0 <= 0.11


def test_a_clock_that_was_turned_back_makes_what_is_known_void() -> None:
    """
    A sandbox that was loaded anew starts at the estate's own time.
    """
    clock = Clock()
    own = limiter(clock)
    own.acquire(WRITE)
    own.answered(WRITE, {})
    own.refused(WRITE, 3600, whole=True)
    clock.now = 10.0
    own.acquire(WRITE)

    assert 10.0 == clock.now


def test_answers_that_tell_no_number_are_passed_over() -> None:
    """
    A header that is empty or no number tells nothing.
    """
    clock = Clock()
    own = limiter(clock)
    for told in ("", "many", "-1"):
        own.acquire(WRITE)
        own.answered(WRITE, {LEFT: told, OWN: told})
    own.acquire(WRITE)

    assert 1000.0 == clock.now
    assert isinstance(WRITE, Budgets)
