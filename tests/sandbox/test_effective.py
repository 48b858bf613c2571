"""
What really holds for a network interface: effective rules and routes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from runbook_lib.sandbox import Fault

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_PLATFORM = "168.63.129.16/32"


@pytest.fixture
def estate(estate: Any, ids: Any) -> Any:
    """
    The small estate with two more interfaces on a guarded subnet with routes: of a running VM, and of a stopped one.
    """
    subnet_id = ids.network("virtualNetworks", "vnet-far/subnets/apps")

    def body(kind: str, name: str, **properties: Any) -> dict[str, Any]:
        return {
            "id": ids.network(kind, name),
            "name": name,
            "type": f"Microsoft.Network/{kind}",
            "location": "West Europe",
            "properties": {"provisioningState": "Succeeded", **properties},
        }

    def nic(name: str, vm: str, address: str, groups: list[str], **more: Any) -> dict[str, Any]:
        configuration = {
            "subnet": {"id": subnet_id},
            "privateIPAddress": address,
            "applicationSecurityGroups": [{"id": ids.network("applicationSecurityGroups", one)} for one in groups],
        }
        return body(
            "networkInterfaces",
            name,
            ipConfigurations=[{"name": "ipconfig1", "properties": configuration}],
            virtualMachine={"id": ids.vm(vm)},
            **more,
        )

    def rule(name: str, priority: int, direction: str = "Outbound", **ends: Any) -> dict[str, Any]:
        parent = ids.network("networkSecurityGroups", "nsg-far")
        common = {"protocol": "*", "access": "Allow", "priority": priority, "direction": direction}
        open_ends = {
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": "*",
            "destinationAddressPrefix": "*",
        }
        return {
            "id": f"{parent}/securityRules/{name}",
            "name": name,
            "properties": {**common, **open_ends, **ends},
        }

    def route(name: str, prefix: str, hop: str, address: str | None = None) -> dict[str, Any]:
        properties = {"addressPrefix": prefix, "nextHopType": hop}
        return {
            "id": ids.network("routeTables", f"routes-far/routes/{name}"),
            "name": name,
            "properties": properties if address is None else {**properties, "nextHopIpAddress": address},
        }

    guard = {"id": ids.network("networkSecurityGroups", "nsg-subnet")}
    table = {"id": ids.network("routeTables", "ROUTES-FAR")}
    subnet = {
        "id": subnet_id,
        "name": "apps",
        "properties": {"addressPrefix": "10.9.1.0/24", "networkSecurityGroup": guard, "routeTable": table},
    }
    far = [
        body(
            "virtualNetworks",
            "vnet-far",
            addressSpace={"addressPrefixes": ["10.9.0.0/16", "192.168.0.0/16"]},
            subnets=[subnet],
        ),
        body(
            "networkSecurityGroups",
            "nsg-far",
            securityRules=[
                rule("Late", 400, destinationAddressPrefix="INTERNET", protocol="TCP", destinationPortRange="443"),
                rule("Backup", 300, destinationAddressPrefix="AzureBackup", sourceAddressPrefix="10.9.1.4"),
                rule(
                    "Many",
                    310,
                    destinationAddressPrefix="",
                    destinationAddressPrefixes=["10.0.0.0/24", "2001:db8::1"],
                    destinationPortRange="",
                    destinationPortRanges=["80", "8000-8100"],
                ),
                rule(
                    "Group",
                    320,
                    sourceAddressPrefix="",
                    sourceApplicationSecurityGroups=[{"id": ids.network("applicationSecurityGroups", "ASG-WEB")}],
                ),
                rule("Unused", 330, destinationAddressPrefix="NoSuchTag"),
                rule("In", 4000, "Inbound", protocol="Udp"),
            ],
        ),
        body("networkSecurityGroups", "nsg-subnet"),
        body(
            "routeTables",
            "routes-far",
            disableBgpRoutePropagation=True,
            routes=[
                route("all", "0.0.0.0/0", "VirtualAppliance", "10.9.0.5"),
                route("backup", "AzureBackup.WestEurope", "Internet"),
            ],
        ),
        body("applicationSecurityGroups", "asg-web"),
        nic(
            "nic-far",
            "web",
            "10.9.1.4",
            ["asg-web"],
            networkSecurityGroup={"id": ids.network("networkSecurityGroups", "NSG-FAR")},
        ),
        nic("nic-second", "db", "10.9.1.5", ["asg-web", "asg-other"]),
    ]
    return replace(estate, resources=(*estate.resources, *far))


@pytest.fixture
def groups(azure: Any) -> list[Any]:
    """
    The effective security groups of the interface of the running VM.
    """
    interfaces = azure.network.network_interfaces
    return list(interfaces.begin_list_effective_network_security_groups("rg-net", "nic-far").result().value)


@pytest.fixture
def rules(groups: list[Any]) -> dict[str, Any]:
    """
    The effective rules of the interface's own group, by name.
    """
    return {rule["name"]: rule for rule in groups[0]["effectiveSecurityRules"]}


@pytest.fixture
def routes(azure: Any) -> list[Any]:
    """
    The effective routes of the interface of the running VM.
    """
    return list(azure.network.network_interfaces.begin_get_effective_route_table("rg-net", "nic-far").result().value)


@pytest.mark.parametrize("question", ["effectiveNetworkSecurityGroups", "effectiveRouteTable"])
def test_what_holds_is_worked_out_asynchronously(sandbox: Any, send: Any, ids: Any, question: str) -> None:
    """
    202 with the literal null and a Location alone, told again while it works, and at last 200 with the list.
    """
    accepted = send("POST", f"{ids.network('networkInterfaces', 'nic-far')}/{question}")
    waiting = send("GET", accepted.headers["Location"])
    sandbox.advance(11)
    done = send("GET", accepted.headers["Location"])
    polling = {"location", "azure-asyncoperation", "azure-asyncnotification", "retry-after"}

    assert [(202, b"null"), (202, b"null")] == [(one.status_code, one.content) for one in (accepted, waiting)]
    assert [{"location", "azure-asyncnotification", "retry-after"}] * 2 == [
        polling & {name.lower() for name in one.headers} for one in (accepted, waiting)
    ]
    assert ("Enabled", "10") == (accepted.headers["azure-asyncnotification"], accepted.headers["Retry-After"])
    assert "/locations/westeurope/operationResults/" in accepted.headers["Location"]
    assert (200, accepted.headers["Location"]) == (done.status_code, done.headers["Location"])
    assert done.json()["value"]


@pytest.mark.parametrize(
    ("question", "code", "what"),
    [
        (
            "effectiveNetworkSecurityGroups",
            "NicMustBeAttachedToRunningVmToGetEffectiveSecurityGroups",
            "security groups",
        ),
        ("effectiveRouteTable", "NicMustBeAttachedToRunningVmToGetEffectiveRoutes", "routes"),
    ],
)
@pytest.mark.parametrize("nic", ["nic-web", "nic-second"])
def test_only_the_interface_of_a_running_vm_tells(
    send: Any, ids: Any, nic: str, question: str, code: str, what: str
) -> None:
    """
    One that is attached to nothing, or to a VM that is off, is refused by name.
    """
    path = ids.network("networkInterfaces", nic)
    refused = send("POST", f"{path}/{question}")
    message = (
        f"A network interface must be attached to a running virtual machine to get effective {what}."
        f" The network interface {path} is not attached to a running virtual machine."
    )

    assert (400, {"code": code, "message": message, "details": []}) == (refused.status_code, refused.json()["error"])


def test_a_missing_interface_is_not_found(azure: Any, refused: Refused) -> None:
    """
    What is not there has neither rules nor routes.
    """
    interfaces = azure.network.network_interfaces

    assert (404, "ResourceNotFound") == refused(lambda: interfaces.begin_get_effective_route_table("rg-net", "none"))


def test_the_groups_of_interface_and_subnet_hold(groups: list[Any], ids: Any) -> None:
    """
    First that of the interface, then that of its subnet, each told with where it stands.
    """
    nic = {"networkInterface": {"id": ids.network("networkInterfaces", "nic-far")}}
    subnet = {"subnet": {"id": ids.network("virtualNetworks", "vnet-far/subnets/apps")}}

    assert [
        (ids.network("networkSecurityGroups", "nsg-far"), nic),
        (ids.network("networkSecurityGroups", "nsg-subnet"), subnet),
    ] == [(one["networkSecurityGroup"]["id"], dict(one["association"])) for one in groups]


def test_rules_stand_in_their_order(rules: dict[str, Any]) -> None:
    """
    One's own before the default ones, inbound before outbound, each by its priority.
    """
    assert [
        "securityRules/In",
        *(f"securityRules/{name}" for name in ("Backup", "Many", "Group", "Unused", "Late")),
        *(f"defaultSecurityRules/{name}InBound" for name in ("AllowVnet", "AllowAzureLoadBalancer", "DenyAll")),
        *(f"defaultSecurityRules/{name}OutBound" for name in ("AllowVnet", "AllowInternet", "DenyAll")),
    ] == list(rules)


def test_any_address_and_any_port_are_ranges(rules: dict[str, Any]) -> None:
    """
    An asterisk is told as the range that it stands for, an address for both versions.
    """
    assert {
        "name": "defaultSecurityRules/DenyAllOutBound",
        "protocol": "All",
        "sourcePortRange": "0-65535",
        "destinationPortRange": "0-65535",
        "sourcePortRanges": ["0-65535"],
        "destinationPortRanges": ["0-65535"],
        "sourceAddressPrefix": "0.0.0.0/0",
        "destinationAddressPrefix": "0.0.0.0/0",
        "sourceAddressPrefixes": ["0.0.0.0/0", "0.0.0.0/0"],
        "destinationAddressPrefixes": ["0.0.0.0/0", "0.0.0.0/0"],
        "access": "Deny",
        "priority": 65500,
        "direction": "Outbound",
    } == dict(rules["defaultSecurityRules/DenyAllOutBound"])


def test_protocols_and_ports_are_told_in_one_form(rules: dict[str, Any]) -> None:
    """
    Protocols are spelled as the service spells them, and a single port is a range too.
    """
    late, many, arriving = (rules[f"securityRules/{name}"] for name in ("Late", "Many", "In"))

    assert ("Tcp", "443-443") == (late["protocol"], late["destinationPortRange"])
    assert ["80-80", "8000-8100"] == many["destinationPortRanges"]
    assert "Udp" == arriving["protocol"]


def test_addresses_are_told_as_prefixes(rules: dict[str, Any]) -> None:
    """
    A single address gets its length, and only a tag is expanded.
    """
    backup, many = rules["securityRules/Backup"], rules["securityRules/Many"]

    assert "10.9.1.4/32" == backup["sourceAddressPrefix"]
    assert ["10.0.0.0/24", "2001:db8::1/128"] == many["destinationAddressPrefixes"]
    assert {"expandedDestinationAddressPrefix"} == {name for name in backup if name.startswith("expanded")}
    assert [] == [name for name in many if name.startswith("expanded")]


def test_tags_are_expanded(groups: list[Any], rules: dict[str, Any], azure: Any) -> None:
    """
    To what the list of tags says, to the address space, or to the Internet; the group tells each once more.
    """
    listed = {
        one.name: one.properties.address_prefixes
        for one in azure.network.service_tags.list("westeurope").values_property
    }
    backup, late = rules["securityRules/Backup"], rules["securityRules/Late"]
    inside = rules["defaultSecurityRules/AllowVnetOutBound"]

    assert listed["AzureBackup"] == backup["expandedDestinationAddressPrefix"]
    assert ["10.9.0.0/16", "192.168.0.0/16", _PLATFORM] == inside["expandedSourceAddressPrefix"]
    assert ("Internet", ["Internet"]) == (late["destinationAddressPrefix"], late["destinationAddressPrefixes"])
    assert [] == rules["securityRules/Unused"]["expandedDestinationAddressPrefix"]
    assert {"AzureBackup", "AzureLoadBalancer", "Internet", "NoSuchTag", "VirtualNetwork"} == set(groups[0]["tagMap"])
    assert groups[0]["tagMap"]["AzureBackup"] == listed["AzureBackup"]


def test_the_internet_is_what_is_not_private(rules: dict[str, Any]) -> None:
    """
    Private and shared ranges are no part of it, all else is, the simulated services too.
    """
    networks = [ip_network(one) for one in rules["securityRules/Late"]["expandedDestinationAddressPrefix"]]

    private = ("10.9.0.4", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "192.0.2.1")
    public = ("8.8.8.8", "168.63.129.16", "172.32.0.1", "198.18.0.1", "198.19.255.255", "223.255.255.255")

    assert [] == [one for one in private if any(ip_address(one) in network for network in networks)]
    assert [] == [one for one in public if not any(ip_address(one) in network for network in networks)]


def test_application_groups_are_told_as_the_addresses_of_their_members(rules: dict[str, Any]) -> None:
    """
    All interfaces of the subscription that name the group count, whether their VMs run or not.
    """
    assert ["10.9.1.4/32", "10.9.1.5/32"] == rules["securityRules/Group"]["sourceAddressPrefixes"]


def test_an_interface_without_a_group_has_no_rules(sandbox: Any, estate: Any, clients_of: Any, ids: Any) -> None:
    """
    Where neither interface nor subnet has a group, nothing is told.
    """
    bodies = {body["id"]: body for body in estate.resources}
    nic = bodies[ids.network("networkInterfaces", "nic-web")]
    nic["properties"]["virtualMachine"] = {"id": ids.vm("web")}
    sandbox.load(estate)
    interfaces = clients_of(sandbox).network.network_interfaces

    assert [] == interfaces.begin_list_effective_network_security_groups("rg-net", "nic-web").result().value


def test_system_routes_are_told(routes: list[Any]) -> None:
    """
    The address space, the Internet, and the private ranges that are dropped unless the network has them as its own.
    """
    assert [
        ("10.9.0.0/16", "VnetLocal", "Active"),
        ("192.168.0.0/16", "VnetLocal", "Active"),
        ("0.0.0.0/0", "Internet", "Invalid"),
        ("10.0.0.0/8", "None", "Active"),
        ("100.64.0.0/10", "None", "Active"),
        ("172.16.0.0/12", "None", "Active"),
    ] == [(one["addressPrefix"][0], one["nextHopType"], one["state"]) for one in routes if one["source"] == "Default"]


def test_a_route_of_ones_own_overrides_the_system_route_of_its_prefix(routes: list[Any]) -> None:
    """
    It is told with its name and next hop, after the routes of the system.
    """
    own = next(one for one in routes if one["source"] == "User")

    assert {
        "name": "all",
        "disableBgpRoutePropagation": True,
        "source": "User",
        "state": "Active",
        "hasBgpOverride": False,
        "addressPrefix": ["0.0.0.0/0"],
        "nextHopType": "VirtualAppliance",
        "nextHopIpAddress": ["10.9.0.5"],
        "destinationServiceTags": [],
        "tagMap": {},
    } == dict(own)


def test_a_route_to_a_tag_is_told_with_its_prefixes(routes: list[Any]) -> None:
    """
    The tag stands beside the prefixes that it means.
    """
    own = routes[-1]

    assert ("backup", ["AzureBackup.WestEurope"]) == (own["name"], own["destinationServiceTags"])
    assert {"AzureBackup.WestEurope": own["addressPrefix"]} == own["tagMap"]
    assert 2 == len(own["addressPrefix"])


def test_an_operation_that_failed_tells_why(sandbox: Any, azure: Any, refused: Refused) -> None:
    """
    A result that never came is an error, not an empty list.
    """
    sandbox.fault(Fault(does="fail_operation", path="/effectiveroutetable", code="InternalServerError"))
    interfaces = azure.network.network_interfaces

    assert (400, "InternalServerError") == refused(
        lambda: interfaces.begin_get_effective_route_table("rg-net", "nic-far").result()
    )
