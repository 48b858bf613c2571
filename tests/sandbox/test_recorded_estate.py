"""
Estates that are read from recorded traffic.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.sandbox import Sandbox
from runbook_lib.sandbox.bodies import SERVED, arm_type
from runbook_lib.sandbox.estate import Estate, SandboxError, read_estate, write_estate

SUBSCRIPTION = "/subscriptions/11111111-2222-4333-8444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1"
NIC = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/nic1"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet1"
SUBNET = f"{VNET}/subnets/snet1"
NSG = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg1"
VAULT = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/rsv1"


def body(resource_id: str, location: str | None = "westeurope", **properties: Any) -> dict[str, Any]:
    """
    Return a small ARM body.
    """
    place = {} if location is None else {"location": location}
    return {"id": resource_id, "name": resource_id.rpartition("/")[2], "type": arm_type(resource_id), **place} | {
        "properties": properties
    }


def call(
    answer: Any,
    second: int | None = 0,
    *,
    method: str = "GET",
    status: int = 200,
    path: str = "/x",
    header: str = "Date",
    **fields: Any,
) -> dict[str, Any]:
    """
    Return an interaction that was answered at that second of a certain minute; None: without a date.
    """
    headers = {} if second is None else {header: f"Sat, 31 Jan 2026 07:30:{second:02} GMT"}
    return {
        "request": {
            "method": method,
            "uri": f"https://management.azure.com{path}?api-version=2024-01-01",
            "body": None,
        },
        "response": {"status": status, "headers": headers, "body": answer},
    } | fields


def recorded(folder: Path, *records: Any, file: str = "calls.jsonl") -> Estate:
    """
    Write the records as one file more, and read the folder.
    """
    (folder / file).write_text("\n".join(json.dumps(record) for record in records) + "\n", encoding="utf-8")
    return read_estate(folder)


def found(estate: Estate, resource_id: str) -> dict[str, Any]:
    """
    Return the body of a resource.
    """
    (only,) = [each for each in estate.resources if each["id"].lower() == resource_id.lower()]
    return only


def ids(estate: Estate) -> list[str]:
    """
    List the ids of an estate.
    """
    return [each["id"] for each in estate.resources]


class TestWhatCounts:
    """
    Which answers make the estate.
    """

    def test_list_counts_like_a_get(self, tmp_path: Path) -> None:
        """
        Bodies in a `value` list and bodies on their own are resources alike, ordered by id.
        """
        estate = recorded(tmp_path, call({"value": [body(VM), body(NIC)]}), call(body(VAULT)))

        assert [SUBSCRIPTION, GROUP, VM, NIC, VAULT] == ids(estate)

    @pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 201), ("PUT", 200), ("PATCH", 200)])
    def test_answer_to_a_write_counts(self, tmp_path: Path, method: str, status: int) -> None:
        """
        The body that answers a GET, PUT or PATCH is the resource.
        """
        assert VM in ids(recorded(tmp_path, call(body(VM), method=method, status=status)))

    @pytest.mark.parametrize(
        "useless",
        [
            call(body(VM), method="POST"),
            call(body(VM), method="DELETE"),
            call(body(VM), status=404),
            call(body(VM), status=500),
            call({"error": {"code": "ResourceNotFound", "message": "gone"}}),
            call(None),
            call(""),
            call("<html/>"),
            call([body(VM)]),
            call({"value": None}),
            call({"value": ["x", None, {"name": "vm1"}, {"id": None}, {"id": 5}]}),
            call({"id": VM, "name": "vm1"}),
            call({"id": VM, "properties": None}),
            call({"id": "b5e7c1c2-0000-4000-8000-000000000000", "properties": {}}),
            call(body(f"{GROUP}/providers/Microsoft.Storage/storageAccounts/st1")),
            call(body(f"{SUBSCRIPTION}/locations/westeurope")),
            call({"id": "/tenants/11111111-2222-4333-8444-555555555555"}),
        ],
    )
    def test_anything_else_does_not(self, tmp_path: Path, useless: dict[str, Any]) -> None:
        """
        Failures, other methods, partial bodies, references and types that the sandbox does not serve are no resources.
        """
        assert [SUBSCRIPTION, GROUP, NIC] == ids(recorded(tmp_path, useless, call(body(NIC))))

    def test_steps_of_a_chain_count(self, tmp_path: Path) -> None:
        """
        Interactions stand in the steps of a long operation too.
        """
        chain = {"operation": "vault_put", "steps": [call("", status=202, method="PUT"), call(body(VAULT), 3)]}

        assert VAULT in ids(recorded(tmp_path, chain))

    def test_extensions_in_a_vm_count(self, tmp_path: Path) -> None:
        """
        A VM's `resources` are extensions of their own; those that are mere references are not.
        """
        vm = body(VM) | {"resources": [body(f"{VM}/extensions/whole"), {"id": f"{VM}/extensions/reference"}]}

        assert [SUBSCRIPTION, GROUP, VM, f"{VM}/extensions/whole"] == ids(recorded(tmp_path, call(vm)))

    def test_name_and_type_follow_from_the_id(self, tmp_path: Path) -> None:
        """
        A body without name and type is known by its id, however the id is spelled.
        """
        spelled = VAULT.replace("/subscriptions/", "/Subscriptions/").replace("Microsoft.R", "microsoft.r")
        vault = found(recorded(tmp_path, call({"id": spelled, "properties": {}})), VAULT)

        assert (spelled, "rsv1", "Microsoft.RecoveryServices/vaults") == (vault["id"], vault["name"], vault["type"])

    def test_moment_is_the_newest_date(self, tmp_path: Path) -> None:
        """
        The estate is as of the newest answer that it uses, whatever the case of the header.
        """
        estate = recorded(tmp_path, call(body(VM), 7, header="date"), call(body(NIC), 3), call("", 9))
        assert datetime(2026, 1, 31, 7, 30, 7, tzinfo=UTC) == estate.as_of

        estate = recorded(tmp_path, call({"osName": "x"}, 8, path=f"{VM}/instanceView"), file="later.jsonl")
        assert datetime(2026, 1, 31, 7, 30, 8, tzinfo=UTC) == estate.as_of

    def test_it_can_be_kept_as_a_file(self, tmp_path: Path) -> None:
        """
        The estate of a recording is written and read like any other.
        """
        estate = recorded(tmp_path, call(body(VM, instanceView={"osName": "x"})))
        write_estate(estate, tmp_path / "kept.json")
        kept = read_estate(tmp_path / "kept.json")

        assert (estate.name, estate.as_of, estate.resources, estate.status) == (
            kept.name,
            kept.as_of,
            kept.resources,
            kept.status,
        )
        assert (tmp_path.name, str(tmp_path)) == (estate.name, estate.origin)


class TestNewestWins:
    """
    Several answers about one resource.
    """

    def test_by_date(self, tmp_path: Path) -> None:
        """
        The answer with the newest date wins, wherever it stands and however its id is spelled.
        """
        estate = recorded(tmp_path, call(body(VM, x=2), 20), call(body(VM.upper().replace("/SUB", "/sub"), x=1), 10))

        assert {"x": 2} == found(estate, VM)["properties"]

    def test_undated_is_oldest(self, tmp_path: Path) -> None:
        """
        An answer without a date gives way to one with.
        """
        assert {"x": 1} == found(recorded(tmp_path, call(body(VM, x=1), 10), call(body(VM, x=2), None)), VM)[
            "properties"
        ]

    def test_by_place_in_the_cassette(self, tmp_path: Path) -> None:
        """
        Within one second, `seq` of one cassette decides, whichever file the answers were sorted into.
        """
        recorded(tmp_path, call(body(VM, x=2), source="a", seq=9), file="a.jsonl")
        estate = recorded(tmp_path, call(body(VM, x=1), source="a", seq=8), file="b.jsonl")

        assert {"x": 2} == found(estate, VM)["properties"]

    def test_by_cassette(self, tmp_path: Path) -> None:
        """
        Within one second, the cassette whose name comes later decides.
        """
        estate = recorded(tmp_path, call(body(VM, x=2), source="b", seq=1), call(body(VM, x=1), source="a", seq=2))

        assert {"x": 2} == found(estate, VM)["properties"]

    def test_by_line(self, tmp_path: Path) -> None:
        """
        Without cassettes, the later line decides.
        """
        assert {"x": 2} == found(recorded(tmp_path, call(body(VM, x=1)), call(body(VM, x=2))), VM)["properties"]

    def test_conflicts_are_counted(self, tmp_path: Path) -> None:
        """
        Each answer that differs from the one before about the same resource is a conflict; a repetition is none.
        """
        answers = [call(body(VM, x=x), second) for second, x in enumerate([1, 1, 2, 1])]

        assert 2 == recorded(tmp_path, *answers, call(body(NIC), 9)).conflicts


class TestInstanceViews:
    """
    The status of VMs.
    """

    def test_is_taken_out_of_the_body(self, tmp_path: Path) -> None:
        """
        The instance view of an expanded VM is its status, and is no part of its body.
        """
        estate = recorded(tmp_path, call(body(VM, vmId="1", instanceView={"osName": "x"})))

        assert {VM.lower(): {"osName": "x"}} == estate.status
        assert {"vmId": "1"} == found(estate, VM)["properties"]

    def test_comes_from_its_own_address(self, tmp_path: Path) -> None:
        """
        An instance view that was read on its own belongs to the VM in the address.
        """
        view = call({"osName": "x"}, 5, path=f"{VM}/instanceView".replace("vm1", "%76m1"))

        assert {VM.lower(): {"osName": "x"}} == recorded(tmp_path, call(body(VM)), view).status

    def test_newest_wins(self, tmp_path: Path) -> None:
        """
        The newest instance view is the status; a newer body without one leaves it; no view is a conflict.
        """
        estate = recorded(
            tmp_path,
            call({"osName": "newest"}, 5, path=f"{VM}/instanceview"),
            call(body(VM, instanceView={"osName": "older"}), 4),
            call(body(VM), 6),
        )

        assert {VM.lower(): {"osName": "newest"}} == estate.status
        assert 0 == estate.conflicts

    def test_of_an_unknown_vm_is_left_out(self, tmp_path: Path) -> None:
        """
        A status without its VM is no status.
        """
        assert {} == recorded(tmp_path, call({"osName": "x"}, path=f"{VM}/instanceView"), call(body(NIC))).status


class TestNesting:
    """
    Resources that stand in their parent's body.
    """

    @pytest.mark.parametrize(
        ("parent", "listing", "child"),
        [
            (VNET, "subnets", SUBNET),
            (NSG, "securityRules", f"{NSG}/securityRules/r1"),
            (NSG, "defaultSecurityRules", f"{NSG}/defaultSecurityRules/AllowVnetInBound"),
            (
                f"{GROUP}/providers/Microsoft.Network/routeTables/rt1",
                "routes",
                f"{GROUP}/providers/Microsoft.Network/routeTables/rt1/routes/r1",
            ),
        ],
    )
    def test_newer_child_goes_into_its_parent(self, tmp_path: Path, parent: str, listing: str, child: str) -> None:
        """
        A subnet, rule or route that was read after its parent replaces its old self there, or is added.
        """
        other = body(f"{child}-other", None)
        holding = body(parent, **{listing: [body(child.upper().replace("/SUB", "/sub"), None, x=1), other]})
        estate = recorded(
            tmp_path, call(holding, 1), call(body(child, None, x=2), 2), call(body(f"{child}-new", None), 3)
        )

        assert [body(child, None, x=2), other, body(f"{child}-new", None)] == found(estate, parent)["properties"][
            listing
        ]
        assert [SUBSCRIPTION, GROUP, parent] == ids(estate)

    def test_parent_that_lists_nothing_takes_the_child(self, tmp_path: Path) -> None:
        """
        A parent whose list is absent or null gets one.
        """
        assert [body(SUBNET, None)] == found(recorded(tmp_path, call(body(VNET)), call(body(SUBNET, None), 1)), VNET)[
            "properties"
        ]["subnets"]
        assert [body(SUBNET, None)] == found(
            recorded(tmp_path, call(body(VNET, subnets=None)), call(body(SUBNET, None), 1)), VNET
        )["properties"]["subnets"]

    @pytest.mark.parametrize("odd", ["x", {"id": None}, None])
    def test_what_is_no_body_in_a_list_stays(self, tmp_path: Path, odd: Any) -> None:
        """
        Whatever else a parent lists is left as it was recorded.
        """
        estate = recorded(tmp_path, call(body(VNET, subnets=[odd])), call(body(SUBNET, None), 1))

        assert [odd, body(SUBNET, None)] == found(estate, VNET)["properties"]["subnets"]

    def test_newer_parent_has_the_last_word(self, tmp_path: Path) -> None:
        """
        A child that was read before its parent is what the parent says: another, or gone.
        """
        old = [call(body(SUBNET, None, x=1), 1), call(body(f"{SUBNET}-gone", None), 1)]
        estate = recorded(tmp_path, *old, call(body(VNET, subnets=[body(SUBNET, None, x=2)]), 2))

        assert [body(SUBNET, None, x=2)] == found(estate, VNET)["properties"]["subnets"]
        assert [SUBSCRIPTION, GROUP, VNET] == ids(estate)

    def test_child_without_its_parent_stands_alone(self, tmp_path: Path) -> None:
        """
        A subnet whose network was never read is kept by itself; its network stays missing.
        """
        assert [SUBSCRIPTION, GROUP, SUBNET] == ids(recorded(tmp_path, call(body(SUBNET, None))))


class TestReferents:
    """
    What is inferred, and what is not.
    """

    def test_missing_referent_stays_missing(self, tmp_path: Path) -> None:
        """
        A NIC that a VM names, and no answer holds, is not made up, and neither is the group that it would be in.
        """
        elsewhere = f"{SUBSCRIPTION}/resourceGroups/other/providers/Microsoft.Network/networkInterfaces/nic1"
        vm = body(VM, networkProfile={"networkInterfaces": [{"id": elsewhere}]})

        assert [SUBSCRIPTION, GROUP, VM] == ids(recorded(tmp_path, call(vm)))

    def test_subscription_and_group_are_inferred(self, tmp_path: Path) -> None:
        """
        What only ids name gets a minimal body; the group is where its first resource with a location is.
        """
        policy = body(f"{VAULT}/backupPolicies/p1", None)
        estate = recorded(tmp_path, call({"value": [body(VM, None), body(NIC, "northeurope"), body(VAULT), policy]}))

        assert {
            "id": SUBSCRIPTION,
            "subscriptionId": "11111111-2222-4333-8444-555555555555",
            "displayName": "11111111-2222-4333-8444-555555555555",
            "state": "Enabled",
            "name": "11111111-2222-4333-8444-555555555555",
            "type": "Microsoft.Resources/subscriptions",
        } == found(estate, SUBSCRIPTION)
        assert {
            "id": GROUP,
            "location": "northeurope",
            "properties": {"provisioningState": "Succeeded"},
            "name": "rg",
            "type": "Microsoft.Resources/resourceGroups",
        } == found(estate, GROUP)

    def test_group_of_nothing_that_has_a_location(self, tmp_path: Path) -> None:
        """
        The location of an inferred group is left out when none of its resources tells one.
        """
        assert "location" not in found(recorded(tmp_path, call(body(SUBNET, None))), GROUP)

    def test_recorded_bodies_come_before_inferred_ones(self, tmp_path: Path) -> None:
        """
        A subscription or group that was read is what it was read as.
        """
        group = body(GROUP, "spaincentral", provisioningState="Succeeded") | {"tags": {"a": "b"}}
        subscription = {"id": SUBSCRIPTION, "displayName": "Contoso", "state": "Warned"}
        estate = recorded(tmp_path, call(body(VM)), call({"value": [group]}), call(subscription))

        assert group == found(estate, GROUP)
        assert "Contoso" == found(estate, SUBSCRIPTION)["displayName"]

    def test_capitals_are_the_lesser_witness_of_a_name(self, tmp_path: Path) -> None:
        """
        A group that VM lists spell in capitals has the name that other ids give it.
        """
        estate = recorded(tmp_path, call({"value": [body(VM.replace("/rg/", "/RG/")), body(NIC)]}))

        assert GROUP == found(estate, GROUP)["id"]


class TestRefusals:
    """
    Folders that are no recording.
    """

    @pytest.mark.parametrize(
        ("line", "fault"),
        [
            ("{", "is not JSON in UTF-8"),
            ("[" * 5000, "nests deeper than 100 levels"),
            ("[]", "is no interaction: it has to be an object with `request` and `response`, or with `steps`"),
            ('{"steps": {}}', "steps: has to be a list of interactions"),
            ('{"steps": [1]}', "steps: has to be a list of interactions"),
            ("{}", "is no interaction: request has to be an object"),
            (json.dumps(call("") | {"response": None}), "is no interaction: response has to be an object"),
            (json.dumps(call("", status="200")), "is no interaction: status has to be a number"),
            (json.dumps(call("", method=None)), "is no interaction: method has to be a text"),
            (json.dumps(call("") | {"request": {"method": "GET"}}), "is no interaction: uri has to be a text"),
            (json.dumps(call("", seq="1")), "is no interaction: seq has to be a number"),
            (json.dumps(call("", source=1)), "is no interaction: source has to be a text"),
            (
                json.dumps(call("") | {"response": {"status": 200, "headers": {"Date": "soon"}}}),
                "response.headers.Date: 'soon' is no date; write it as HTTP does or remove it",
            ),
            (
                json.dumps(call("") | {"response": {"status": 200, "headers": {"Date": 5}}}),
                "response.headers.Date: 5 is no date",
            ),
            (
                json.dumps(
                    call("") | {"response": {"status": 200, "headers": {"Date": "Fri, 31 Dec 9999 23:59:59 -0100"}}}
                ),
                "response.headers.Date: 'Fri, 31 Dec 9999 23:59:59 -0100' is no date",
            ),
        ],
    )
    def test_line_is_named(self, tmp_path: Path, line: str, fault: str) -> None:
        """
        A line that is no interaction is refused by file, line and fault; empty lines are none.
        """
        (tmp_path / "calls.jsonl").write_text(f"{json.dumps(call(body(VM)))}\n\n{line}\n", encoding="utf-8")

        with pytest.raises(SandboxError) as caught:
            read_estate(tmp_path)
        start = f"{tmp_path}: line 3 of calls.jsonl: {fault}"
        assert start == str(caught.value)[: len(start)]
        assert "\n" not in str(caught.value)

    def test_all_lines_are_named_at_once(self, tmp_path: Path) -> None:
        """
        Broken lines of all files come in one refusal.
        """
        (tmp_path / "a.jsonl").write_text("{}\n[]\n", encoding="utf-8")
        (tmp_path / "b.jsonl").write_text("1\n", encoding="utf-8")

        with pytest.raises(SandboxError) as caught:
            read_estate(tmp_path)
        assert ["line 1 of a.jsonl", "line 2 of a.jsonl", "line 1 of b.jsonl"] == [
            line.removeprefix(f"{tmp_path}: ").split(":")[0] for line in str(caught.value).splitlines()
        ]

    @pytest.mark.parametrize("records", [[], [call({"value": []})]])
    def test_folder_without_a_resource(self, tmp_path: Path, records: list[dict[str, Any]]) -> None:
        """
        A folder in which no answer holds a resource is refused.
        """
        with pytest.raises(SandboxError, match="no answer in it holds a resource that the sandbox serves"):
            recorded(tmp_path, *records)

    def test_folder_without_recordings(self, tmp_path: Path) -> None:
        """
        Files of other kinds are no recordings.
        """
        (tmp_path / "README.md").write_text("x", encoding="utf-8")

        with pytest.raises(SandboxError, match="no answer in it holds a resource"):
            read_estate(tmp_path)

    def test_folder_without_a_date(self, tmp_path: Path) -> None:
        """
        A recording whose moment is unknown is refused.
        """
        with pytest.raises(SandboxError, match="no answer in it has a Date header, so its moment is unknown"):
            recorded(tmp_path, call(body(VM), None))


@pytest.fixture(scope="module")
def real() -> Estate:
    """
    The estate of the real recordings.
    """
    reference = os.environ.get("RUNBOOK_REFERENCE")
    if reference is None:
        pytest.skip("RUNBOOK_REFERENCE is unset: it names the folder that holds recordings/ of real traffic")
    return read_estate(Path(reference) / "recordings")


class TestRealRecordings:
    """
    The recordings of the reference data.
    """

    def test_counts(self, real: Estate) -> None:
        """
        The recorded estate has this many resources of each kind, and this many contradictions.
        """
        counts = Counter(arm_type(each["id"]) for each in real.resources)

        assert (334, 421, 66, 65, 1245, 46, 34) == tuple(
            counts[kind]
            for kind in (
                "Microsoft.Compute/virtualMachines",
                "Microsoft.Network/networkInterfaces",
                "Microsoft.Network/networkSecurityGroups",
                "Microsoft.Network/virtualNetworks",
                "Microsoft.RecoveryServices/vaults",
                "Microsoft.RecoveryServices/vaults/backupPolicies",
                "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
            )
        )
        assert (5587, 127, 1694) == (len(real.resources), len(real.status), real.conflicts)
        assert set(counts) <= set(SERVED)

    def test_moment(self, real: Estate) -> None:
        """
        The estate is as of the newest recorded answer.
        """
        assert datetime(2026, 3, 25, 14, 29, 36, tzinfo=UTC) == real.as_of

    def test_ids_are_unique_and_complete(self, real: Estate) -> None:
        """
        No two bodies share an id, and the group and subscription of each are there.
        """
        known = [each["id"].lower() for each in real.resources]

        assert len(set(known)) == len(known)
        for each in known:
            assert {"/".join(each.split("/")[:3]), "/".join(each.split("/")[:5])} <= set(
                known
            ) or "/providers/" not in each

    def test_bodies_hold_no_instance_view(self, real: Estate) -> None:
        """
        Each status belongs to a VM of the estate, and no VM's body holds one.
        """
        vms = {
            each["id"].lower(): each
            for each in real.resources
            if arm_type(each["id"]) == "Microsoft.Compute/virtualMachines"
        }

        assert set(real.status) <= set(vms)
        assert not [each for each in vms.values() if "instanceView" in each["properties"]]

    def test_it_survives_a_file(self, real: Estate, tmp_path: Path) -> None:
        """
        The recorded estate passes every rule of an estate file.
        """
        write_estate(real, tmp_path / "real.json")

        assert real.resources == read_estate(tmp_path / "real.json").resources

    @pytest.fixture
    def estate(self, real: Estate) -> Estate:
        """
        What the sandbox holds here.
        """
        return real

    def test_every_vm_is_read_through_the_sdk(
        self, real: Estate, sandbox: Sandbox, clients_of: Callable[..., Any]
    ) -> None:
        """
        The compute client lists each recorded VM, whatever its shape, in its subscription.
        """
        subscriptions = [each for each in real.resources if each["type"] == "Microsoft.Resources/subscriptions"]
        read = {
            each.id.lower()
            for subscription in subscriptions
            for each in clients_of(sandbox, subscription["id"].split("/")[2]).compute.virtual_machines.list_all()
        }

        assert {
            each["id"].lower() for each in real.resources if arm_type(each["id"]) == "Microsoft.Compute/virtualMachines"
        } == read
