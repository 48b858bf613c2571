"""
What the checks find in the example estate: for each VM its verdict, every finding that is not a plain pass, and why it
is there. A finding that appears, goes or changes shows here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from runbook_lib import checks
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import Session
from runbook_lib.checks import CATALOGUE
from runbook_lib.parameters import Parameters
from runbook_lib.records import Finding, Inventory, Status

Found = tuple[str, str, str, str]

# What a plain VM of either kind has: check, status by today's rule, by the guide's, case.
_EVERY: tuple[Found, ...] = (
    ("network-drives", "UNKNOWN", "UNKNOWN", "guest"),
    ("replace-vm", "PASS", "WARN", "replaceable"),
    ("cross-region", "NOT NEEDED", "WARN", "geo"),
)
# Of a region without a pair, such as Spain Central and Mexico Central.
ALONE = ("cross-region", "NOT NEEDED", "WARN", "no_pair")
PLAIN: dict[str, tuple[Found, ...]] = {
    "Linux": _EVERY,
    "Windows": (*_EVERY, ("domain-controller", "UNKNOWN", "UNKNOWN", "guest")),
}
SILENT = (
    ("agent-version", "UNKNOWN", "UNKNOWN", "unknown"),
    ("agent-wireserver", "UNKNOWN", "NOT NEEDED", "guest"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """
    What is expected of a VM.

    Attributes:
        own: findings that a plain VM of its kind does not have, or has otherwise.
        reason: why they are there.
    """

    vm: str
    kind: str
    verdict: str
    own: tuple[Found, ...]
    reason: str


ROWS = (
    Row(
        "rg-audit-uk/audit01",
        "Linux",
        "BLOCKED",
        (("vault-locks", "FAIL", "NOT NEEDED", "read_only"), ("locks", "FAIL", "NOT NEEDED", "read_only")),
        "the group for its region's vault is under a read-only lock",
    ),
    Row("rg-bi-málaga/bi01", "Linux", "READY", (ALONE,), "nothing in its way; in a region without a pair"),
    Row(
        "rg-bi-málaga/etl01",
        "Linux",
        "READY",
        (("docker-extension", "WARN", "FAIL", "present"), ("agent-version", "WARN", "NOT NEEDED", "old"), ALONE),
        "has the Docker extension and an agent of 2015",
    ),
    Row(
        "rg-crm-prod/crm01",
        "Windows",
        "PROTECTED",
        (
            ("vault-in-region", "WARN", "PASS", "no_soft_delete"),
            ("redundancy-locked", "WARN", "NOT NEEDED", "locked_held"),
            ("cross-region", "NOT NEEDED", "WARN", "in_region"),
        ),
        "protected in an old vault: locally redundant, and what is deleted there is gone",
    ),
    Row(
        "rg-data-prod/archive01",
        "Linux",
        "BLOCKED",
        (("data-disks", "FAIL", "FAIL", "over"),),
        "has 33 data disks",
    ),
    Row(
        "rg-data-prod/erp01",
        "Windows",
        "BLOCKED",
        (("protection", "FAIL", "FAIL", "soft_deleted"), ("listed", "WARN", "WARN", "soft_deleted")),
        "was deleted from its vault six days ago",
    ),
    Row(
        "rg-data-prod/file01",
        "Windows",
        "READY",
        (("data-disks", "PASS", "FAIL", "within"),),
        "has 17 data disks: one more than the guide allows",
    ),
    Row("rg-data-prod/hr01", "Windows", "READY", (), "its NSG lets the backup out by service tags"),
    Row(
        "rg-data-prod/sql01",
        "Windows",
        "PROTECTED",
        (("cross-region", "PASS", "WARN", "restorable"),),
        "protected in another vault than the others, with Cross Region Restore",
    ),
    Row(
        "rg-data-prod/sql02",
        "Windows",
        "READY",
        (("protection", "WARN", "WARN", "stopped"),),
        "its protection was stopped, its recovery points are kept",
    ),
    Row(
        "rg-edge-prod/app01",
        "Linux",
        "READY",
        (("network-outbound", "NOT NEEDED", "FAIL", "denied"),),
        "under the guide's NSG-lockdown",
    ),
    Row(
        "rg-edge-prod/vm-proxy",
        "Linux",
        "READY",
        (("network-outbound", "NOT NEEDED", "FAIL", "denied"),),
        "the guide's proxy, before its exception",
    ),
    Row(
        "rg-frozen-prod/frozen01",
        "Windows",
        "READY",
        (("vault-locks", "PASS", "NOT NEEDED", "none"), ("locks", "FAIL", "NOT NEEDED", "read_only")),
        "its own group is under a read-only lock, which does not keep it from being enabled",
    ),
    Row(
        "rg-identity-prod/dc01",
        "Windows",
        "READY",
        (("agent-version", "WARN", "FAIL", "old"),),
        "its agent is older than the guide's",
    ),
    Row(
        "rg-identity-prod/dc02",
        "Windows",
        "READY",
        (("agent-version", "WARN", "PASS", "old"),),
        "its agent is young enough for the guide, not for today",
    ),
    Row(
        "rg-ledger-prod/ledger01",
        "Windows",
        "READY",
        (("locks", "WARN", "NOT NEEDED", "delete"),),
        "its group is locked against deletion",
    ),
    Row(
        "rg-mail_(legacy)/mail01",
        "Windows",
        "BLOCKED",
        (("agent", "FAIL", "FAIL", "not_ready"), *SILENT),
        "its agent does not answer",
    ),
    Row(
        "rg-mail_(legacy)/print01",
        "Windows",
        "BLOCKED",
        (
            ("os-version", "UNKNOWN", "UNKNOWN", "guest"),
            ("agent", "FAIL", "FAIL", "missing"),
            *SILENT,
            ("agent-settings", "FAIL", "NOT NEEDED", "no_extensions"),
        ),
        "migrated without an agent; its image is its own, and extensions are not allowed",
    ),
    Row(
        "rg-plant-monterrey/plant01",
        "Linux",
        "BLOCKED",
        (
            ("region", "FAIL", "FAIL", "not_offered"),
            ("vault-in-region", "FAIL", "FAIL", "not_offered"),
            ("listed", "FAIL", "FAIL", "not_offered"),
            ALONE,
        ),
        "in a region that offers no vaults",
    ),
    Row(
        "rg-platform-prod/cluster01",
        "Windows",
        "READY",
        (("shared-disks", "WARN", "NOT NEEDED", "shared"),),
        "its data disk may be attached twice",
    ),
    Row(
        "rg-platform-prod/core01",
        "Linux",
        "BLOCKED",
        (("os-version", "FAIL", "FAIL", "refused"),),
        "runs CoreOS",
    ),
    Row(
        "rg-platform-prod/fleet_3f9c21aa",
        "Linux",
        "READY",
        (
            ("scale-set-member", "PASS", "NOT NEEDED", "flexible"),
            ("network-outbound", "NOT NEEDED", "FAIL", "no_way_out"),
        ),
        "a member of a flexible scale set, which has no way out by default",
    ),
    Row(
        "rg-platform-prod/front01",
        "Linux",
        "READY",
        (("special-network", "WARN", "WARN", "special"),),
        "behind an external load balancer",
    ),
    Row(
        "rg-platform-prod/hsm01",
        "Windows",
        "BLOCKED",
        (
            ("policy-fit", "FAIL", "NOT NEEDED", "needs_enhanced"),
            ("trusted-launch", "WARN", "NOT NEEDED", "confidential"),
        ),
        "a confidential VM, and the default policy is a Standard one",
    ),
    Row(
        "rg-platform-prod/image01",
        "Windows",
        "BLOCKED",
        (
            ("os-version", "UNKNOWN", "UNKNOWN", "guest"),
            ("agent", "FAIL", "FAIL", "missing"),
            *SILENT,
            ("agent-settings", "WARN", "WARN", "not_provisioned"),
        ),
        "made from an image of its own, and Azure was told to leave the agent out",
    ),
    Row(
        "rg-platform-prod/legacy01",
        "Windows",
        "READY",
        (("unmanaged-disks", "WARN", "NOT NEEDED", "unmanaged"), ("replace-vm", "WARN", "WARN", "unmanaged")),
        "its disk lives in a storage account",
    ),
    Row(
        "rg-platform-prod/nightly01",
        "Windows",
        "PROTECTED",
        (("agent-update", "WARN", "WARN", "running"),),
        "a backup of it runs",
    ),
    Row(
        "rg-platform-prod/queue01",
        "Linux",
        "READY",
        (("special-network", "WARN", "WARN", "special"), ("network-outbound", "NOT NEEDED", "FAIL", "no_way_out")),
        "behind an internal load balancer, which takes its default way out",
    ),
    Row(
        "rg-platform-prod/render01",
        "Linux",
        "BLOCKED",
        (("ephemeral-os-disk", "FAIL", "NOT NEEDED", "ephemeral"),),
        "its system lives on its host only",
    ),
    Row(
        "rg-platform-prod/report01",
        "Windows",
        "BLOCKED",
        (("protection", "FAIL", "FAIL", "last_failed"), ("backup-extension", "WARN", "WARN", "failed")),
        "its last backup failed, for its backup extension did",
    ),
    Row(
        "rg-platform-prod/resolver01",
        "Linux",
        "UNDETERMINED",
        (
            ("agent", "UNKNOWN", "UNKNOWN", "starting"),
            SILENT[0],
            ("agent-wireserver", "WARN", "NOT NEEDED", "names_denied"),
        ),
        "started minutes ago, and its NSG keeps it from Azure's name service",
    ),
    Row(
        "rg-platform-prod/router01",
        "Linux",
        "READY",
        (("special-network", "WARN", "WARN", "special"),),
        "has two interfaces and two reserved addresses",
    ),
    Row(
        "rg-platform-prod/sap01",
        "Linux",
        "READY",
        (("write-accelerator", "WARN", "NOT NEEDED", "present"),),
        "has disks with Write Accelerator, and a way out",
    ),
    Row(
        "rg-platform-prod/secret01",
        "Windows",
        "READY",
        (("disk-encryption", "UNKNOWN", "NOT NEEDED", "by_policy"), ("replace-vm", "WARN", "WARN", "encrypted")),
        "has Azure Disk Encryption, and only Entra ID tells whose its Key Vault's access policies are",
    ),
    Row(
        "rg-platform-prod/trading01",
        "Linux",
        "BLOCKED",
        (("policy-fit", "FAIL", "NOT NEEDED", "needs_enhanced"), ("ultra-disks", "PASS", "NOT NEEDED", "present")),
        "has an Ultra Disk, and the default policy is a Standard one",
    ),
    Row(
        "rg-shop-prod/pay01",
        "Linux",
        "READY",
        (("network-outbound", "NOT NEEDED", "FAIL", "denied"),),
        "its subnet denies the Internet",
    ),
    Row("rg-shop-prod/web01", "Windows", "PROTECTED", (), "protected, with a recovery point of some hours"),
    Row(
        "rg-shop-prod/web02",
        "Windows",
        "ENABLED",
        (("trusted-launch", "PASS", "NOT NEEDED", "trusted"),),
        "waits for its first backup",
    ),
    Row("rg-shop-staging/web01", "Linux", "READY", (), "not the web01 that is protected"),
    Row(
        "rg-dev-apps/dev-build01",
        "Windows",
        "READY",
        (("agent", "WARN", "WARN", "off"), *SILENT),
        "deallocated, so no agent reports",
    ),
    Row(
        "rg-dev-apps/dev-test01",
        "Linux",
        "READY",
        (("agent", "WARN", "WARN", "off"), SILENT[1]),
        "stopped; its agent's last word was Ready",
    ),
    Row("rg-dev-apps/dev-web01", "Linux", "READY", (), "nothing in its way, its provider is not registered"),
    Row(
        "rg-dev-lab/dev-lab01",
        "Linux",
        "READY",
        (("network-outbound", "NOT NEEDED", "FAIL", "no_way_out"), ALONE),
        "its guest reports hostile text, and its subnet is a private one",
    ),
)


@pytest.fixture(name="read")
def _read(session: Session) -> Inventory:
    return read_inventory(session, Parameters())


def _findings(read: Inventory) -> dict[str, list[Finding]]:
    """
    Group the findings by VM, as `GROUP/NAME` with the group as it names itself.
    """
    groups = {key: group.name for key, group in read.groups.items()}
    by_vm: dict[str, list[Finding]] = {}
    for vm in read.vms.values():
        group = groups[f"/subscriptions/{vm.subscription}/resourcegroups/{vm.resource_group}".lower()]
        by_vm[f"{group}/{vm.name}"] = list(checks.judge(read, [vm]))
    return by_vm


def _expected(row: Row) -> set[Found]:
    own = {found[0] for found in row.own}
    return {found for found in PLAIN[row.kind] if found[0] not in own} | {
        found for found in row.own if set(found[1:3]) - {"PASS", "NOT NEEDED"}
    }


def test_every_vm_has_the_findings_that_are_expected_of_it(read: Inventory) -> None:
    """
    Its verdict, and all findings but plain passes.
    """
    found = {
        vm: (
            checks.verdict(own)[0].value,
            {
                (each.check, each.status.value, each.guide.value, each.case)
                for each in own
                if not {each.status, each.guide} <= {Status.PASS, Status.NOT_NEEDED}
            },
        )
        for vm, own in _findings(read).items()
    }

    assert {row.vm: (row.verdict, _expected(row)) for row in ROWS} == found


def test_what_is_expected_and_passes_is_found_too(read: Inventory) -> None:
    """
    A row may name a finding that is no trouble, to say that the VM is there for it.
    """
    named = {(row.vm, found) for row in ROWS for found in row.own}
    there = {
        (vm, (each.check, each.status.value, each.guide.value, each.case))
        for vm, own in _findings(read).items()
        for each in own
    }

    assert set() == named - there


# Checks that no VM has to itself, and why.
SHOWN_BY_ALL = {
    "reserved-ip": "a rule for classic VMs, of which there are none here",
    "network-drives": "what is mounted only the guest knows, of every VM",
    "domain-controller": "what a Windows VM is only the guest knows; tags, which dc01 and dc02 have, are no facts",
}


def test_every_check_has_a_vm_that_shows_it() -> None:
    """
    One of its own, not what every plain VM has; or it is said why there is none.
    """
    shown = {found[0] for row in ROWS for found in row.own}
    silent = {check.id for check in CATALOGUE} - shown

    assert silent == {check for check, reason in SHOWN_BY_ALL.items() if reason}


def test_no_load_balancer_is_taken_for_the_other_kind(read: Inventory) -> None:
    """
    The guide names internal and external ones: each has a VM.
    """
    told = {
        vm: (each.facts["balancers"], each.facts["external"])
        for vm, own in _findings(read).items()
        for each in own
        if each.check == "special-network" and each.facts["balancers"] != "none"
    }

    assert {
        "rg-platform-prod/front01": ("lbe-front", "lbe-front"),
        "rg-platform-prod/queue01": ("lbi-queue", "none"),
    } == told


def test_every_row_says_why() -> None:
    """
    Each VM stands here once, with its reason.
    """
    assert {row.vm: 1 for row in ROWS} == Counter(row.vm for row in ROWS if row.reason)
