"""
The bugs that the sandbox is seeded with, one at a time, to see whether the gates object.

The list was written before it was first measured, and what survives stays in it. Imports the sandbox and `seeding`.
"""

from __future__ import annotations

from typing import Any

from fidelity.seeding import (
    Apply,
    Mutant,
    Patch,
    answer,
    body,
    edited,
    handled,
    instead,
    no_effect,
    result,
    status,
    without,
)

from runbook_lib.sandbox import call, effective, front, network, recoveryservices
from runbook_lib.sandbox.answers import Answer, ArmError
from runbook_lib.sandbox.backup import jobs, operations, policies, protection
from runbook_lib.sandbox.call import Call, Handler
from runbook_lib.sandbox.router import Match, Router
from runbook_lib.sandbox.state import Body, State

__all__ = ["MUTANTS"]

_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_VM = f"{_GROUP}/providers/Microsoft.Compute/virtualMachines/{{vm}}"
_COMPUTE = f"{_SUBSCRIPTION}/providers/Microsoft.Compute"
_NETWORK = f"{_GROUP}/providers/Microsoft.Network"
_NETWORKS = f"{_SUBSCRIPTION}/providers/Microsoft.Network/locations/{{location}}"
_RULE = f"{_NETWORK}/networkSecurityGroups/{{name}}/securityRules/{{child}}"
_PLACE = "providers/Microsoft.RecoveryServices/locations/{location}"
_VAULT = f"{_GROUP}/providers/Microsoft.RecoveryServices/vaults/{{vault}}"
_POLICY = f"{_VAULT}/backupPolicies/{{policy}}"
_JOB = f"{_VAULT}/backupJobs/{{job}}"
_FABRIC = f"{_VAULT}/backupFabrics/{{fabric}}"
_ITEM = f"{_FABRIC}/protectionContainers/{{container}}/protectedItems/{{item}}"
_JOBS = "microsoft.recoveryservices/vaults/backupjobs"


def _case_matters(patch: Patch) -> None:
    match = Router.match

    def exact(self: Router, path: str) -> Match | None:
        found = match(self, path)
        parts = path.rstrip("/").split("/")
        forms = [] if found is None else [route.path.split("/") for route in found.routes.values()]
        same = [
            all(word in ("", part) or word[0] == "{" for word, part in zip(form, parts, strict=True)) for form in forms
        ]
        return found if any(same) else None

    patch.setattr(Router, "match", exact)


def _same_word(word: str, part: str) -> bool:
    return word == part or word.startswith("{")


def _no_envelope(error: ArmError) -> Answer:
    return Answer(status=error.status, body=error.error, headers=error.headers)


def _other_code(kind: str, name: str, group: str) -> ArmError:
    return ArmError(404, "NotFound", f"{kind}/{name} was not found in {group}.")


def _lower_id(asked: Call, shown: Body, depth: int = 4) -> Body:
    return {**shown, "id": shown["id"].lower()}


def _whole_type(state: State, type_key: str, scope: str, location: str, after: str) -> Any:
    return state.scan(type_key, scope, after)


def _let_pass(*args: Any, **kwargs: Any) -> None:
    """
    Refuse nothing.
    """


def _flipped(operation: Body) -> Body:
    other = {"InProgress": "Succeeded", "Succeeded": "InProgress"}
    return operation | {"status": other.get(operation["status"], operation["status"])}


def _finished(trigger: Handler) -> Handler:
    def done(asked: Call) -> Answer:
        given = trigger(asked)
        for _, job in list(asked.state.scan(_JOBS)):
            asked.state.put(edited(job, "properties/status", "Completed"))
        return given

    return done


def _renamed_job(patch: Patch) -> None:
    start = jobs.start_job

    def other(tenant: Any, vault: Body, item: Body, operation: str, bag: Body) -> str:
        return start(tenant, vault, item, operation.replace("ConfigureBackup", "ConfigureProtection"), bag)

    patch.setattr(protection, "start_job", other)


def _succeeded_jobs(patch: Patch) -> None:
    end = jobs.end_job

    def ended(tenant: Any, vault_id: str, name: str, state: str, error: ArmError | None) -> None:
        end(tenant, vault_id, name, state.replace("Completed", "Succeeded"), error)

    patch.setattr(jobs, "end_job", ended)


