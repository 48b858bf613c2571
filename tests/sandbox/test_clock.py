"""
The tenant's time: virtual or scaled, drawn durations, latency.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from runbook_lib.sandbox import Sandbox, SandboxError
from runbook_lib.sandbox.profile import Profile


def test_waiting_turns_the_virtual_clock(sandbox: Sandbox) -> None:
    """
    An hour passes at once.
    """
    start, real = sandbox.now(), time.monotonic()
    sandbox.wait(3600)

    assert 3600 <= (sandbox.now() - start).total_seconds() < 3605
    assert time.monotonic() - real < 5


def test_a_scaled_clock_runs_faster_than_a_real_one(sandbox: Sandbox) -> None:
    """
    Waiting takes its part of real time, and the clock goes on from where it was.
    """
    before = sandbox.now()
    sandbox.configure(clock_scale=100)
    start, real = sandbox.now(), time.monotonic()
    sandbox.wait(20)
    took = time.monotonic() - real
    passed = (sandbox.now() - start).total_seconds()

    assert 0 <= (start - before).total_seconds() < 100
    assert took >= 0.2
    assert 20 <= passed <= 100 * (took + 1)


def test_operations_end_by_the_scaled_clock(sandbox: Sandbox, azure: Any) -> None:
    """
    The clients wait really, a hundredth of what they are told.
    """
    sandbox.configure(clock_scale=100)
    real = time.monotonic()
    vault = {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}}
    azure.vaults.vaults.begin_create_or_update("rg-vault", "rsv-new", vault).result()

    assert 0.5 < time.monotonic() - real < 20


def test_durations_are_drawn_between_the_recorded_ones() -> None:
    """
    Each within what was recorded, half of them below the median; the same seed draws the same.
    """
    profile = Profile.of({"seed": 7})
    drawn = [profile.duration("item.configure", f"vm-{number}") for number in range(400)]

    assert (True, True) == (6 <= min(drawn), max(drawn) <= 58)
    assert 30 < median(drawn) < 38
    assert drawn == [Profile.of({"seed": 7}).duration("item.configure", f"vm-{number}") for number in range(400)]
    assert drawn != [Profile.of({"seed": 8}).duration("item.configure", f"vm-{number}") for number in range(400)]


@pytest.mark.parametrize("settings", [{"timing": "median"}, {"durations": {"item.configure": 34}}])
def test_a_duration_may_be_fixed(settings: dict[str, Any]) -> None:
    """
    To the median, or to what the settings say.
    """
    assert 34 == Profile.of(settings).duration("item.configure", "vm")


def test_answers_take_their_latency(sandbox: Sandbox, send: Any) -> None:
    """
    Drawn with the seed and the number of the request, around the median.
    """
    sandbox.configure(latency={"median": 0.5, "p99": 2.0}, seed=3)
    start = sandbox.now()
    for _ in range(40):
        send("GET", "/subscriptions")
    passed = (sandbox.now() - start).total_seconds()
    profile = sandbox.profile()
    expected = sum(profile.delay(one["seq"]) for one in sandbox.requests())

    assert 15 < expected < 40
    assert expected <= passed < expected + 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clock_scale": 0.5}, "profile.clock_scale: 0.5 must be a number from 1 to 1000"),
        ({"latency": {"median": 1}}, "profile.latency: {'median': 1} must be an object with median and p99"),
        ({"latency": {"median": 1, "p99": 0.5}}, "must be 0.001 s or more, with p99 not below median"),
        ({"seed": "x"}, "profile.seed: 'x' must be a whole number"),
        ({"throttle": "all"}, "profile.throttle: 'all' is none of none, arm2024, backup-strict"),
        ({"caller": 7}, "profile.caller: 7 must be the object id of a caller"),
        ({"faults": {}}, "profile.faults: must be a list of rules"),
        ({"faults": [{"does": "sleep"}]}, "fault.does: 'sleep' is none of"),
    ],
)
def test_a_setting_out_of_range_is_refused(sandbox: Sandbox, settings: dict[str, Any], message: str) -> None:
    """
    The message names the setting and the rule, and nothing is changed.
    """
    before = sandbox.profile()
    with pytest.raises(SandboxError, match=message):
        sandbox.configure(**settings)

    assert before == sandbox.profile()
