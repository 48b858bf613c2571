"""
Redacted copies: no name and no id of the original in any byte, one pseudonym for one name, sealed by themselves.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sealed import edit, made, rehearsed
from signing import key_files

from runbook_lib.cli import main
from runbook_lib.errors import BrokenEvidence, InvalidParameters
from runbook_lib.evidence import read_json, seal, signer, verify, write_json
from runbook_lib.folder import read_plan
from runbook_lib.plan import plan_digest
from runbook_lib.records import Origin
from runbook_lib.redaction import Pseudonyms, redact
from runbook_lib.redaction.pseudonyms import names_in

pytestmark = pytest.mark.commands

SALT = b"0123456789abcdef0123456789abcdef"
SUBSCRIPTION = "6f1c2b9a-4d37-4e58-9a61-0c7d5e8b3f24"
PLACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/RG-Data/providers/Microsoft.Compute/virtualMachines/web01"
# Names of the example estate that are words of the report or of JSON too: where they are names, `n-…` stands.
WORDS = {"1", "2", "3", "azure", "evidence", "owner", "print", "reports", "role", "runbook", "standard"}


def names(*known: str) -> Pseudonyms:
    """
    Pseudonyms that know some names.
    """
    return Pseudonyms(SALT, known)


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    """
    A file with a secret.
    """
    path = tmp_path / "salt"
    path.write_bytes(SALT)
    return path


# --- pseudonyms --------------------------------------------------------------------------------------------------


def test_the_same_name_has_the_same_pseudonym_in_any_case() -> None:
    """
    ARM spells one name in several ways; another secret gives others.
    """
    assert names().name("Web01") == names().name("web01") != names().name("web02")
    assert names().name("web01") != Pseudonyms(b"x" * 32, ()).name("web01")
    assert re.fullmatch("n-[0-9a-f]{12}", names().name("web01"))


def test_an_id_keeps_its_form_and_loses_its_names() -> None:
    """
    Types, providers, regions and Azure's own names stay.
    """
    said = names().id(PLACE)
    item = "/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;RG-Data;web01"
    vault = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/RG-Data/providers/Microsoft.RecoveryServices/vaults/v1{item}"
    web, group = names().name("web01"), names().name("rg-data")

    assert said.endswith(f"/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{web}")
    assert SUBSCRIPTION not in said
    assert names().id(vault).endswith(f"/IaasVMContainer;iaasvmcontainerv2;{group};{web}")
    region = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus"
    assert names().id(region).endswith("/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus")


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("VM web01 (group RG-Mail_(Legacy)) is protected.", "VM # (group #) is protected."),
        ("web01, WEB01: 'web01'", "#, #: '#'"),
        ("web010 and xweb01 and web01-nic", "web010 and xweb01 and web01-nic"),
        ("in Contoso Production.", "in #."),
        ("at 10.1.2.3:8080, 20.50.1.1", "at ip:8080, ip"),
        ("100.64.0.7 and 168.63.129.16, version 2.7.41491.1010", "ip and 168.63.129.16, version 2.7.41491.1010"),
        ("from 2001:db8::7, fe80::1. At 10:20:30, 0.0.0.0/0", "from ip, ip. At 10:20:30, 0.0.0.0/0"),
        ("by ana@contoso.example", "by #"),
        ("", ""),
    ],
)
def test_known_names_are_replaced_in_sentences(sentence: str, left: str) -> None:
    """
    Whole names only, whatever signs are in them; private addresses as well.
    """
    said = names("web01", "rg-mail_(legacy)", "Contoso Production", "ana@contoso.example").text(sentence)

    assert left == re.sub("ip-[0-9a-f]{8}", "ip", re.sub("n-[0-9a-f]{12}", "#", said))


def test_a_word_beside_a_known_name_is_replaced_as_well() -> None:
    """
    In what lists names; a sentence keeps its words, and Azure's own names stay.
    """
    said = names("web01").words("web01, nic-of-ana, DefaultPolicy, 10.0.0.4")

    assert "#, #, DefaultPolicy, ip" == re.sub("ip-[0-9a-f]{8}", "ip", re.sub("n-[0-9a-f]{12}", "#", said))


def test_names_are_found_in_ids_and_beside_them() -> None:
    """
    Also in the keys of a document, and in the parts of a backup item's name.
    """
    document = {PLACE: {"id": PLACE, "name": "shown"}, "more": [{"x": "VM;iaasvmcontainerv2;a;b"}]}

    assert {"web01", "RG-Data", "shown", SUBSCRIPTION} == set(names_in(document))


# --- the copy ----------------------------------------------------------------------------------------------------


def test_a_copy_verifies_and_says_what_it_is(sealed_run: Path, tmp_path: Path, salt: Path) -> None:
    """
    Its claims are worked out once more, and it names the original's digest.
    """
    original = verify(sealed_run).digest
    digest = redact(sealed_run, tmp_path / "copy", salt)
    found = verify(tmp_path / "copy")

    assert (True, original, digest) == (found.accepted, found.original, found.digest)
    assert [f"redacted: names and ids are pseudonyms; the original's attestation is sha256:{original}"] == [
        line for line in found.lines("en") if line.startswith("redacted")
    ]
    assert {each.name for each in verify(sealed_run).claims} == {each.name for each in found.claims}


def test_a_copy_can_be_signed(sealed_run: Path, tmp_path: Path) -> None:
    """
    By whoever hands it on.
    """
    keys = key_files(tmp_path / "keys")
    redact(sealed_run, tmp_path / "copy", None, signer(str(keys.private)))

    assert "authentic" == verify(tmp_path / "copy", key=keys.public).worth


def test_a_copy_tells_the_same_story(sealed_run: Path, tmp_path: Path, salt: Path) -> None:
    """
    As many VMs, verdicts, changes and lines; what counts in them is the same.
    """
    redact(sealed_run, tmp_path / "copy", salt)
    was, now = (read_json(folder / "outcome.json") for folder in (sealed_run, tmp_path / "copy"))
    same = ("counts", "changes", "irreversible", "exit_code", "applied", "complete", "target", "read_at")

    assert {name: was[name] for name in same} == {name: now[name] for name in same}
    assert [(row["before"], row["verdict"]) for row in was["verdicts"]] == [
        (row["before"], row["verdict"]) for row in now["verdicts"]
    ]
    lines = [len((folder / "journal.jsonl").read_bytes().splitlines()) for folder in (sealed_run, tmp_path / "copy")]
    assert lines[0] == lines[1]


def test_copies_of_two_runs_join_by_the_secret(sealed_run: Path, tmp_path: Path, salt: Path) -> None:
    """
    One VM has one pseudonym in all copies made with it, and another in every copy made without.
    """
    other = made(tmp_path / "other", backup_time="22:00")
    seal(other)
    vms = []
    for number, (folder, secret) in enumerate([(sealed_run, salt), (other, salt), (sealed_run, None)]):
        redact(folder, tmp_path / str(number), secret)
        vms.append([row["vm"] for row in read_json(tmp_path / str(number) / "outcome.json")["verdicts"]])

    assert vms[0] == vms[1]
    assert set() == set(vms[0]) & set(vms[2])


def test_no_name_and_no_id_of_a_whole_run_is_in_any_byte(contoso: object, tmp_path: Path, salt: Path) -> None:
    """
    An applied run on the example estate: all resources, their tags, the caller, every GUID, every private address.
    """
    out, copy = tmp_path / "run", tmp_path / "copy"
    reason = json.dumps({PLACE.replace("RG-Data", "rg-data-prod").replace("web01", "hr01"): "agreed with Ana Example"})
    options = ["--apply", "--out", str(out), "-p", "accept_risk", reason]
    ran = CliRunner().invoke(main, ["run", *options], catch_exceptions=False)
    options = ["--out", str(copy), "--salt-file", str(salt)]
    told = CliRunner().invoke(main, ["redact", str(out), *options], catch_exceptions=False)
    known: set[str] = {"operator@sandbox", "Ana Example"}
    for name in ("inventory-before.json", "inventory-after.json", "plan.json", "outcome.json"):
        document = read_json(out / name)
        azures = ("locations", "providers", "target", "service_tags")
        known |= set(names_in({part: here for part, here in document.items() if part not in azures}))
        for vm in document.get("vms", {}).values():
            known |= set(vm.get("tags", {}).values()) | set(vm.get("tags", {}))
    text = "".join(path.read_text(encoding="utf-8") for path in out.rglob("*") if path.is_file())
    guids = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))
    addresses = set(re.findall(r"(?<![\d.])10\.\d+\.\d+\.\d+", text))
    public = {
        "DefaultPolicy",
        "EnhancedPolicy",
        "VM",
        "iaasvmcontainerv2",
        "IaasVMContainer",
        "Microsoft.RecoveryServices",
        "VMSnapshot",
        "VMSnapshotLinux",
    }
    sought = {each.lower() for each in known | guids | addresses if each} - {each.lower() for each in public} - WORDS
    copied = {path.name: path.read_text(encoding="utf-8").lower() for path in copy.rglob("*") if path.is_file()}
    # A name inside a longer word is none: "app" is in "applied".
    patterns = {each: re.compile(rf"(?<![\w-]){re.escape(each)}(?![\w-])") for each in sought}

    assert (3, 0) == (ran.exit_code, told.exit_code), ran.output
    assert 300 < len(known)
    assert 50 < len(guids)
    assert [] == [
        (each, file) for each, found in patterns.items() for file, body in copied.items() if found.search(body)
    ]
    assert verify(copy).accepted
    assert {"report.html", "outcome.json", "plan.json", "journal.jsonl", "findings.json"} < set(copied)
    assert set() == {path.suffix for path in copy.iterdir()} & {".ipynb", ".csv", ".sh", ".ps1"}


def test_what_is_not_named_in_the_list_stays_out(sealed_run: Path, tmp_path: Path) -> None:
    """
    A file, a member of a document or a fact that a later version adds is not copied by itself.
    """
    (sealed_run / "notes.txt").write_text("web01", encoding="utf-8")
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update(more="web01"))
    edit(sealed_run / "run.json", lambda state: state.update(more="web01"))
    seal(sealed_run)
    redact(sealed_run, tmp_path / "copy")
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "copy").iterdir())

    assert "web01" not in written
    assert not (tmp_path / "copy" / "notes.txt").exists()


def test_facts_endpoints_and_tenants_name_nobody(sealed_run: Path, tmp_path: Path) -> None:
    """
    Facts in lists and tables, a name that nothing else has beside one that is known, and where the run was signed in.
    """
    mark = "AZURE https://arm.ana.example:8443 (custom endpoint), tenant t"
    facts = {"disks": "stuck, disk-of-ana", "of": {"ana-key": "ana-value", "count": 2}, "all": [{"x": "ana-in-list"}]}
    edit(sealed_run / "findings.json", lambda found: found["said"][0].update(facts=facts) or found.update(target=mark))
    edit(sealed_run / "parameters.json", lambda asked: asked.update(tenant_id="ana.example"))
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update(target=mark))
    plan = replace(read_plan(sealed_run / "plan.json"), target=mark)
    plan = replace(plan, digest=plan_digest(plan))
    write_json(sealed_run / "plan.json", plan)
    edit(sealed_run / "outcome.json", lambda outcome: outcome.update(plan_digest=plan.digest))
    seal(sealed_run)
    redact(sealed_run, tmp_path / "copy")
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "copy").iterdir())

    assert not re.findall(r".{20}\bana\b.{20}", written)
    assert verify(tmp_path / "copy").accepted


@pytest.mark.parametrize(
    ("kind", "name", "on_original"),
    [
        ("azure", "AzureCloud", True),
        ("azure", "https://arm.ana.example:8443 (custom endpoint)", True),
        ("azure", "https://arm.ana.example:8443 (custom endpoint)", False),
        ("sandbox", "estate-of-ana", False),
    ],
)
def test_what_a_plan_was_rehearsed_on_names_nobody(
    sealed_run: Path, tmp_path: Path, kind: str, name: str, *, on_original: bool
) -> None:
    """
    Endpoint, tenant, subscriptions and the name of an estate; the clouds are everybody's, and the copy is evidence.
    """
    origin = Origin(
        kind=kind,
        name=name,
        tenant=SUBSCRIPTION,
        subscriptions=(SUBSCRIPTION,),
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    rehearsed(sealed_run, origin, origin.mark if on_original else "SANDBOX (simulated)")
    redact(sealed_run, tmp_path / "copy")
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "copy").iterdir())
    said = "\n".join(verify(tmp_path / "copy").lines("en"))

    assert not re.findall(rf".{{20}}(?:\bana\b|{SUBSCRIPTION}).{{20}}", written)
    assert verify(tmp_path / "copy").accepted
    assert "planned on a copy of " in said
    assert ("AzureCloud" in said) == (name == "AzureCloud")


# --- what cannot be copied ----------------------------------------------------------------------------------------


def test_a_broken_run_and_a_copy_are_not_copied(sealed_run: Path, tmp_path: Path) -> None:
    """
    A copy would look sound; nothing is left behind.
    """
    redact(sealed_run, tmp_path / "copy")
    with pytest.raises(BrokenEvidence, match="cannot be redacted"):
        redact(tmp_path / "copy", tmp_path / "copy of the copy")
    (sealed_run / "plan.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BrokenEvidence, match="cannot be redacted"):
        redact(sealed_run, tmp_path / "another")

    assert ["copy", "run"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_copy_needs_a_folder_of_its_own_and_a_good_secret(sealed_run: Path, tmp_path: Path) -> None:
    """
    Each is refused with its name.
    """
    (tmp_path / "short").write_text("secret", encoding="utf-8")
    for salt in ("short", "nothing"):
        with pytest.raises(InvalidParameters, match=f"--salt-file: .*{salt} is no secret"):
            redact(sealed_run, tmp_path / "copy", tmp_path / salt)
    with pytest.raises(InvalidParameters, match=r"--out: .*lies in the run folder"):
        redact(sealed_run, sealed_run / "copy")
    with pytest.raises(InvalidParameters, match=r"--out: .*holds something already"):
        redact(sealed_run, sealed_run)

    assert not (tmp_path / "copy").exists()
