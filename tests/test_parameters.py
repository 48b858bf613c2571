"""
Parameters: one schema for the command line, the notebooks and the engine; every problem at once, nothing guessed.
"""

from __future__ import annotations

from typing import Any

import pytest
from builders import ONE as GUID
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.errors import InvalidParameters
from runbook_lib.naming import fill_name, location_name
from runbook_lib.parameters import NAMES, Parameters, build, from_text, schema

TWO = "ABCDEF01-2345-6789-abcd-ef0123456789"
SECRET = "hunter2"


def problems(**values: Any) -> list[str]:
    """
    Name the problems that `build` finds.
    """
    with pytest.raises(InvalidParameters) as refusal:
        build(values)
    return [problem.message for problem in refusal.value.problems]


def test_the_defaults_are_valid() -> None:
    """
    A run without parameters is a run.
    """
    assert Parameters() == build({})
    assert Parameters() == build(Parameters().as_dict())


def test_the_defaults_are_safe() -> None:
    """
    Unless told otherwise, a run plans, on the sandbox, and opens no network path.
    """
    assert ("sandbox", False, "none", {}) == (
        build({}).target,
        build({}).apply,
        build({}).network_option,
        build({}).accept_risk,
    )


def test_the_schema_lists_every_parameter_once_with_its_type() -> None:
    """
    Types are written as papermill's inspection understands them, and fit their defaults.
    """
    kinds = {"str": str, "int": int, "bool": bool, "list[str]": list, "dict[str, str]": dict}

    assert list(NAMES) == [row.name for row in schema()]
    assert len(NAMES) == len(set(NAMES))
    assert {row.name: kinds[row.type] for row in schema()} == {row.name: type(row.default) for row in schema()}
    assert all(row.default in row.choices for row in schema() if row.choices)
    assert all(row.help() for row in schema())


def test_values_survive_the_way_through_json() -> None:
    """
    What papermill or a file hands back builds the same parameters.
    """
    asked = build({"weekly_days": ["Monday", "Friday"], "subscription_ids": [GUID], "accept_risk": {"/x": "because"}})

    assert asked == build(asked.as_dict())
    assert ["Monday", "Friday"] == asked.as_dict()["weekly_days"]


def test_every_problem_is_found_at_once() -> None:
    """
    Whoever mends a parameter file sees all that is wrong, not the first.
    """
    assert ["unknown_parameter", "wrong_type", "not_a_choice", "vault_name", "backup_time", "out_of_range"] == problems(
        nope="x",
        apply="true",
        redundancy="GRS",
        vault_name="1-vault",
        backup_time="19:15",
        daily_retention_days=3,
    )


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """
    A typing error is never ignored.
    """
    with pytest.raises(InvalidParameters, match=r"There is no parameter 'nope'\. Known are: target, run_dir"):
        build({"nope": "x"})


