"""
Backup policies: the bodies that ARM takes, the words back from them, and how old a backup may be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import policy, vault
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.parameters import WEEKDAYS, Parameters, build
from runbook_lib.policy import built_in, described, differences, is_built_in, longest_gap, properties, terms
from runbook_lib.records import Policy

DAY = date(2024, 4, 28)
REFERENCE = os.environ.get("RUNBOOK_REFERENCE", "")
needs_reference = pytest.mark.skipif(
    not REFERENCE, reason="needs recorded traffic: set RUNBOOK_REFERENCE to its folder"
)


def keep(at: str, count: int, unit: str) -> dict[str, Any]:
    """
    A retention of recovery points taken at a time.
    """
    return {"retentionTimes": [f"2024-04-28T{at}:00Z"], "retentionDuration": {"count": count, "durationType": unit}}


@st.composite
def asked(draw: st.DrawFn) -> Parameters:
    """
    Parameters of a policy that are valid.
    """
    schedule = draw(st.sampled_from(["Daily", "Weekly", "Hourly"]))
    enhanced = schedule == "Hourly" or draw(st.booleans())
    weekly = schedule == "Weekly"
    interval = draw(st.sampled_from([4, 6, 8, 12]))
    values = {
        "schedule": schedule,
        "policy_type": "Enhanced" if enhanced else "Standard",
        "backup_time": f"{draw(st.integers(0, 23)):02}:{draw(st.sampled_from(['00', '30']))}",
        "weekly_days": draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True)),
        "hourly_interval": interval,
        "hourly_duration": draw(st.integers(interval, 24)),
        "time_zone": draw(st.sampled_from(["UTC", "Romance Standard Time"])),
        "daily_retention_days": draw(st.integers(32, 9999)),
        "weekly_retention_weeks": draw(st.integers(5 if weekly else 0, 5163)),
        "monthly_retention_months": draw(st.integers(0, 1188)),
        "yearly_retention_years": draw(st.integers(0, 99)),
        "instant_restore_days": draw(st.integers(1, 30)) if enhanced else 5 if weekly else draw(st.integers(1, 5)),
    }
    return build(values)


def test_a_standard_daily_body_is_what_the_service_itself_has() -> None:
    """
    The default policy of a new vault, as it was recorded, less what the service adds.
    """
    assert {
        "backupManagementType": "AzureIaasVM",
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicy",
            "scheduleRunFrequency": "Daily",
            "scheduleRunTimes": ["2024-04-28T16:30:00Z"],
        },
        "retentionPolicy": {
            "retentionPolicyType": "LongTermRetentionPolicy",
            "dailySchedule": keep("16:30", 30, "Days"),
        },
        "instantRpRetentionRangeInDays": 2,
        "timeZone": "UTC",
    } == properties(Parameters(backup_time="16:30"), DAY)


def test_an_enhanced_hourly_body_is_what_the_service_itself_has() -> None:
    """
    The enhanced policy of a new vault: V2, a window instead of times.
    """
    made = properties(Parameters(policy_type="Enhanced", schedule="Hourly", backup_time="08:00"), DAY)

    assert ("V2", keep("08:00", 30, "Days")) == (made["policyType"], made["retentionPolicy"]["dailySchedule"])
    assert {
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": "Hourly",
        "hourlySchedule": {
            "interval": 4,
            "scheduleWindowStartTime": "2024-04-28T08:00:00Z",
            "scheduleWindowDuration": 12,
        },
    } == made["schedulePolicy"]


def test_a_standard_weekly_body_has_days_and_no_daily_retention() -> None:
    """
    A weekly policy takes no daily points, so it keeps none.
    """
    made = properties(
        Parameters(
            schedule="Weekly", weekly_days=("Monday", "Friday"), weekly_retention_weeks=12, instant_restore_days=5
        ),
        DAY,
    )

    assert {
        "schedulePolicyType": "SimpleSchedulePolicy",
        "scheduleRunFrequency": "Weekly",
        "scheduleRunDays": ["Monday", "Friday"],
        "scheduleRunTimes": ["2024-04-28T19:00:00Z"],
    } == made["schedulePolicy"]
    assert {
        "retentionPolicyType": "LongTermRetentionPolicy",
        "weeklySchedule": {"daysOfTheWeek": ["Monday", "Friday"]} | keep("19:00", 12, "Weeks"),
    } == made["retentionPolicy"]


@pytest.mark.parametrize(
    ("schedule", "detail"),
    [
        ("Daily", {"dailySchedule": {"scheduleRunTimes": ["2024-04-28T19:00:00Z"]}}),
        (
            "Weekly",
            {"weeklySchedule": {"scheduleRunDays": ["Sunday"], "scheduleRunTimes": ["2024-04-28T19:00:00Z"]}},
        ),
    ],
)
def test_an_enhanced_schedule_stands_in_a_part_of_its_own(schedule: str, detail: dict[str, Any]) -> None:
    """
    V2 has one member for each kind of schedule, and no times beside it.
    """
    made = properties(Parameters(policy_type="Enhanced", schedule=schedule, weekly_retention_weeks=8), DAY)

    assert {
        "schedulePolicyType": "SimpleSchedulePolicyV2",
        "scheduleRunFrequency": schedule,
    } | detail == made["schedulePolicy"]


def test_monthly_and_yearly_points_are_taken_on_the_first_backup_day() -> None:
    """
    Of the month, and of January.
    """
    made = properties(
        Parameters(monthly_retention_months=12, yearly_retention_years=10, weekly_days=("Friday", "Sunday")), DAY
    )["retentionPolicy"]
    first = {
        "retentionScheduleFormatType": "Weekly",
        "retentionScheduleWeekly": {"daysOfTheWeek": ["Friday"], "weeksOfTheMonth": ["First"]},
    }

    assert first | keep("19:00", 12, "Months") == made["monthlySchedule"]
    assert {"monthsOfYear": ["January"]} | first | keep("19:00", 10, "Years") == made["yearlySchedule"]


@given(asked())
def test_the_times_of_a_body_are_all_the_same(given_: Parameters) -> None:
    """
    The service refuses a retention whose time is not the schedule's.
    """
    made = json.dumps(properties(given_, DAY))
    times = {part[:20] for part in made.split('"') if part.startswith("2024-")}

    assert {f"2024-04-28T{given_.backup_time}:00Z"} == times


@given(asked())
def test_the_words_of_a_body_are_those_of_the_parameters(given_: Parameters) -> None:
    """
    What was asked for is read back from the body: neither lost nor changed on the way.
    """
    said = terms(properties(given_, DAY))
    wanted = given_.as_dict()

    assert {name: wanted[name] for name in said} == said
    assert {"policy_type", "schedule", "backup_time", "time_zone", "instant_restore_days"} <= said.keys()
    assert (given_.schedule == "Hourly") == ("hourly_interval" in said) == ("hourly_duration" in said)
    assert (given_.schedule == "Weekly" or given_.weekly_retention_weeks > 0) == ("weekly_days" in said)
    assert (given_.schedule != "Weekly") == ("daily_retention_days" in said)
    for name in ("weekly_retention_weeks", "monthly_retention_months", "yearly_retention_years"):
        assert (wanted[name] > 0) == (name in said)


@given(asked(), st.dates(min_value=date(1990, 1, 1)))
def test_the_date_of_a_time_says_nothing(given_: Parameters, day: date) -> None:
    """
    ARM wants a date and ignores it.
    """
    assert terms(properties(given_, DAY)) == terms(properties(given_, day))


@given(asked(), asked())
def test_a_policy_differs_in_just_the_words_that_differ(one: Parameters, other: Parameters) -> None:
    """
    None from what made it, and from something else those parameters that are not the same.
    """
    made = described(one, "/vault", DAY)
    there, wanted = made.terms, terms(properties(other, DAY))

    assert () == differences(made, one)
    assert {name for name in {*there, *wanted} if there.get(name) != wanted.get(name)} == set(differences(made, other))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["Weekly", "Hourly", "Daily", "Sunday"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "scheduleRunFrequency",
                    "scheduleRunTimes",
                    "scheduleRunDays",
                    "hourlySchedule",
                    "dailySchedule",
                    "weeklySchedule",
                    "interval",
                    "scheduleWindowDuration",
                    "retentionDuration",
                    "daysOfTheWeek",
                    "count",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["schedulePolicy", "retentionPolicy", "policyType", "timeZone", "instantRpRetentionRangeInDays"]
        ),
        _JSON,
    )
)
def test_a_body_of_any_shape_is_read_without_an_error(body: dict[str, Any]) -> None:
    """
    An estate file may hold anything: what is not understood is left out, and then gives no gap.
    """
    said = terms(body)
    gap = longest_gap(Policy(id="/p", name="p", vault_id="/v", terms=said))

    assert gap is None or gap > timedelta(0)
    assert set() == {name for name in said if name.startswith("hourly_") and type(said[name]) is not int}
    assert isinstance(differences(Policy(id="/p", name="p", vault_id="/v", terms=said), Parameters()), tuple)


def test_terms_of_nothing_are_nothing_but_the_type() -> None:
    """
    A body without its parts, or with nulls for them, is no error.
    """
    empty: dict[str, Any] = {"schedulePolicy": None, "retentionPolicy": {"dailySchedule": None, "weeklySchedule": {}}}

    assert {"policy_type": "Standard"} == terms({})
    assert {"policy_type": "Standard"} == terms(empty)


@pytest.mark.parametrize("name", ["DefaultPolicy", "EnhancedPolicy"])
def test_a_new_vaults_own_policies_are_valid_and_known_by_name(name: str) -> None:
    """
    They can be named in any case; their own parameters would make them again.
    """
    made = built_in(name, vault().id)

    assert f"{vault().id}/backupPolicies/{name}" == made.id
    assert is_built_in(name.upper())
    assert not is_built_in("Nightly")
    assert build({each: value for each, value in made.terms.items() if value})


@pytest.mark.parametrize(
    ("said", "hours"),
    [
        ({}, 24),
        ({"policy_type": "Enhanced"}, 24),
        ({"schedule": "Weekly"}, 7 * 24),
        ({"schedule": "Weekly", "weekly_days": ("Monday", "Friday")}, 4 * 24),
        ({"schedule": "Weekly", "weekly_days": ("Saturday", "Sunday")}, 6 * 24),
        ({"schedule": "Weekly", "weekly_days": WEEKDAYS}, 24),
        # From the last run that must lie in the window to the first of the next day's.
        ({"schedule": "Hourly", "policy_type": "Enhanced", "hourly_interval": 4, "hourly_duration": 12}, 16),
        ({"schedule": "Hourly", "policy_type": "Enhanced", "hourly_interval": 4, "hourly_duration": 24}, 4),
        ({"schedule": "Hourly", "policy_type": "Enhanced", "hourly_interval": 12, "hourly_duration": 12}, 24),
    ],
)
def test_the_longest_gap_is_that_of_the_schedule_and_half_a_day(said: dict[str, Any], hours: int) -> None:
    """
    A backup starts late and takes its time, so that much is allowed on top.
    """
    asked_for = {"weekly_retention_weeks": 8, **said}

    assert timedelta(hours=hours + 12) == longest_gap(policy(vault(), **asked_for))


@given(asked())
def test_the_longest_gap_of_what_can_be_asked_for_is_known(given_: Parameters) -> None:
    """
    Never less than a day's grace, never more than a week and that.
    """
    gap = longest_gap(described(given_, "/vault", DAY))

    assert gap is not None
    assert timedelta(hours=16) <= gap <= timedelta(days=7, hours=12)


@pytest.mark.parametrize(
    "said",
    [{}, {"schedule": "Never"}, {"schedule": "Weekly"}, {"schedule": "Weekly", "weekly_days": ["Domingo"]}],
)
def test_a_policy_that_does_not_say_gives_no_gap(said: dict[str, Any]) -> None:
    """
    Nobody guesses how old a backup may be.
    """
    assert longest_gap(Policy(id="/p", name="p", vault_id="/v", terms=said)) is None


def _recorded() -> Iterator[dict[str, Any]]:
    """
    The `properties` of every policy for Azure VMs in the recorded lists.
    """
    with (Path(REFERENCE) / "recordings" / "backup_policies_list.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            for row in (json.loads(line)["response"]["body"] or {}).get("value") or ():
                if row["properties"].get("backupManagementType") == "AzureIaasVM":
                    yield row["properties"]


@needs_reference
def test_every_recorded_policy_is_understood() -> None:
    """
    All of them say what they do, and how old a backup may be: a day, a working day's window, or a week.
    """
    seen = list(_recorded())
    spans = [longest_gap(Policy(id="/p", name="p", vault_id="/v", terms=terms(each))) for each in seen]

    assert len(seen) > 100
    assert all({"policy_type", "schedule", "backup_time"} <= terms(each).keys() for each in seen)
    assert {timedelta(hours=28), timedelta(hours=36), timedelta(days=7, hours=12)} == set(spans)


@needs_reference
def test_every_recorded_policy_is_what_parameters_can_ask_for() -> None:
    """
    Its words pass validation where they are all there, and make a body with the same words.
    """
    whole = [said for said in map(terms, _recorded()) if {"time_zone", "instant_restore_days"} <= said.keys()]

    assert len(whole) > 100
    assert whole == [terms(properties(build(said), DAY)) for said in whole]


@needs_reference
def test_a_new_vaults_own_policies_are_the_recorded_ones() -> None:
    """
    Type, schedule, retention and time of those in the one vault that was recorded when it was new.
    """
    path = Path(REFERENCE) / "azure-specs" / "behaviour" / "default-policies.json"
    rows = {row["name"]: terms(row["properties"]) for row in json.loads(path.read_text(encoding="utf-8"))["value"]}

    assert [rows["DefaultPolicy"], rows["EnhancedPolicy"]] == [
        built_in(name, "/v").terms for name in ("DefaultPolicy", "EnhancedPolicy")
    ]
