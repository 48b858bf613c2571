"""
Which VMs a run is about: what is named is found, and what is not found is an error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import TWO, estate, inventory, provider, vm
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.errors import InvalidParameters
from runbook_lib.parameters import Parameters
from runbook_lib.records import Inventory, VirtualMachine
from runbook_lib.selection import accepted_risk, select

A = vm("web", "rg-a", tags={"Wave": "1", "owner": "O'Neil"})
B = vm("web", "RG-B", tags={"wave": "2"})
C = vm("db", "rg-a", location="northeurope")
WORLD = inventory(provider(), A, B, C)


def chosen(selector: str = "all", world: Inventory = WORLD, **asked: Any) -> list[str]:
    """
    Name what is selected, as group/name.
    """
    return [f"{each.resource_group}/{each.name}" for each in select(world, Parameters(vm_selector=selector, **asked))]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("all", ["rg-a/db", "rg-a/web", "RG-B/web"]),
        ("name:WEB", ["rg-a/web", "RG-B/web"]),
        ("group:rg-b", ["RG-B/web"]),
        ("tag:wave", ["rg-a/web", "RG-B/web"]),
        ("tag:WAVE=1", ["rg-a/web"]),
        ("tag:owner=O'Neil", ["rg-a/web"]),
        (A.id, ["rg-a/web"]),
        (f"{A.id.upper()}/", ["rg-a/web"]),
        (f"{C.id}, {B.id.lower()},{C.id}", ["rg-a/db", "RG-B/web"]),
    ],
)
def test_a_selector_finds_what_it_names(selector: str, names: list[str]) -> None:
    """
    Names, groups, tag names and ids have no case; what is selected comes in the order of ids, each once.
    """
    assert names == chosen(selector)


@pytest.mark.parametrize("selector", ["name:we", "group:rg", "tag:wave=3", "tag:WAV", "tag:owner=o'neil", "tag:wave="])
def test_a_selector_that_finds_nothing_is_an_error(selector: str) -> None:
    """
    A typing error must not pass for an empty estate; a tag's value has its case.
    """
    with pytest.raises(InvalidParameters, match="selects none of 3 VMs"):
        chosen(selector)


def test_an_estate_without_vms_is_an_error() -> None:
    """
    There is nothing to prepare.
    """
    with pytest.raises(InvalidParameters, match="There is no VM"):
        chosen(world=inventory(provider()))


def test_a_listed_vm_that_does_not_exist_is_an_error() -> None:
    """
    The first of them is named.
    """
    gone = A.id.replace("rg-a", "rg-c")

    with pytest.raises(InvalidParameters) as refusal:
        chosen(f"{A.id},{gone},nonsense")
    assert ("vm_missing", gone) == (refusal.value.message, refusal.value.facts["value"])


def test_a_selection_that_was_good_refuses_nothing_later() -> None:
    """
    A VM that goes missing in the middle of a run is told of; the run still comes to its end.
    """
    machine = vm()
    asked = Parameters(vm_selector=machine.id)

    assert () == select(replace(inventory(provider()), sought=(machine.id,)), asked)


def test_a_region_narrows_the_selection() -> None:
    """
    In either of its spellings.
    """
    assert ["rg-a/db"] == chosen(location="North Europe")
    assert ["rg-a/web"] == chosen("group:rg-a", location="westeurope")


def test_a_region_that_offers_no_vaults_is_an_error() -> None:
    """
    An unknown region is a typing error, and is answered with the regions that there are.
    """
    with pytest.raises(InvalidParameters, match="Offered are: northeurope, westeurope"):
        chosen(location="westeurpoe")


def test_a_region_is_not_judged_where_nobody_knows_the_regions() -> None:
    """
    Where the provider could not be read, the VMs decide.
    """
    assert ["rg-a/db"] == chosen(location="northeurope", world=inventory(A, C))
    with pytest.raises(InvalidParameters, match="selects none"):
        chosen(location="westeurpoe", world=inventory(A, C))


def test_a_risk_is_accepted_for_one_vm_by_its_id() -> None:
    """
    A name would hit a VM of that name in another group.
    """
    asked = Parameters(accept_risk={A.id.upper(): "known"})

    assert "known" == accepted_risk(A, asked)
    assert "" == accepted_risk(B, asked)


@pytest.mark.parametrize("named", ["web", "rg-a/web", "", A.id + "x", vm("web", "rg-a", TWO).id])
def test_a_risk_for_what_is_not_selected_is_an_error(named: str) -> None:
    """
    Else the risk would be thought of as accepted, and the VM be left out.
    """
    with pytest.raises(InvalidParameters) as refusal:
        select(WORLD, Parameters(accept_risk={named: "known"}))
    assert ("vm_missing", named) == (refusal.value.message, refusal.value.facts["value"])


def test_a_risk_for_a_vm_outside_of_the_selection_is_an_error() -> None:
    """
    The VM exists, but this run is not about it.
    """
    with pytest.raises(InvalidParameters, match="not among the VMs of this run"):
        select(WORLD, Parameters(vm_selector="name:db", accept_risk={A.id: "known"}))


@given(st.permutations([A, B, C]))
def test_the_order_of_reading_does_not_matter(order: list[VirtualMachine]) -> None:
    """
    The same estate gives the same selection, however the pages came.
    """
    world = replace(estate(), vms={each.id.lower(): each for each in (A, B, C)})
    shuffled = replace(world, vms={each.id.lower(): each for each in order})

    assert select(world, Parameters()) == select(shuffled, Parameters())