def test_the_name_that_was_meant_is_told_before_all_others() -> None:
    """
    Where one is near enough.
    """
    with pytest.raises(InvalidParameters, match=r"did you mean 'vm_selector'\? Known are: target, run_dir"):
        build({"vm-selector": "all"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apply", "true"),
        ("apply", 1),
        ("apply", None),
        ("proxy_port", "8080"),
        ("proxy_port", 80.0),
        ("proxy_port", True),
        ("vault_name", 5),
        ("vault_name", None),
        ("vault_name", ["rsv"]),
        ("weekly_days", "Sunday"),
        ("weekly_days", [1]),
        ("weekly_days", {"Sunday": 1}),
        ("subscription_ids", None),
        ("accept_risk", []),
        ("accept_risk", {"vm": 1}),
        ("accept_risk", {1: "vm"}),
        ("accept_risk", "vm"),
        ("target", 1),
        ("language", ["en"]),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any) -> None:
    """
    Nothing is converted: "true" is no boolean, 1 is none, and a word is no list.
    """
    assert ["wrong_dict" if name == "accept_risk" else "wrong_type"] == problems(**{name: value})


@pytest.mark.parametrize("row", [row for row in schema() if row.choices], ids=lambda row: row.name)
def test_a_value_that_is_no_choice_is_refused(row: Any) -> None:
    """
    Choices are ARM's own words, in ARM's own case.
    """
    assert "not_a_choice" in problems(**{row.name: row.default.upper() + "x"})
    if any(each.isalpha() for each in row.default):
        assert "not_a_choice" in problems(**{row.name: row.default.swapcase()})


@pytest.mark.parametrize("value", ["rsv", "rs", "Rsv-{location}", "a" + "b" * 49, "r-{subscription}-{location}"])
def test_a_vault_name_that_arm_takes_is_taken(value: str) -> None:
    """
    2 to 50 characters, a letter first, then letters, digits, hyphens (guide, creating a vault, step 4).
    """
    assert value == build({"vault_name": value}).vault_name


@pytest.mark.parametrize(
    "value",
    ["", "r", "1rsv", "-rsv", "rsv_a", "rsv.a", "rsv a", "räv", "a" + "b" * 50, "rsv\n", "ａｂ", "rsv/../x", "rsv?x=1"],
)
def test_a_vault_name_that_arm_refuses_is_refused(value: str) -> None:
    """
    Before anything is sent.
    """
    assert ["vault_name"] == problems(vault_name=value)


@pytest.mark.parametrize("name", ["vault_name", "resource_group"])
@pytest.mark.parametrize(
    "template",
    [
        "rsv-{time}",
        "rsv-{}",
        "rsv-{0}",
        "rsv-{",
        "rsv-}",
        "rsv-{location.__class__}",
        "rsv-{location.x}",
        "rsv-{location[0]}",
        "rsv-{location!r}",
        "rsv-{location:>9999999999}",
        "rsv-{location:{subscription}}",
        "rsv-{Location}",
    ],
)
def test_a_template_names_location_subscription_and_number_only(name: str, template: str) -> None:
    """
    Anything else in braces is refused: it would run into an error, or into memory, when it is filled.
    """
    assert ["template"] == problems(**{name: template})


@pytest.mark.parametrize("value", ["rg", "_", "RG-Ñandú.(1)_x", "組", "a" * 90, "rg-{location}"])
def test_a_group_name_that_arm_takes_is_taken(value: str) -> None:
    """
    Letters of all scripts, digits, and _ - . ( ), 90 at most.
    """
    assert value == build({"resource_group": value}).resource_group


@pytest.mark.parametrize("value", ["", "rg.", "a" * 91, "rg/x", "rg x", "rg\n", "rg;x", "rg?"])
def test_a_group_name_that_arm_refuses_is_refused(value: str) -> None:
    """
    No other characters, and no period at the end.
    """
    assert ["resource_group"] == problems(resource_group=value)


def test_a_name_is_filled_for_one_region_and_subscription() -> None:
    """
    Eight digits of the subscription tell vaults of one region apart.
    """
    assert "rsv-11111111-northeurope" == fill_name(
        "vault_name", "rsv-{subscription}-{location}", location="northeurope", subscription=GUID
    )


def test_a_name_that_is_too_long_for_its_region_is_refused() -> None:
    """
    What fits with one region's name may be too long with another's.
    """
    template = "v" * 40 + "{location}"

    assert 50 == len(fill_name("vault_name", template, location="westeurope", subscription=GUID))
    with pytest.raises(InvalidParameters, match=r"'v{40}germanywestcentral' is not a valid vault name"):
        fill_name("vault_name", template, location="germanywestcentral", subscription=GUID)


@pytest.mark.parametrize("value", ["abc", "Policy-1", "p" * 150])
def test_a_policy_name_that_arm_takes_is_taken(value: str) -> None:
    """
    3 to 150 letters, digits and hyphens.
    """
    assert value == build({"policy_name": value}).policy_name


@pytest.mark.parametrize("value", ["", "ab", "p" * 151, "1ab", "ab-", "a_b", "a b", "politique-é", "abc\n"])
def test_a_policy_name_that_arm_refuses_is_refused(value: str) -> None:
    """
    A letter first, no hyphen last.
    """
    assert ["policy_name"] == problems(policy_name=value)


@pytest.mark.parametrize("value", ["x", "", GUID + "0", GUID[:-1], f"/subscriptions/{GUID}", GUID.replace("-", "")])
def test_a_subscription_is_named_by_its_guid(value: str) -> None:
    """
    In the list of subscriptions to look in as for the vaults' own.
    """
    assert ["subscription_id"] == problems(subscription_ids=[GUID, value])
    assert ["subscription_id"] == problems(vault_subscription=value)
    assert TWO.upper() == build({"vault_subscription": TWO.upper()}).vault_subscription


@pytest.mark.parametrize(
    "value",
    ["all", "tag:wave=1", "tag:wave", "tag:wave=", "group:rg", "name:web", "/subscriptions/a/x", "/SUBSCRIPTIONS/a/x"],
)
def test_a_selector_that_is_known_is_taken(value: str) -> None:
    """
    Everything, a tag with or without its value, a group, a name, or ids.
    """
    assert value == build({"vm_selector": value}).vm_selector


@pytest.mark.parametrize("value", ["", "ALL", "tag:", "tag:=1", "group:", "name:", "web", "Tag:a=b", "id:x", " all"])
def test_a_selector_that_is_not_known_is_refused(value: str) -> None:
    """
    It would select nothing, or not what was meant.
    """
    assert ["vm_selector"] == problems(vm_selector=value)


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_a_risk_is_accepted_with_a_reason(reason: str) -> None:
    """
    The reason becomes part of the evidence, so it must be one.
    """
    assert ["accept_risk"] == problems(accept_risk={"/vm": reason})


def test_cross_region_restore_goes_with_geo_redundant_storage_only() -> None:
    """
    ARM refuses it for any other replication.
    """
    assert build({"cross_region_restore": True}).cross_region_restore
    assert ["cross_region_restore"] == problems(cross_region_restore=True, redundancy="ZoneRedundant")


@pytest.mark.parametrize("value", ["00:00", "09:30", "19:00", "23:30"])
def test_a_backup_time_on_the_half_hour_is_taken(value: str) -> None:
    """
    HH:00 or HH:30.
    """
    assert value == build({"backup_time": value}).backup_time


@pytest.mark.parametrize("value", ["24:00", "19:15", "7:00", "19:00:00", "19.00", "", "1٩:00", "19:00\n", "-1:00"])
def test_another_backup_time_is_refused(value: str) -> None:
    """
    The service refuses minutes other than 00 and 30.
    """
    assert ["backup_time"] == problems(backup_time=value)


def test_an_hourly_schedule_needs_an_enhanced_policy() -> None:
    """
    Standard policies back up once a day.
    """
    assert ["hourly_needs_enhanced"] == problems(schedule="Hourly")
    assert "Hourly" == build({"schedule": "Hourly", "policy_type": "Enhanced"}).schedule


@pytest.mark.parametrize(("interval", "duration"), [(4, 4), (4, 24), (6, 12), (8, 8), (12, 24)])
def test_an_hourly_window_that_the_service_takes_is_taken(interval: int, duration: int) -> None:
    """
    4, 6, 8 or 12 hours apart, in a window of one interval at least and a day at most.
    """
    hourly = {"schedule": "Hourly", "policy_type": "Enhanced"}

    assert (interval, duration) == (
        build(hourly | {"hourly_interval": interval, "hourly_duration": duration}).hourly_interval,
        build(hourly | {"hourly_interval": interval, "hourly_duration": duration}).hourly_duration,
    )


@pytest.mark.parametrize(
    ("interval", "duration", "found"),
    [(5, 12, "hourly_interval"), (0, 12, "hourly_interval"), (12, 8, "hourly_duration"), (4, 25, "hourly_duration")],
)
def test_another_hourly_window_is_refused(interval: int, duration: int, found: str) -> None:
    """
    But only where the schedule is hourly: what is not used is not judged.
    """
    values = {"hourly_interval": interval, "hourly_duration": duration}

    assert [found] == problems(schedule="Hourly", policy_type="Enhanced", **values)
    assert build(values)


@pytest.mark.parametrize("days", [[], ["sunday"], ["Sun"], ["Sunday", "Sunday"], ["Sunday", ""]])
def test_days_are_different_days_of_the_week(days: list[str]) -> None:
    """
    In English and in full, as ARM writes them.
    """
    assert ["weekly_days"] == problems(weekly_days=days)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"daily_retention_days": 6}, ["out_of_range"]),
        ({"daily_retention_days": 10000}, ["out_of_range"]),
        ({"weekly_retention_weeks": -1}, ["out_of_range"]),
        ({"weekly_retention_weeks": 5164}, ["out_of_range"]),
        ({"monthly_retention_months": 1189}, ["out_of_range"]),
        ({"yearly_retention_years": 100}, ["out_of_range"]),
        ({"instant_restore_days": 0}, ["out_of_range"]),
        ({"instant_restore_days": 6}, ["out_of_range"]),
        ({"instant_restore_days": 31, "policy_type": "Enhanced"}, ["out_of_range", "instant_restore"]),
        ({"instant_restore_days": 7, "daily_retention_days": 7, "policy_type": "Enhanced"}, ["instant_restore"]),
        ({"schedule": "Weekly"}, ["out_of_range", "out_of_range"]),
        ({"schedule": "Weekly", "weekly_retention_weeks": 4}, ["out_of_range"]),
        (
            {
                "schedule": "Weekly",
                "weekly_retention_weeks": 1,
                "policy_type": "Enhanced",
                "instant_restore_days": 7,
            },
            ["instant_restore"],
        ),
        ({"proxy_port": 0}, ["out_of_range"]),
        ({"proxy_port": 65536}, ["out_of_range"]),
    ],
)
def test_numbers_outside_of_what_the_service_takes_are_refused(values: dict[str, Any], found: list[str]) -> None:
    """
    Retention, instant restore and ports have their ranges; instant restore ends before the recovery points do.
    """
    assert found == problems(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"daily_retention_days": 7},
        {"daily_retention_days": 9999, "weekly_retention_weeks": 5163, "monthly_retention_months": 1188},
        {"instant_restore_days": 5},
        {"instant_restore_days": 30, "policy_type": "Enhanced", "daily_retention_days": 31},
        {"schedule": "Weekly", "weekly_retention_weeks": 1, "instant_restore_days": 5},
        # A weekly policy keeps no daily points, so their number is not judged.
        {"schedule": "Weekly", "weekly_retention_weeks": 1, "instant_restore_days": 5, "daily_retention_days": 1},
    ],
)
def test_numbers_at_the_edge_are_taken(values: dict[str, Any]) -> None:
    """
    The ends of each range belong to it.
    """
    assert build(values)


