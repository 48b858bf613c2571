"""
Microsoft.Resources: tenants, subscriptions, locations, provider registration and resource groups.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re
import uuid

from runbook_lib.sandbox.access import sees_subscription
from runbook_lib.sandbox.answers import Answer, ArmError, gateway_error, raise_failure, resource_group_not_found
from runbook_lib.sandbox.call import Call, Effect, Failure, Route, Tenant, paged
from runbook_lib.sandbox.locations import REGIONS, region
from runbook_lib.sandbox.state import Body, key_of, normal_location

__all__ = ["EFFECTS", "FAILURES", "ROUTES", "page_size", "require_registration"]

_ACCESS = "microsoft.authorization"
_LOCATION_TYPE = "microsoft.resources/subscriptions/locations"
_GROUP_TYPE = "microsoft.resources/resourcegroups"
_GROUP_NAME = re.compile(r"[-\w.()]{0,89}[-\w()]")
_TOP_DIGITS = 9
_NO_REGION = ("operations", "locations")
# What a provider that no estate mentions answers about itself: its types, and whether it must be registered at all.
_PROVIDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "Microsoft.Compute": (
        ("availabilitySets", "disks", "virtualMachines", "virtualMachines/extensions", "locations", "operations"),
        "RegistrationRequired",
    ),
    "Microsoft.Network": (
        (
            "applicationSecurityGroups",
            "loadBalancers",
            "natGateways",
            "networkInterfaces",
            "networkSecurityGroups",
            "privateEndpoints",
            "publicIPAddresses",
            "routeTables",
            "virtualNetworks",
            "locations",
            "operations",
        ),
        "RegistrationRequired",
    ),
    "Microsoft.RecoveryServices": (
        ("vaults", "locations", "locations/backupStatus", "operations"),
        "RegistrationRequired",
    ),
    "Microsoft.Resources": (("tenants", "subscriptions", "resourceGroups", "operations"), "RegistrationFree"),
}
_API_VERSIONS = {
    "Microsoft.Compute": ["2026-04-01", "2025-04-01", "2024-07-01"],
    "Microsoft.Network": ["2026-03-01", "2025-05-01", "2024-05-01"],
    "Microsoft.RecoveryServices": ["2026-11-01", "2026-10-01", "2025-08-01", "2024-04-01"],
    "Microsoft.Resources": ["2025-04-01", "2022-12-01", "2021-04-01"],
}


def require_registration(tenant: Tenant, subscription: str, namespace: str) -> None:
    """
    Refuse to write for a subscription that is not registered with a provider.

    Raises:
        ArmError: 409 MissingSubscriptionRegistration.
    """
    body = tenant.state.get(f"/subscriptions/{subscription}/providers/{namespace}") or {}
    if body.get("registrationState", "Registered") != "Registered":
        spelled = body.get("namespace", namespace)
        message = (
            f"The subscription is not registered to use namespace '{spelled}'."
            " See https://aka.ms/rps-not-found for how to register subscriptions."
        )
        code = "MissingSubscriptionRegistration"
        details = [{"code": code, "target": spelled, "message": message}]
        raise gateway_error(409, code, message, extra={"details": details})


def _tenants(call: Call) -> Answer:
    ids = {body.get("tenantId", "") for _, body in call.state.scan("microsoft.resources/subscriptions")} - {""}
    value = [{"id": f"/tenants/{one}", "tenantId": one, "tenantCategory": "Home"} for one in sorted(ids)]
    return Answer(status=200, body={"value": value})


def _subscriptions(call: Call) -> Answer:
    answer = paged(
        call,
        "subscriptions",
        lambda after: call.state.scan("microsoft.resources/subscriptions", after=after),
        keep=lambda body: sees_subscription(call.state, call.caller, body["id"]),
        shape=_nameless,
    )
    answer.body["count"] = {"type": "Total", "value": len(answer.body["value"])}
    return answer


def _subscription(call: Call) -> Answer:
    return Answer(status=200, body=_nameless(call.state.get(call.subscription_scope) or {}))


def _nameless(body: Body) -> Body:
    # An estate gives every body a name and a type; Azure's subscriptions and providers have neither.
    return {name: value for name, value in body.items() if name not in ("name", "type")}


def _locations(call: Call) -> Answer:
    told = [body for _, body in call.state.scan(_LOCATION_TYPE, call.subscription_scope)]
    known = [one.body(call.names["subscription"]) for one in REGIONS.values()]
    return Answer(status=200, body={"value": told or known})


def _provider(call: Call) -> Answer:
    return Answer(status=200, body=_provider_body(call))


def _providers(call: Call) -> Answer:
    spelled = {key_of(namespace): namespace for namespace in _PROVIDERS}
    for _, body in call.state.scan("microsoft.resources/providers", f"{call.subscription_scope}/providers"):
        namespace = body["id"].rpartition("/")[2]
        spelled.setdefault(key_of(namespace), namespace)
    value = [_filled(call, spelled[key]) for key in sorted(spelled)]
    return Answer(status=200, body={"value": value})


def _register(call: Call) -> Answer:
    body = _provider_body(call)
    if body["registrationState"] != "Registered":
        body["registrationState"] = "Registering"
        stored = call.state.get(body["id"]) or {"id": body["id"], "namespace": body["namespace"]}
        call.state.put(stored | {"registrationState": "Registering"})
        if call.state.running(body["id"], ("provider.register",)) is None:
            call.tenant.begin("provider.register", body["id"], {"provider": body["id"]})
    return Answer(status=200, body=body)


def _registered(tenant: Tenant, args: Body) -> None:
    body = tenant.state.get(args["provider"])
    if body is not None:
        tenant.state.put(body | {"registrationState": "Registered"})


def _unregistered(tenant: Tenant, args: Body, error: ArmError) -> None:
    body = tenant.state.get(args["provider"])
    if body is not None:
        tenant.state.put(body | {"registrationState": "NotRegistered"})


def _provider_body(call: Call) -> Body:
    namespace = call.names["namespace"]
    spelled = {key_of(one): one for one in _PROVIDERS}.get(key_of(namespace))
    if spelled is None and call.state.get(f"{call.subscription_scope}/providers/{namespace}") is None:
        raise gateway_error(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
    return _filled(call, spelled or namespace)


def _filled(call: Call, namespace: str) -> Body:
    resource_id = f"{call.subscription_scope}/providers/{namespace}"
    types, policy = _PROVIDERS.get(namespace, ((), "RegistrationRequired"))
    versions = _API_VERSIONS.get(namespace, [])
    displays = [one.display for one in REGIONS.values() if one.physical]
    defaults: Body = {
        "id": resource_id,
        "namespace": namespace,
        "registrationState": "Registered",
        "registrationPolicy": policy,
        "resourceTypes": [
            {
                "resourceType": one,
                "locations": [] if one in _NO_REGION or namespace == "Microsoft.Resources" else displays,
                "apiVersions": versions,
                "defaultApiVersion": versions[0],
                "capabilities": "None",
            }
            for one in types
        ],
    }
    return defaults | _nameless(call.state.get(resource_id) or {})


def _groups(call: Call) -> Answer:
    wanted = call.filter()
    name, value = wanted.get("tagname"), wanted.get("tagvalue")

    def keep(body: Body) -> bool:
        own = body.get("tags")
        tags = {tag.lower(): text for tag, text in own.items()} if isinstance(own, dict) else {}
        return name is None or (name.lower() in tags and (value is None or tags[name.lower()] == value))

    return paged(
        call,
        "resourceGroups",
        lambda after: call.state.scan(_GROUP_TYPE, call.subscription_scope, after),
        keep=keep,
        size=page_size(call),
    )


def page_size(call: Call) -> int | None:
    """
    Return how many rows a call asks for with `$top`; None when it leaves that to the service.

    Raises:
        ArmError: `$top` is no whole number above 0.
    """
    top = call.query.get("$top", "")
    if top and (not top.isascii() or not top.isdigit() or len(top) > _TOP_DIGITS or int(top) == 0):
        raise ArmError(400, "InvalidTop", f"The value '{top}' of $top must be a whole number above 0.")
    return int(top) if top else None


def _group(call: Call) -> Answer:
    return Answer(status=200, body=call.echo(_existing_group(call)))


def _group_exists(call: Call) -> Answer:
    _existing_group(call)
    return Answer(status=204)


def _put_group(call: Call) -> Answer:
    group, location = call.names["group"], call.body.get("location")
    if not _GROUP_NAME.fullmatch(group):
        raise gateway_error(
            400,
            "InvalidResourceGroup",
            f"The provided resource group name '{group}' is invalid: it must be 1 to 90 letters, digits, underscores,"
            " hyphens, periods and parentheses, and must not end in a period.",
        )
    if not isinstance(location, str) or not location:
        raise gateway_error(400, "LocationRequired", "The location property is required for this definition.")
    old = call.state.get(call.group_scope)
    if old is None and region(location) is None:
        available = ",".join(one.name for one in REGIONS.values() if one.physical)
        raise gateway_error(
            400,
            "LocationNotAvailableForResourceGroup",
            f"The provided location '{location}' is not available for resource group."
            f" List of available regions is '{available}'.",
        )
    # A group that an estate only implies may have no location.
    if old is not None and normal_location(old.get("location") or location) != normal_location(location):
        raise gateway_error(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{location}'."
            f" The Resource group already exists in location '{old['location']}'.",
        )
    if old is not None and call.state.running(call.group_scope, ("group.delete",)):
        raise gateway_error(
            409,
            "ResourceGroupBeingDeleted",
            f"The resource group '{group}' is in deprovisioning state and cannot perform this operation.",
        )
    body: Body = old or {
        "id": call.group_scope,
        "name": group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": normal_location(location),
        "properties": {"provisioningState": "Succeeded"},
    }
    body = {name: value for name, value in body.items() if name != "tags"}
    if isinstance(call.body.get("tags"), dict):
        body["tags"] = call.body["tags"]
    call.state.put(body)
    return Answer(status=201 if old is None else 200, body=call.echo(body))


def _delete_group(call: Call) -> Answer:
    body = _existing_group(call)
    held = call.state.holds(f"{call.group_scope}/providers")
    # Roles and locks go with the group.
    inside = next((key for key in held if not key.startswith(f"{key_of(body['id'])}/providers/{_ACCESS}/")), None)
    if inside is not None:
        raise gateway_error(
            409,
            "ResourceGroupDeletionBlocked",
            f"Deletion of resource group '{call.names['group']}' failed as resources with identifiers '{inside}'"
            " could not be deleted. The sandbox deletes empty resource groups only.",
        )
    operation = call.tenant.begin(
        "group.delete", body["id"], {"group": body["id"]}, operation_id=f"GROUP-DELETE-{uuid.uuid4()}"
    )
    return Answer(status=202, headers=_poll_headers(call, operation))


def _deleted_group(tenant: Tenant, args: Body) -> None:
    tenant.state.delete(args["group"])


def _group_result(call: Call) -> Answer:
    operation = call.state.operation(call.names["operation"])
    own = key_of(call.subscription_scope)
    if operation is None or operation["kind"] != "group.delete" or not operation["target"].startswith(f"{own}/"):
        raise ArmError(404, "OperationNotFound", f"The operation '{call.names['operation']}' was not found.")
    if operation["status"] == "InProgress":
        return Answer(status=202, headers=_poll_headers(call, operation["id"]))
    raise_failure(operation)
    return Answer(status=200)


def _poll_headers(call: Call, operation: str) -> dict[str, str]:
    return {"Location": call.url(f"{call.subscription_scope}/operationresults/{operation}"), "Retry-After": "15"}


def _existing_group(call: Call) -> Body:
    body = call.state.get(call.group_scope)
    if body is None:
        raise resource_group_not_found(call.names["group"])
    return body


_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"
_PROVIDER = "/subscriptions/{subscription}/providers/{namespace}"

ROUTES = (
    Route(method="GET", path="/tenants", handler=_tenants),
    Route(method="GET", path="/subscriptions", handler=_subscriptions),
    Route(method="GET", path="/subscriptions/{subscription}", handler=_subscription),
    Route(method="GET", path="/subscriptions/{subscription}/locations", handler=_locations),
    Route(method="GET", path="/subscriptions/{subscription}/providers", handler=_providers),
    Route(method="GET", path=_PROVIDER, handler=_provider),
    Route(method="POST", path=f"{_PROVIDER}/register", handler=_register, writes=True),
    Route(method="GET", path="/subscriptions/{subscription}/resourceGroups", handler=_groups),
    Route(method="GET", path=_GROUP, handler=_group),
    Route(method="HEAD", path=_GROUP, handler=_group_exists),
    Route(method="PUT", path=_GROUP, handler=_put_group, writes=True),
    Route(method="DELETE", path=_GROUP, handler=_delete_group, writes=True),
    Route(method="GET", path="/subscriptions/{subscription}/operationresults/{operation}", handler=_group_result),
)
FAILURES: dict[str, Failure] = {"provider.register": _unregistered}
EFFECTS: dict[str, Effect] = {"group.delete": _deleted_group, "provider.register": _registered}
