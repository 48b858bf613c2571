"""
Roles and locks: who may do what, and what nobody may change.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.rest import HttpRequest, HttpResponse

from runbook_lib.sandbox import Estate, Sandbox
from runbook_lib.sandbox.access import action_of
from runbook_lib.sandbox.app import ROUTES

Send = Callable[..., HttpResponse]

_ONE = "/subscriptions/11111111-1111-1111-1111-111111111111"
_APP = f"{_ONE}/resourceGroups/rg-app"
_VAULTS = f"{_ONE}/resourceGroups/rg-vault"
_VAULT = f"{_VAULTS}/providers/Microsoft.RecoveryServices/vaults/rsv-old"
_VM = f"{_APP}/providers/Microsoft.Compute/virtualMachines/web"
_OPERATOR = "aaaaaaaa-0000-0000-0000-000000000001"
_GROUP = "aaaaaaaa-0000-0000-0000-000000000002"
_READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
_BACKUP_READER = "a795c7a0-d4a2-40c1-ae25-d81f01202912"
_BACKUP_CONTRIBUTOR = "5e467623-bb1f-42f4-a55d-6e525e11384b"
_CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"


def token(**claims: Any) -> str:
    """
    Return a bearer token with *claims*; nobody signed it.
    """
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer e30.{text}."


def assigned(scope: str, role: str, principal: str = _OPERATOR) -> dict[str, Any]:
    """
    Return a role assignment as an estate holds it.
    """
    return {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{role}",
        "name": role,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": f"{_ONE}/providers/Microsoft.Authorization/roleDefinitions/{role}",
            "principalId": principal,
            "scope": scope,
        },
    }


@pytest.fixture
def with_roles(sandbox: Sandbox, estate: Estate) -> Callable[..., None]:
    """
    Loads the small estate with more resources, such as role assignments.
    """

    def load(*resources: dict[str, Any], **profile: Any) -> None:
        sandbox.load(replace(estate, resources=(*estate.resources, *resources), profile=profile))

    return load


def denied(response: HttpResponse) -> str:
    """
    Return the message of a response that denies access.
    """
    assert (403, "AuthorizationFailed") == (response.status_code, response.json()["error"]["code"])
    return str(response.json()["error"]["message"])


def test_a_caller_with_a_role_is_held_to_it(with_roles: Any, send: Send) -> None:
    """
    The refusal names the caller, the action and the scope.
    """
    with_roles(assigned(_ONE, _READER))
    caller = token(oid=_OPERATOR, upn="op@contoso.com")
    refused = send("PUT", f"{_VAULTS}/providers/Microsoft.RecoveryServices/vaults/rsv-new", {}, token=caller)

    assert 200 == send("GET", _VAULT, token=caller).status_code
    assert (
        f"The client 'op@contoso.com' with object id '{_OPERATOR}' does not have authorization to perform action"
        f" 'Microsoft.RecoveryServices/vaults/write' over scope '{_VAULTS}/providers/Microsoft.RecoveryServices/vaults"
        "/rsv-new' or the scope is invalid. If access was recently granted, please refresh your credentials."
    ) == denied(refused)
    assert "gateway" == refused.headers["x-ms-failure-cause"]


def test_a_caller_whom_nobody_assigned_a_role_may_do_everything(with_roles: Any, send: Send) -> None:
    """
    The owner of a sandbox needs no assignment.
    """
    with_roles(assigned(_ONE, _READER))

    assert [201, 201] == [
        send("PUT", f"{_ONE}/resourcegroups/rg-{name}", {"location": "westeurope"}, token=caller).status_code
        for name, caller in (("a", "Bearer any"), ("b", token(oid="somebody-else")))
    ]


def test_the_profile_names_the_caller_of_a_token_without_claims(with_roles: Any, send: Send) -> None:
    """
    So that a run can be rehearsed with the rights that its operator will have.
    """
    with_roles(assigned(_ONE, _BACKUP_READER), caller=_OPERATOR)

    assert 200 == send("GET", f"{_VAULT}/backupPolicies").status_code
    assert "Microsoft.Compute/virtualMachines/read" in denied(send("GET", _VM))


def test_a_role_counts_for_the_groups_of_the_token(with_roles: Any, send: Send) -> None:
    """
    A caller has the roles of the groups that the token lists.
    """
    with_roles(assigned(_APP, _READER, _GROUP))
    caller = token(oid=_OPERATOR, groups=[_GROUP])

    assert 200 == send("GET", _VM, token=caller).status_code
    assert denied(send("GET", _VAULT, token=caller))


def test_a_list_over_a_subscription_shows_what_the_caller_may_see(with_roles: Any, send: Send) -> None:
    """
    With a role on a group the list has the group's resources; without any below it is refused.
    """
    with_roles(assigned(_VAULTS, _READER))
    caller = token(oid=_OPERATOR)
    vaults = send("GET", f"{_ONE}/providers/Microsoft.RecoveryServices/vaults", token=caller)
    vms = send("GET", f"{_ONE}/providers/Microsoft.Compute/virtualMachines", token=caller)

    assert ["rsv-old"] == [one["name"] for one in vaults.json()["value"]]
    assert [] == vms.json()["value"]
    assert denied(send("GET", "/subscriptions/22222222-2222-2222-2222-222222222222/resources", token=caller))


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        (_BACKUP_READER, "POST", f"{_VAULT}/backupFabrics/Azure/refreshContainers", False),
        (_BACKUP_READER, "GET", f"{_VAULT}/backupProtectableItems", False),
        (_BACKUP_CONTRIBUTOR, "GET", f"{_VAULT}/backupProtectableItems", True),
        (_BACKUP_CONTRIBUTOR, "POST", f"{_VAULT}/backupFabrics/Azure/refreshContainers", True),
        (_BACKUP_CONTRIBUTOR, "DELETE", _VAULT, False),
        (_BACKUP_CONTRIBUTOR, "GET", f"{_VAULT}/backupstorageconfig/vaultstorageconfig", True),
        (_CONTRIBUTOR, "PUT", f"{_ONE}/providers/Microsoft.Authorization/locks/l", False),
        (_CONTRIBUTOR, "GET", f"{_ONE}/providers/Microsoft.Authorization/locks", True),
    ],
)
def test_the_roles_that_every_tenant_has(
    with_roles: Any, send: Send, role: str, method: str, path: str, allowed: bool
) -> None:
    """
    What each may do, by its public definition.
    """
    with_roles(assigned(_ONE, role))
    body = {"properties": {"level": "ReadOnly"}} if method == "PUT" else None

    assert allowed == (send(method, path, body, token=token(oid=_OPERATOR)).status_code != 403)


def test_a_role_of_the_tenant_may_be_assigned(with_roles: Any, send: Send) -> None:
    """
    A custom role allows its actions, but for those that it leaves out.
    """
    role = "cccccccc-0000-0000-0000-000000000001"
    permission = {"actions": ["Microsoft.Compute/*"], "notActions": ["Microsoft.Compute/virtualMachines/extensions/*"]}
    definition = {
        "id": f"{_ONE}/providers/Microsoft.Authorization/roleDefinitions/{role}",
        "name": role,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {"roleName": "VM looker", "type": "CustomRole", "permissions": [permission]},
    }
    with_roles(definition, assigned(_ONE, role))
    caller = token(oid=_OPERATOR)

    assert 200 == send("GET", _VM, token=caller).status_code
    assert denied(send("GET", f"{_VM}/extensions", token=caller))
    assert denied(send("GET", f"{_ONE}/providers/Microsoft.Authorization/permissions", token=caller))


def test_permissions_are_those_of_the_roles_at_the_scope_and_above(with_roles: Any, send: Send) -> None:
    """
    One permission for each role; a caller without roles has one that allows everything.
    """
    with_roles(assigned(_ONE, _BACKUP_READER), assigned(_VAULTS, _READER))
    path = "/providers/Microsoft.Authorization/permissions"
    own = [
        send("GET", f"{scope}{path}", token=token(oid=_OPERATOR)).json()["value"] for scope in (_ONE, _VAULTS, _VAULT)
    ]

    assert [1, 2, 2] == [len(value) for value in own]
    assert ["*/read"] in [permission["actions"] for permission in own[2]]
    assert [["*"]] == [one["actions"] for one in send("GET", f"{_VAULT}{path}").json()["value"]]


def test_roles_and_assignments_can_be_read(with_roles: Any, send: Send) -> None:
    """
    Definitions by name or by filter, assignments at a scope.
    """
    with_roles(assigned(_ONE, _READER))
    base = f"{_VAULT}/providers/Microsoft.Authorization"
    role = send("GET", f"{base}/roleDefinitions/{_READER.upper()}").json()
    found = send("GET", f"{base}/roleDefinitions?$filter=roleName%20eq%20'Backup%20Reader'").json()["value"]

    assert ("Reader", "BuiltInRole") == (role["properties"]["roleName"], role["properties"]["type"])
    assert [_BACKUP_READER] == [one["name"] for one in found]
    assert [_OPERATOR] == [
        one["properties"]["principalId"] for one in send("GET", f"{base}/roleAssignments").json()["value"]
    ]
    assert 404 == send("GET", f"{base}/roleDefinitions/none").status_code


def test_every_operation_has_an_action_of_a_provider() -> None:
    """
    Derived from its path: the provider, the kinds, and what is done to them.
    """
    by_path = {(route.method, route.path): action_of(route) for route in ROUTES}
    item = (
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.RecoveryServices/vaults/{vault}"
        "/backupFabrics/{fabric}/protectionContainers/{container}/protectedItems/{item}"
    )

    assert all(action.startswith(("Microsoft.", "{namespace}/register")) for action in by_path.values())
    assert (
        "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/backup/action"
        == by_path["POST", f"{item}/backup"]
    )
    assert (
        "Microsoft.Resources/subscriptions/resourceGroups/write"
        == by_path["PUT", "/subscriptions/{subscription}/resourceGroups/{group}"]
    )


def lock(level: str) -> dict[str, Any]:
    """
    Return the body of a lock.
    """
    return {"properties": {"level": level, "notes": "kept"}}


def test_a_lock_keeps_what_it_holds_from_deletion(send: Send) -> None:
    """
    What lies below the lock's scope cannot be deleted, but can be changed; the lock itself can be removed.
    """
    lock_path = f"{_VAULTS}/providers/Microsoft.Authorization/locks/keep"
    made = send("PUT", lock_path, lock("CanNotDelete"), version="2020-05-01")
    refused = send("DELETE", _VAULT)

    assert (201, "keep") == (made.status_code, made.json()["name"])
    assert (409, "ScopeLocked") == (refused.status_code, refused.json()["error"]["code"])
    assert (
        f"The scope '{_VAULT}' cannot perform delete operation because following scope(s) are locked: '{_VAULTS}'."
        " Please remove the lock and try again."
    ) == refused.json()["error"]["message"]
    assert 202 == send("PATCH", _VAULT, {"tags": {"a": "b"}}).status_code
    assert [200, 204] == [send("DELETE", lock_path).status_code for _ in range(2)]


def test_a_read_only_lock_refuses_every_change(send: Send) -> None:
    """
    Reads go on; a change, an action and a deletion are refused, within the scope only.
    """
    send("PUT", f"{_VAULT}/providers/Microsoft.Authorization/locks/still", lock("ReadOnly"))

    assert [200, 409, 409, 409, 201] == [
        send(method, path, body).status_code
        for method, path, body in (
            ("GET", _VAULT, None),
            ("PATCH", _VAULT, {"tags": {}}),
            ("POST", f"{_VAULT}/backupFabrics/Azure/refreshContainers", None),
            ("DELETE", f"{_VAULT}/backupPolicies/DefaultPolicy", None),
            ("PUT", f"{_ONE}/resourcegroups/rg-other", {"location": "westeurope"}),
        )
    ]


def test_locks_are_listed_at_above_and_below_a_scope(send: Send) -> None:
    """
    `atScope()` leaves out those below; one that does not exist is 404, and a level that is none is refused.
    """
    for scope in (_ONE, _VAULTS, _VAULT, _APP):
        send("PUT", f"{scope}/providers/Microsoft.Authorization/locks/on-{scope[-6:]}", lock("CanNotDelete"))
    path = f"{_VAULTS}/providers/Microsoft.Authorization/locks"

    def names(query: str = "") -> list[str]:
        return sorted(one["name"] for one in send("GET", f"{path}{query}").json()["value"])

    assert ["on-111111", "on--vault", "on-sv-old"] == sorted(names(), key=lambda one: (one != "on-111111", one))
    assert ["on--vault", "on-111111"] == names("?$filter=atScope()")
    assert [200, 404, 404] == [
        send("GET", each).status_code
        for each in (f"{path}/on--vault", f"{path}/none", f"{_VAULT}x/providers/Microsoft.Authorization/locks")
    ]
    assert 400 == send("PUT", f"{path}/bad", {"properties": {"level": "Firm"}}).status_code
    assert 200 == send("PUT", f"{path}/on--vault", lock("ReadOnly")).status_code


def test_all_resources_are_listed_whatever_their_provider(send: Send) -> None:
    """
    By subscription or group, filtered by type, name, location or tag, in pages.
    """
    everything = send("GET", f"{_ONE}/resources").json()["value"]
    kinds = {one["type"] for one in everything}
    vms = send("GET", f"{_APP}/resources?$filter=resourceType%20eq%20'microsoft.compute/virtualmachines'&$top=2")

    assert {"Microsoft.Compute/virtualMachines", "Microsoft.RecoveryServices/vaults"} <= kinds
    assert set() == {"properties"} & {name for one in everything for name in one}
    assert (2, True) == (len(vms.json()["value"]), "nextLink" in vms.json())
    assert 404 == send("GET", f"{_ONE}/resourceGroups/none/resources").status_code
    assert 400 == send("GET", f"{_ONE}/resources?$filter=colour%20eq%20'red'").status_code
    assert [] == send("GET", f"{_ONE}/resources?$filter=tagName%20eq%20'none'").json()["value"]


def test_a_caller_sees_the_subscriptions_in_which_they_have_a_role(with_roles: Any, send: Send) -> None:
    """
    A role on a group is enough; who has none anywhere sees all.
    """
    with_roles(assigned(_APP, _READER))

    assert [["One"], ["One", "Two"]] == [
        [one["displayName"] for one in send("GET", "/subscriptions", token=caller).json()["value"]]
        for caller in (token(oid=_OPERATOR), "Bearer any")
    ]


@pytest.mark.parametrize(
    "path", ["//subscriptions/{}/resourceGroups/rg-empty", "/subscriptions/{}//resourceGroups/rg-empty"]
)
def test_empty_segments_of_a_path_open_no_door(with_roles: Any, sandbox: Sandbox, path: str) -> None:
    """
    Roles and locks hold for what the path leads to, however it is written.
    """
    with_roles(assigned(_APP, _READER))
    client: Any = PipelineClient("https://management.azure.com", transport=sandbox.transport(), policies=[])
    url = f"https://management.azure.com{path.format(_ONE.rpartition('/')[2])}?api-version=2025-04-01"
    headers = {"Authorization": token(oid=_OPERATOR)}

    assert 403 == client.send_request(HttpRequest("DELETE", url, headers=headers)).status_code


def test_a_lock_holds_whatever_a_resource_is_called(send: Send) -> None:
    """
    A vault by the name of `providers` is a vault.
    """
    vault = f"{_VAULTS}/providers/Microsoft.RecoveryServices/vaults/providers"
    send("PUT", vault, {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}})
    send("PUT", f"{vault}/providers/Microsoft.Authorization/locks/still", lock("ReadOnly"))

    assert [409, 409] == [
        send("PATCH", vault, {"tags": {}}).status_code,
        send("DELETE", f"{vault}/backupPolicies/EnhancedPolicy").status_code,
    ]


@pytest.mark.parametrize("level", ["cannotdelete", "CANNOTDELETE"])
def test_the_level_of_a_lock_counts_in_any_case(with_roles: Any, send: Send, level: str) -> None:
    """
    An estate made by another tool may spell it otherwise.
    """
    path = f"{_VAULTS}/providers/Microsoft.Authorization/locks/l"
    with_roles({"id": path, "name": "l", "type": "Microsoft.Authorization/locks", "properties": {"level": level}})

    assert 409 == send("DELETE", _VAULT).status_code


def test_enabling_needs_a_right_on_the_vm_as_well(with_roles: Any, send: Send, ids: Any) -> None:
    """
    Who may write to the vault only is refused, with the right and the VM named.
    """
    with_roles(assigned(_VAULTS, _BACKUP_CONTRIBUTOR))
    body = {
        "properties": {
            "protectedItemType": "Microsoft.Compute/virtualMachines",
            "sourceResourceId": ids.vm("web"),
            "policyId": f"{ids.vault}/backupPolicies/DefaultPolicy",
        }
    }
    refused = send("PUT", ids.item("web"), body, token=token(oid=_OPERATOR))

    assert (403, "LinkedAuthorizationFailed") == (refused.status_code, refused.json()["error"]["code"])
    assert f"'Microsoft.Compute/virtualMachines/write' on the linked scope(s) '{ids.vm('web')}'" in refused.text()


def test_who_starts_an_operation_may_ask_how_it_goes(with_roles: Any, send: Send) -> None:
    """
    The URLs that the service itself gives are not refused to a caller with a role on a group only.
    """
    network = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    with_roles(assigned(f"{_ONE}/resourceGroups/rg-net", network))
    caller = token(oid=_OPERATOR)
    rule = {
        "protocol": "Tcp",
        "access": "Allow",
        "priority": 300,
        "direction": "Outbound",
        "sourcePortRange": "*",
        "destinationPortRange": "443",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "Storage",
    }
    path = f"{_ONE}/resourceGroups/rg-net/providers/Microsoft.Network/networkSecurityGroups/nsg-web/securityRules/new"
    accepted = send("PUT", path, {"properties": rule}, token=caller)

    assert 201 == accepted.status_code
    assert 200 == send("GET", accepted.headers["Azure-AsyncOperation"], token=caller).status_code


def test_roles_and_locks_of_other_scopes_are_not_shown(with_roles: Any, send: Send) -> None:
    """
    A reader of one group sees the assignments of that group.
    """
    with_roles(assigned(_APP, _READER), assigned(_VAULTS, _BACKUP_READER, "somebody-else"))
    path = f"{_ONE}/providers/Microsoft.Authorization/roleAssignments"
    shown = send("GET", path, token=token(oid=_OPERATOR)).json()["value"]

    assert [_READER] == [one["name"] for one in shown]


@pytest.mark.parametrize("role", [{"actions": 5}, {"actions": [5, None]}, "text", {"actions": {"a": 1}}])
def test_a_role_that_nobody_can_read_allows_nothing(with_roles: Any, send: Send, role: Any) -> None:
    """
    What an estate holds in place of permissions is refused, not crashed on.
    """
    name = "cccccccc-0000-0000-0000-000000000009"
    definition = {
        "id": f"{_ONE}/providers/Microsoft.Authorization/roleDefinitions/{name}",
        "name": name,
        "properties": {"permissions": [role]},
    }
    with_roles(definition, assigned(_ONE, name))

    assert denied(send("GET", _VM, token=token(oid=_OPERATOR)))


@pytest.mark.parametrize("claims", ["[" * 100_000, "null", '"text"', '{"oid": ["a"]}', '{"oid": "\\ud800"}', "\x00"])
def test_no_token_upsets_the_front_door(sandbox: Sandbox, send: Send, claims: str) -> None:
    """
    Whatever its claims are, it is a token that names nobody, or somebody without a role.
    """
    sandbox.configure(throttle="arm2024")
    text = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")

    assert 200 == send("GET", _VM, token=f"Bearer e30.{text}.").status_code


def test_a_group_is_deleted_with_its_roles_and_locks(with_roles: Any, send: Send) -> None:
    """
    They do not make it one that is not empty.
    """
    with_roles(assigned(f"{_ONE}/resourceGroups/rg-empty", _READER))

    assert 202 == send("DELETE", f"{_ONE}/resourceGroups/rg-empty").status_code


@pytest.mark.parametrize("scope", [_ONE, _VAULTS, _VAULT])
def test_locks_roles_and_permissions_have_one_form_at_every_scope(with_roles: Any, send: Send, scope: str) -> None:
    """
    A subscription, a group and a resource are asked alike.
    """
    with_roles(assigned(scope, _READER, "somebody"))
    base = f"{scope}/providers/Microsoft.Authorization"

    assert [201, 200, 200, 200, 200, 200, 200, 200] == [
        send(method, f"{base}/{path}", body, version="2022-04-01").status_code
        for method, path, body in (
            ("PUT", "locks/l", lock("CanNotDelete")),
            ("GET", "locks/l", None),
            ("GET", "locks", None),
            ("DELETE", "locks/l", None),
            ("GET", "permissions", None),
            ("GET", "roleAssignments", None),
            ("GET", "roleDefinitions", None),
            ("GET", f"roleDefinitions/{_READER}", None),
        )
    ]