def _other_road(given: Answer) -> Answer:
    headers = {name: url.replace("/operationStatus/", "/operationsStatus/") for name, url in given.headers.items()}
    return Answer(status=given.status, body=given.body, headers=headers)


def _replaced(old: str, new: str) -> Any:
    return lambda text: text.replace(old, new)


_RESOURCES = {
    "The state of a provider's registration is in lower case": answer(
        f"GET {_SUBSCRIPTION}/providers/{{namespace}}", body("registrationState", str.lower)
    ),
    "Regions have no metadata": answer(f"GET {_SUBSCRIPTION}/locations", body("value/*/metadata")),
    "A subscription is Active, which is no state of one": answer(f"GET {_SUBSCRIPTION}", body("state", "Active")),
    "The list of subscriptions is an object": answer("GET /subscriptions", body("value", {})),
    "A group that is there is answered with 200 to HEAD": answer(f"HEAD {_GROUP}", status(200)),
    "The deletion of a group has no Location": answer(f"DELETE {_GROUP}", without("location")),
}
_FRONT: dict[str, Apply] = {
    "Paths are compared with regard to case": _case_matters,
    "Errors have no envelope": instead(ArmError, "answer", _no_envelope),
    "Answers have no request id": result(front, "_front_headers", lambda sent: edited(sent, "x-ms-request-id")),
    "Answers have a header of the sandbox's own": result(front, "_front_headers", lambda sent: sent | {"x-own": "1"}),
    "Lists end after their first page": instead(call, "_next_link", lambda asked, last: ""),
    "A page repeats the last row of the one before": result(call, "_skipped", lambda token: token[:-1]),
    "Filters are ignored": instead(Call, "filter", lambda asked: {}),
    "Ids are in lower case": instead(Call, "echo", _lower_id),
    "Polling URLs have no api-version": result(Call, "url", lambda url: url.partition("?")[0]),
    "A missing resource has the code NotFound": instead(call, "resource_not_found", _other_code),
    "A missing group has the code of a missing resource": instead(
        front, "resource_group_not_found", lambda group: ArmError(404, "ResourceNotFound", f"{group} was not found.")
    ),
}
_COMPUTE_BUGS = {
    "VMs in a list have no location": answer(f"GET {_COMPUTE}/virtualMachines", body("value/*/location")),
    "The statuses of an instance view are an object": answer(f"GET {_VM}/instanceView", body("statuses", {})),
    "Deallocating a VM is answered without Location": answer(f"POST {_VM}/deallocate", without("location")),
    "Powering a VM off is answered with 200": answer(f"POST {_VM}/powerOff", status(200)),
    "A new extension is answered with 200": answer(f"PUT {_VM}/extensions/{{extension}}", status(200)),
    "An extension stays Creating": no_effect("extension.put"),
    "An operation of Compute is Running": answer(
        f"GET {_COMPUTE}/locations/{{location}}/operations/{{operation}}",
        body("status", _replaced("InProgress", "Running")),
    ),
    "The id of a VM is a number": answer(f"GET {_VM}", body("properties/vmId", 7)),
}
_NETWORK_BUGS = {
    "A new rule is answered without Azure-AsyncOperation": answer(f"PUT {_RULE}", without("azure-asyncoperation")),
    "A rule stays Updating": no_effect("rule.put"),
    "A deleted rule stays": no_effect("rule.delete"),
    "A security group does not show its default rules": instead(network, "with_default_rules", lambda group: group),
    "Effective rules keep the asterisk of a protocol": instead(effective, "_PROTOCOLS", {}),
    "Effective routes are answered at once": answer(
        f"POST {_NETWORK}/networkInterfaces/{{name}}/effectiveRouteTable", status(200)
    ),
    "An operation of Network shows its name": answer(f"GET {_NETWORKS}/operations/{{operation}}", body("name", "o")),
    "Subnets are listed under another name": answer(
        f"GET {_NETWORK}/virtualNetworks/{{name}}/subnets",
        lambda given: Answer(status=given.status, body={"subnets": given.body["value"]}),
    ),
    "The number of the service tags is a number": answer(f"GET {_NETWORKS}/serviceTags", body("changeNumber", 160)),
    "A route's next hop is in lower case": answer(
        f"GET {_NETWORK}/routeTables/{{name}}/routes/{{child}}", body("properties/nextHopType", str.lower)
    ),
}
_VAULT_BUGS = {
    "A new vault is answered with 200": answer(f"PUT {_VAULT}", status(200)),
    "A changed vault is answered without Location": answer(f"PATCH {_VAULT}", without("location")),
    "A vault stays Provisioning": no_effect("vault.create"),
    "The road to a vault's operations is spelled as that of backup": answer(f"PATCH {_VAULT}", _other_road),
    "A vault does not show its security settings": answer(f"GET {_VAULT}", body("properties/securitySettings")),
    "A vault shows what the sandbox remembers": answer(f"GET {_VAULT}", body("properties/registered", True)),
    "A vault with items can be deleted": instead(recoveryservices, "_refuse_with_items", _let_pass),
    "A free name is told as a text": answer(
        f"POST {_GROUP}/{_PLACE}/checkNameAvailability", body("nameAvailable", str)
    ),
    "The storage of a vault does not show its type": answer(
        f"GET {_VAULT}/backupstorageconfig/vaultstorageconfig", body("properties/storageModelType")
    ),
    "The soft delete of a vault is told as a truth value": answer(
        f"GET {_VAULT}/backupconfig/vaultconfig", body("properties/softDeleteFeatureState", True)
    ),
}
_POLICY_BUGS = {
    "A new policy is answered with 201": answer(f"PUT {_POLICY}", status(201)),
    "Policies do not count their items": result(
        policies, "_counted", lambda policy: edited(policy, "properties/protectedItemsCount")
    ),
    "The times of a policy have no zone": answer(
        f"GET {_POLICY}", body("properties/schedulePolicy/scheduleRunTimes/*", _replaced("Z", ""))
    ),
    "Policies show who made them": answer(f"GET {_VAULT}/backupPolicies", body("value/*/properties/createdBy", "me")),
}
_PROTECTION_BUGS = {
    "Enabled protection is answered without Azure-AsyncOperation": answer(
        f"PUT {_ITEM}", without("azure-asyncoperation")
    ),
    "Items have the type of old api-versions": answer(
        f"GET {_ITEM}", body("properties/protectedItemType", "AzureIaaSVMProtectedItem")
    ),
    "Deleted items are gone at once": instead(protection, "soft_delete", lambda vault: {"softDeleteState": "Disabled"}),
    "The end of an operation of backup is called Completed": result(
        operations, "_find", lambda found: edited(found, "status", _replaced("Succeeded", "Completed"))
    ),
    "Operations of backup do not name their jobs": answer(
        f"GET {_VAULT}/backupOperations/{{operation}}", body("properties")
    ),
    "Operations of backup succeed before they are done": result(
        operations, "_find", lambda found: edited(found, "status", "Succeeded")
    ),
    "Operations of backup run after they are done": result(operations, "_find", _flipped),
    "Containers are spelled in lower case in an item's id": result(
        protection, "_shown", lambda item: edited(item, "id", _replaced("/IaasVMContainer;", "/iaasvmcontainer;"))
    ),
    "The protection status of a VM is in lower case": answer(
        f"POST {_SUBSCRIPTION}/{_PLACE}/backupStatus", body("protectionStatus", str.lower)
    ),
    "VMs that are protected are protectable too": instead(State, "unprotected", _whole_type),
    "A discovery ends with 200": answer(
        f"GET {_FABRIC}/operationResults/{{operation}}",
        lambda given: Answer(status=200 if given.status == 204 else given.status, headers=given.headers),
    ),
    "A discovery is answered without Location": answer(f"POST {_FABRIC}/refreshContainers", without("location")),
}
_JOB_BUGS = {
    "The job of enabled protection has another name": _renamed_job,
    "Jobs end as Succeeded": _succeeded_jobs,
    "The duration of a job is a number": answer(f"GET {_JOB}", body("properties/duration", 12)),
    "Jobs do not name what they are about": answer(f"GET {_JOB}", body("properties/entityFriendlyName")),
    "A backup is done as soon as it is asked for": handled(f"POST {_ITEM}/backup", _finished),
}

MUTANTS = tuple(
    Mutant(name=name, apply=apply)
    for bugs in (
        _FRONT,
        _RESOURCES,
        _COMPUTE_BUGS,
        _NETWORK_BUGS,
        _VAULT_BUGS,
        _POLICY_BUGS,
        _PROTECTION_BUGS,
        _JOB_BUGS,
    )
    for name, apply in bugs.items()
)
