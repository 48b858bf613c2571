"""
Tables of what is in the estate: vaults, policies, VMs, and what could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runbook_lib.checks import BACKUP_EXTENSIONS
from runbook_lib.records import Inventory, Vault, VirtualMachine, key
from runbook_lib.render.sinks import Table
from runbook_lib.text import say

__all__ = ["machine", "machines", "policies", "unread", "vaults"]


def machine(inventory: Inventory, arm_id: str) -> dict[str, Any]:
    """
    Name a VM as people do: its name, resource group and region.
    """
    vm = inventory.vms[key(arm_id)]
    return {"vm": vm.name, "resource_group": inventory.group_name(vm), "region": vm.location}


def vaults(now: Inventory, then: Inventory, regions: Iterable[str], language: str) -> Table:
    """
    The vaults of some regions: what is there, and what a plan would make of it.

    Args:
        then: the inventory as the plan would leave it.
    """
    wanted = set(regions)
    rows = []
    for each, planned in sorted(then.vaults.items()):
        if planned.location not in wanted:
            continue
        vault = now.vaults.get(each)
        rows.append(
            {
                "vault": planned.name,
                "subscription": _subscription(now, planned.subscription),
                "resource_group": planned.resource_group,
                "region": planned.location,
                "exists": say("say.yes" if vault else "say.planned_only_short", language),
                "redundancy": _becomes(vault, planned, language),
                "locked": _yes(vault.redundancy_locked if vault else False, language),
                "soft_delete": _known(vault.soft_delete, language) if vault else "",
                "items": (_held(now, vault.id) if vault.items_read else say("say.unknown", language)) if vault else 0,
            }
        )
    columns = (
        "vault",
        "subscription",
        "resource_group",
        "region",
        "exists",
        "redundancy",
        "locked",
        "soft_delete",
        "items",
    )
    return Table(say("caption.vaults", language), columns, rows, language)


def _becomes(vault: Vault | None, planned: Vault, language: str) -> str:
    if vault is None or vault.redundancy == planned.redundancy:
        return _known(planned.redundancy, language)
    return say("say.becomes", language, now=_known(vault.redundancy, language), then=planned.redundancy)


def _subscription(inventory: Inventory, guid: str) -> str:
    known = inventory.subscriptions.get(key(f"/subscriptions/{guid}"))
    return known.name if known else guid


def _held(inventory: Inventory, vault_id: str) -> int:
    return sum(key(item.vault_id) == key(vault_id) for item in inventory.items.values())


def policies(now: Inventory, then: Inventory, regions: Iterable[str], language: str) -> Table:
    """
    The policies in the vaults of some regions, in the words of the parameters: what is there, and what is planned.
    """
    wanted = set(regions)
    rows = []
    for each, policy in sorted(then.policies.items()):
        vault = then.vaults.get(key(policy.vault_id))
        if vault is None or vault.location not in wanted:
            continue
        terms = policy.terms
        kept = [
            say(f"retention.{name.rsplit('_', 1)[-1]}", language, count=terms[name])
            for name in terms
            if "_retention_" in name and terms[name]
        ]
        rows.append(
            {
                "policy": policy.name,
                "vault": vault.name,
                "subscription": _subscription(now, vault.subscription),
                "exists": say("say.yes" if each in now.policies else "say.planned_only_short", language),
                "type": terms.get("policy_type", ""),
                "schedule": terms.get("schedule", ""),
                "time": terms.get("backup_time", ""),
                "zone": terms.get("time_zone", ""),
                "retention": ", ".join(kept),
            }
        )
    columns = ("policy", "vault", "subscription", "exists", "type", "schedule", "time", "zone", "retention")
    return Table(say("caption.policies", language), columns, rows, language)


def machines(inventory: Inventory, vms: Iterable[VirtualMachine], language: str) -> Table:
    """
    The VM agent and the backup extension of each VM, as the instance view has them.
    """
    shown = list(vms)
    rows = [
        {
            "vm": vm.name,
            "resource_group": inventory.group_name(vm),
            "system": _known(vm.os_type, language),
            "power": _known(vm.power_state, language),
            "agent": vm.agent.status if vm.agent else say("say.none" if vm.instance_view else "say.unknown", language),
            "version": vm.agent.version if vm.agent else "",
            "provisioned": _yes(vm.provision_agent, language),
            "extensions_allowed": _yes(vm.allow_extensions, language),
            "extension": _extension(vm, language),
        }
        for vm in shown
    ]
    columns = (
        "vm",
        "resource_group",
        "system",
        "power",
        "agent",
        "version",
        "provisioned",
        "extensions_allowed",
        "extension",
    )
    # First those that nobody can tell the agent's state of, or that have none that works.
    ranks = [int(vm.agent is not None and vm.agent.status == "Ready") for vm in shown]
    return Table(say("caption.machines", language), columns, rows, language, ranks=ranks)


def _extension(vm: VirtualMachine, language: str) -> str:
    if not vm.instance_view:
        return say("say.unknown", language)
    found = [each for each in vm.extensions if each.kind in BACKUP_EXTENSIONS]
    return ", ".join(f"{each.name}: {_known(each.status, language)}" for each in found) or say("say.none", language)


def unread(inventory: Inventory, language: str) -> Table:
    """
    What could not be read, so that nobody takes it for absent.
    """
    rows = [
        {"scope": gap.scope, "what": gap.what, "status": gap.status, "detail": f"{gap.code}: {gap.message}"}
        for gap in inventory.unread
    ]
    return Table(
        say("caption.unread", language),
        ("scope", "what", "status", "detail"),
        rows,
        language,
        notes=() if rows else (say("say.none", language),),
    )


def _yes(value: bool | None, language: str) -> str:
    return say({True: "say.yes", False: "say.no", None: "say.unknown"}[value], language)


def _known(value: str, language: str) -> str:
    return value or say("say.unknown", language)
