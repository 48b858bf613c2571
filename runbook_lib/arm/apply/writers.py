"""
The calls that write: one for each kind of change. Nothing waits here; `operations` follows what was started.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.core.polling import PollingMethod
from azure.core.rest import HttpResponse
from azure.mgmt.network.models import SecurityRule
from azure.mgmt.recoveryservices.models import PatchVault, Vault
from azure.mgmt.recoveryservicesbackup.models import ProtectedItemResource, ProtectionPolicyResource

from runbook_lib.arm.session import Session
from runbook_lib.records import Change, resource_group_of, subscription_of

__all__ = ["WRITERS"]

FABRIC = "Azure"


class _Started(PollingMethod[HttpResponse]):
    """
    Ends a long operation for the SDK as soon as it has begun, and hands out the answer that began it.
    """

    def initialize(self, client: Any, initial_response: Any, deserialization_callback: Any) -> None:
        self._answer: HttpResponse = initial_response.http_response

    def run(self) -> None:
        """
        Do nothing: there is nothing left to wait for.
        """

    def status(self) -> str:
        return "Succeeded"

    def finished(self) -> bool:
        return True

    def resource(self) -> HttpResponse:
        return self._answer


def _answer(response: Any, _: Any, __: Any) -> HttpResponse:
    # What the SDK makes of a body is not asked for: an operation is followed by its headers.
    answer: HttpResponse = response.http_response
    return answer


def _parts(change: Change, segment: str) -> tuple[str, str]:
    """
    Return the resource group, and the name that follows *segment*.
    """
    names = change.target.split("/")
    lowered = [name.lower() for name in names]
    return resource_group_of(change.target), names[lowered.index(segment.lower()) + 1]


def _register_provider(session: Session, change: Change) -> Any:
    providers = session.clients(subscription_of(change.target)).resources.providers
    return providers.register(change.facts["namespace"], cls=_answer)


def _create_resource_group(session: Session, change: Change) -> Any:
    groups = session.clients(subscription_of(change.target)).resources.resource_groups
    return groups.create_or_update(change.target.rsplit("/", 1)[-1], change.body, cls=_answer)


def _create_vault(session: Session, change: Change) -> Any:
    vaults = session.clients(subscription_of(change.target)).vaults.vaults
    group, vault = _parts(change, "vaults")
    return vaults.begin_create_or_update(group, vault, Vault(change.body), polling=_Started()).result()


def _set_redundancy(session: Session, change: Change) -> Any:
    vaults = session.clients(subscription_of(change.target)).vaults.vaults
    group, vault = _parts(change, "vaults")
    return vaults.begin_update(group, vault, PatchVault(change.body), polling=_Started()).result()


def _create_policy(session: Session, change: Change) -> Any:
    policies = session.clients(subscription_of(change.target)).backup.protection_policies
    group, vault = _parts(change, "vaults")
    body = ProtectionPolicyResource(change.body)
    return policies.create_or_update(vault, group, change.target.rsplit("/", 1)[-1], body, cls=_answer)


def _discover(session: Session, change: Change) -> Any:
    backup = session.clients(subscription_of(change.target)).backup
    group, vault = _parts(change, "vaults")
    return backup.protection_containers.refresh(vault, group, FABRIC, cls=_answer)


def _protect(session: Session, change: Change) -> Any:
    items = session.clients(subscription_of(change.target)).backup.protected_items
    group, vault = _parts(change, "vaults")
    _, container = _parts(change, "protectionContainers")
    _, item = _parts(change, "protectedItems")
    body = ProtectedItemResource(change.body)
    return items.begin_create_or_update(vault, group, FABRIC, container, item, body, polling=_Started()).result()


def _add_security_rule(session: Session, change: Change) -> Any:
    rules = session.clients(subscription_of(change.target)).network.security_rules
    group, nsg = _parts(change, "networkSecurityGroups")
    name, body = change.facts["rule"], SecurityRule(change.body)
    return rules.begin_create_or_update(group, nsg, name, body, polling=_Started()).result()


# Each returns the answer to its request; the typed clients call it what they make of the body.
WRITERS: dict[str, Callable[[Session, Change], Any]] = {
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
