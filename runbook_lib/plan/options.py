"""
The guide's network options side by side: what each would write here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runbook_lib.parameters import Parameters, schema
from runbook_lib.plan.network import plan_network
from runbook_lib.plan.wanted import Wanted
from runbook_lib.records import Change, Inventory, VirtualMachine

__all__ = ["rules_by_option"]


def rules_by_option(
    inventory: Inventory, asked: Parameters, going: Sequence[VirtualMachine]
) -> dict[str, tuple[Change, ...] | None]:
    """
    Plan the rules of every network option; None for an option that lacks something: the list, or the proxy's address.
    """
    options = next(row.choices for row in schema() if row.name == "network_option")
    lacking = {"ip_ranges": not inventory.service_tags, "http_proxy": not asked.proxy_host}
    return {
        option: None if lacking.get(option) else _rules(inventory, replace(asked, network_option=option), going)
        for option in options
    }


def _rules(inventory: Inventory, asked: Parameters, going: Sequence[VirtualMachine]) -> tuple[Change, ...]:
    day = inventory.read_at.date()
    wanted = Wanted(before=inventory, asked=asked, jobs=(), going=going, notes=[], day=day)
    return tuple(plan_network(inventory, wanted))
