"""
Recorded Azure, every exchange that the library could meet: each becomes records or a clear, typed error.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded.feeding import READERS, WRITES, Fed, error_fed, fed, type_of
from recorded.replay import REFERENCE, chains, path_of, singles

from runbook_lib.arm.session import ArmError
from runbook_lib.cli import main
from runbook_lib.records import key
from runbook_lib.sandbox import Sandbox

recorded = pytest.mark.skipif(not REFERENCE, reason="RUNBOOK_REFERENCE is unset: no recorded traffic to read")
# Read by the library, and never recorded; nobody can feed them.
NOT_RECORDED = {
    "microsoft.authorization/permissions",
    "microsoft.authorization/roledefinitions",
    "microsoft.keyvault/vaults",
    "microsoft.recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems/recoverypoints",
}
# Read by others: recorded, and nothing that the library asks for.
NOT_READ = {
    "en-us",
    "microsoft.compute/availabilitysets",
    "microsoft.compute/locations/operations",
    "microsoft.compute/locations/publishers/artifacttypes/types",
    "microsoft.compute/locations/publishers/artifacttypes/types/versions",
    "microsoft.compute/locations/vmsizes",
    "microsoft.compute/virtualmachines/extensions",
    "microsoft.compute/virtualmachines/vmsizes",
    "microsoft.compute/virtualmachinescalesets",
    "microsoft.compute/virtualmachinescalesets/virtualmachines/instanceview",
    "microsoft.network/applicationsecuritygroups",
    "microsoft.network/networksecuritygroups/defaultsecurityrules",
    "microsoft.network/networkwatchers",
    "microsoft.network/privateendpoints",
    "microsoft.network/virtualnetworks/checkipaddressavailability",
    "microsoft.recoveryservices/locations/backupcrroperationsstatus",
    "microsoft.recoveryservices/operations",
    "microsoft.recoveryservices/vaults/backupconfig",
    "microsoft.recoveryservices/vaults/backupdeletedprotectioncontainers",
    "microsoft.recoveryservices/vaults/backupencryptionconfigs",
    "microsoft.recoveryservices/vaults/backupengines",
    "microsoft.recoveryservices/vaults/backupfabrics/protectioncontainers",
    "microsoft.recoveryservices/vaults/backupprotectableitems",
    "microsoft.recoveryservices/vaults/backupprotectioncontainers",
    "microsoft.recoveryservices/vaults/backupprotectionintents",
    "microsoft.recoveryservices/vaults/backupresourceguardproxies",
    "microsoft.recoveryservices/vaults/extendedinformation",
    "microsoft.recoveryservices/vaults/usages",
    "microsoft.storage/storageaccounts",
    "resources",
    "tenants",
}


def met() -> list[Fed]:
    """
    What the library would meet.
    """
    return [each for each in fed() if each.met]


@recorded
def test_nothing_that_was_recorded_raises_anything_but_a_typed_error() -> None:
    """
    Lists, single resources, questions, writes, operations from start to end, and errors: none surprises the library.
    """
    assert [] == [(each.place, each.met, repr(each.wrong)) for each in met() if each.wrong is not None]


@recorded
def test_each_record_is_about_the_row_that_it_was_read_from() -> None:
    """
    By its id, in whatever case; what is not for the library to know (policies of SQL, logical regions) is left out.
    """
    pairs = [(each.place, row, record) for each in met() for row, record in each.records]
    with_ids = [
        (place, row["id"], record.id) for place, row, record in pairs if row.get("id") and hasattr(record, "id")
    ]

    assert len(with_ids) > 3500
    assert [] == [place for place, told, read in with_ids if key(told) != key(read) and read != "/whole"]


@recorded
def test_only_rows_of_another_kind_are_left_out() -> None:
    """
    A row without a record is one that the library does not want: named here by what it says of itself.
    """
    left = [(each, row) for each in met() for row, record in each.records if record is None]
    of_policies = [row for each, row in left if each.met.endswith("backuppolicies")]
    of_items = [row for each, row in left if each.met.endswith(("protecteditems", "backupprotecteditems"))]
    of_regions = [row for each, row in left if each.met.endswith("locations")]

    assert len(left) == len(of_policies) + len(of_items) + len(of_regions)
    assert "AzureIaasVM" not in {row["properties"].get("backupManagementType") for row in of_policies}
    assert "Physical" not in {row.get("metadata", {}).get("regionType") for row in of_regions}
    assert not [
        row for row in of_items if row["properties"].get("protectedItemType") == "Microsoft.Compute/virtualMachines"
    ]


@recorded
def test_a_typed_error_carries_what_the_service_said() -> None:
    """
    Status and code are there to be acted on, and no error is an empty one.
    """
    failed = [each for each in met() if each.error is not None]

    assert len(failed) >= 50
    assert [] == [each.place for each in failed if not each.code or not str(each.error).strip()]


@recorded
def test_every_recorded_error_is_a_typed_one_whatever_was_asked() -> None:
    """
    All four forms of a body, none, HTML, throttling and failures in passing, as the answer to a read and to a write.
    """
    answers = [each for place, exchange in singles() for each in error_fed(place, exchange)]
    read = [each for each in answers if each.met == "read"]
    said = {each.place: str(each.error.status) for each in read if isinstance(each.error, ArmError)}

    assert len(answers) == 2 * len(read) >= 250
    assert [] == [(each.place, each.met, repr(each.wrong)) for each in answers if each.wrong is not None]
    assert [] == [(each.place, each.met) for each in answers if each.error is None]
    assert {"400", "403", "404", "409", "429", "500", "503", "504"} <= set(said.values())


@recorded
def test_operations_are_followed_from_start_to_end() -> None:
    """
    Registration, vault, redundancy, discovery, protection, rule, effective rules and routes: each was seen to end.
    """
    ended = Counter(each.met.partition(",")[0] for each in met() if each.ended == "in the end")
    asked = Counter(each.met.partition(",")[0] for each in met() if "from start" in each.met and each.records)

    assert {
        "write create-vault",
        "write set-redundancy",
        "write discover",
        "write protect",
        "write add-security-rule",
    } <= set(ended)
    assert {"ask effectivenetworksecuritygroups", "ask effectiveroutetable"} <= set(asked)


@recorded
def test_what_is_not_fed_is_nothing_that_the_library_asks_for() -> None:
    """
    Every recorded read is of a type that the library reads, or of one that is named here as no business of it.
    """
    paths = {place: path_of(exchange) for place, exchange in singles() if exchange["request"]["method"] == "GET"}

    assert NOT_READ == {type_of(paths[each.place])[0] for each in fed() if not each.met and each.place in paths}
    assert not NOT_READ & set(READERS)


def test_everything_that_a_run_reads_or_writes_has_its_part_in_the_feeding(contoso: Sandbox, tmp_path: Path) -> None:
    """
    By the sandbox's log of a whole run: a new call of the library has to be fed as well.
    """
    curious = ("-p", "network_option", "ip_ranges", "-p", "change_policy", "true", "-p", "vm_selector", "tag:wave=1")
    result = CliRunner().invoke(
        main, ["run", "--apply", "--out", str(tmp_path / "r"), *curious], catch_exceptions=False
    )
    asked = {(each["method"], type_of(each["path"])[0]) for each in contoso.requests()}
    reads = {kind for method, kind in asked if method == "GET" and "operation" not in kind}
    writes = {f"{method} {kind}" for method, kind in asked if method not in ("GET", "POST")}

    assert 0 == result.exit_code, result.output
    assert set() == reads - set(READERS) - NOT_RECORDED
    assert set() == writes - set(WRITES)


@recorded
def test_the_counts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """
    How much was fed, and what came of it, for whoever reads the log of this lane.
    """
    whole, known = list(fed()), met()
    errors = [each for place, exchange in singles() for each in error_fed(place, exchange)]
    parsed = sum(each.error is None for each in known)
    with capsys.disabled():
        print(
            f"\nrecorded Azure: {len(whole)} exchanges and chains; {len(known)} that the library could meet: "
            f"{parsed} parsed, {len(known) - parsed} typed errors, 0 others; "
            f"{sum(len(each.records) for each in known)} records; {len(errors)} error answers fed again, all typed"
        )

    assert len(known) >= 2000
    assert len(whole) == sum(1 for _ in singles()) + sum(1 for _ in chains())
