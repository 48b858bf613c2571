"""
Plays recorded calls again on a stage, and compares what the sandbox answers.

A recording keeps only some calls of a cassette. What a missing one did is done behind the service's back before the
next call: a resource that the answer shows is put there, one that it does not find is taken away, and time passes until
the operations are over that the recorder's client awaited. What a played call made or deleted is the sandbox's own
affair, and is left as the sandbox has it.

Imports `recordings`, `sequences`, `stage` and `world`.
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlsplit

from fidelity.lists import excludes
from fidelity.recordings import Exchange
from fidelity.sequences import Deviation, Played, Sequence
from fidelity.stage import BASE, Stage
from fidelity.telling import (
    OPERATION,
    POLLED,
    is_running,
    known_bodies,
    lacking_id,
    operation_names,
    place_of,
    referred_ids,
    rows_of,
    told_of,
)
from fidelity.world import Body, World, bodies_in, named

from runbook_lib.sandbox.bodies import arm_type
from runbook_lib.sandbox.state import key_of

__all__ = ["play"]

_PROVIDER = re.compile(r"(/subscriptions/[^/]+/providers/[^/]+)(/register)?$", re.IGNORECASE)
_VM_CONTAINER = re.compile(r"/protectionContainers/(?P<kind>IaasVMContainer);(?P<name>[^/]+)$", re.IGNORECASE)
_JOB = re.compile(r"/backupJobs/([^/]+)$", re.IGNORECASE)
_CANCELLED = re.compile(r"(?P<vault>.*)/backupJobs/(?P<job>[^/]+)/cancel$", re.IGNORECASE)
# Lists of what Azure has itself; since they were recorded it got more.
_EVERYWHERE = ("GET /subscriptions/{subscription}/locations", "GET /subscriptions/{subscription}/providers")
_VAULT = "Microsoft.RecoveryServices/vaults"
_ITEM = f"{_VAULT}/backupFabrics/protectionContainers/protectedItems"
_LISTED = {"backupPolicies": f"{_VAULT}/backupPolicies", "backupProtectedItems": _ITEM}
_DEFERRED = "2026-11-15T12:00:00.0000000Z"
# What Azure Backup protects beside virtual machines; the sandbox does not offer it.
_OTHER_WORKLOADS = re.compile(
    r"backupFabrics/(?!Azure/)|protectionContainers/(?!iaasvmcontainer;iaasvmcontainerv2)|protectedItems/(?!vm;)"
    r"|['\"](?:AzureSql|AzureStorage|AzureWorkload|DPM|MAB|Microsoft\.ClassicCompute/virtualMachines)['\"]",
    re.IGNORECASE,
)


def play(sequence: Sequence, stage: Stage) -> Played:
    """
    Play *sequence* on *stage* from nothing.
    """
    return _Player(sequence, stage).play()


class _Player:
    def __init__(self, sequence: Sequence, stage: Stage) -> None:
        self._sequence = sequence
        self._stage = stage
        self._world = World(stage, known_bodies(sequence.calls))
        # Recorded ids of operations and jobs, and the sandbox's.
        self._names: dict[str, str] = {}
        # The URLs that the sandbox told, by where the recorded ones led.
        self._urls: dict[str, str] = {}
        # The resources that played calls made, and deleted.
        self._made: set[str] = set()
        self._gone: set[str] = set()
        self._played = Played()

    def play(self) -> Played:
        self._stage.set()
        calls = self._sequence.calls
        for place, call in enumerate(calls):
            reason = self._reason(call)
            if reason and self._sequence.whole and place == 0:
                # What follows tells about what was not begun.
                self._played.left_out[reason] += len(calls)
                break
            if reason:
                self._played.left_out[reason] += 1
                continue
            self._start_job(call)
            path = self._path(call)
            self._prepare(call, path)
            uri = call["request"]["uri"].replace(urlsplit(call["request"]["uri"]).path, path, 1)
            # A client asks where it was sent to.
            uri = self._urls.get(place_of(call["request"]["uri"]), uri)
            ours = self._stage.send(call["request"]["method"], uri, call["request"]["body"])
            self._played.calls[call["operation"]] += 1
            self._compare(call, ours)
            self._learn(call, ours)
            if self._sequence.whole and place == 0 and self._played.deviations:
                break
        self._look_back()
        return self._played

    def _reason(self, call: Exchange) -> str:
        """
        Tell why a call is not played; nothing when it is.
        """
        request, path = call["request"], unquote(urlsplit(call["request"]["uri"]).path)
        if call["response"]["status"] >= 500 or call["response"]["status"] == 429:
            return "outages of the service"
        if _OTHER_WORKLOADS.search(f"{unquote(request['uri'])} {json.dumps(request['body'])}"):
            return "other workloads than virtual machines"
        if "$skiptoken" in unquote(request["uri"]).lower():
            return "further pages of lists that are one page here"
        operation = OPERATION.search(path)
        if operation is not None and operation[1] not in self._names:
            return "polls whose operation was not recorded"
        lacking = not isinstance(request["body"], dict)
        if request["body"] == "mock_body" or (request["method"] in ("PUT", "PATCH") and lacking):
            return "requests whose bodies were not recorded"
        return ""

    def _path(self, call: Exchange) -> str:
        path: str = urlsplit(call["request"]["uri"]).path
        for recorded, ours in self._names.items():
            path = path.replace(recorded, ours)
        return path

    # What a missing call did

    def _prepare(self, call: Exchange, path: str) -> None:
        path = unquote(path)
        status, body, told = call["response"]["status"], call["response"]["body"], told_of(call)
        operation, job = OPERATION.search(path), _JOB.search(path)
        ids = named(path)
        own = ids[-1] if ids and key_of(ids[-1]) == key_of(path) else ""
        for one in ids[:-1] if own else ids:
            self._add(one)
        provider = _PROVIDER.match(path)
        if provider is not None and status == 200:
            self._add(provider[1], body | ({"registrationState": "NotRegistered"} if provider[2] else {}))
        lacking = lacking_id(call)
        if lacking:
            self._remove(lacking)
            return
        if operation is not None:
            if not is_running(call):
                self._stage.finish(operation[1])
            return
        if job is not None:
            self._prepare_job(call, path, known=job[1] in self._names.values())
            return
        self._stage.finish_all()
        if status == 404 and own:
            self._remove(own)
        elif own and self._is_there(call, own):
            self._add(own, next((one for one in bodies_in(body) if key_of(one["id"]) == key_of(own)), None))
        elif told.get("code", "").startswith("NicMustBeAttached"):
            self._world.change(ids[-1], {"virtualMachine": None})
        elif own and status == 201:
            self._remove(own)
        if not own and call["request"]["method"] == "GET" and status == 200:
            self._prepare_rows(call, path)
        if key_of(path).endswith("/instanceview") and status == 200:
            self._world.show(ids[-1], body)
        for one in referred_ids(call["request"]["body"]):
            self._add(one)
        if own and arm_type(own) == _VAULT and call["request"]["method"] == "DELETE":
            self._prepare_deletion(call, own)
        if own and ((call["request"]["body"] or {}).get("properties") or {}).get("isRehydrate"):
            self._delete_softly(own)

    def _start_job(self, call: Exchange) -> None:
        """
        Start a backup for a job that is cancelled, when what started it was not recorded.
        """
        cancelled = _CANCELLED.search(unquote(urlsplit(call["request"]["uri"]).path))
        if cancelled is None or cancelled["job"] in self._names:
            return
        for one in named(cancelled["vault"]):
            self._add(one)
        self._names[cancelled["job"]] = self._world.start_backup(cancelled["vault"])
        self._played.prepared += 1

    def _prepare_rows(self, call: Exchange, path: str) -> None:
        """
        Put what a list shows on the stage, and take away what it would show if it were still there.
        """
        for row in bodies_in(call["response"]["body"]):
            self._add_row(row)
        vault, _, words = path.partition("/backup")
        kind = _LISTED.get(f"backup{words}")
        rows = rows_of(call) or set()
        for body in self._world.below(vault, kind) if kind is not None else ():
            if key_of(body["id"]) not in rows and not excludes(call, body):
                self._remove(body["id"])

    def _add_row(self, row: Body) -> None:
        container, vm = row["id"].rpartition("/")[::2][0], _VM_CONTAINER.search(row["id"])
        if vm is not None:
            # The sandbox shows a container because of what it holds.
            item = f"{container}/{vm['kind']};{vm['name']}/protectedItems/VM;{vm['name']}"
            self._add(item)
            if row["properties"].get("registrationStatus") == "SoftDeleted":
                self._delete_softly(item)
        elif row["id"].rpartition("/")[2] not in self._names:
            self._add(row["id"], row)

    def _prepare_job(self, call: Exchange, path: str, *, known: bool) -> None:
        if known and not is_running(call):
            self._stage.finish_job(path)
        elif not known and call["response"]["status"] < 300:
            # Its start was not recorded, so it goes as it went.
            self._world.remove(path)
            self._world.add(path, call["response"]["body"])
            self._played.prepared += 1

    def _prepare_deletion(self, call: Exchange, vault: str) -> None:
        items = [item["id"] for item in self._world.below(vault, _ITEM)]
        if call["response"]["status"] < 300:
            for item in items:
                self._remove(item)
        elif not items:
            self._world.item_of(vault)
            self._played.prepared += 1

    def _delete_softly(self, item: str) -> None:
        if not self._world.get(item)["properties"].get("isScheduledForDeferredDelete"):
            self._world.change(item, {"isScheduledForDeferredDelete": True, "deferredDeleteTimeInUTC": _DEFERRED})
            self._played.prepared += 1

    def _is_there(self, call: Exchange, own: str) -> bool:
        """
        Tell whether the answer tells that the resource was there before the call.
        """
        method = call["request"]["method"]
        status: int = call["response"]["status"]
        properties = (call["request"]["body"] or {}).get("properties") or {}
        if method in ("GET", "HEAD"):
            return status < 300
        if method != "PUT":
            return status < 300 and status != 204
        if arm_type(own).endswith("/protectedItems"):
            return "policyId" not in properties or not properties["policyId"]
        if arm_type(own).endswith("/vaults"):
            return ((call["response"]["body"] or {}).get("properties") or {}).get("provisioningState") == "Updating"
        return status == 200 and arm_type(own).rpartition("/")[2] in ("extensions", "securityRules")

    def _add(self, resource_id: str, body: Body | None = None) -> None:
        if key_of(resource_id) not in self._made and not self._world.has(resource_id):
            self._world.add(resource_id, body)
            self._played.prepared += 1

    def _remove(self, resource_id: str) -> None:
        if key_of(resource_id) not in self._gone and self._world.has(resource_id):
            self._world.remove(resource_id)
            self._played.prepared += 1

    # What the sandbox answers

    def _compare(self, call: Exchange, ours: Exchange) -> None:
        whole = self._sequence.whole
        told, shown = told_of(call), told_of(ours)
        statuses = (told["status"], shown["status"])
        if statuses[0] != statuses[1] if whole else statuses[0][0] != statuses[1][0]:
            # What else differs follows from it.
            self._deviate(call, "status", *statuses)
            return
        for what, value in told.items():
            if what not in ("status", *(() if whole else ("headers",))) and shown.get(what, "") != value:
                self._deviate(call, what, value, shown.get(what, ""))

        self._compare_rows(call, ours)

    def _compare_rows(self, call: Exchange, ours: Exchange) -> None:
        """
        Hold the rows of a list against the recorded ones: the stage has them all, and nothing that Azure did not have.
        """
        theirs, shown = rows_of(call), rows_of(ours)
        if theirs is None or shown is None or call["operation"] in _EVERYWHERE:
            return
        back = {own: recorded for recorded, own in self._names.items()}
        rows = {self._renamed(one, back) for one in shown}
        if rows - theirs:
            self._deviate(call, "rows", "", "more")
        if {one for one in theirs if self._world.has(self._renamed(one, self._names))} - rows:
            self._deviate(call, "rows", "more", "")

    def _look_back(self) -> None:
        """
        See that what a chain deleted is gone, or soft-deleted where it is an item.
        """
        first, last = self._sequence.calls[0], self._sequence.calls[-1]
        over = not self._played.deviations and not is_running(last) and not self._played.left_out
        if not self._sequence.whole or first["request"]["method"] != "DELETE" or not over:
            return
        path = urlsplit(first["request"]["uri"]).path
        left = self._stage.send("GET", f"{BASE}{path}?api-version=2024-04-01", kept=False)["response"]
        item = arm_type(unquote(path)) == _ITEM
        kept = item and left["status"] == 200 and left["body"]["properties"].get("isScheduledForDeferredDelete") is True
        if not kept and (item or left["status"] != 404):
            self._deviate(first, "deleted", "softly" if item else "yes", "no")

    def _renamed(self, resource_id: str, names: dict[str, str]) -> str:
        parent, _, name = resource_id.rpartition("/")
        return f"{parent}/{names.get(name, name)}"

    def _deviate(self, call: Exchange, what: str, recorded: str, ours: str) -> None:
        self._played.deviations.append(
            Deviation(
                operation=call["operation"],
                what=what,
                recorded=recorded,
                ours=ours,
                source=call["source"],
                commit=call["commit"],
                seq=call["seq"],
            )
        )

    def _learn(self, call: Exchange, ours: Exchange) -> None:
        theirs, own = operation_names(call), operation_names(ours)
        self._names |= {theirs[place]: own[place] for place in theirs if place in own}
        told = {name.lower(): url for name, url in ours["response"]["headers"].items()}
        for name, url in call["response"]["headers"].items():
            if name.lower() in POLLED and name.lower() in told:
                self._urls[place_of(url)] = told[name.lower()]
        if ours["response"]["status"] >= 300:
            return
        path = key_of(unquote(urlsplit(ours["request"]["uri"]).path))
        if ours["request"]["method"] == "PUT":
            self._made.add(path)
            self._gone.discard(path)
        elif ours["request"]["method"] == "DELETE":
            self._gone.add(path)
            self._made.discard(path)
