"""
The check catalogue: every case of every check, and the ladder from findings to one verdict per VM.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import (
    NOW,
    ONE,
    TWO,
    estate,
    inventory,
    item,
    lock,
    networked,
    nic,
    nsg,
    policies_of,
    provider,
    rule,
    subnet,
    vault,
    vm,
    with_records,
)
from cases import ASKED, MORE_CASES
from hypothesis import given
from hypothesis import strategies as st
from network_cases import NETWORK_CASES

from runbook_lib import checks, text
from runbook_lib.checks import CATALOGUE
from runbook_lib.parameters import Parameters
from runbook_lib.policy import built_in
from runbook_lib.records import (
    Agent,
    Finding,
    Inventory,
    Provider,
    Status,
    Unread,
    Vault,
    Verdict,
    VirtualMachine,
    key,
)
from runbook_lib.render import sentence

HELD = vault()
WEB = vm()


def agent(status: str, message: str = "", version: str = "2.7.41491.1095") -> dict[str, Any]:
    """
    A VM's fields for what its agent says.
    """
    return {"agent": Agent(status=status, version=version, message=message)}


def off(power: str, **more: Any) -> Inventory:
    """
    An estate whose VM is in a power state.
    """
    return estate(vm(power_state=power, **more))


def protected(machine: VirtualMachine = WEB, **fields: Any) -> Inventory:
    """
    An estate whose VM has an entry in a vault.
    """
    return estate(machine, HELD, *policies_of(HELD), item(machine, HELD, **fields))


def blind(**fields: Any) -> Inventory:
    """
    An estate with a vault whose items nobody could read.
    """
    return estate(vault(items_read=False, **fields))


def unlisted() -> Inventory:
    """
    An estate where the vaults of another subscription could not be listed.
    """
    gap = Unread(
        scope=f"/subscriptions/{TWO}", what="Microsoft.RecoveryServices/vaults", status=403, code="x", message=""
    )
    return replace(estate(), unread=(gap,))


NOT_YET = "VM status blob is found but not yet populated."
WAITING = "GuestAgent is running and waiting for network issue to be resolved."
SILENT = "VM Agent is unresponsive."
CLOSED = networked(rule("deny-all", 200))
# Every case of every check, by what makes it: status by today's rule, and by the guide's.
CASES: list[tuple[str, str, Status, Status, Inventory]] = [
    ("region", "offered", Status.PASS, Status.PASS, estate()),
    ("region", "not_offered", Status.FAIL, Status.FAIL, estate(vm(location="brazilus"))),
    ("region", "unread", Status.UNKNOWN, Status.UNKNOWN, inventory(vm())),
    ("region", "unread", Status.UNKNOWN, Status.UNKNOWN, inventory(vm(), provider(locations=()))),
    ("region", "unread", Status.UNKNOWN, Status.UNKNOWN, inventory(vm(), provider(TWO))),
    ("protection", "none", Status.PASS, Status.PASS, estate()),
    ("protection", "none", Status.PASS, Status.PASS, estate(HELD)),
    ("protection", "none", Status.PASS, Status.PASS, blind(location="northeurope")),
    ("protection", "protected", Status.PASS, Status.PASS, protected()),
    ("protection", "protected", Status.PASS, Status.PASS, protected(health_status="ActionSuggested")),
    ("protection", "protected", Status.PASS, Status.PASS, protected(health_status="")),
    ("protection", "protected", Status.PASS, Status.PASS, protected(last_backup_status="CompletedWithWarnings")),
    ("protection", "protected", Status.PASS, Status.PASS, protected(last_backup_time=NOW - timedelta(hours=36))),
    # The clocks of two services differ.
    ("protection", "protected", Status.PASS, Status.PASS, protected(last_backup_time=NOW + timedelta(minutes=1))),
    (
        "protection",
        "pending",
        Status.PASS,
        Status.PASS,
        protected(protection_state="IRPending", last_backup_status="", last_backup_time=None),
    ),
    ("protection", "stopped", Status.WARN, Status.WARN, protected(protection="stopped", policy_id="")),
    (
        "protection",
        "soft_deleted",
        Status.FAIL,
        Status.FAIL,
        protected(protection="stopped", soft_deleted=True),
    ),
    ("protection", "undelete", Status.WARN, Status.WARN, protected(protection="stopped", soft_deleted=True)),
    (
        "protection",
        "failed",
        Status.WARN,
        Status.WARN,
        protected(protection="protectionerror", protection_state="ProtectionError"),
    ),
    (
        "protection",
        "suspended",
        Status.FAIL,
        Status.FAIL,
        protected(protection="protectionpaused", protection_state="ProtectionPaused"),
    ),
    # A word that nobody knows is no fault; neither is none.
    ("protection", "unclear_state", Status.UNKNOWN, Status.UNKNOWN, protected(protection="", protection_state="")),
    (
        "protection",
        "unclear_state",
        Status.UNKNOWN,
        Status.UNKNOWN,
        protected(protection="invalid", protection_state="Invalid"),
    ),
    (
        "protection",
        "suspended",
        Status.FAIL,
        Status.FAIL,
        protected(protection="protectionpaused", protection_state="ProtectionPaused"),
    ),
    (
        "protection",
        "suspended",
        Status.FAIL,
        Status.FAIL,
        protected(protection="backupssuspended", protection_state="BackupsSuspended"),
    ),
    ("protection", "unhealthy", Status.FAIL, Status.FAIL, protected(protection_status="Unhealthy")),
    ("protection", "unhealthy", Status.FAIL, Status.FAIL, protected(health_status="ActionRequired")),
    ("protection", "unhealthy", Status.FAIL, Status.FAIL, protected(health_status="actionrequired")),
    ("protection", "unclear_health", Status.UNKNOWN, Status.UNKNOWN, protected(health_status="Invalid")),
    ("protection", "unclear_health", Status.UNKNOWN, Status.UNKNOWN, protected(protection_status="Odd")),
    (
        "protection",
        "unclear_health",
        Status.UNKNOWN,
        Status.UNKNOWN,
        protected(last_backup_time=datetime(2099, 1, 1, tzinfo=UTC)),
    ),
    (
        "protection",
        "unhealthy",
        Status.FAIL,
        Status.FAIL,
        protected(
            protection_state="IRPending",
            protection_status="Unhealthy",
            last_backup_status="",
            last_backup_time=None,
        ),
    ),
    # Words that nobody knows, and a backup that lies in the future: neither healthy nor a fault.
    ("protection", "unclear_health", Status.UNKNOWN, Status.UNKNOWN, protected(health_status="Invalid")),
    ("protection", "unclear_health", Status.UNKNOWN, Status.UNKNOWN, protected(protection_status="Whatever")),
    (
        "protection",
        "unclear_health",
        Status.UNKNOWN,
        Status.UNKNOWN,
        protected(last_backup_time=NOW + timedelta(hours=1, seconds=1)),
    ),
    ("protection", "unhealthy", Status.FAIL, Status.FAIL, protected(health_status="ACTIONREQUIRED")),
    ("protection", "last_failed", Status.FAIL, Status.FAIL, protected(last_backup_status="Failed")),
    ("protection", "last_failed", Status.FAIL, Status.FAIL, protected(last_backup_status="Cancelled")),
    ("protection", "unclear_health", Status.UNKNOWN, Status.UNKNOWN, protected(last_backup_status="")),
    ("protection", "in_progress", Status.UNKNOWN, Status.UNKNOWN, protected(last_backup_status="InProgress")),
    ("protection", "protected", Status.PASS, Status.PASS, protected(last_backup_status="completed")),
    ("protection", "last_failed", Status.FAIL, Status.FAIL, protected(last_backup_time=None)),
    (
        "protection",
        "first_cancelled",
        Status.WARN,
        Status.WARN,
        protected(protection_state="irpending", last_backup_status="Cancelled", last_backup_time=None),
    ),
    # The first backup was tried and failed: that is not pending.
    (
        "protection",
        "last_failed",
        Status.FAIL,
        Status.FAIL,
        protected(protection_state="IRPending", last_backup_status="Failed", last_backup_time=None),
    ),
    (
        "protection",
        "stale",
        Status.FAIL,
        Status.FAIL,
        protected(last_backup_time=NOW - timedelta(hours=36, seconds=1)),
    ),
    ("protection", "policy_unread", Status.UNKNOWN, Status.UNKNOWN, protected(policy_id="/nowhere")),
    ("protection", "unread", Status.UNKNOWN, Status.UNKNOWN, blind()),
    ("protection", "unread", Status.UNKNOWN, Status.UNKNOWN, unlisted()),
    ("data-disks", "within", Status.PASS, Status.PASS, estate(vm(data_disks=16))),
    ("data-disks", "within", Status.PASS, Status.FAIL, estate(vm(data_disks=17))),
    ("data-disks", "within", Status.PASS, Status.FAIL, estate(vm(data_disks=32))),
    ("data-disks", "within", Status.PASS, Status.PASS, estate(vm(data_disks=16, unmanaged_disks=True))),
    ("data-disks", "over", Status.FAIL, Status.FAIL, estate(vm(data_disks=33))),
    ("data-disks", "over", Status.FAIL, Status.FAIL, estate(vm(data_disks=17, unmanaged_disks=True))),
    ("agent", "ready", Status.PASS, Status.PASS, estate()),
    ("agent", "waiting", Status.WARN, Status.WARN, estate(vm(**agent("Ready", WAITING)))),
    ("agent", "ready", Status.PASS, Status.PASS, estate(vm(**agent("ready")))),
    ("agent", "waiting", Status.WARN, Status.WARN, estate(vm(**agent("READY", WAITING.upper())))),
    ("agent", "starting", Status.UNKNOWN, Status.UNKNOWN, estate(vm(**agent("Not ready", NOT_YET.upper())))),
    ("agent", "missing", Status.FAIL, Status.FAIL, estate(vm(agent=None))),
    ("agent", "not_ready", Status.FAIL, Status.FAIL, estate(vm(**agent("Not Ready", SILENT, "Unknown")))),
    ("agent", "starting", Status.UNKNOWN, Status.UNKNOWN, estate(vm(**agent("Not Ready", NOT_YET, "Unknown")))),
    # What the agent of a VM that is off says is stale, and its absence says nothing.
    ("agent", "off", Status.WARN, Status.WARN, off("deallocated")),
    ("agent", "off", Status.WARN, Status.WARN, off("stopped")),
    ("agent", "off", Status.WARN, Status.WARN, off("deallocated", agent=None)),
    ("agent", "off", Status.WARN, Status.WARN, off("stopping", **agent("Not Ready", SILENT))),
    ("agent", "off", Status.WARN, Status.WARN, off("deallocating")),
    ("agent", "power", Status.UNKNOWN, Status.UNKNOWN, off("starting")),
    ("agent", "power", Status.UNKNOWN, Status.UNKNOWN, off("")),
    ("agent", "power", Status.UNKNOWN, Status.UNKNOWN, off("creating", agent=None)),
    ("agent", "unread", Status.UNKNOWN, Status.UNKNOWN, estate(vm(instance_view=False))),
    ("agent-version", "current", Status.PASS, Status.PASS, estate()),
    ("agent-version", "current", Status.PASS, Status.PASS, estate(vm(**agent("Ready", version="2.7.41491.1010")))),
    (
        "agent-version",
        "current",
        Status.PASS,
        Status.NOT_NEEDED,
        estate(vm(os_type="Linux", **agent("Ready", version="2.12.0.2"))),
    ),
    ("agent-version", "old", Status.WARN, Status.PASS, estate(vm(**agent("Ready", version="2.7.41491.1009")))),
    ("agent-version", "old", Status.WARN, Status.FAIL, estate(vm(**agent("Ready", version="2.6.1198.717")))),
    (
        "agent-version",
        "old",
        Status.WARN,
        Status.NOT_NEEDED,
        estate(vm(os_type="Linux", **agent("Ready", version="WALinuxAgent-2.0.16"))),
    ),
    (
        "agent-version",
        "old",
        Status.WARN,
        Status.NOT_NEEDED,
        estate(vm(os_type="Linux", **agent("Ready", version="2.1.3"))),
    ),
    ("agent-version", "unknown", Status.UNKNOWN, Status.UNKNOWN, estate(vm(agent=None))),
    ("agent-version", "unknown", Status.UNKNOWN, Status.UNKNOWN, estate(vm(**agent("Not Ready", version="Unknown")))),
    ("agent-version", "unknown", Status.UNKNOWN, Status.UNKNOWN, estate(vm(os_type=""))),
    ("agent-version", "unknown", Status.UNKNOWN, Status.UNKNOWN, estate(vm(**agent("Ready", version="")))),
    ("agent-version", "current", Status.PASS, Status.PASS, estate(vm(**agent("Ready", version="9" * 5000 + ".1")))),
    *MORE_CASES,
    *NETWORK_CASES,
]


def finding(
    world: Inventory, check: str, machine: VirtualMachine | None = None, asked: Parameters | None = None
) -> Finding:
    """
    The one finding of a check on the one VM of an estate.
    """
    chosen = [machine] if machine else list(world.vms.values())
    (found,) = (each for each in checks.judge(world, chosen, asked) if each.check == check)
    return found


@pytest.mark.parametrize(
    ("check", "case", "status", "guide", "world"),
    CASES,
    ids=[f"{check}-{case}-{number}" for number, (check, case, *_) in enumerate(CASES)],
)
def test_a_check_finds_the_case_that_holds(
    check: str, case: str, status: Status, guide: Status, world: Inventory
) -> None:
    """
    Each case has its status by today's rule and by the guide's, and a sentence for its facts.
    """
    found = finding(world, check, asked=ASKED.get((check, case)))

    assert (case, status, guide) == (found.case, found.status, found.guide)
    assert sentence(found, "en")
    remedy = f"check.{check}.{case}.remedy"
    assert not text.exists(remedy) or text.say(remedy, **found.facts)


def test_every_case_that_has_a_sentence_is_among_these() -> None:
    """
    A case without a test, or a sentence without a case, would be seen here.
    """
    fixed = {"title", "guide", "today", "source"}
    written = {tuple(each.split(".")[1:3]) for each in text.ids() if each.startswith("check.")}

    assert {each for each in written if each[1] not in fixed} == {(check, case) for check, case, *_ in CASES}


def test_every_bad_case_that_somebody_can_mend_says_how() -> None:
    """
    What blocks or is not known comes with a remedy.
    """
    effects = {check.id: check.effect for check in CATALOGUE}
    bad = {
        (check, case)
        for check, case, status, *_ in CASES
        if effects[check] == "blocks" and status in (Status.FAIL, Status.UNKNOWN, Status.WARN)
    }

    assert set() == {each for each in bad if not text.exists(f"check.{each[0]}.{each[1]}.remedy")}


def test_the_catalogue_has_each_check_once_with_an_effect() -> None:
    """
    Blocks, risks or informs; each comes from a section of the guide.
    """
    assert len(CATALOGUE) == len({check.id for check in CATALOGUE})
    assert {"blocks", "risks", "informs"} == {check.effect for check in CATALOGUE}
    assert all(text.exists(f"section.{check.section}") for check in CATALOGUE)


def test_every_vm_gets_exactly_one_finding_of_each_check() -> None:
    """
    Neither a silent check nor two answers.
    """
    one, other = vm("a"), vm("b", power_state="", agent=None)
    found = checks.judge(estate(one, other), [one, other])

    assert sorted((each.id, check.id) for each in (one, other) for check in CATALOGUE) == sorted(
        (each.resource, each.check) for each in found
    )


# --- protection, by full ARM id ------------------------------------------------------------------------------------


def test_a_vm_of_the_same_name_in_another_group_is_not_protected() -> None:
    """
    The item of one says nothing about the other.
    """
    one, other = vm("web", "rg-a"), vm("web", "rg-b")
    world = estate(one, other, HELD, *policies_of(HELD), item(one, HELD))

    assert "protected" == finding(world, "protection", one).case
    assert "none" == finding(world, "protection", other).case


def test_a_vm_of_the_same_name_in_another_subscription_is_not_protected() -> None:
    """
    Group and name may both be the same.
    """
    one, other = vm("web", "rg-a", ONE), vm("web", "rg-a", TWO)
    world = estate(one, other, HELD, *policies_of(HELD), item(one, HELD))

    assert "none" == finding(world, "protection", other).case


def test_an_item_is_matched_whatever_the_case_of_its_source() -> None:
    """
    In real traffic a quarter of the ids differ in case between two answers.
    """
    world = protected(source_id=WEB.id.upper(), policy_id=f"{HELD.id.lower()}/BACKUPPOLICIES/defaultpolicy")

    assert "protected" == finding(world, "protection").case


def test_a_running_item_counts_before_what_is_left_of_others() -> None:
    """
    Soft-deleted and stopped entries in other vaults do not hide a protection that runs.
    """
    other = vault("rsv-old")
    world = with_records(
        protected(),
        other,
        item(WEB, other, protection="stopped", soft_deleted=True),
        item(WEB, vault("rsv-older"), protection="stopped"),
    )

    assert "protected" == finding(world, "protection").case


def test_a_stopped_item_counts_before_a_deleted_one() -> None:
    """
    Its protection can be resumed.
    """
    other = vault("rsv-old")
    world = with_records(
        protected(protection="stopped", soft_deleted=True), other, item(WEB, other, protection="stopped")
    )

    assert ("stopped", "rsv-old") == (
        finding(world, "protection").case,
        finding(world, "protection").facts["vault"],
    )


def test_a_protection_that_was_read_needs_no_other_vault() -> None:
    """
    A VM can be protected in one vault only: who found it need not look into the rest.
    """
    assert "protected" == finding(with_records(protected(), vault("rsv-x", items_read=False)), "protection").case


@pytest.mark.parametrize("state", ["stopped", "deleted"])
def test_what_is_left_in_one_vault_does_not_speak_for_a_vault_that_nobody_read(state: str) -> None:
    """
    The VM may be protected there meanwhile.
    """
    world = protected(protection="stopped", soft_deleted=state == "deleted")
    found = finding(with_records(world, vault("rsv-x", items_read=False)), "protection")

    assert ("unread", "rsv-x") == (found.case, found.facts["vaults"])


@pytest.mark.parametrize(
    ("name", "hours", "case"),
    [
        ("DefaultPolicy", 35, "protected"),
        ("DefaultPolicy", 37, "stale"),
        ("EnhancedPolicy", 27, "protected"),
        ("EnhancedPolicy", 29, "stale"),
    ],
)
def test_how_old_a_backup_may_be_is_the_policys_to_say(name: str, hours: int, case: str) -> None:
    """
    Daily: a day and a half; every four hours in the day: the night and half a day.
    """
    world = protected(policy_id=built_in(name, HELD.id).id, last_backup_time=NOW - timedelta(hours=hours))

    assert (case, hours) == (finding(world, "protection").case, finding(world, "protection").facts["age_hours"])


def test_a_vault_that_is_not_listed_is_named_by_its_id() -> None:
    """
    An item may stand in a vault that itself could not be read.
    """
    world = replace(protected(protection="stopped"), vaults={})

    assert HELD.name == finding(world, "protection").facts["vault"]


# --- network: every NIC, its NSG and its subnet's -----------------------------------------------------------------


def test_the_nsg_of_the_subnet_counts_as_well() -> None:
    """
    Both must allow.
    """
    shut = nsg("nsg-net", rule("deny", 200))
    net = subnet(nsg_id=shut.id)
    own = nic(subnet_id=net.id, nsg_id=nsg("nsg-nic").id)
    found = finding(estate(vm(nic_ids=(own.id,)), own, net, shut, nsg("nsg-nic")), "network-outbound")

    assert ("denied", {"nic": "nic-web", "nsg": "nsg-net", "rule": "deny", "tag": "AzureBackup"}) == (
        found.case,
        found.facts,
    )


def test_one_denied_nic_is_enough() -> None:
    """
    The guest chooses the NIC; a NIC that could not be read does not hide one that is denied.
    """
    shut = nsg("nsg-shut", rule("deny", 200))
    first, second = nic("nic-1"), nic("nic-2", nsg_id=shut.id)
    world = estate(vm(nic_ids=(first.id, "/unread", second.id)), first, second, shut)

    assert ("denied", "nic-2") == (
        finding(world, "network-outbound").case,
        finding(world, "network-outbound").facts["nic"],
    )


@pytest.mark.parametrize("missing", ["nsg", "subnet"])
def test_what_could_not_be_read_is_never_taken_for_open(missing: str) -> None:
    """
    A NIC that names an NSG or a subnet that is not there is unclear.
    """
    own = nic(subnet_id="/gone") if missing == "subnet" else nic(nsg_id="/gone")

    assert "unclear" == finding(estate(vm(nic_ids=(own.id,)), own), "network-outbound").case


# --- the ladder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "verdict", "decisive"),
    [
        (estate(), Verdict.READY, ()),
        (protected(), Verdict.PROTECTED, ()),
        (
            protected(protection_state="IRPending", last_backup_status="", last_backup_time=None),
            Verdict.ENABLED,
            (),
        ),
        (
            protected(protection_state="IRPending", last_backup_status="Cancelled", last_backup_time=None),
            Verdict.ENABLED,
            (),
        ),
        (protected(protection="stopped"), Verdict.READY, ()),
        (estate(HELD, *policies_of(HELD), lock(HELD.id, "ReadOnly")), Verdict.BLOCKED, ("vault-locks",)),
        (estate(lock(WEB.id.split("/providers/")[0], "ReadOnly")), Verdict.READY, ()),
        (estate(vault(policies_read=False)), Verdict.UNDETERMINED, ("policy-fit",)),
        (off("deallocated"), Verdict.READY, ()),
        (protected(vm(power_state="deallocated")), Verdict.PROTECTED, ()),
        (estate(vm(agent=None)), Verdict.BLOCKED, ("agent",)),
        (estate(vm(data_disks=33, agent=None)), Verdict.BLOCKED, ("data-disks", "agent")),
        (estate(vm(data_disks=33, instance_view=False)), Verdict.BLOCKED, ("data-disks",)),
        (estate(vm(instance_view=False)), Verdict.UNDETERMINED, ("agent",)),
        (blind(), Verdict.UNDETERMINED, ("protection",)),
        (protected(last_backup_status="Failed"), Verdict.BLOCKED, ("protection",)),
        (protected(policy_id=""), Verdict.UNDETERMINED, ("protection",)),
        # A protected VM whose agent broke is not fine.
        (protected(vm(agent=None)), Verdict.BLOCKED, ("agent",)),
        # Risks and information change nothing.
        (estate(vm(**agent("Ready", version="2.0.0.0"))), Verdict.READY, ()),
        (estate(*CLOSED), Verdict.READY, ()),
    ],
)
def test_the_first_rung_that_holds_is_the_verdict(
    world: Inventory, verdict: Verdict, decisive: tuple[str, ...]
) -> None:
    """
    Blocked before undetermined, both before what protection says.
    """
    assert [(verdict, decisive)] == list(checks.verdicts(checks.judge(world, world.vms.values())).values())


@given(
    st.fixed_dictionaries({check.id: st.sampled_from(Status) for check in CATALOGUE}),
    st.sampled_from(["none", "protected", "pending", "stopped"]),
)
def test_the_ladder_holds_for_any_findings(statuses: dict[str, Status], case: str) -> None:
    """
    As the design's table has it; what risks or informs never changes a verdict.
    """
    found = [
        Finding(check=check, resource="/vm", status=status, guide=status, case=case)
        for check, status in statuses.items()
    ]
    blocking = {check.id: statuses[check.id] for check in CATALOGUE if check.effect == "blocks"}
    rungs = [
        (Status.FAIL in blocking.values(), Verdict.BLOCKED),
        (Status.UNKNOWN in blocking.values(), Verdict.UNDETERMINED),
        (case == "protected", Verdict.PROTECTED),
        (case == "pending", Verdict.ENABLED),
        (True, Verdict.READY),
    ]

    assert next(verdict for holds, verdict in rungs if holds) == checks.verdict(found)[0]


def test_no_finding_about_protection_is_not_ready() -> None:
    """
    What was not looked at is unknown: nobody is sent ahead on silence.
    """
    found = [each for each in checks.judge(estate(), [WEB]) if each.check != "protection"]

    assert (Verdict.UNDETERMINED, ("protection",)) == checks.verdict(found)
    assert (Verdict.UNDETERMINED, ("protection",)) == checks.verdict([])


def test_verdicts_are_drawn_for_each_vm_on_its_own() -> None:
    """
    A blocked VM does not block its neighbour of the same name.
    """
    good, bad = vm("web", "rg-a"), vm("web", "rg-b", agent=None)
    found = checks.judge(estate(good, bad), [good, bad])

    assert {good.id: Verdict.READY, bad.id: Verdict.BLOCKED} == {
        each: verdict for each, (verdict, _) in checks.verdicts(found).items() if each in (good.id, bad.id)
    }


@given(st.permutations([vault("rsv-a"), vault("rsv-b"), vault("rsv-c", items_read=False)]))
def test_findings_do_not_depend_on_the_order_of_reading(order: list[Vault]) -> None:
    """
    The same estate gives the same verdicts, whichever page came first.
    """
    held = item(WEB, vault("rsv-a"))
    world = replace(estate(held, *policies_of(vault("rsv-a"))), vaults={key(each.id): each for each in order})

    assert "protected" == finding(world, "protection").case
    assert (Verdict.UNDETERMINED, ("protection",)) == checks.verdict(checks.judge(replace(world, items={}), [WEB]))


def test_the_provider_of_the_vms_own_subscription_says_where_vaults_are() -> None:
    """
    Subscriptions differ in the regions that they are offered.
    """
    there: Provider = provider(TWO, locations=("northeurope",))
    world = estate(vm("a", guid=TWO), there)

    assert "not_offered" == finding(world, "region", vm("a", guid=TWO)).case
