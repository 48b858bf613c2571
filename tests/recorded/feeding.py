"""
Every recorded exchange, by the part of the library that would meet it: what came of it, record or typed error.

Imports `replay` and the library's readers and writers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import HttpResponseError
from recorded.replay import Exchange, chains, path_of, replayed, singles

from runbook_lib.arm import machines, networks, shapes
from runbook_lib.arm.apply.operations import Operation, OperationFailed, ask, begun
from runbook_lib.arm.apply.writers import WRITERS
from runbook_lib.arm.effective import effective
from runbook_lib.arm.servicetags import service_tags_list
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.errors import SignInError
from runbook_lib.records import Change

__all__ = ["READERS", "WRITES", "Fed", "error_fed", "fed", "feed", "type_of"]

Json = dict[str, Any]
Reader = Callable[[Json], Any]
BASE = "https://management.azure.com"
ITEM = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v/backupFabrics/Azure"
    "/protectionContainers/IaasVMContainer;iaasvmcontainerv2;g;vm/protectedItems/VM;iaasvmcontainerv2;g;vm"
)
# The end of a list of which one page was recorded.
LAST_PAGE: Exchange = {"response": {"status": 200, "headers": {}, "body": {"value": []}}}
TYPED = (ArmError, HttpResponseError, OperationFailed, SignInError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """
    What came of one exchange.

    Attributes:
        place: where it stands.
        met: by which part of the library; empty where none would meet it.
        records: what was read, with the row that it was read from; empty for operations.
        ended: how an operation ended.
        error: the typed error that it gave; None where it gave none.
        wrong: whatever else was raised.
    """

    place: str
    met: str = ""
    records: tuple[tuple[Json, Any], ...] = ()
    ended: str = ""
    error: Exception | None = None
    wrong: Exception | None = None

    @property
    def code(self) -> str:
        """
        The code of the typed error.
        """
        if isinstance(self.error, HttpResponseError):
            return str(self.error.error.code) if self.error.error else f"HTTP {self.error.status_code}"
        return str(getattr(self.error, "code", ""))


def _vm(row: Json) -> Any:
    vm = machines.virtual_machine(row)
    view = shapes.properties_of(row).get("instanceView")
    return machines.with_instance_view(vm, view) if isinstance(view, dict) else vm


def _vault(row: Json) -> Any:
    shapes.vault_settings(row, None)
    return shapes.vault(row, items_read=True, policies=None)


def _inside(kind: str, reader: Reader) -> Reader:
    """
    Read a part of a resource as the resource that has this part alone.
    """
    return lambda row: reader({"id": "/whole", "name": "whole", "properties": {kind: [row]}})


_RS = "microsoft.recoveryservices/vaults"
_NET = "microsoft.network"
# How a resource of a type is read, alone or as a row.
READERS: dict[str, Reader] = {
    "microsoft.authorization/locks": shapes.lock,
    "microsoft.compute/disks": machines.managed_disk,
    "microsoft.compute/virtualmachines": _vm,
    "microsoft.compute/virtualmachines/instanceview": lambda row: machines.with_instance_view(
        machines.virtual_machine({"id": "/vm"}), row
    ),
    f"{_NET}/loadbalancers": networks.load_balancer,
    f"{_NET}/natgateways": networks.nat_gateway,
    f"{_NET}/networkinterfaces": networks.network_interface,
    f"{_NET}/networksecuritygroups": networks.security_group,
    f"{_NET}/networksecuritygroups/securityrules": _inside("securityRules", networks.security_group),
    f"{_NET}/publicipaddresses": networks.public_ip,
    f"{_NET}/routetables": networks.route_table,
    f"{_NET}/routetables/routes": _inside("routes", networks.route_table),
    f"{_NET}/virtualnetworks": lambda row: list(networks.subnets(row)),
    f"{_NET}/virtualnetworks/subnets": _inside("subnets", lambda row: list(networks.subnets(row))),
    _RS: _vault,
    f"{_RS}/backupfabrics/protectioncontainers/protecteditems": shapes.protected_item,
    f"{_RS}/backupjobs": shapes.backup_job,
    f"{_RS}/backuppolicies": shapes.policy,
    f"{_RS}/backupprotecteditems": shapes.protected_item,
    f"{_RS}/backupstorageconfig": lambda row: shapes.vault_settings({}, row),
    "locations": shapes.location,
    "providers": shapes.provider,
    "resourcegroups": shapes.group,
    "servicetags": lambda row: service_tags_list(row, "0" * 8, {"westeurope"}),
    "subscriptions": shapes.subscription,
}
# What the library asks by POST.
QUESTIONS = {"backupstatus", "backupprevalidateprotection", "backupvalidatefeatures"}
EFFECTIVE = {"effectivenetworksecuritygroups", "effectiveroutetable"}
# What it writes, by method and type, with the kind of change and the facts that its writer needs.
WRITES = {
    "POST providers/register": "register-provider",
    "PUT resourcegroups": "create-resource-group",
    f"PUT {_RS}": "create-vault",
    f"PATCH {_RS}": "set-redundancy",
    f"PUT {_RS}/backuppolicies": "create-policy",
    f"POST {_RS}/backupfabrics/refreshcontainers": "discover",
    f"PUT {_RS}/backupfabrics/protectioncontainers/protecteditems": "protect",
    f"PUT {_NET}/networksecuritygroups/securityrules": "add-security-rule",
}
# Where the service tells how far an operation of the library's is, with whether it does so by status.
POLLS = {
    r"/vaults/[^/]+/(backupoperations|operationstatus)/": False,
    r"/operationsstatus/": False,
    r"/vaults/.*/operationresults/": True,
    r"microsoft\.network/locations/[^/]+/operations/": False,
    r"microsoft\.network/locations/[^/]+/operationresults/": True,
}


def type_of(path: str) -> tuple[str, bool]:
    """
    Return the type that a path is about, and whether it is about one resource and not a list.
    """
    segments = [each for each in path.lower().split("/") if each]
    if "providers" not in segments:
        words = segments[::2]
        return (words[-1] if words else ""), len(segments) % 2 == 0
    last = len(segments) - 1 - segments[::-1].index("providers")
    rest = segments[last + 1 :]
    if len(rest) < 2:
        return "providers", bool(rest)
    if rest[-1] in ("register", "servicetags"):
        return ("servicetags", True) if rest[-1] == "servicetags" else ("providers/register", False)
    words = rest[1::2]
    one = len(rest) % 2 == 1 or rest[-1] == "instanceview"
    return "/".join([rest[0], *words]), one


def feed(place: str, exchange: Exchange, folder: Path) -> Fed:
    """
    Give one exchange to the part of the library that would meet it.
    """
    path, method = path_of(exchange), exchange["request"]["method"]
    kind, one = type_of(path)
    body = exchange["response"]["body"]
    more = [LAST_PAGE] if isinstance(body, dict) and body.get("nextLink") else []
    session, _ = replayed([exchange, *more], folder, exchange["request"]["uri"] if method == "GET" else "")
    if method == "GET" and kind in READERS:
        return _run(place, f"read {kind}", lambda: _read(session, path, kind, one))
    if method == "GET" and (operation := _operation(exchange)):
        return _run(place, "follow an operation", lambda: ((), "over" if ask(session, operation) else "under way"))
    word = _last(path)
    if method == "POST" and word in QUESTIONS:
        return _run(place, f"ask {word}", lambda: (((session.ask(path, "x", {}), {}),), ""))
    if method == "POST" and word in EFFECTIVE:
        return _run(place, f"ask {word}", lambda: _effective(session, path, word))
    if change_kind := WRITES.get(f"{method} {kind}", ""):
        return _run(place, f"write {change_kind}", lambda: _write(session, _change(change_kind, path, exchange), ()))
    return Fed(place=place)


def _feed_chain(place: str, record: Exchange, folder: Path) -> Fed:
    steps = record["steps"]
    path, method = path_of(steps[0]), steps[0]["request"]["method"]
    kind, _ = type_of(path)
    word = _last(path)
    if method == "POST" and word in EFFECTIVE:
        session, _ = replayed(steps, folder)
        return _run(place, f"ask {word}, from start to end", lambda: _effective(session, path, word))
    if change_kind := WRITES.get(f"{method} {kind}", ""):
        session, _ = replayed(steps[:1], folder)
        asked = _change(change_kind, path, steps[0])
        return _run(place, f"write {change_kind}, from start to end", lambda: _write(session, asked, steps[1:], folder))
    return Fed(place=place)


def _run(place: str, met: str, call: Callable[[], tuple[tuple[tuple[Json, Any], ...], str]]) -> Fed:
    try:
        records, ended = call()
    except TYPED as error:
        return Fed(place=place, met=met, error=error)
    except Exception as error:
        # What no part of the library expects; the tests want none of these.
        return Fed(place=place, met=met, wrong=error)
    return Fed(place=place, met=met, records=records, ended=ended)


def _read(session: Session, path: str, kind: str, one: bool) -> tuple[tuple[tuple[Json, Any], ...], str]:
    reader = READERS[kind]
    rows = [session.get(path, "x")] if one or kind == "servicetags" else session.rows(path, "x")
    found = []
    for row in rows:
        try:
            found.append((row, reader(row)))
        except ValueError as error:
            # The inventory takes such an item for unread, and so does whoever reads back.
            raise ArmError(200, "Unknown", str(error)) from error
    return tuple(found), ""


def _effective(session: Session, path: str, word: str) -> tuple[tuple[tuple[Json, Any], ...], str]:
    body = session.ask_and_wait(path, "x", 600.0)
    read = effective(body, {}) if word == "effectivenetworksecuritygroups" else effective({}, body)
    return ((body, read),), ""


def _change(kind: str, path: str, exchange: Exchange) -> Change:
    body = exchange["request"]["body"]
    target = path
    facts: Json = {}
    if kind == "register-provider":
        target = path.rsplit("/", 1)[0]
        facts = {"namespace": target.rsplit("/", 1)[-1]}
    if kind == "discover":
        target = re.split("/backupfabrics/", path, flags=re.IGNORECASE)[0]
    if kind == "add-security-rule":
        target, facts = re.split("/securityrules/", path, flags=re.IGNORECASE)[0], {"rule": path.rsplit("/", 1)[-1]}
    return Change(step="01", kind=kind, target=target, body=body if isinstance(body, dict) else {}, facts=facts)


def _write(
    session: Session, asked: Change, polls: Any, folder: Path | None = None
) -> tuple[tuple[tuple[Json, Any], ...], str]:
    try:
        with session.guard.writing():
            operation = begun(WRITERS[asked.kind](session, asked), asked.target)
    except ValueError as error:
        # Whoever sent it reads back what became of it.
        raise ArmError(200, "MalformedBody", str(error)) from error
    if operation is None:
        return (), "at once"
    name = _last(unquote(urlsplit(operation.url).path))
    for poll in (each for each in polls if _last(path_of(each)) == name):
        # The recorder's client may have asked for it at another of its places.
        follower, _ = replayed([poll], folder or Path(), poll["request"]["uri"])
        if ask(follower, _operation(poll) or operation):
            return (), "in the end"
    return (), "under way"


def _last(path: str) -> str:
    return path.rstrip("/").lower().rsplit("/", 1)[-1]


def _operation(poll: Exchange) -> Operation | None:
    """
    Return the operation that a poll asks for, where it is one of the library's.
    """
    path = path_of(poll).lower()
    pattern = next((each for each in POLLS if re.search(each, path)), "")
    return Operation(url=poll["request"]["uri"], by_status=POLLS[pattern], pause=1.0) if pattern else None


def error_fed(place: str, exchange: Exchange) -> Iterator[Fed]:
    """
    Give a recorded refusal, whatever it was the answer to, as the answer to a read and to a write of the library.
    """
    if exchange["response"]["status"] < 400:
        return
    with TemporaryDirectory() as name:
        session, _ = replayed([exchange], Path(name), BASE)
        yield _run(place, "read", lambda: (((session.get("/subscriptions", "x"), {}),), ""))
        session, _ = replayed([exchange], Path(name), BASE)
        yield _run(place, "write", lambda: _write(session, Change(step="04", kind="protect", target=ITEM), ()))


@cache
def fed() -> tuple[Fed, ...]:
    """
    Feed everything once.
    """

    def all_of(folder: Path) -> Iterator[Fed]:
        for place, exchange in singles():
            yield feed(place, exchange, folder)
        for place, record in chains():
            yield _feed_chain(place, record, folder)

    with TemporaryDirectory() as folder:
        return tuple(all_of(Path(folder)))
