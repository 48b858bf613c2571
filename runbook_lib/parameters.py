"""
One schema of all parameters: types, defaults, choices, help, validation. Imports `errors`, `naming`, `secrets` and
`text`.

The command line, the notebooks and the papermill engine read it, so that a name or a value is right or wrong everywhere
alike. Names and values are ARM's own where ARM has one.
"""

from __future__ import annotations

import difflib
import json
import re
import reprlib
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tzlocal.windows_tz import win_tz

from runbook_lib import text
from runbook_lib.errors import InvalidParameters
from runbook_lib.naming import fill_name, has_hole, is_guid, is_host, is_tenant
from runbook_lib.secrets import redacted

__all__ = [
    "NAMES",
    "SIGNING_IN",
    "WEEKDAYS",
    "Parameter",
    "Parameters",
    "as_options",
    "build",
    "from_text",
    "is_masked",
    "schema",
]

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def _one_of(default: str, *others: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """
    What a run is asked to do. Each field's meaning is the text `parameter.<name>`; `runbook parameters` prints them.
    """

    target: str = _one_of("sandbox", "azure")
    run_dir: str = ""
    language: str = field(default=text.DEFAULT_LANGUAGE, metadata={"choices": text.LANGUAGES})
    sign_in: str = _one_of(
        "default", "cli", "managed_identity", "workload_identity", "environment", "device_code", "browser"
    )
    tenant_id: str = ""
    cloud: str = _one_of("AzurePublicCloud", "AzureChinaCloud", "AzureUSGovernment")
    apply: bool = False
    max_errors: int = 10
    subscription_ids: tuple[str, ...] = ()
    vm_selector: str = "all"
    location: str = ""
    accept_risk: dict[str, str] = field(default_factory=dict)
    vault_subscription: str = "same"
    resource_group: str = "rg-backup-{location}"
    create_resource_group: bool = True
    vault_name: str = "rsv-{location}"
    redundancy: str = _one_of("GeoRedundant", "LocallyRedundant", "ZoneRedundant")
    cross_region_restore: bool = False
    policy_name: str = "DefaultPolicy"
    policy_type: str = _one_of("Standard", "Enhanced")
    enhanced_policy_name: str = ""
    schedule: str = _one_of("Daily", "Weekly", "Hourly")
    backup_time: str = "19:00"
    vms_per_start: int = 0
    weekly_days: tuple[str, ...] = ("Sunday",)
    hourly_interval: int = 4
    hourly_duration: int = 12
    time_zone: str = "UTC"
    daily_retention_days: int = 30
    weekly_retention_weeks: int = 0
    monthly_retention_months: int = 0
    yearly_retention_years: int = 0
    instant_restore_days: int = 2
    change_policy: bool = False
    undelete: bool = False
    service_precheck: str = _one_of("sample", "none", "all")
    network_option: str = _one_of("none", "service_tags", "ip_ranges", "http_proxy")
    proxy_host: str = ""
    proxy_port: int = 8080
    proxy_ports: str = _one_of("80,443", "80-443")

    def as_dict(self) -> dict[str, Any]:
        """
        Return the values as JSON and papermill take them.
        """
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


NAMES = tuple(each.name for each in fields(Parameters))
# Those that say nothing of the job, but who does it where: a plan that is made leaves them open.
SIGNING_IN = ("sign_in", "tenant_id", "cloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """
    One row of the schema. `type` is written as papermill's inspection understands it.
    """

    name: str
    type: str
    default: Any
    choices: tuple[str, ...] = ()

    def help(self, language: str = text.DEFAULT_LANGUAGE) -> str:
        """
        Say what the parameter means.
        """
        return text.say(f"parameter.{self.name}", language)


def schema() -> tuple[Parameter, ...]:
    """
    List every parameter with its type, default and choices.
    """
    defaults = Parameters().as_dict()
    kinds = {str: "str", int: "int", bool: "bool", list: "list[str]", dict: "dict[str, str]"}
    return tuple(
        Parameter(
            name=each.name,
            type=kinds[type(defaults[each.name])],
            default=defaults[each.name],
            choices=tuple(each.metadata.get("choices", ())),
        )
        for each in fields(Parameters)
    )


def build(values: Mapping[str, Any]) -> Parameters:
    """
    Check *values* and fill in the defaults.

    Raises:
        InvalidParameters: with every problem found, not just the first.
    """
    problems: list[InvalidParameters] = []
    good: dict[str, Any] = {}
    rows = {row.name: row for row in schema()}
    for name, value in values.items():
        row = rows.get(name)
        if row is None:
            problems.append(_unknown(name))
        elif (problem := _type_problem(row, value)) is not None:
            problems.append(problem)
        else:
            good[name] = tuple(value) if isinstance(value, list) else value
    if "accept_risk" in good:
        # Reasons are free text that becomes evidence.
        good["accept_risk"] = {vm: redacted(reason) for vm, reason in good["accept_risk"].items()}
    made = Parameters(**good)
    problems += [problem for rule in _RULES for problem in rule(made)]
    if problems:
        raise InvalidParameters(problems=tuple(problems))
    return made


def from_text(name: str, value: str) -> Any:
    """
    Read the text of a command-line option as the parameter's declared type; nothing is guessed.

    Raises:
        InvalidParameters: there is no such parameter, or the text is no value of its type.
    """
    row = {row.name: row for row in schema()}.get(name)
    if row is None:
        raise _unknown(name)
    reader = _READERS[row.type]
    try:
        return reader(value)
    except (ValueError, RecursionError) as error:
        raise _wrong_type(row, _shown(name, value)) from error


def as_options(asked: Parameters, names: Iterable[str] = NAMES) -> str:
    """
    Write those of *names* that are not as they are by default as options of a command, each after a space; `from_text`
    reads them again.
    """
    values, defaults = asked.as_dict(), Parameters().as_dict()
    said = ((name, values[name]) for name in names if values[name] != defaults[name])
    return "".join(f" -p {name} {shlex.quote(_written(value))}" for name, value in said)


def _written(value: Any) -> str:
    if isinstance(value, list) and not any("," in each for each in value):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _unknown(name: str) -> InvalidParameters:
    known = ", ".join(NAMES)
    if near := difflib.get_close_matches(name, NAMES, 1):
        return InvalidParameters("unknown_parameter_near", name=name, near=near[0], known=known)
    return InvalidParameters("unknown_parameter", name=name, known=known)


def _read_int(value: str) -> int:
    # int() would also take 1_000 and digits of other scripts.
    if not re.fullmatch("-?[0-9]{1,9}", value):
        raise ValueError(value)
    return int(value)


def _read_bool(value: str) -> bool:
    known = {"true": True, "false": False}
    if value.lower() not in known:
        raise ValueError(value)
    return known[value.lower()]


def _read_list(value: str) -> list[str]:
    if value.startswith("["):
        return _strings(json.loads(value))
    return [part.strip() for part in value.split(",") if part.strip()]


def _read_dict(value: str) -> dict[str, str]:
    read = json.loads(value)
    if not isinstance(read, dict) or not all(isinstance(each, str) for each in read.values()):
        raise ValueError(value)
    return read


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(value)
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": _read_int,
    "bool": _read_bool,
    "list[str]": _read_list,
    "dict[str, str]": _read_dict,
}


def _type_problem(row: Parameter, value: Any) -> InvalidParameters | None:
    fits = {
        "str": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "list[str]": isinstance(value, list | tuple) and all(isinstance(each, str) for each in value),
        "dict[str, str]": isinstance(value, dict)
        and all(isinstance(each, str) for pair in value.items() for each in pair),
    }[row.type]
    if not fits:
        # Half of what opens something would no longer be known as such.
        said = redacted(value) if isinstance(value, str) else value
        return _wrong_type(row, _shown(row.name, reprlib.repr(said)))
    if row.choices and value not in row.choices:
        return InvalidParameters(
            "not_a_choice", name=row.name, value=_shown(row.name, value), choices=", ".join(row.choices)
        )
    return None


def _wrong_type(row: Parameter, value: str) -> InvalidParameters:
    if row.type.startswith("dict"):
        return InvalidParameters("wrong_dict", name=row.name, value=value)
    return InvalidParameters("wrong_type", name=row.name, type=row.type, value=value)


def is_masked(name: str) -> bool:
    """
    Tell whether a text that parameter *name* does not take is not to be repeated: a proxy URL may hold a password,
    whichever of the proxy's parameters it was given for.
    """
    return name.startswith("proxy_")


def _shown(name: str, value: str) -> str:
    # Ports alone open nothing.
    return "***" if is_masked(name) and not re.fullmatch(r"['\d ,-]{1,20}", value) else value


Problems = Iterable[InvalidParameters]
# The policy that every vault holds for SQL Server.
_NOT_FOR_VMS = "hourlylogbackup"
_TIME = re.compile(r"([01][0-9]|2[0-3]):(00|30)")


def _names(p: Parameters) -> Problems:
    # Samples: the plan fills the real ones, which may be longer.
    place = {"location": "westeurope", "subscription": "00000000", "n": "1"}
    samples = {"vault_name": place, "resource_group": place, "policy_name": {"time": "1900"}}
    if p.enhanced_policy_name:
        samples["enhanced_policy_name"] = {"time": "1900"}
    for name, words in samples.items():
        try:
            filled = fill_name(name, getattr(p, name), **words)
        except InvalidParameters as problem:
            yield problem
            continue
        if name.endswith("policy_name") and filled.lower() == _NOT_FOR_VMS:
            yield InvalidParameters("policy_workload", name=name, value=filled)
        if p.vms_per_start and name.endswith("policy_name") and not has_hole(getattr(p, name), "time"):
            yield InvalidParameters("policy_without_time", name=name, value=filled)
    if p.enhanced_policy_name and p.policy_name.lower() == p.enhanced_policy_name.lower():
        yield InvalidParameters("same_policy", name="enhanced_policy_name", value=p.enhanced_policy_name)


def _tenant(p: Parameters) -> Problems:
    if p.tenant_id and not is_tenant(p.tenant_id):
        yield InvalidParameters("tenant_id", name="tenant_id", value=p.tenant_id)


def _subscriptions(p: Parameters) -> Problems:
    for value in p.subscription_ids:
        if not is_guid(value):
            yield InvalidParameters("subscription_id", name="subscription_ids", value=value)
    if p.vault_subscription != "same" and not is_guid(p.vault_subscription):
        yield InvalidParameters("subscription_id", name="vault_subscription", value=p.vault_subscription)


def _selector(p: Parameters) -> Problems:
    kind, _, rest = p.vm_selector.partition(":")
    known = p.vm_selector == "all" or p.vm_selector.lower().startswith("/subscriptions/")
    known = known or (kind == "tag" and bool(rest.partition("=")[0])) or (kind in ("group", "name") and bool(rest))
    if not known:
        yield InvalidParameters("vm_selector", name="vm_selector", value=p.vm_selector)
    for vm, reason in p.accept_risk.items():
        if not reason.strip():
            yield InvalidParameters("accept_risk", name="accept_risk", vm=vm)


def _redundancy(p: Parameters) -> Problems:
    if p.cross_region_restore and p.redundancy != "GeoRedundant":
        yield InvalidParameters("cross_region_restore", name="cross_region_restore", redundancy=p.redundancy)


def _schedule(p: Parameters) -> Problems:
    if not _TIME.fullmatch(p.backup_time):
        yield InvalidParameters("backup_time", name="backup_time", value=p.backup_time)
    yield from _range(p, "vms_per_start", 0, 1000)
    if p.time_zone not in win_tz:
        yield InvalidParameters("time_zone", name="time_zone", value=p.time_zone)
    if p.schedule == "Hourly" and p.policy_type != "Enhanced":
        yield InvalidParameters("hourly_needs_enhanced", name="schedule")
    if p.schedule == "Hourly" and p.hourly_interval not in (4, 6, 8, 12):
        yield InvalidParameters("hourly_interval", name="hourly_interval", value=p.hourly_interval)
    if p.schedule == "Hourly" and not p.hourly_interval <= p.hourly_duration <= 24:
        yield InvalidParameters("hourly_duration", name="hourly_duration", value=p.hourly_duration)
    unknown = [day for day in p.weekly_days if day not in WEEKDAYS]
    if unknown or not p.weekly_days or len(set(p.weekly_days)) != len(p.weekly_days):
        yield InvalidParameters("weekly_days", name="weekly_days", value=list(p.weekly_days), days=", ".join(WEEKDAYS))


def _errors(p: Parameters) -> Problems:
    yield from _range(p, "max_errors", 0, 1_000_000)


def _range(p: Parameters, name: str, low: int, high: int) -> Problems:
    value = getattr(p, name)
    if not low <= value <= high:
        yield InvalidParameters("out_of_range", name=name, value=value, low=low, high=high)


def _retention(p: Parameters) -> Problems:
    weekly = p.schedule == "Weekly"
    if not weekly:
        yield from _range(p, "daily_retention_days", 7, 9999)
    yield from _range(p, "weekly_retention_weeks", 1 if weekly else 0, 5163)
    yield from _range(p, "monthly_retention_months", 0, 1188)
    yield from _range(p, "yearly_retention_years", 0, 99)
    if p.policy_type == "Enhanced":
        yield from _range(p, "instant_restore_days", 1, 30)
    elif weekly:
        yield from _range(p, "instant_restore_days", 5, 5)
    else:
        yield from _range(p, "instant_restore_days", 1, 5)
    kept = 7 * p.weekly_retention_weeks if weekly else p.daily_retention_days
    if p.instant_restore_days >= kept > 0:
        yield InvalidParameters("instant_restore", name="instant_restore_days", value=p.instant_restore_days, kept=kept)


def _network(p: Parameters) -> Problems:
    yield from _range(p, "proxy_port", 1, 65535)
    if p.network_option == "http_proxy" and not p.proxy_host:
        yield InvalidParameters("proxy_host_missing", name="proxy_host")
    if p.proxy_host and not is_host(p.proxy_host):
        # The value is not repeated: a proxy URL may hold a password.
        yield InvalidParameters("proxy_host", name="proxy_host")


_RULES: tuple[Callable[[Parameters], Problems], ...] = (
    _tenant,
    _errors,
    _names,
    _subscriptions,
    _selector,
    _redundancy,
    _schedule,
    _retention,
    _network,
)
