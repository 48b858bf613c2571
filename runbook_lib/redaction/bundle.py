"""
The redacted copy of a run folder: a list of what goes in, written anew; its report is made of that.

Left out: executed notebooks, inventories, tables, scripts, roles. They hold free text from Azure and from people, in
which nobody can tell what is a name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib import evidence, render
from runbook_lib.errors import BrokenEvidence, InvalidParameters
from runbook_lib.journal import FIRST, Journal, chained
from runbook_lib.parameters import schema
from runbook_lib.plan import plan_digest
from runbook_lib.records import Change, Finding, Origin, Plan, Step, Verdict, VmVerdict, decode, digest, encode, key
from runbook_lib.redaction.pseudonyms import Pseudonyms, names_in
from runbook_lib.text import say

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["redact"]

# A shorter secret could be guessed.
_SHORTEST_SALT = 16
# Parts of an inventory, and of a plan, whose names are Azure's.
_AZURES = frozenset({"copy_of", "locations", "providers", "service_tags", "target"})
_SOURCES = ("outcome.json", "plan.json", "parameters.json")
_INVENTORIES = ("inventory-before.json", "inventory-after.json")
# What a run is asked for in the words of whoever asks; where it is the default, it is everybody's.
_OWN_WORDS = ("tenant_id", "resource_group", "vault_name", "policy_name", "enhanced_policy_name", "proxy_host")
# The host of a Resource Manager that is none of Microsoft's, in the mark of a target.
_ENDPOINT = re.compile(r"https://([^\s/:]+)\S* \(custom endpoint\)")
# Facts of findings and changes that name nothing of anybody's.
_PLAIN_FACTS = frozenset(
    {
        *(
            "access",
            "age_hours",
            "allowed_hours",
            "by_guide",
            "code",
            "count",
            "days",
            "destination",
            "direction",
            "fields",
        ),
        *("from", "guide", "health", "held", "immutability", "kind", "kinds", "last_backup", "last_status", "limit"),
        *("location", "minimum", "most", "namespace", "needs", "port", "ports", "power", "redundancy", "region"),
        *("release", "schedule", "security", "soft_delete", "state", "tag", "time", "to", "type", "version", "way"),
    }
)
_FREE_FACTS = frozenset({"detail", "message", "problem", "system"})
# What stands in a fact where there is no name.
_NO_NAMES = frozenset({"", "Ready", "Not Ready", "none", "unknown", "not set", "yes", "no", "*"})
# What a line of the journal keeps as it is, and what is an id, a digest, or a text with names in it.
_PLAIN_ENTRY = frozenset(
    {
        *("at", "entry", "kind", "step", "outcome", "code", "method", "status", "seconds", "date", "error"),
        *("refused", "waited_seconds", "read_back"),
    }
)
_IDS = ("client_request_id", "request_id", "correlation_id")
_TEXTS = ("target", "part")
_DIGESTS = ("change_sha256", "body_sha256", "digest", "plan")


def redact(folder: Path, out: Path, salt: Path | None = None, signer: Signer | None = None) -> str:
    """
    Write a redacted copy of a sealed run folder, sealed by itself; its attestation names the digest of the original's.

    Args:
        out: a folder that is empty, or not there.
        salt: file of the secret that pseudonyms depend on; without it they are this copy's alone.

    Returns:
        The copy's digest.

    Raises:
        BrokenEvidence: the run is not sealed, or is not as it was sealed.
        InvalidParameters: the folder, one inside of the run's among them, or the salt cannot be used.
    """
    original = evidence.verify(folder)
    if original.problems or original.original:
        raise BrokenEvidence("redact_source", resource=str(folder))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidParameters("run_dir_taken", name="--out", resource=str(out))
    if out.resolve().is_relative_to(folder.resolve()):
        raise InvalidParameters("redact_inside", name="--out", resource=str(out))
    documents = {name: evidence.read_json(folder / name) for name in _SOURCES}
    documents |= {name: evidence.read_json(folder / name) for name in _INVENTORIES if (folder / name).exists()}
    outcome, parameters = documents["outcome.json"], documents["parameters.json"]
    said = evidence.read_json(folder / "findings.json")
    state, environment = evidence.read_json(folder / "run.json"), evidence.read_json(folder / "environment.json")
    entries = list(Journal(folder / "journal.jsonl").entries())
    own = [{name: part for name, part in each.items() if name not in _AZURES} for each in documents.values()]
    names = {name for each in own for name in names_in(each)} | {outcome["caller"]}
    names |= {name for name in map(parameters.get, _OWN_WORDS) if isinstance(name, str)}
    given_plan = decode(Plan, documents["plan.json"])
    marks = (outcome["target"], given_plan.copy_of.mark if given_plan.copy_of else "")
    names |= {endpoint[1] for endpoint in map(_ENDPOINT.search, marks) if endpoint}
    copy = _Copy(Pseudonyms(_salt(salt), names), parameters["language"])
    plan = copy.plan(given_plan)
    found = copy.findings(said)
    lines = [copy.entry(entry) for entry in entries]
    made = copy.outcome(outcome, found, plan, lines) | {"redacted_from": original.digest}
    asked = copy.parameters(parameters)
    visited = copy.state(state)
    out.mkdir(parents=True, exist_ok=True)
    contents = {"plan.json": plan, "findings.json": found, "outcome.json": made, "parameters.json": asked}
    contents |= {"run.json": visited, "environment.json": environment | {"run": visited}}
    for name, content in contents.items():
        evidence.write_json(out / name, content)
    _write_journal(out / "journal.jsonl", lines)
    version = environment["packages"]["azure-vm-backup-runbook"]
    page = render.report(made, plan, lines, asked, visited, version, parameters["language"])
    (out / "report.html").write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
    return evidence.seal(out, signer)


def _salt(path: Path | None) -> bytes:
    if path is None:
        return os.urandom(32)
    try:
        salt = path.read_bytes().strip()
    except OSError as error:
        raise InvalidParameters("salt_file", name="--salt-file", resource=str(path)) from error
    if len(salt) < _SHORTEST_SALT:
        raise InvalidParameters("salt_file", name="--salt-file", resource=str(path))
    return salt


def _write_journal(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    previous = FIRST
    with path.open("wb") as file:
        for entry in lines:
            line, previous = chained(entry, previous)
            file.write(line)


class _Copy:
    """
    The documents of a run in pseudonyms; digests of what was changed are worked out anew.
    """

    def __init__(self, names: Pseudonyms, language: str) -> None:
        self._names = names
        self._language = language
        self._left_out = say("say.left_out", language)
        self._digests: dict[str, str] = {}

    def plan(self, plan: Plan) -> Plan:
        """
        Return the plan without the worlds that it was made on.
        """
        bare = Plan(
            target=self._names.text(plan.target),
            parameters=self.parameters(plan.parameters),
            steps=tuple(
                Step(number=step.number, changes=tuple(map(self._change, step.changes)), digest=digest({}))
                for step in plan.steps
            ),
            notes=tuple(
                {"id": note["id"], "step": note["step"], **self._facts(note, ("id", "step"))} for note in plan.notes
            ),
            copy_of=self._origin(plan.copy_of) if plan.copy_of else None,
        )
        made = replace(bare, digest=plan_digest(bare))
        self._digests[plan.digest] = made.digest
        for old, new in zip(plan.steps, made.steps, strict=True):
            self._digests[old.digest] = new.digest
        for was, change in zip(plan.changes, made.changes, strict=True):
            self._digests |= {was.sha256: change.sha256, digest(was.body): digest(change.body)}
        return made

    def _origin(self, origin: Origin) -> Origin:
        # An estate is called as somebody called its file; the clouds are everybody's.
        named = self._names.name if origin.kind == "sandbox" else self._names.text
        return replace(
            origin,
            name=named(origin.name),
            tenant=self._names.text(origin.tenant),
            subscriptions=tuple(map(self._names.name, origin.subscriptions)),
        )

    def _change(self, change: Change) -> Change:
        return replace(
            change,
            target=self._names.id(change.target),
            reads=tuple(map(self._names.id, change.reads)),
            body=self._names.value(change.body),
            facts=self._facts(change.facts),
        )

    def findings(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the findings; of their facts those that are known to name nothing, the others as pseudonyms.
        """
        return {
            "target": self._names.text(found["target"]),
            **{when: {self._names.id(vm): own for vm, own in found[when].items()} for when in ("before", "after")},
            "said": [each | {"facts": self._facts(each.get("facts", {}))} for each in found["said"]],
        }

    def entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return a line of the journal, without what the service said.
        """
        copied = {name: value for name, value in entry.items() if name in _PLAIN_ENTRY}
        copied |= {name: self._names.name(entry[name]) for name in _IDS if name in entry}
        copied |= {name: self._names.text(entry[name]) for name in _TEXTS if name in entry}
        copied |= {name: self._digest(entry[name]) for name in _DIGESTS if name in entry}
        if "part" in entry:
            copied["part"] = self._names.name(entry["part"])
        if "url" in entry:
            copied["url"] = self._names.url(entry["url"])
        if "message" in entry:
            copied["message"] = self._left_out
        return copied

    def outcome(
        self, outcome: Mapping[str, Any], found: Mapping[str, Any], plan: Plan, entries: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """
        Return the outcome, its sentences made anew of what was found.
        """
        named, language = self._names, self._language
        said = [decode(Finding, {**each, "resource": ""}) for each in found["said"]]
        own = {key(vm): [said[number] for number in numbers] for vm, numbers in found["after"].items()}
        ended = evidence.last_words(entries)
        failed = {each["change_sha256"]: each for each in ended if each["outcome"] not in ("done", "adopted")}
        kept = ("complete", "supervised", "read_at", "counts", "applied", "changes", "irreversible", "exit_code")
        return {
            **{name: outcome[name] for name in kept},
            "target": named.text(outcome["target"]),
            "caller": named.name(outcome["caller"]),
            "plan_digest": plan.digest,
            "verdicts": [self._row(row, own[key(named.id(row["vm"]))]) for row in outcome["verdicts"]],
            "missing": [
                {**row, "vm": named.id(row["vm"]), "why": named.text(row["why"])} for row in outcome["missing"]
            ],
            "differences": [
                {"resource": named.id(each["resource"]), "field": each.get("field", "")}
                | dict.fromkeys(("expected", "found"), self._left_out)
                for each in outcome["differences"]
            ],
            "unread": [
                {"scope": named.text(gap["scope"]), "what": named.text(gap["what"]), "status": gap.get("status", 0)}
                | {"code": gap["code"], "message": self._left_out}
                for gap in outcome["unread"]
            ],
            "rights": {
                "missing": [{**each, "scope": named.text(each["scope"])} for each in outcome["rights"]["missing"]],
                "unknown": outcome["rights"]["unknown"],
            },
            "notes": render.notes(plan, language),
            "failures": render.failures(plan, failed, language),
        }

    def _row(self, row: Mapping[str, Any], own: list[Finding]) -> dict[str, Any]:
        named = self._names
        verdict = VmVerdict(
            vm=named.id(row["vm"]),
            verdict=Verdict(row["verdict"]),
            decisive=tuple(row.get("decisive", ())),
            accepted_risk=self._left_out if row.get("accepted_risk") else "",
        )
        machine = row["machine"]
        shown: dict[str, Any] = encode(verdict)
        return shown | {
            "before": row["before"],
            "why": render.why(verdict, own, self._language),
            "remedy": render.remedies(verdict, own, self._language),
            "machine": {
                "vm": named.name(machine["vm"]),
                "resource_group": named.name(machine["resource_group"]),
                "region": machine["region"],
            },
            "held_back": row["held_back"],
        }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the parameters; what is in the words of whoever asked as pseudonyms, reasons not at all.
        """
        defaults = {row.name: row.default for row in schema()}
        named = self._names
        copied = {name: value for name, value in given.items() if name in defaults}
        copied |= {name: named.name(given[name]) for name in _OWN_WORDS if given.get(name) != defaults[name]}
        copied["subscription_ids"] = [named.name(each) for each in given["subscription_ids"]]
        copied["accept_risk"] = {named.text(vm): self._left_out for vm in given["accept_risk"]}
        if given["vault_subscription"] != defaults["vault_subscription"]:
            copied["vault_subscription"] = named.name(given["vault_subscription"])
        kind, between, rest = str(given["vm_selector"]).partition(":")
        if kind in ("tag", "group", "name"):
            copied["vm_selector"] = f"{kind}{between}{'='.join(map(named.name, rest.split('=')))}"
        elif kind != "all":
            copied["vm_selector"] = ",".join(named.id(each.strip()) for each in given["vm_selector"].split(","))
        return copied

    def state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return when each notebook was opened; not what its parameters cell said.
        """
        visited = {
            name: {part: value for part, value in each.items() if part != "cell"}
            for name, each in state["visited"].items()
        }
        given = {"given": self._digest(state["given"])} if state.get("given") else {}
        return {"visited": visited, "applies": state.get("applies") is True} | given

    def _digest(self, original: str) -> str:
        return self._digests.get(original) or self._names.digest(original)

    def _facts(self, facts: Mapping[str, Any], besides: tuple[str, ...] = ()) -> dict[str, Any]:
        return {name: self._fact(name, value) for name, value in facts.items() if name not in besides}

    def _fact(self, name: str, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._fact(name, each) for each in value]
        if isinstance(value, dict):
            return {self._fact("", str(each)): self._fact(name, here) for each, here in value.items()}
        if not isinstance(value, str) or name in _PLAIN_FACTS or value in _NO_NAMES:
            return value
        if name in _FREE_FACTS:
            return self._left_out
        # What holds no name that is known may be one that is not; so may what stands beside one that is.
        return self._names.name(value) if self._names.text(value) == value else self._names.words(value)
