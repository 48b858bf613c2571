"""
What the network does with a VM's outbound packets, and what that means for backup.

`rules` evaluates security groups, `routes` the next hop, `path` both and the way out for each network interface and
destination, `proxy` who reaches the proxy, `check` draws the findings, `comparison` sets all against the service. Pure.
"""

from runbook_lib.checks.network.check import agent_wireserver, destinations, needs_a_way, network_outbound
from runbook_lib.checks.network.comparison import MOST, Comparison, Effective, compare, sample
from runbook_lib.checks.network.path import (
    SERVICES,
    WIRE,
    Destination,
    Path,
    Tracer,
    groups_of,
    network_key,
    through,
)
from runbook_lib.checks.network.proxy import proxy_clients
from runbook_lib.checks.network.routes import Hop, next_hop, routes_from
from runbook_lib.checks.network.rules import HTTPS, TAGS, WIRESERVER, Decision, Packet, network_of, outbound

__all__ = [
    "HTTPS",
    "MOST",
    "SERVICES",
    "TAGS",
    "WIRE",
    "WIRESERVER",
    "Comparison",
    "Decision",
    "Destination",
    "Effective",
    "Hop",
    "Packet",
    "Path",
    "Tracer",
    "agent_wireserver",
    "compare",
    "destinations",
    "groups_of",
    "needs_a_way",
    "network_key",
    "network_of",
    "network_outbound",
    "next_hop",
    "outbound",
    "proxy_clients",
    "routes_from",
    "sample",
    "through",
]
