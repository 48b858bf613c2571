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
# What the specs of 2024 do not have, though Azure was recorded answering it.
UNSPECIFIED = {
    "GET /subscriptions/{subscription}/operationresults/{operation}",
    "GET /subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operationResults/{operation}",
    "GET /subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operations/{operation}",
    "GET /subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.RecoveryServices/vaults/{vault}"
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
