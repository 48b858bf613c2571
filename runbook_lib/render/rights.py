"""
Tables of what the caller may do, and of what the service says before protection is enabled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.placement import entry_of
from runbook_lib.records import Inventory, Unread, key
from runbook_lib.render.estate import machine
from runbook_lib.render.sinks import Table
from runbook_lib.rights import MOST, Right, roles_for
from runbook_lib.text import say

__all__ = ["precheck", "rights"]

# What the service says of a VM that a vault has an entry of, protection running or stopped.
ALREADY = "VirtualMachineAlreadyProtected"


def rights(
    found: Sequence[Right],
    roles: Sequence[Mapping[str, Any]],
    unread: Iterable[Unread],
    inventory: Inventory,
    language: str,
    *,
    left_out: int = 0,
) -> Table:
    """
    One row per step and scope: which actions the plan needs there, and whether the caller has them.

    Args:
        roles: the built-in roles as ARM answers them.
        left_out: how many resources were not asked about one by one.
    """
    grouped: dict[tuple[str, str, bool | None], list[str]] = {}
    for right in found:
        grouped.setdefault((right.step, right.scope, right.granted), []).append(right.action)
    said = {True: say("say.yes", language), False: say("say.no", language), None: say("say.unknown", language)}
    rows = [
        {
            "step": step,
            "scope": _scope(inventory, scope),
            "actions": ", ".join(actions),
            "granted": said[granted],
            "role": "" if granted else next(iter(roles_for(actions, roles)), say("say.no_single_role", language)),
        }
        for (step, scope, granted), actions in sorted(grouped.items(), key=lambda each: (each[0][0], each[0][1]))
    ]
    missing = sum(right.granted is False for right in found)
    enough = say("say.rights_enough", language, count=len(found))
    notes = [say("say.rights_missing", language, count=missing) if missing else enough] if found else []
    if any(right.granted is None for right in found) and not missing:
        notes = [say("say.rights_unknown", language)]
    notes += [say("say.rights_left_out", language, count=left_out, most=MOST)] if left_out else []
    notes += [say("say.unread", language, what=gap.what, scope=gap.scope, code=gap.code) for gap in unread]
    nothing = [] if found else [say("say.rights_none_needed", language)]
    columns = ("step", "scope", "actions", "granted", "role")
    return Table(say("caption.rights", language), columns, rows, language, notes=(*notes, *nothing))


def _scope(inventory: Inventory, scope: str) -> str:
    parts = scope.split("/")
    known = inventory.subscriptions.get(key("/".join(parts[:3])))
    name = known.name if known else parts[2]
    if len(parts) <= 4:
        return name
    # A subscription's list of VMs has the group in capitals.
    group = inventory.groups.get(key("/".join(parts[:5])))
    return f"{name}: {'/'.join([group.name if group else parts[4], *parts[8:9]])}"


def precheck(
    said: Iterable[tuple[str, str, str, str, str, str]],
    verdicts: Mapping[str, str],
    inventory: Inventory,
    language: str,
) -> Table:
    """
    One row per VM about to be enabled: our verdict, and what the service says.

    Args:
        said: VM, status, code, message, support of its size and vault that holds it, as the service told them.
        verdicts: ours, by key of the VM.
    """
    rows = []
    own = {
        "not_asked": "say.precheck_not_asked",
        "no_vault": "say.precheck_no_vault",
        "unread": "say.precheck_unread",
    }
    for vm, status, code, message, feature, holder in said:
        detail = f"{code}: {message}" if code else message
        held = [say("say.precheck_held", language, vault=holder.rsplit("/", 1)[-1], scope=holder)] if holder else []
        entry = entry_of(inventory, inventory.vms[key(vm)])
        if entry and entry.protection == "stopped" and code == ALREADY:
            detail = f"{detail.rstrip('.')}. {say('say.precheck_resumes', language)}"
        rows.append(
            machine(inventory, vm)
            | {
                "verdict": verdicts.get(key(vm), ""),
                "service": say(own[status], language) if status in own else status,
                "detail": " ".join([*held, *filter(None, [detail])]),
                "feature": feature,
            }
        )
    columns = ("vm", "resource_group", "verdict", "service", "detail", "feature")
    nothing = () if rows else (say("say.precheck_nothing", language),)
    return Table(say("caption.precheck", language), columns, rows, language, notes=nothing)
