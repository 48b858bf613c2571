"""
The sandbox as its users hold it: one simulated tenant in one file.

Imports the standard library and other modules of the sandbox only; the transport, which needs azure-core, late.
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.sandbox.app import ArmApp, profile_of, settle
from runbook_lib.sandbox.backup.defaults import POLICY_KIND, default_policies
from runbook_lib.sandbox.backup.protection import schedule_purges
from runbook_lib.sandbox.bodies import SandboxError
from runbook_lib.sandbox.call import member
from runbook_lib.sandbox.compute import VM_TYPE
from runbook_lib.sandbox.estate import Estate
from runbook_lib.sandbox.faults import Fault
from runbook_lib.sandbox.network import fold_children
from runbook_lib.sandbox.profile import Profile
from runbook_lib.sandbox.state import Body, State, key_of, type_of
from runbook_lib.sandbox.store import Store
from runbook_lib.sandbox.vaults import ITEM_TYPE, VAULT_TYPE, remember

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from runbook_lib.sandbox.transport import SandboxTransport

__all__ = ["Sandbox"]

# What two runs that end in the same state may still differ in.
_PASSING = frozenset(
    {
        "activityId",
        "deferredDeleteTimeInUTC",
        "etag",
        "lastBackupTime",
        "lastRecoveryPoint",
        "protectedItemDataId",
        "resourceGuid",
        "purgeAt",
        "time",
        "vaultDeletionTime",
    }
)
# Of these only the time of day counts; the day is that of the vault's creation.
_TIMES_OF_DAY = frozenset({"retentionTimes", "scheduleRunTimes", "scheduleWindowStartTime"})
_JOB_TYPE = "microsoft.recoveryservices/vaults/backupjobs"


class Sandbox:
    """
    One simulated tenant, kept in one SQLite file, shared by any number of processes and threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store = Store(path)
        self._app = ArmApp(self._store, self.wait)
        # Over sockets an answer really takes its latency.
        self._served = ArmApp(self._store, self._pause)

    def load(self, estate: Estate) -> None:
        """
        Replace everything by *estate*, with the clock at the moment that it shows.

        Raises:
            SandboxError: the profile of the estate asks for something unknown; nothing is changed then.
        """
        settings, rules = _split(estate.profile)
        bodies = {key_of(body["id"]): body for body in estate.resources}
        fold_children(bodies)
        _add_groups(bodies)
        with self._store.writing() as state:
            state.clear()
            state.set_setting("estate", estate.name)
            state.set_setting("source", estate.source)
            state.set_now(estate.as_of)
            _adopt(state, settings, rules)
            state.put_all(_without_view(state, body) for body in bodies.values())
            for vm_id, view in estate.status.items():
                state.set_runtime(vm_id, view)
            _complete_vaults(state, estate.as_of)
            schedule_purges(state, estate.as_of)

    def transport(self) -> SandboxTransport:
        """
        Return a transport for Azure SDK clients that answers in this process; they wait as `wait` does.
        """
        from runbook_lib.sandbox.transport import SandboxTransport

        return SandboxTransport(self._app, self.wait)

    def wsgi(self) -> WSGIApplication:
        """
        Return the service as a WSGI application.
        """
        return self._served

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds / (self.profile().clock_scale or 1))

    def now(self) -> datetime:
        """
        Return the moment that it is for the tenant, in UTC.
        """
        with self._store.reading() as state:
            return state.now()

    def advance(self, seconds: float) -> None:
        """
        Turn the tenant's clock on by *seconds*.
        """
        with self._store.writing() as state:
            state.advance(seconds)

    def wait(self, seconds: float) -> None:
        """
        Let *seconds* of the tenant pass: at once by its virtual clock, really where the profile scales a real one.
        """
        scale = self.profile().clock_scale
        if scale is None:
            self.advance(seconds)
        else:
            time.sleep(seconds / scale)

    def profile(self) -> Profile:
        """
        Return the settings in force.
        """
        with self._store.reading() as state:
            return profile_of(state)

    def status(self) -> dict[str, Any]:
        """
        Return what the sandbox holds, in numbers.
        """
        settle(self._store)
        with self._store.reading() as state:
            return {
                "path": str(self.path),
                "now": state.now(),
                "estate": state.setting("estate", ""),
                "source": state.setting("source", {}),
                "resources": state.counts(),
                "requests": state.request_count(),
                "pending_operations": state.pending(),
            }

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """
        Return the requests whose number is above *since*, with what became of them.

        `writes` tells that the service treated a request as a change, whether it was accepted or not; `fault` tells
        that a rule gave the answer.
        """
        with self._store.reading() as state:
            return state.requests(since)

    def resources(self) -> list[dict[str, Any]]:
        """
        Return every stored body, by lower-cased id.
        """
        settle(self._store)
        with self._store.reading() as state:
            return list(state.everything())

    def state_digest(self) -> str:
        """
        Return a SHA-256 over the resources that is equal for equal end states.

        Left out are jobs, which are history, and what a second run of the same steps makes anew: etags, moments and
        generated ids.
        """
        digest = hashlib.sha256()
        for body in self.resources():
            if type_of(body["id"]) != _JOB_TYPE:
                digest.update(json.dumps(_comparable(body), sort_keys=True).encode() + b"\n")
        return digest.hexdigest()

    def fault(self, rule: Fault) -> None:
        """
        Add a rule; the first one that matches a request holds.
        """
        with self._store.writing() as state:
            state.add_fault(rule.rule(), rule.skip, rule.times)

    def clear_faults(self) -> None:
        """
        Remove all fault rules.
        """
        with self._store.writing() as state:
            state.clear_faults()

    def configure(self, /, **profile: Any) -> None:
        """
        Change settings of the profile; see `Profile` for their names. None puts a setting back to its default, and
        `faults` is a list of rules that take the place of those that hold.

        Raises:
            SandboxError: a setting or a rule is unknown, or has a value that it cannot have; nothing is changed then.
        """
        with self._store.writing() as state:
            settings = dict(state.setting("profile", {}))
            for name, value in profile.items():
                both = isinstance(settings.get(name), dict) and isinstance(value, dict)
                settings[name] = {**settings[name], **value} if both else value
            settings, rules = _split({name: value for name, value in settings.items() if value is not None})
            if "faults" in profile:
                state.clear_faults()
            _adopt(state, settings, rules)

    def close(self) -> None:
        """
        Close the file.
        """
        self._store.close()


