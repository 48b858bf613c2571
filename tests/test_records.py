"""
Records and their JSON form: what is written is read back, what is no record is named.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from builders import ONE, estate, item, kinds, nic, nsg, planned, rule, vault, vm
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.records import (
    Agent,
    Change,
    Disk,
    Extension,
    Finding,
    Inventory,
    Plan,
    ProtectedItem,
    SecurityGroup,
    Status,
    Step,
    Target,
    Unread,
    Vault,
    Verdict,
    VirtualMachine,
    VmVerdict,
    decode,
    digest,
    encode,
    id_part,
    key,
    material,
    resource_group_of,
    subscription_of,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_OBJECTS = st.dictionaries(st.text(), _JSON, max_size=3)
_TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))]))
_VMS = st.builds(
    VirtualMachine,
    id=st.text(),
    name=st.text(),
    location=st.text(),
    tags=st.dictionaries(st.text(), st.text(), max_size=3),
    os_disk=st.builds(Disk, name=st.text(), unmanaged=st.booleans()),
    data_disks=st.lists(st.builds(Disk, id=st.text(), size_gb=st.integers()), max_size=2).map(tuple),
    provision_agent=st.none() | st.booleans(),
    nic_ids=st.lists(st.text(), max_size=2).map(tuple),
    agent=st.none() | st.builds(Agent, status=st.text(), version=st.text(), message=st.text()),
    extensions=st.lists(st.builds(Extension, name=st.text(), type=st.text(), status=st.text()), max_size=2).map(tuple),
)
_ITEMS = st.builds(
    ProtectedItem,
    id=st.text(),
    name=st.text(),
    vault_id=st.text(),
    source_id=st.text(),
    protection=st.text(),
    soft_deleted=st.booleans(),
    last_backup_time=st.none() | _TIMES,
)
_VAULTS = st.builds(
    Vault, id=st.text(), name=st.text(), location=st.text(), redundancy_locked=st.none() | st.booleans()
)
_UNREAD = st.builds(Unread, scope=st.text(), what=st.text(), status=st.integers(), code=st.text(), message=st.text())
_CHANGES = st.builds(
    Change,
    kind=st.text(),
    step=st.text(),
    target=st.text(),
    reads=st.lists(st.text(), max_size=2).map(tuple),
    body=_OBJECTS,
    irreversible=st.lists(st.text(), max_size=2).map(tuple),
    facts=_OBJECTS,
)
_RECORDS = st.one_of(
    _VMS,
    _ITEMS,
    _VAULTS,
    _CHANGES,
    st.builds(
        Finding,
        check=st.text(),
        resource=st.text(),
        status=st.sampled_from(Status),
        guide=st.sampled_from(Status),
        case=st.text(),
        facts=_OBJECTS,
    ),
    st.builds(VmVerdict, vm=st.text(), verdict=st.sampled_from(Verdict), decisive=st.just(("agent", "region"))),
    st.builds(
        Step,
        number=st.text(),
        changes=st.lists(_CHANGES, max_size=2).map(tuple),
        world=st.dictionaries(st.text(), st.lists(st.none() | _OBJECTS, max_size=3).map(tuple), max_size=2),
    ),
    st.builds(
        Inventory,
        read_at=_TIMES,
        target=st.builds(Target, kind=st.text(), name=st.text()),
        vms=st.dictionaries(st.text(), _VMS, max_size=2),
        items=st.dictionaries(st.text(), _ITEMS, max_size=2),
        unread=st.lists(_UNREAD, max_size=2).map(tuple),
    ),
)


@given(_RECORDS)
def test_a_record_is_read_back_from_its_json_as_it_was(record: Any) -> None:
    """
    encode, json and decode are a round trip, whatever text, time or nesting a record holds.
    """
    assert record == decode(type(record), json.loads(json.dumps(encode(record))))


def test_a_plan_is_read_back_with_its_digest() -> None:
    """
    plan.json gives the very plan again, so that its digest still names it.
    """
    made = planned(estate(), policy_name="Nightly")
    again = decode(Plan, json.loads(json.dumps(encode(made))))

    assert made == again
    assert kinds(made)


def test_a_field_that_holds_its_default_is_left_out() -> None:
    """
    Files stay small, and a new field with a default reads old files.
    """
    assert {"status": "Ready", "version": "1.0"} == encode(Agent(status="Ready", version="1.0"))


@pytest.mark.parametrize(
    ("kind", "data", "complaint"),
    [
        (Agent, {"status": "Ready"}, "Agent: missing field 'version'"),
        (Agent, {"status": "Ready", "version": "1", "colour": "red"}, "Agent: unknown field 'colour'"),
        (Agent, {"status": 1, "version": "1"}, "Agent.status: str expected, not int"),
        (Agent, [], "Agent: dict expected, not list"),
        (Agent, None, "Agent: dict expected, not NoneType"),
        (Disk, {"size_gb": True}, "size_gb: int expected"),
        (Disk, {"size_gb": 1.5}, "size_gb: int expected"),
        (Disk, {"unmanaged": 0}, "unmanaged: bool expe"),
        (VirtualMachine, {"id": "a", "name": "b", "location": "c", "data_disks": [1]}, "data_disks[0]: dict expected"),
        (VirtualMachine, {"id": "a", "name": "b", "location": "c", "nic_ids": "x"}, "nic_ids: list expected"),
        (VirtualMachine, {"id": "a", "name": "b", "location": "c", "nic_ids": ["x", 2]}, "nic_ids[1]: str expected"),
        (VirtualMachine, {"id": "a", "name": "b", "location": "c", "tags": {"x": None}}, "tags.x: str expected"),
        (VirtualMachine, {"id": "a", "name": "b", "location": "c", "agent": {"status": "s"}}, "agent: missing field"),
        (Vault, {"id": "a", "name": "b", "location": "c", "redundancy_locked": "no"}, "redundancy_locked: bool exp"),
        (VmVerdict, {"vm": "a", "verdict": "FINE"}, "VmVerdict.verdict: 'FINE' is none of"),
        (VmVerdict, {"vm": "a", "verdict": ["READY"]}, "VmVerdict.verdict: ['READY'] is none of"),
        (Inventory, {"read_at": "yesterday", "target": {}}, "read_at: not an ISO 8601 time: 'yesterday'"),
        (Inventory, {"read_at": 5, "target": {}}, "read_at: str expected, not int"),
        (Inventory, {"read_at": "2026-11-22T12:00:00", "target": {}}, "read_at: a time without its zone"),
        (
            Inventory,
            {"read_at": "2026-11-22T12:00:00+00:00", "target": {"kind": "a", "name": "b"}, "vms": {"x": {}}},
            "Inventory.vms.x: missing field 'id'",
        ),
    ],
)
def test_what_is_no_record_is_refused_with_the_field_named(kind: type[Any], data: Any, complaint: str) -> None:
    """
    A missing, unknown or ill-typed field is an error that says where it is.
    """
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the message is the next assertion
        decode(kind, data)

    assert complaint in str(refusal.value)


def test_fields_that_change_by_themselves_are_not_material() -> None:
    """
    Power, agent, health and the last backup change between two reads without being drift.
    """
    before, after = vm(), dataclasses.replace(vm(), power_state="deallocated", agent=None, instance_view=False)
    healthy = item(vm(), vault())
    ill = dataclasses.replace(
        healthy,
        protection_state="ProtectionError",
        health_status="ActionRequired",
        protection_status="Unhealthy",
        last_backup_status="Failed",
        last_backup_time=None,
    )

    assert material(before) == material(after)
    assert material(healthy) == material(ill)
    assert material(vault()) == material(vault(redundancy_locked=True, soft_delete="AlwaysON", items_read=False))


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (vm(), "location", "northeurope"),
        (vm(), "data_disks", (Disk(name="new"),)),
        (vm(), "tags", {"wave": "1"}),
        (vault(), "redundancy", "ZoneRedundant"),
        (vault(), "cross_region_restore", True),
        (item(vm(), vault()), "policy_id", f"{vault().id}/backupPolicies/Other"),
        (item(vm(), vault()), "protection", "stopped"),
        (item(vm(), vault()), "soft_deleted", True),
        (nsg("nsg-app"), "rules", (rule("deny", 100),)),
        (nic(), "nsg_id", nsg("nsg-app").id),
    ],
)
def test_what_somebody_must_have_changed_is_material(record: Any, field: str, value: Any) -> None:
    """
    Everything else that is read counts as drift.
    """
    assert material(record) != material(dataclasses.replace(record, **{field: value}))


def test_ids_are_material_without_their_case() -> None:
    """
    Azure's own answers disagree on the casing of ids, of trailing slashes and of names.
    """
    one = nic(nsg_id=nsg("nsg-app").id)
    other = dataclasses.replace(one, id=one.id.upper(), name=one.name.upper(), nsg_id=f"{one.nsg_id.upper()}/")

    assert material(one) == material(other)


def test_text_that_is_no_id_keeps_its_case() -> None:
    """
    Folding is for ids: a tag's value, a rule's name or a state differ by case.
    """
    assert material(vm(tags={"wave": "A"})) != material(vm(tags={"wave": "a"}))


@given(st.dictionaries(st.text(), _JSON, min_size=2, max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_keys(document: dict[str, Any]) -> None:
    """
    Two mappings that are equal have one digest.
    """
    assert digest(document) == digest(dict(reversed(list(document.items()))))


def test_a_digest_is_the_same_in_another_process() -> None:
    """
    Nothing of a digest hangs on hash seeds, or on this process.
    """
    code = (
        "from builders import estate, planned; print(planned(estate(), policy_name='Nightly', redundancy="
        "'LocallyRedundant').digest)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert {planned(estate(), policy_name="Nightly", redundancy="LocallyRedundant").digest} == said


def test_half_a_surrogate_pair_does_not_break_a_digest() -> None:
    """
    JSON from Azure can carry what UTF-8 cannot; it is digested, and not as the text of its escape.
    """
    assert digest({"tag": "\ud800"}) != digest({"tag": "\\ud800"})


def test_a_change_made_anew_is_the_same_change() -> None:
    """
    What is sent where names it; what it rests on and how it reads may differ when a run is resumed.
    """
    one = Change(kind="protect", step="04", target="/A/b", reads=("/c",), body={"x": 1}, facts={"vm": "a"})

    assert one.sha256 == dataclasses.replace(one, target="/a/B", reads=(), facts={}).sha256
    others: list[dict[str, Any]] = [{"kind": "x"}, {"target": "/a/c"}, {"body": {}}]
    assert 3 == len({dataclasses.replace(one, **other).sha256 for other in others} - {one.sha256})


@pytest.mark.parametrize(
    ("arm_id", "same"),
    [
        ("/Subscriptions/A/resourceGroups/RG", "/subscriptions/a/resourcegroups/rg"),
        ("/subscriptions/a/resourceGroups/rg/", "/subscriptions/a/resourcegroups/rg"),
    ],
)
def test_a_key_has_neither_case_nor_trailing_slash(arm_id: str, same: str) -> None:
    """
    Ids that ARM takes for one have one key.
    """
    assert same == key(arm_id)


def test_parts_of_an_id_are_found_without_case_and_kept_as_written() -> None:
    """
    A group's name is shown as the id has it, a subscription is compared.
    """
    written = f"/SUBSCRIPTIONS/{ONE.upper()}/resourcegroups/RG-Ñandú/providers/Microsoft.Compute/virtualMachines/Web"

    assert ONE == subscription_of(written)
    assert "RG-Ñandú" == resource_group_of(written)
    assert "Web" == id_part(written, "virtualmachines")
    assert "" == id_part(written, "vaults")


def test_a_vm_is_found_among_items_by_its_whole_id() -> None:
    """
    Same-named VMs of two groups are two VMs; the casing of an id does not matter.
    """
    one, other = vm("web", "rg-a"), vm("web", "rg-b")
    held = dataclasses.replace(item(one, vault()), source_id=one.id.upper())
    world = estate(one, other, held)

    assert (held,) == world.items_of(one.id)
    assert () == world.items_of(other.id)


@pytest.mark.parametrize(
    ("scope", "blind"),
    [
        (f"/subscriptions/{ONE}", True),
        (f"/SUBSCRIPTIONS/{ONE}/resourceGroups/rg", True),
        (f"/subscriptions/{ONE}0", False),
        ("/subscriptions", False),
    ],
)
def test_what_could_not_be_read_is_unread_for_all_that_lies_below(scope: str, blind: bool) -> None:
    """
    A subscription that could not be listed says nothing of another whose id merely begins alike.
    """
    gap = Unread(
        scope=f"/subscriptions/{ONE}", what="Microsoft.RecoveryServices/vaults", status=403, code="x", message=""
    )
    world = dataclasses.replace(estate(), unread=(gap,))

    assert blind == bool(world.unread_under(scope, "microsoft.recoveryservices/Vaults"))
    assert not world.unread_under(scope, "Microsoft.Compute/virtualMachines")


@pytest.mark.parametrize("record", [vm(), vault(), item(vm(), vault()), nsg("a")])
def test_a_record_is_found_by_its_id_in_any_case(
    record: VirtualMachine | Vault | ProtectedItem | SecurityGroup,
) -> None:
    """
    `find` knows every kind of record.
    """
    assert record is estate(record).find(record.id.upper())
    assert None is estate().find("/subscriptions/nobody")


def test_the_mark_says_what_the_target_is() -> None:
    """
    Nobody takes the simulator for Azure, or one tenant for another.
    """
    assert "SANDBOX (simulated)" == Target(kind="sandbox", name="contoso", tenant="t").mark
    assert "AZURE AzureCloud, tenant t" == Target(kind="azure", name="AzureCloud", tenant="t").mark
    assert "AZURE AzureCloud, tenant unknown" == Target(kind="azure", name="AzureCloud").mark


def test_a_naive_time_never_gets_into_a_record_from_a_file() -> None:
    """
    A time without a zone cannot be compared with the service's clock.
    """
    written = encode(item(vm(), vault())) | {"last_backup_time": datetime(2026, 1, 1).isoformat()}

    with pytest.raises(ValueError, match="last_backup_time: a time without its zone"):
        decode(ProtectedItem, written)


@given(_JSON)
def test_a_digest_is_that_of_the_canonical_form_however_large(document: Any) -> None:
    """
    It is taken piece by piece, and is the same as of one text.
    """
    for value in (document, [document] * 150, {str(number): document for number in range(150)}):
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

        assert hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest() == digest(value)


def test_a_plan_is_never_one_text_for_its_digest() -> None:
    """
    That of 50,000 VMs would take some hundred megabytes while it is made.
    """
    changes = tuple(Change(kind="protect", step="04", target=f"{ONE}/{number}") for number in range(20_000))
    plan = Plan(target="t", parameters={}, steps=(Step(number="04", changes=changes),))
    text = json.dumps(encode(plan))
    tracemalloc.start()
    try:
        digest(plan)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < len(text) / 10