@pytest.mark.parametrize("host", ["10.0.0.5", "proxy", "proxy.contoso.com", "p-1.x"])
def test_a_proxy_is_an_address_or_a_name(host: str) -> None:
    """
    An IPv4 address or a host name.
    """
    assert host == build({"network_option": "http_proxy", "proxy_host": host}).proxy_host


@pytest.mark.parametrize(
    "host",
    [
        f"http://user:{SECRET}@proxy:8080",
        f"user:{SECRET}@proxy",
        "proxy:8080",
        "http://proxy",
        "10.0.0.256",
        "10.0.0.05",
        "1.2.3",
        "::1",
        "-proxy",
        "proxy-",
        "pro xy",
        "próxy",
        "proxy\n",
        "a" * 254,
    ],
)
def test_anything_else_is_no_proxy_and_is_not_repeated(host: str) -> None:
    """
    A proxy URL may hold a password: the message does not show what was given.
    """
    with pytest.raises(InvalidParameters) as refusal:
        build({"network_option": "http_proxy", "proxy_host": host})

    assert ["proxy_host"] == [problem.message for problem in refusal.value.problems]
    assert host not in str(refusal.value)


@pytest.mark.parametrize("name", ["proxy_host", "proxy_port"])
@pytest.mark.parametrize("value", [[f"http://u:{SECRET}@p"], {"http": SECRET}, (SECRET,)])
def test_a_proxy_of_the_wrong_type_is_not_repeated_either(name: str, value: Any) -> None:
    """
    Nor is one that was given for the port.
    """
    with pytest.raises(InvalidParameters, match="takes a") as refusal:
        build({name: value})
    assert SECRET not in str(refusal.value)
    assert SECRET not in repr(refusal.value.problems[0].facts)


