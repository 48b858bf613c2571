"""
Which VMs reach the HTTP proxy of the guide's third option. Imports `parameters`, `records`, `path` and `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.checks.network.path import Destination, Tracer
from runbook_lib.checks.network.rules import network_of
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, VirtualMachine, key

__all__ = ["proxy_clients", "proxy_of"]


def proxy_of(asked: Parameters) -> Destination:
    """
    Return the proxy as a destination; where it is given by name, nobody knows its address here.
    """
    host, port = asked.proxy_host, asked.proxy_port
    return Destination(name=f"{host}:{port}", where=host if network_of(host) else "", port=port)


def proxy_clients(
    inventory: Inventory, vms: Iterable[VirtualMachine], asked: Parameters
) -> list[tuple[VirtualMachine, bool | None]]:
    """
    Tell of each VM whether one of its network interfaces reaches the proxy, None where nobody can say; the proxy VM
    itself is left out.
    """
    tracer, proxy = Tracer(inventory), proxy_of(asked)
    told: list[tuple[VirtualMachine, bool | None]] = []
    for vm in vms:
        nics = [nic for each in vm.nic_ids if (nic := inventory.nics.get(key(each)))]
        if any(each.private_ip == asked.proxy_host for nic in nics for each in nic.ip_configurations):
            continue
        ways = {path.open for path in tracer.paths(vm, (proxy,))}
        told.append((vm, True if True in ways else None if None in ways or not ways else False))
    return told
