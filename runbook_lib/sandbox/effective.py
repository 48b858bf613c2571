"""
What really holds for a network interface: the rules of its security groups and the routes of its subnet.

Recorded answers have no peered networks, gateways and service endpoints, so neither have these. Imports the standard
library and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Network, collapse_addresses, ip_network

from runbook_lib.sandbox.answers import Answer, network_error
from runbook_lib.sandbox.call import Call, Effect, Handler, Route, Tenant, member
from runbook_lib.sandbox.compute import is_running
from runbook_lib.sandbox.networkoperations import start
from runbook_lib.sandbox.rules import with_default_rules
from runbook_lib.sandbox.servicetags import tag_prefixes
from runbook_lib.sandbox.state import Body, State, key_of

__all__ = ["EFFECTS", "ROUTES"]

_NIC = "Microsoft.Network/networkInterfaces"
_NIC_KEY = _NIC.lower()
# Azure's own address, from which it watches and names.
_PLATFORM = "168.63.129.16/32"
_BALANCER = [_PLATFORM, "fe80::1234:5678:9abc/128"]
_ANY = "0.0.0.0/0"
# Ranges that Azure drops outside a virtual network.
_DROPPED = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
# What Azure does not count among the Internet. It leaves out 198.18.0.0/15 too, but there the simulated services live.
_NOT_INTERNET = (*_DROPPED, "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.2.0/24", "224.0.0.0/3")
_PROTOCOLS = {"*": "All", "tcp": "Tcp", "udp": "Udp", "icmp": "Icmp", "esp": "Esp", "ah": "Ah"}
_TAGS = {tag.lower(): tag for tag in ("AzureLoadBalancer", "Internet", "VirtualNetwork")}


class _Surroundings:
    """
    The network that an interface stands in, and what its tags mean there.
    """

    def __init__(self, state: State, nic: Body) -> None:
        self._state = state
        self._subscription = nic["id"].split("/")[2]
        self.subnets: list[Body] = []
        self.space: list[str] = []
        for configuration in _properties(nic).get("ipConfigurations") or []:
            self._enter(_id(_properties(configuration), "subnet"))

    def _enter(self, subnet_id: str) -> None:
        network = self._state.get(subnet_id.rpartition("/subnets/")[0]) or {}
        subnets = _properties(network).get("subnets") or []
        subnet = next((one for one in subnets if key_of(one.get("id", "")) == key_of(subnet_id)), None)
        if subnet is not None and subnet not in self.subnets:
            self.subnets.append(subnet)
            prefixes = member(_properties(network), "addressSpace").get("addressPrefixes") or []
            self.space += [prefix for prefix in prefixes if prefix not in self.space]

    def prefixes(self, tag: str) -> list[str]:
        """
        Return the addresses behind *tag*.
        """
        if key_of(tag) == "virtualnetwork":
            return [*self.space, _PLATFORM]
        if key_of(tag) == "azureloadbalancer":
            return list(_BALANCER)
        return list(_internet()) if key_of(tag) == "internet" else tag_prefixes(self._state, self._subscription, tag)

    def members(self, groups: list[Body]) -> list[str]:
        """
        Return the private addresses of the interfaces in application security groups.
        """
        wanted = {key_of(group.get("id", "")) for group in groups}
        found = []
        for _, nic in self._state.scan(_NIC_KEY, f"/subscriptions/{self._subscription}"):
            for configuration in map(_properties, _properties(nic).get("ipConfigurations") or []):
                own = {key_of(one.get("id", "")) for one in configuration.get("applicationSecurityGroups") or []}
                if own & wanted and configuration.get("privateIPAddress"):
                    found.append(configuration["privateIPAddress"])
        return found


def _security_groups(state: State, nic: Body) -> Body:
    around = _Surroundings(state, nic)
    places = [("networkInterface", nic), *(("subnet", subnet) for subnet in around.subnets)]
    value = []
    for kind, place in places:
        group = state.get(_id(_properties(place), "networkSecurityGroup"))
        if group is not None:
            value.append(_group(around, group, {kind: {"id": place["id"]}}))
    return {"value": value}


def _group(around: _Surroundings, group: Body, association: Body) -> Body:
    properties = with_default_rules(group)["properties"]
    tags: dict[str, list[str]] = {}
    rules = []
    for kind in ("securityRules", "defaultSecurityRules"):
        for rule in sorted(properties[kind], key=lambda one: _order(_properties(one))):
            name = rule.get("name") or rule["id"].rpartition("/")[2]
            rules.append({"name": f"{kind}/{name}", **_rule(around, _properties(rule), tags)})
    return {
        "networkSecurityGroup": {"id": group["id"]},
        "association": association,
        "effectiveSecurityRules": rules,
        "tagMap": tags,
    }


def _order(properties: Body) -> tuple[str, int]:
    return str(properties.get("direction")).lower(), properties.get("priority") or 0


def _rule(around: _Surroundings, properties: Body, tags: dict[str, list[str]]) -> Body:
    shown: Body = {"protocol": _PROTOCOLS.get(key_of(properties.get("protocol", "*")), properties.get("protocol"))}
    expanded: Body = {}
    for end in ("source", "destination"):
        ports = [_port(port) for port in _both(properties, f"{end}PortRange")]
        addresses = _both(properties, f"{end}AddressPrefix")
        if groups := properties.get(f"{end}ApplicationSecurityGroups"):
            addresses += around.members(groups)
        prefixes = [text for one in addresses for text in _address(one)]
        shown |= {f"{end}PortRange": ports[0], f"{end}PortRanges": ports} if ports else {}
        shown |= {f"{end}AddressPrefix": prefixes[0]} if prefixes else {}
        shown[f"{end}AddressPrefixes"] = prefixes
        own = [prefix for prefix in prefixes if not _is_address(prefix)]
        tags.update({tag: around.prefixes(tag) for tag in own if tag not in tags})
        if own:
            expanded[f"expanded{end.title()}AddressPrefix"] = [text for tag in own for text in tags[tag]]
    kept = {name: properties[name] for name in ("access", "priority", "direction") if name in properties}
    return shown | expanded | kept


def _both(properties: Body, name: str) -> list[str]:
    plural = f"{name}s" if name.endswith("Range") else f"{name}es"
    one = properties.get(name)
    return [*([one] if one else []), *(properties.get(plural) or [])]


def _port(port: str) -> str:
    return "0-65535" if port == "*" else port if "-" in port else f"{port}-{port}"


def _address(text: str) -> list[str]:
    # Twice, as the service shows it: once for each version of the protocol.
    if text == "*":
        return [_ANY, _ANY]
    if not _is_address(text):
        return [_TAGS.get(text.lower(), text)]
    return [text if "/" in text else str(ip_network(text))]


def _is_address(text: str) -> bool:
    # No tag has a colon or starts with a digit.
    return ":" in text or text[:1].isdigit()


@cache
def _internet() -> tuple[str, ...]:
    left = [IPv4Network(_ANY)]
    for text in _NOT_INTERNET:
        gone = IPv4Network(text)
        left = [
            part
            for network in left
            for part in (network.address_exclude(gone) if gone.subnet_of(network) else [network])
            if not part.subnet_of(gone)
        ]
    return tuple(str(network) for network in collapse_addresses(left))


def _route_table(state: State, nic: Body) -> Body:
    around = _Surroundings(state, nic)
    tables = [state.get(_id(_properties(subnet), "routeTable")) or {} for subnet in around.subnets]
    own = [route for table in tables for route in _properties(table).get("routes") or []]
    taken = {_properties(route).get("addressPrefix") for route in own}
    detached = any(_properties(table).get("disableBgpRoutePropagation") for table in tables)
    system = [(prefix, "VnetLocal") for prefix in around.space] + [(_ANY, "Internet")]
    # A virtual network that has the range as its own reaches it.
    system += [(prefix, "None") for prefix in _DROPPED if prefix not in around.space]
    value = [
        _shown("Default", "Invalid" if prefix in taken else "Active", [prefix], hop, detached=detached)
        for prefix, hop in system
    ]
    return {"value": [*value, *(_own_route(around, route, detached=detached) for route in own)]}


def _own_route(around: _Surroundings, route: Body, *, detached: bool) -> Body:
    properties = _properties(route)
    prefix, hop = properties.get("addressPrefix", ""), properties.get("nextHopIpAddress")
    tags = {} if _is_address(prefix) else {prefix: around.prefixes(prefix)}
    shown = _shown(
        "User", "Active", tags.get(prefix, [prefix]), properties.get("nextHopType", ""), detached=detached, tags=tags
    )
    name = route.get("name") or route.get("id", "").rpartition("/")[2]
    return {"name": name, **shown, "nextHopIpAddress": [hop] if hop else []}


def _shown(
    source: str, state: str, prefixes: list[str], hop: str, *, detached: bool, tags: dict[str, list[str]] | None = None
) -> Body:
    return {
        "disableBgpRoutePropagation": detached,
        "source": source,
        "state": state,
        "hasBgpOverride": False,
        "addressPrefix": prefixes,
        "nextHopType": hop,
        "nextHopIpAddress": [],
        "destinationServiceTags": list(tags or {}),
        "tagMap": tags or {},
    }


def _ask(kind: str, code: str, what: str, look: Callable[[State, Body], Body]) -> Handler:
    def handler(call: Call) -> Answer:
        nic = call.resource(_NIC, call.names["name"])
        if not is_running(call.state, _id(_properties(nic), "virtualMachine")):
            raise network_error(
                400,
                code,
                f"A network interface must be attached to a running virtual machine to get effective {what}."
                f" The network interface {nic['id']} is not attached to a running virtual machine.",
            )
        # The answer is that of this moment, whatever is changed while it is worked out.
        headers = start(call, nic, kind, {"result": look(call.state, nic)})
        return Answer(status=202, null=True, headers=headers)

    return handler


def _told(tenant: Tenant, args: Body) -> None:
    """
    Change nothing: the operation only tells.
    """


def _properties(body: Body) -> Body:
    return member(body, "properties")


def _id(properties: Body, name: str) -> str:
    return str(member(properties, name).get("id") or "")


_PATH = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{_NIC}/{{name}}"

ROUTES = (
    Route(
        method="POST",
        path=f"{_PATH}/effectiveNetworkSecurityGroups",
        handler=_ask(
            "nic.effectiveNetworkSecurityGroups",
            "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups",
            "security groups",
            _security_groups,
        ),
        writes=True,
    ),
    Route(
        method="POST",
        path=f"{_PATH}/effectiveRouteTable",
        handler=_ask(
            "nic.effectiveRouteTable", "NicMustBeAttachedToRunningVmToGetEffectiveRoutes", "routes", _route_table
        ),
        writes=True,
    ),
)
EFFECTS: dict[str, Effect] = {"nic.effectiveNetworkSecurityGroups": _told, "nic.effectiveRouteTable": _told}