def test_a_proxy_url_given_for_the_port_is_not_repeated() -> None:
    """
    The text of a command-line option goes the same way.
    """
    with pytest.raises(InvalidParameters, match="takes a int") as refusal:
        from_text("proxy_port", f"http://u:{SECRET}@p:8080")
    assert SECRET not in str(refusal.value)


def test_a_proxy_url_given_for_a_choice_is_not_repeated() -> None:
    """
    The choices are, and the name.
    """
    with pytest.raises(InvalidParameters, match="80,443, 80-443") as refusal:
        build({"proxy_ports": f"http://u:{SECRET}@p:8080"})
    assert SECRET not in str(refusal.value)


def test_the_proxy_option_needs_a_proxy() -> None:
    """
    Without it there is nothing to plan for.
    """
    assert ["proxy_host_missing"] == problems(network_option="http_proxy")


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("vault_name", "5", "5"),
        ("vault_name", "true", "true"),
        ("vault_name", "", ""),
        ("proxy_port", "8080", 8080),
        ("proxy_port", "-1", -1),
        ("apply", "true", True),
        ("apply", "False", False),
        ("weekly_days", "Sunday, Monday", ["Sunday", "Monday"]),
        ("weekly_days", '["Sunday"]', ["Sunday"]),
        ("subscription_ids", "", []),
        ("accept_risk", '{"/vm": "a, b"}', {"/vm": "a, b"}),
        ("accept_risk", "{}", {}),
    ],
)
def test_text_is_read_as_the_declared_type(name: str, written: str, value: Any) -> None:
    """
    The type is the parameter's, not what the text looks like.
    """
    assert value == from_text(name, written)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("proxy_port", ""),
        ("proxy_port", "8080.0"),
        ("proxy_port", "1_000"),
        ("proxy_port", "٨٠"),
        ("proxy_port", " 80"),
        ("proxy_port", "9" * 5000),
        ("apply", "yes"),
        ("apply", "1"),
        ("apply", ""),
        ("weekly_days", "[1]"),
        ("weekly_days", "[Sunday"),
        ("weekly_days", "[" * 100_000),
        ("accept_risk", ""),
        ("accept_risk", "[]"),
        ("accept_risk", '{"a": 1}'),
        ("accept_risk", "vm=reason"),
    ],
)
def test_text_that_is_no_value_of_the_type_is_refused(name: str, written: str) -> None:
    """
    Nothing is guessed.
    """
    with pytest.raises(InvalidParameters, match=f"Parameter '{name}' takes a"):
        from_text(name, written)