def _split(profile: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """
    Return the settings and the fault rules of a profile, once both are known to be sound.
    """
    settings = {name: value for name, value in profile.items() if name != "faults" and value is not None}
    Profile.of(settings)
    rules = profile.get("faults", [])
    if not isinstance(rules, list):
        raise SandboxError("rules", place="profile.faults")
    return settings, [Fault.of(rule) for rule in rules]


def _adopt(state: State, settings: dict[str, Any], rules: list[Fault]) -> None:
    state.set_setting("profile", settings)
    state.set_speed(settings.get("clock_scale") or 1.0)
    for rule in rules:
        state.add_fault(rule.rule(), rule.skip, rule.times)


def _add_groups(bodies: dict[str, Body]) -> None:
    for body in list(bodies.values()):
        parts = body["id"].split("/")
        if len(parts) < 6 or parts[3].lower() != "resourcegroups":
            continue
        group = f"/subscriptions/{parts[2]}/resourceGroups/{parts[4]}"
        if key_of(group) not in bodies:
            bodies[key_of(group)] = {
                "id": group,
                "name": parts[4],
                "type": "Microsoft.Resources/resourceGroups",
                "location": body.get("location", ""),
                "properties": {"provisioningState": "Succeeded"},
            }


def _without_view(state: State, body: Body) -> Body:
    """
    Keep the instance view that a recorded VM may hold as its status, and return the VM without it.
    """
    properties = body.get("properties")
    if not isinstance(properties, dict) or "instanceView" not in properties or type_of(body["id"]) != VM_TYPE:
        return body
    state.set_runtime(body["id"], properties["instanceView"] or {})
    return {**body, "properties": {name: value for name, value in properties.items() if name != "instanceView"}}


def _complete_vaults(state: State, created: datetime) -> None:
    for _, vault in list(state.scan(VAULT_TYPE)):
        # What a real vault had found and registered is not in its body; its items, its storage and its age tell.
        storage = state.runtime(vault["id"])
        state.set_runtime(vault["id"], {})
        items = next(state.scan(ITEM_TYPE, vault["id"]), None)
        locked = storage.get("storageTypeState") == "Locked"
        remember(state, vault, discovered=True, registered=locked or items is not None)
        _add_redundancy(state, vault, storage)
        own = {key for key, _ in state.scan(POLICY_KIND.lower(), vault["id"])}
        state.put_all(policy for policy in default_policies(vault["id"], created) if key_of(policy["id"]) not in own)


def _add_redundancy(state: State, vault: Body, storage: Body) -> None:
    """
    Put the replication that only its storage configuration tells of into the body of an older vault.
    """
    own = member(vault, "properties")
    kind = storage.get("storageType") or storage.get("storageModelType")
    if kind and not own.get("redundancySettings"):
        restore = "Enabled" if storage.get("crossRegionRestoreFlag") is True else "Disabled"
        settings = {"standardTierStorageRedundancy": kind, "crossRegionRestore": restore}
        state.put({**vault, "properties": {**own, "redundancySettings": settings}})


def _comparable(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _comparable(one, key) for key, one in value.items() if key not in _PASSING}
    if isinstance(value, list):
        return [_comparable(one, name) for one in value]
    return value[10:] if name in _TIMES_OF_DAY and isinstance(value, str) else value
