"""
What the network step does not reach: VMs that stay shut off, and VMs that would lose their way through the proxy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runbook_lib.checks.network import SERVICES, Tracer, proxy_clients
from runbook_lib.plan.wanted import Wanted
from runbook_lib.records import Change, Inventory, VirtualMachine

__all__ = ["tell_reach"]

# A note is read by people; the truth table has all of them.
MOST_NAMES = 20


def tell_reach(world: Inventory, wanted: Wanted) -> Iterator[Change]:
    """
    Note which VMs the step leaves without a way; it plans nothing.

    Args:
        world: as the rules of this step leave it.
    """
    asked, notes = wanted.asked, wanted.notes
    if asked.network_option in ("service_tags", "ip_ranges"):
        tracer = Tracer(world)
        shut = [vm for vm in wanted.going if any(path.open is False for path in tracer.paths(vm, SERVICES))]
        if shut:
            notes.append({"id": "still_shut", "count": len(shut), "vms": _names(world, shut)})
    elif asked.network_option == "http_proxy":
        clients = proxy_clients(world, wanted.going, asked)
        for reached, note in ((False, "proxy_unreached"), (None, "proxy_doubted")):
            if own := [vm for vm, reaches in clients if reaches is reached]:
                facts = {
                    "host": asked.proxy_host,
                    "port": asked.proxy_port,
                    "count": len(own),
                    "vms": _names(world, own),
                }
                notes.append({"id": note} | facts)
    if asked.proxy_host and asked.network_option != "http_proxy":
        notes.append({"id": "proxy_unused", "host": asked.proxy_host, "option": asked.network_option})
    yield from ()


def _names(world: Inventory, vms: Iterable[VirtualMachine]) -> str:
    named = [f"{vm.name} ({world.group_name(vm)})" for vm in vms]
    return ", ".join(named[:MOST_NAMES]) + (", …" if len(named) > MOST_NAMES else "")
