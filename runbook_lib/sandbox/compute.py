"""
Microsoft.Compute, as it is read: virtual machines with their views and extensions, disks and availability sets.

Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

from collections.abc import Callable

from runbook_lib.sandbox.answers import Answer, ArmError, resource_not_found
from runbook_lib.sandbox.call import Call, Handler, Route, member, paged
from runbook_lib.sandbox.state import Body, State, key_of

__all__ = [
    "EXTENSION_TYPE",
    "ROUTES",
    "VM_TYPE",
    "add_extension",
    "agent_ready",
    "is_running",
    "os_type",
    "statuses",
    "view_extension",
    "vm_properties",
]

VM_TYPE = "microsoft.compute/virtualmachines"
EXTENSION_TYPE = "microsoft.compute/virtualmachines/extensions"

_NAMESPACE = "Microsoft.Compute"
_VM = f"{_NAMESPACE}/virtualMachines"
_OTHERS = ("availabilitySets", "disks")


def vm_properties(vm: Body) -> Body:
    """
    Return the properties of a VM, an empty object when it was stored without.
    """
    return member(vm, "properties")


def is_running(state: State, vm_id: str) -> bool:
    """
    Tell whether the instance view of a VM says that it runs.
    """
    return any(status.get("code") == "PowerState/running" for status in statuses(state.runtime(vm_id)))


def agent_ready(state: State, vm_id: str) -> bool:
    """
    Tell whether the instance view of a VM says that its agent works.
    """
    agent = state.runtime(vm_id).get("vmAgent") or {}
    return any(status.get("displayStatus") == "Ready" for status in statuses(agent))


def os_type(vm: Body) -> str:
    """
    Return the operating system of a VM, as its disk says: `Windows` or `Linux`; empty when it does not.
    """
    disk = member(member(vm_properties(vm), "storageProfile"), "osDisk")
    return str(disk.get("osType") or "")


def statuses(part: Body) -> list[Body]:
    """
    Return the statuses of an instance view, or of a part of one.
    """
    return [status for status in part.get("statuses") or [] if isinstance(status, dict)]


def add_extension(state: State, vm: Body, publisher: str, kind: str, version: str, time: str) -> None:
    """
    Put an extension on a VM as its agent would, into the list and into the instance view.
    """
    state.put(
        {
            "name": kind,
            "id": f"{vm['id']}/extensions/{kind}",
            "type": "Microsoft.Compute/virtualMachines/extensions",
            "location": vm.get("location", ""),
            "properties": {
                "autoUpgradeMinorVersion": True,
                "provisioningState": "Succeeded",
                "publisher": publisher,
                "type": kind,
                "typeHandlerVersion": version,
                "settings": {},
            },
        }
    )
    view_extension(state, vm["id"], kind, f"{publisher}.{kind}", version, time)


def view_extension(state: State, vm_id: str, name: str, handler: str, version: str, time: str) -> None:
    """
    Show an extension that works in the instance view of a VM, in place of one of the same handler.
    """
    view = state.runtime(vm_id)
    status = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "message": "Plugin enabled",
        "time": time,
    }
    others = [one for one in view.get("extensions") or [] if one.get("type") != handler]
    entry = {"name": name, "type": handler, "typeHandlerVersion": version, "statuses": [status]}
    state.set_runtime(vm_id, view | {"extensions": [*others, entry]})


def _list_all(call: Call) -> Answer:
    return _list(call, call.subscription_scope, _capital_group)


def _list_group(call: Call) -> Answer:
    return _list(call, call.group_scope, call.echo)


def _list_location(call: Call) -> Answer:
    place = key_of(call.names["location"])
    return _list(call, call.subscription_scope, _capital_group, lambda body: key_of(body.get("location", "")) == place)


def _list(call: Call, scope: str, spelled: Callable[[Body], Body], keep: Callable[[Body], bool] = bool) -> Answer:
    scale_set = _scale_set(call)
    expand = call.query.get("$expand", "")
    if expand and not scale_set:
        raise ArmError(
            400,
            "InvalidParameter",
            f"The expand expression '{expand}' is allowed on a list only together with a filter"
            " 'virtualMachineScaleSet/id'.",
            extra={"target": "$expand"},
        )
    status_only = key_of(call.query.get("statusonly", "")) == "true"

    def shape(body: Body) -> Body:
        if status_only:
            body = _status_only(call, body)
        elif expand:
            body = _expanded(call, body)
        return spelled(body)

    def wanted(body: Body) -> bool:
        own = member(vm_properties(body), "virtualMachineScaleSet").get("id", "")
        return keep(body) and (not scale_set or key_of(own) == key_of(scale_set))

    return paged(
        call, "virtualMachines", lambda after: call.state.scan(VM_TYPE, scope, after), keep=wanted, shape=shape
    )


def _scale_set(call: Call) -> str:
    wanted = call.filter()
    if set(wanted) - {"virtualmachinescaleset/id"}:
        raise ArmError(
            400,
            "InvalidParameter",
            "The filter may name 'virtualMachineScaleSet/id' only.",
            extra={"target": "$filter"},
        )
    return wanted.get("virtualmachinescaleset/id", "")


def _capital_group(body: Body) -> Body:
    # Real lists of a subscription write the group so, while a GET of one VM does not.
    parts = body["id"].split("/")
    parts[4] = parts[4].upper()
    return {**body, "id": "/".join(parts)}


def _status_only(call: Call, body: Body) -> Body:
    properties = vm_properties(body)
    view = _view(call, body)
    if call.tenant.profile.status_only == "power":
        view = {"statuses": view["statuses"]}
    shown: Body = {name: body[name] for name in ("name", "id", "type", "location") if name in body}
    kept = {name: properties[name] for name in ("vmId", "provisioningState") if name in properties}
    shown["properties"] = {**kept, "instanceView": view}
    return shown


def _expanded(call: Call, body: Body) -> Body:
    return {**body, "properties": {**vm_properties(body), "instanceView": _view(call, body)}}


def _view(call: Call, body: Body) -> Body:
    view: Body = {"statuses": []}
    return view | call.state.runtime(body["id"])


def _get(call: Call) -> Answer:
    body = call.resource(_VM, call.names["vm"])
    extensions = [call.echo(extension) for extension in _extensions(call)]
    if extensions:
        body["resources"] = extensions
    expand = [key_of(part.strip()) for part in call.query.get("$expand", "").split(",") if part.strip()]
    unknown = set(expand) - {"instanceview", "userdata"}
    if unknown:
        raise ArmError(
            400,
            "InvalidParameter",
            f"The value '{call.query['$expand']}' of parameter $expand is invalid.",
            extra={"target": "$expand"},
        )
    return Answer(status=200, body=call.echo(_expanded(call, body) if "instanceview" in expand else body))


def _instance_view(call: Call) -> Answer:
    return Answer(status=200, body=_view(call, call.resource(_VM, call.names["vm"])))


def _list_extensions(call: Call) -> Answer:
    call.resource(_VM, call.names["vm"])
    return Answer(status=200, body={"value": [call.echo(body) for body in _extensions(call)]})


def _get_extension(call: Call) -> Answer:
    vm = call.resource(_VM, call.names["vm"])
    body = call.state.get(f"{vm['id']}/extensions/{call.names['extension']}")
    if body is None:
        name = f"{call.names['vm']}/extensions/{call.names['extension']}"
        raise resource_not_found(_VM, name, call.names["group"])
    return Answer(status=200, body=call.echo(body))


def _all_of(kind: str) -> Handler:
    def handler(call: Call) -> Answer:
        rows = f"{_NAMESPACE}/{kind}".lower()
        return paged(
            call, kind, lambda after: call.state.scan(rows, call.subscription_scope, after), shape=_capital_group
        )

    return handler


def _group_of(kind: str) -> Handler:
    def handler(call: Call) -> Answer:
        rows = f"{_NAMESPACE}/{kind}".lower()
        return paged(call, kind, lambda after: call.state.scan(rows, call.group_scope, after), shape=call.echo)

    return handler


def _one_of(kind: str) -> Handler:
    def handler(call: Call) -> Answer:
        return Answer(status=200, body=call.echo(call.resource(f"{_NAMESPACE}/{kind}", call.names["name"])))

    return handler


def _extensions(call: Call) -> list[Body]:
    scope = f"{call.group_scope}/providers/{_VM}/{call.names['vm']}"
    return [body for _, body in call.state.scan(EXTENSION_TYPE, scope)]


_ALL = "/subscriptions/{subscription}/providers/Microsoft.Compute"
_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute"

ROUTES = (
    Route(method="GET", path=f"{_ALL}/virtualMachines", handler=_list_all),
    Route(method="GET", path=f"{_ALL}/locations/{{location}}/virtualMachines", handler=_list_location),
    Route(method="GET", path=f"{_GROUP}/virtualMachines", handler=_list_group),
    Route(method="GET", path=f"{_GROUP}/virtualMachines/{{vm}}", handler=_get),
    Route(method="GET", path=f"{_GROUP}/virtualMachines/{{vm}}/instanceView", handler=_instance_view),
    Route(method="GET", path=f"{_GROUP}/virtualMachines/{{vm}}/extensions", handler=_list_extensions),
    Route(method="GET", path=f"{_GROUP}/virtualMachines/{{vm}}/extensions/{{extension}}", handler=_get_extension),
    *(Route(method="GET", path=f"{_ALL}/{kind}", handler=_all_of(kind)) for kind in _OTHERS),
    *(Route(method="GET", path=f"{_GROUP}/{kind}", handler=_group_of(kind)) for kind in _OTHERS),
    *(Route(method="GET", path=f"{_GROUP}/{kind}/{{name}}", handler=_one_of(kind)) for kind in _OTHERS),
)