def test_text_for_an_unknown_parameter_is_refused() -> None:
    """
    On the command line as in a file.
    """
    with pytest.raises(InvalidParameters, match="There is no parameter 'nope'"):
        from_text("nope", "1")


@pytest.mark.parametrize(
    ("written", "name"),
    [("West Europe", "westeurope"), ("westeurope", "westeurope"), ("EAST US 2", "eastus2"), ("", "")],
)
def test_a_region_has_one_name(written: str, name: str) -> None:
    """
    Azure writes a region in two ways.
    """
    assert name == location_name(written)


_ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(), _ANY, max_size=4))
def test_whatever_is_given_is_built_or_refused_with_a_sentence(values: dict[str, Any]) -> None:
    """
    No value makes validation itself fail.
    """
    said, built = "", values
    try:
        built = build(values).as_dict()
    except InvalidParameters as refusal:
        said = str(refusal)

    assert said or values == {name: built[name] for name in values}


@given(st.sampled_from(NAMES), st.text())
def test_whatever_text_is_given_is_read_or_refused(name: str, written: str) -> None:
    """
    No text makes reading itself fail.
    """
    kinds = {row.name: type(row.default) for row in schema()}
    said, value = "", None
    try:
        value = from_text(name, written)
    except InvalidParameters as refusal:
        said = refusal.message

    assert said in ("wrong_type", "wrong_dict") or kinds[name] is type(value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("time_zone", "", "Windows time zone"),
        ("time_zone", "Europe/Madrid", "Windows time zone"),
        ("policy_name", "HourlyLogBackup", "SQL Server"),
    ],
)
def test_what_the_service_would_refuse_later_is_refused_now(name: str, value: str, words: str) -> None:
    """
    A time zone is a Windows id, and the log backup policy of every vault is not for VMs.
    """
    with pytest.raises(InvalidParameters, match=words):
        build({name: value})


def test_a_risk_that_is_given_wrongly_is_told_the_form() -> None:
    """
    With an example, for nobody guesses a dictionary of ARM ids.
    """
    with pytest.raises(InvalidParameters, match=r'/Microsoft\.Compute/virtualMachines/NAME": "reason"'):
        from_text("accept_risk", "web01")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("proxy_ports", "80-444", "80-444"),
        ("proxy_ports", "http://u:hush@10.0.0.4", "***"),
        ("proxy_port", "8080.5", "***"),
        ("proxy_port", "80,443", "80,443"),
    ],
)
def test_ports_alone_are_shown_and_what_may_hold_a_password_is_not(name: str, value: str, shown: str) -> None:
    """
    A value that was typed wrongly is named in the error, unless it may be a proxy's URL.
    """
    with pytest.raises(InvalidParameters) as refusal:
        build({name: value})

    assert shown in str(refusal.value)
    assert "hush" not in str(refusal.value)


def test_what_is_cut_short_is_redacted_before() -> None:
    """
    Of a password in a long text nothing is left, not even its beginning.
    """
    with pytest.raises(InvalidParameters, match="http://a:REDA") as refusal:
        build({"max_errors": f"http://a:{'b' * 40}@host"})

    assert "bb" not in str(refusal.value)
