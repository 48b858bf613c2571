"""
The gate "spec": what the sandbox takes and answers in its own tests, held against Microsoft's specs.
"""

from __future__ import annotations

import pytest
from fidelity.measure import Measurement
from fidelity.specs import Allowed, read_allowed

from runbook_lib.sandbox.app import ROUTES

# The first test runs the sandbox's whole suite.
pytestmark = pytest.mark.timeout(900)
_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_RESOURCE = f"{_GROUP}/providers/{{provider}}/{{kind}}/{{resource}}"
_AUTHORIZATION = "providers/Microsoft.Authorization"
_COMPUTE = "providers/Microsoft.Compute"
_NETWORKS = f"{_SUBSCRIPTION}/providers/Microsoft.Network/locations/{{location}}"
_DELETED = f"{_SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/{{location}}/deletedVaults"
_SCOPES = (_SUBSCRIPTION, _GROUP, _RESOURCE)
# What the validator finds no operation for in the specs of 2024.
UNSPECIFIED = {
    f"GET {_SUBSCRIPTION}/operationresults/{{operation}}",
    f"GET {_SUBSCRIPTION}/{_AUTHORIZATION}/permissions",
    f"GET {_RESOURCE}/{_AUTHORIZATION}/permissions",
    f"GET {_RESOURCE}/{_AUTHORIZATION}/roleDefinitions",
    f"GET {_RESOURCE}/{_AUTHORIZATION}/roleDefinitions/{{role}}",
    *(f"GET {scope}/{_AUTHORIZATION}/roleAssignments" for scope in _SCOPES),
    *(f"GET {scope}/{_AUTHORIZATION}/locks" for scope in _SCOPES),
    *(f"{method} {scope}/{_AUTHORIZATION}/locks/{{lock}}" for scope in _SCOPES for method in ("GET", "PUT", "DELETE")),
    *(f"GET {scope}/{_COMPUTE}/{kind}" for scope in (_SUBSCRIPTION, _GROUP) for kind in ("availabilitySets", "disks")),
    *(f"GET {_GROUP}/{_COMPUTE}/{kind}/{{name}}" for kind in ("availabilitySets", "disks")),
    f"GET {_SUBSCRIPTION}/{_COMPUTE}/locations/{{location}}/operations/{{operation}}",
    f"GET {_NETWORKS}/operationResults/{{operation}}",
    f"GET {_NETWORKS}/operations/{{operation}}",
    f"GET {_GROUP}/providers/Microsoft.KeyVault/vaults/{{name}}",
    f"GET {_DELETED}",
    f"GET {_DELETED}/{{deleted}}",
    f"GET {_DELETED}/{{deleted}}/operations/{{operation}}",
    f"POST {_DELETED}/{{deleted}}/undelete",
    f"GET {_GROUP}/providers/Microsoft.RecoveryServices/vaults/{{vault}}"
    "/backupFabrics/{fabric}/operationsStatus/{operation}",
}


def test_the_suite_exercises_every_operation_with_success(measured: Measurement) -> None:
    """
    An operation that no test sees succeed would pass all gates unjudged.
    """
    seen = {each["operation"] for each in measured.traffic if each["response"]["status"] < 300}

    assert set() == {f"{route.method} {route.path}" for route in ROUTES} - seen


def test_no_exchange_deviates_from_the_specs_where_azure_does_not(measured: Measurement) -> None:
    """
    Every finding is one that Azure itself was recorded with.
    """
    allowed = read_allowed()

    assert [] == sorted(each for each in measured.findings if not any(entry.covers(each) for entry in allowed))


def test_operations_that_the_specs_lack_are_named(measured: Measurement) -> None:
    """
    Nothing is left unjudged in silence.
    """
    unjudged = {
        exchange["operation"]
        for exchange, verdict in zip(measured.traffic, measured.verdicts, strict=True)
        if verdict.operation is None and exchange["response"]["status"] < 300
    }

    assert UNSPECIFIED == unjudged


@pytest.mark.parametrize("entry", read_allowed(), ids=lambda entry: f"{entry.operations[0]}{entry.path}")
def test_a_deviation_is_proved_by_its_recording(measured: Measurement, entry: Allowed) -> None:
    """
    The recording that an entry names shows the same finding for one of the entry's operations.
    """
    assert any(entry.covers(finding) for finding in measured.proved[entry])


@pytest.mark.parametrize("entry", read_allowed(), ids=lambda entry: f"{entry.operations[0]}{entry.path}")
def test_an_allowed_deviation_is_still_needed(measured: Measurement, entry: Allowed) -> None:
    """
    The sandbox shows an entry's finding for each of its operations; what it no longer does leaves the list.
    """
    shown = {finding.operation for finding in measured.findings if entry.covers(finding)}

    assert set(entry.operations) == shown
