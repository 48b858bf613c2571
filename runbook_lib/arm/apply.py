"""
The only writer: sends a step's changes, each once, with an intent on disk before it.

What is so already is adopted, not sent. Waiting is bounded: an operation that does not end in time is reported as in
doubt, and the next run reads what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.polling import LROPoller
from azure.mgmt.network.models import SecurityRule
from azure.mgmt.recoveryservices.models import PatchVault, Vault
from azure.mgmt.recoveryservicesbackup.models import ProtectedItemResource, ProtectionPolicyResource

from runbook_lib.arm.session import Session
from runbook_lib.errors import Drift, PlanRefused, WriteFailed
from runbook_lib.plan import is_done, moved, plan_digest, project
from runbook_lib.records import Change, Inventory, Plan, Step, key, resource_group_of, subscription_of

__all__ = ["Applied", "apply_step", "check_plan"]

# Recorded operations of this job end within ten minutes; the service's own Retry-After is 60 s at most.
DEADLINE = 1800.0
POLL = 10.0
FABRIC = "Azure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """
    How one change ended: `done`, `adopted` or `failed`.
    """

    change: Change
    outcome: str
    code: str = ""
    message: str = ""


def check_plan(plan: Plan, session: Session) -> None:
    """
    Refuse a plan that was edited, or made for another target.

    Raises:
        PlanRefused: with what does not agree.
    """
    if plan_digest(plan) != plan.digest:
        raise PlanRefused("plan_edited", digest=plan.digest)
    if plan.target != session.target.mark:
        raise PlanRefused("plan_target", planned=plan.target, found=session.target.mark)


def apply_step(
    session: Session, observed: Inventory, step: Step, failed: Set[str], refused: Mapping[str, str]
) -> Iterator[Applied]:
    """
    Send what *step* still lacks, one change after the other, and yield how each ended.

    A change that fails does not keep others from being tried, unless they rest on it.

    Args:
        failed: keys of what failed in earlier steps.
        refused: why a change may not be sent any more, by the key of its target.

    Raises:
        Drift: what the step rests on is not as planned; nothing was sent.
    """
    going = [change for change in step.changes if not _rests_on(change, failed)]
    kept = {key(each) for change in going for each in (change.target, *change.reads)}
    reduced = replace(step, changes=tuple(going), world={k: v for k, v in step.world.items() if k in kept})
    if differences := moved(reduced, observed):
        first = differences[0]
        raise Drift(
            "drift",
            resource=first.resource,
            field=first.field or "existence",
            expected=first.expected,
            found=first.found,
            more=len(differences) - 1,
        )
    world = observed
    broken = set(failed)
    for change in step.changes:
        if key(change.target) in refused and not is_done(world, change):
            ended = _failed(session, change, "VerdictChanged", refused[key(change.target)])
        else:
            ended = _apply(session, world, change, broken)
        if ended.outcome == "failed":
            broken.add(key(change.target))
        else:
            world = project(world, [change])
        yield ended


def _rests_on(change: Change, failed: Set[str]) -> str:
    """
    Name what *change* rests on among what failed; empty when there is no such thing.
    """
    return next((each for each in map(key, change.reads) if each in failed), "")


def _apply(session: Session, world: Inventory, change: Change, failed: Set[str]) -> Applied:
    journal = session.journal
    if is_done(world, change):
        journal.result(change, "adopted")
        return Applied(change=change, outcome="adopted")
    if waits := _rests_on(change, failed):
        return _failed(session, change, "DependencyFailed", waits)
    journal.intent(change)
    try:
        with session.guard.writing():
            WRITERS[change.kind](session, change)
    except HttpResponseError as error:
        code = error.error.code if error.error and error.error.code else f"HTTP {error.status_code}"
        return _failed(session, change, code, error.error.message if error.error else error.message)
    except AzureError as error:
        return _failed(session, change, type(error).__name__, error.message)
    except WriteFailed as error:
        return _failed(session, change, "Timeout", str(error))
    journal.result(change, "done")
    return Applied(change=change, outcome="done")


def _failed(session: Session, change: Change, code: str, message: str | None) -> Applied:
    session.journal.result(change, "failed", code=code, message=message or "")
    return Applied(change=change, outcome="failed", code=code, message=message or "")


def _wait(poller: LROPoller[Any], change: Change, session: Session) -> None:
    """
    Wait for an operation until its deadline, as the target's clock counts it.
    """
    poller.wait(DEADLINE)
    if not poller.done():
        raise WriteFailed("deadline", resource=change.target, seconds=int(DEADLINE))
    # Raises what the operation failed with.
    poller.result()


def _parts(change: Change, segment: str) -> tuple[str, str]:
    """
    Return the resource group, and the name that follows *segment*.
    """
    names = change.target.split("/")
    lowered = [name.lower() for name in names]
    return resource_group_of(change.target), names[lowered.index(segment.lower()) + 1]


def _register_provider(session: Session, change: Change) -> None:
    providers = session.clients(subscription_of(change.target)).resources.providers
    namespace = change.facts["namespace"]
    providers.register(namespace)
    waited = 0.0
    while providers.get(namespace).registration_state != "Registered":
        if waited >= DEADLINE:
            raise WriteFailed("deadline", resource=change.target, seconds=int(DEADLINE))
        session.sleep(POLL)
        waited += POLL


def _create_resource_group(session: Session, change: Change) -> None:
    groups = session.clients(subscription_of(change.target)).resources.resource_groups
    groups.create_or_update(change.target.rsplit("/", 1)[-1], change.body)


def _create_vault(session: Session, change: Change) -> None:
    vaults = session.clients(subscription_of(change.target)).vaults.vaults
    group, vault = _parts(change, "vaults")
    _wait(vaults.begin_create_or_update(group, vault, Vault(change.body)), change, session)


def _set_redundancy(session: Session, change: Change) -> None:
    vaults = session.clients(subscription_of(change.target)).vaults.vaults
    group, vault = _parts(change, "vaults")
    _wait(vaults.begin_update(group, vault, PatchVault(change.body)), change, session)


def _create_policy(session: Session, change: Change) -> None:
    policies = session.clients(subscription_of(change.target)).backup.protection_policies
    group, vault = _parts(change, "vaults")
    policies.create_or_update(vault, group, change.target.rsplit("/", 1)[-1], ProtectionPolicyResource(change.body))


def _discover(session: Session, change: Change) -> None:
    backup = session.clients(subscription_of(change.target)).backup
    group, vault = _parts(change, "vaults")

    # The call returns nothing; its operation is named in the Location header only.
    url: str = backup.protection_containers.refresh(vault, group, FABRIC, cls=_location)  # type: ignore[assignment]
    operation = url.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    waited = 0.0
    poll = backup.protection_container_refresh_operation_results
    # 202 as long as it runs, 204 in the end, never 200.
    while poll.get(vault, group, FABRIC, operation, cls=_status) == 202:
        if waited >= DEADLINE:
            raise WriteFailed("deadline", resource=change.target, seconds=int(DEADLINE))
        session.sleep(POLL)
        waited += POLL


def _location(response: Any, _: Any, __: Any) -> str:
    return str(response.http_response.headers["Location"])


def _status(response: Any, _: Any, __: Any) -> int:
    return int(response.http_response.status_code)


def _protect(session: Session, change: Change) -> None:
    items = session.clients(subscription_of(change.target)).backup.protected_items
    group, vault = _parts(change, "vaults")
    _, container = _parts(change, "protectionContainers")
    _, item = _parts(change, "protectedItems")
    poller = items.begin_create_or_update(vault, group, FABRIC, container, item, ProtectedItemResource(change.body))
    _wait(poller, change, session)


def _add_security_rule(session: Session, change: Change) -> None:
    rules = session.clients(subscription_of(change.target)).network.security_rules
    group, nsg = _parts(change, "networkSecurityGroups")
    _wait(rules.begin_create_or_update(group, nsg, change.facts["rule"], SecurityRule(change.body)), change, session)


WRITERS: dict[str, Callable[[Session, Change], None]] = {
    "register-provider": _register_provider,
    "create-resource-group": _create_resource_group,
    "create-vault": _create_vault,
    "set-redundancy": _set_redundancy,
    "create-policy": _create_policy,
    "discover": _discover,
    "protect": _protect,
    "undelete": _protect,
    "resume": _protect,
    "protect-again": _protect,
    "change-policy": _protect,
    "add-security-rule": _add_security_rule,
    "add-range-rule": _add_security_rule,
    "update-range-rule": _add_security_rule,
}
