"""
Network resources, and the rules of a security group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

Refused = Callable[[Callable[[], Any]], tuple[int | None, str]]

_RULE = {
    "protocol": "Tcp",
    "access": "Allow",
    "direction": "Outbound",
    "priority": 300,
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "Storage.WestEurope",
    "destinationPortRange": "443",
}


def put(azure: Any, name: str = "AllowStorage", **changes: Any) -> Any:
    """
    Put a rule into the group of the small estate; a change to None leaves the member out.
    """
    properties = {key: value for key, value in {**_RULE, **changes}.items() if value is not None}
    return azure.network.security_rules.begin_create_or_update("rg-net", "nsg-web", name, {"properties": properties})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("network_interfaces", "nic-web"),
        ("network_security_groups", "nsg-web"),
        ("virtual_networks", "vnet"),
        ("route_tables", "routes"),
        ("public_ip_addresses", "pip"),
        ("nat_gateways", "nat"),
    ],
)
def test_each_kind_is_listed_and_read(azure: Any, refused: Refused, kind: str, name: str) -> None:
    """
    All of a subscription, those of a group, and one tell the same resource.
    """
    client = getattr(azure.network, kind)
    one = client.get("rg-net", name)

    assert [name] == [body.name for body in client.list_all()]
    assert [one.id] == [body.id for body in client.list("rg-net")]
    assert [] == list(client.list("rg-empty"))
    assert (404, "ResourceNotFound") == refused(lambda: client.get("rg-net", "missing"))


@pytest.mark.parametrize(
    ("kind", "client", "listing"),
    [
        ("applicationSecurityGroups", "application_security_groups", "list_all"),
        ("loadBalancers", "load_balancers", "list_all"),
        ("privateEndpoints", "private_endpoints", "list_by_subscription"),
    ],
)
def test_what_an_estate_adds_to_a_network_is_listed_and_read(
    sandbox: Any, estate: Any, azure: Any, ids: Any, kind: str, client: str, listing: str
) -> None:
    """
    Groups of applications, balancers and private endpoints are told as the estate holds them.
    """
    body = {
        "id": ids.network(kind, "one"),
        "name": "one",
        "type": f"Microsoft.Network/{kind}",
        "location": "westeurope",
        "etag": 'W/"1"',
        "properties": {"provisioningState": "Succeeded"},
    }
    sandbox.load(replace(estate, resources=(*estate.resources, body)))
    of_kind = getattr(azure.network, client)

    assert [ids.network(kind, "one")] == [each.id for each in getattr(of_kind, listing)()]
    assert ["one"] == [each.name for each in of_kind.list("rg-net")]
    assert [] == list(of_kind.list("rg-empty"))
    assert "Succeeded" == of_kind.get("rg-net", "one").provisioning_state


def test_subnets_rules_and_routes_are_one_state_behind_two_urls(azure: Any) -> None:
    """
    What stands in the parent is what its own URL shows, and a subnet that an estate keeps beside its network is in it.
    """
    inline = {one.name: one.address_prefix for one in azure.network.virtual_networks.get("rg-net", "vnet").subnets}
    own = {one.name: one.address_prefix for one in azure.network.subnets.list("rg-net", "vnet")}

    assert {"front": "10.0.0.0/24", "back": "10.0.1.0/24"} == inline == own
    assert "10.0.1.0/24" == azure.network.subnets.get("rg-net", "vnet", "BACK").address_prefix
    assert ["out"] == [one.name for one in azure.network.routes.list("rg-net", "routes")]
    assert "Internet" == azure.network.routes.get("rg-net", "routes", "OUT").next_hop_type
    assert ["AllowBackup"] == [one.name for one in azure.network.security_rules.list("rg-net", "nsg-web")]


def test_a_missing_child_is_told_by_its_id(send: Any, ids: Any) -> None:
    """
    A rule that is not there gives NotFound, not ResourceNotFound, and says which.
    """
    path = ids.network("networkSecurityGroups", "nsg-web/securityRules/missing")
    expected = {"code": "NotFound", "message": f"Resource {path} not found.", "details": []}

    assert {"error": expected} == send("GET", path).json()


def test_every_group_has_the_six_default_rules(azure: Any) -> None:
    """
    The defaults stand at 65000 to 65500, three each way.
    """
    group = azure.network.network_security_groups.get("rg-net", "nsg-web")
    rules = {one.name: (one.priority, one.direction, one.access) for one in group.default_security_rules}

    assert {
        "AllowVnetInBound": (65000, "Inbound", "Allow"),
        "AllowAzureLoadBalancerInBound": (65001, "Inbound", "Allow"),
        "DenyAllInBound": (65500, "Inbound", "Deny"),
        "AllowVnetOutBound": (65000, "Outbound", "Allow"),
        "AllowInternetOutBound": (65001, "Outbound", "Allow"),
        "DenyAllOutBound": (65500, "Outbound", "Deny"),
    } == rules
    assert sorted(rules) == sorted(one.name for one in azure.network.default_security_rules.list("rg-net", "nsg-web"))
    assert 65500 == azure.network.default_security_rules.get("rg-net", "nsg-web", "DenyAllOutBound").priority


def test_a_rule_is_put_asynchronously(sandbox: Any, send: Any, ids: Any) -> None:
    """
    201 with Updating and an Azure-AsyncOperation alone; later Succeeded, and 200 for a change.
    """
    path = ids.network("networkSecurityGroups", "nsg-web/securityRules/AllowStorage")
    created = send("PUT", path, {"properties": _RULE})
    running = send("GET", created.headers["Azure-AsyncOperation"])
    sandbox.advance(4)
    done = send("GET", created.headers["Azure-AsyncOperation"])
    changed = send("PUT", path, {"properties": {**_RULE, "access": "Deny"}})

    assert (201, "Updating") == (created.status_code, created.json()["properties"]["provisioningState"])
    assert ("Enabled", False) == (created.headers["azure-asyncnotification"], "Location" in created.headers)
    assert ({"status": "InProgress"}, "10") == (running.json(), running.headers["Retry-After"])
    assert {"status": "Succeeded"} == done.json()
    assert (200, "Deny") == (changed.status_code, changed.json()["properties"]["access"])


def test_a_stored_rule_is_normal(azure: Any) -> None:
    """
    Words are spelled as the service spells them, and lists that were left out are empty.
    """
    rule = put(azure, protocol="Tcp", access="allow", direction="outbound").result()

    assert ("Tcp", "Allow", "Outbound", "Succeeded") == (
        rule.protocol,
        rule.access,
        rule.direction,
        rule.provisioning_state,
    )
    assert [] == rule.destination_port_ranges
    assert 2 == len(azure.network.network_security_groups.get("rg-net", "nsg-web").security_rules)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"priority": 99}, "SecurityRuleInvalidPriority"),
        ({"priority": 4097}, "SecurityRuleInvalidPriority"),
        ({"priority": 200}, "SecurityRuleConflict"),
        ({"priority": None}, "InvalidRequestFormat"),
        ({"priority": "300"}, "InvalidRequestFormat"),
        ({"protocol": None}, "InvalidRequestFormat"),
        ({"protocol": "Sctp"}, "InvalidRequestFormat"),
        ({"access": "Maybe"}, "InvalidRequestFormat"),
        ({"direction": None}, "InvalidRequestFormat"),
        ({"description": "x" * 141}, "SecurityRuleDescriptionTooLong"),
        ({"destinationPortRange": "66600"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": "90-80"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": "http"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": None}, "InvalidRequestFormat"),
        ({"destinationPortRanges": "80"}, "InvalidRequestFormat"),
        ({"destinationAddressPrefix": "10.0.0.0/42"}, "SecurityRuleInvalidAddressPrefix"),
        ({"destinationAddressPrefix": "not a tag"}, "SecurityRuleInvalidAddressPrefix"),
        ({"sourceAddressPrefix": None}, "InvalidRequestFormat"),
    ],
)
def test_a_rule_that_breaks_the_rules_is_refused(azure: Any, refused: Refused, changes: Any, expected: str) -> None:
    """
    Each mistake has its code, and nothing is stored.
    """
    assert (400, expected) == refused(lambda: put(azure, **changes))
    assert ["AllowBackup"] == [one.name for one in azure.network.security_rules.list("rg-net", "nsg-web")]


@pytest.mark.parametrize("name", ["-start", "end-", "a b", "x" * 81])
def test_a_rule_name_has_its_form(azure: Any, refused: Refused, name: str) -> None:
    """
    Names start with a letter or digit, end with one or an underscore, and have at most 80 characters.
    """
    assert (400, "InvalidResourceName") == refused(lambda: put(azure, name))


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 200, "direction": "Inbound"},
        {"priority": 100, "description": "x" * 140},
        {"priority": 4096, "protocol": "*"},
        {"destinationPortRange": None, "destinationPortRanges": ["80", "8000-8100"]},
        {"destinationAddressPrefix": None, "destinationAddressPrefixes": ["10.0.0.5/32", "2001:db8::/32"]},
        {"destinationAddressPrefix": None, "destinationApplicationSecurityGroups": [{"id": "/asg"}]},
    ],
)
def test_a_rule_at_the_limits_is_taken(azure: Any, changes: Any) -> None:
    """
    One priority may stand once each way, and each end has one of three forms.
    """
    assert "Succeeded" == put(azure, **changes).result().provisioning_state


def test_a_rule_may_be_put_again_as_it_is(azure: Any) -> None:
    """
    A rule does not conflict with itself.
    """
    put(azure).result()

    assert 300 == put(azure, "ALLOWSTORAGE").result().priority
    assert ["AllowBackup", "AllowStorage"] == [
        one.name for one in azure.network.security_rules.list("rg-net", "nsg-web")
    ]


def test_a_second_write_has_to_wait_for_the_first(send: Any, sandbox: Any, ids: Any) -> None:
    """
    While a group is being changed, another change gets 429 with a Retry-After.
    """
    path = ids.network("networkSecurityGroups", "nsg-web/securityRules")
    send("PUT", f"{path}/First", {"properties": _RULE})
    busy = send("PUT", f"{path}/Second", {"properties": {**_RULE, "priority": 301}})
    sandbox.advance(10)
    free = send("PUT", f"{path}/Second", {"properties": {**_RULE, "priority": 301}})

    assert (429, "RetryableErrorDueToAnotherOperation", "10") == (
        busy.status_code,
        busy.json()["error"]["details"][0]["code"],
        busy.headers["Retry-After"],
    )
    assert 201 == free.status_code


def test_a_rule_is_deleted_asynchronously(azure: Any, send: Any, sandbox: Any, ids: Any) -> None:
    """
    202 with both headers, 204 for one that is not there.
    """
    path = ids.network("networkSecurityGroups", "nsg-web/securityRules/AllowBackup")
    accepted = send("DELETE", path)
    waiting = send("GET", accepted.headers["Location"])
    sandbox.advance(4)

    assert [202, 202] == [accepted.status_code, waiting.status_code]
    assert 204 == send("GET", accepted.headers["Location"]).status_code
    assert [] == list(azure.network.security_rules.list("rg-net", "nsg-web"))
    assert 204 == send("DELETE", path).status_code
    azure.network.security_rules.begin_delete("rg-net", "nsg-web", "AllowBackup").result()


def test_a_rule_changes_only_from_the_state_that_the_caller_knows(send: Any, sandbox: Any, ids: Any) -> None:
    """
    Another etag than the current one is refused with 412, for a rule that is not there too; none and any pass.
    """
    path = ids.network("networkSecurityGroups", "nsg-web/securityRules/AllowStorage")
    asked = {"properties": _RULE}
    missing = send("PUT", path, asked, If_Match='W/"old"')
    created = send("PUT", path, asked)
    sandbox.advance(4)
    etag = created.json()["etag"]
    stale = [send(method, path, asked, If_Match='W/"old"') for method in ("PUT", "DELETE")]
    known = send("PUT", path, asked, If_Match=f'W/"older", {etag}')
    sandbox.advance(4)
    outdated = send("DELETE", path, If_Match=etag)
    deleted = send("DELETE", path, If_Match="*")

    assert [(412, "PreconditionFailed")] * 4 == [
        (one.status_code, one.json()["error"]["code"]) for one in (missing, *stale, outdated)
    ]
    assert [201, 200, 202] == [one.status_code for one in (created, known, deleted)]


def test_null_members_of_a_rule_are_passed_over(send: Any, ids: Any) -> None:
    """
    Null is as if it were not there.
    """
    path = ids.network("networkSecurityGroups", "nsg-web/securityRules/AllowStorage")
    properties = {**_RULE, "description": None, "sourcePortRanges": None}
    rule = send("PUT", path, {"id": None, "properties": properties}).json()

    assert (path, []) == (rule["id"], rule["properties"]["sourcePortRanges"])
    assert "description" not in rule["properties"]


def test_an_operation_of_another_kind_is_not_told_here(send: Any, ids: Any) -> None:
    """
    The status of an operation that the network does not know is 404.
    """
    place = f"/subscriptions/{ids.one}/providers/Microsoft.Network/locations/westeurope"

    assert [404, 404] == [
        send("GET", f"{place}/{road}/nothing").status_code for road in ("operations", "operationResults")
    ]
