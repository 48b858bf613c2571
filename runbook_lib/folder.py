"""
The run folder: what a run keeps on disk, and where the next notebook finds it. Imports `errors`, `evidence`, `journal`,
`parameters`, `records` and `render`; knows nothing of Azure or Jupyter.
"""

from __future__ import annotations

import filecmp
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.errors import BrokenEvidence, InvalidParameters, PlanRefused
from runbook_lib.evidence import ATTESTATION, NOTEBOOKS, last_words, read_json, write_json
from runbook_lib.journal import Journal
from runbook_lib.parameters import Parameters
from runbook_lib.places import interactive, runs_home
from runbook_lib.plan import plan_digest
from runbook_lib.private import make_folder
from runbook_lib.records import Inventory, Plan, Step, decode, digest
from runbook_lib.render import Table

__all__ = [
    "CHAINED",
    "GIVEN",
    "NOTEBOOKS",
    "SUPERVISED",
    "RunFolder",
    "new_folder",
    "open_folder",
    "read_plan",
]

# Set by the papermill engine, which has checked names and types before the kernel started.
SUPERVISED = "RUNBOOK_SUPERVISED"
CHAINED = "RUNBOOK_CHAIN"
# Names of the parameters that the engine was given: they count even where they equal their default.
GIVEN = "RUNBOOK_GIVEN"


def open_folder(named: str, *, new: bool = False, last: bool = False) -> RunFolder:
    """
    Open the run folder *named*; without a name a new one, or in JupyterLab that of the open run.

    Args:
        new: whether an unnamed run starts afresh, whatever run is open.
        last: whether it is opened to end a run: none begins there.

    Raises:
        InvalidParameters: the folder cannot be used, or its run is sealed: more work would void the seal.
    """
    home = runs_home()
    pointer = home / "open-run"
    if named:
        folder = RunFolder(Path(named))
        folder.check_open()
        folder.remember()
        return folder
    # Only a person in JupyterLab goes on from notebook to notebook: two jobs must never share a run by accident.
    if not new and interactive() and pointer.exists():
        folder = RunFolder(home / pointer.read_text(encoding="utf-8").strip())
        if last:
            # What it was sealed with stays on screen.
            folder.check_open()
        if not folder.sealed:
            return folder
    folder = new_folder()
    folder.remember()
    return folder


def new_folder() -> RunFolder:
    """
    Make a run folder with a name of its own.
    """
    make_folder(runs_home())
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return RunFolder(runs_home() / f"{stamp}-{os.urandom(3).hex()}")


class RunFolder:
    """
    The files of one run.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidParameters("run_dir", name="run_dir", resource=str(path), problem=str(error)) from error
        # Whoever prepares a folder must not make the run write elsewhere.
        if link := next((each for each in path.rglob("*") if each.is_symlink()), None):
            raise InvalidParameters("run_dir_link", name="run_dir", resource=str(link))
        self.path = path
        self.journal = Journal(path / "journal.jsonl")

    def remember(self) -> None:
        """
        Make this the open run, for the notebooks that somebody opens after this one.
        """
        if interactive():
            home = runs_home()
            make_folder(home)
            own = self.path.name if self.path.parent == home else str(self.path.resolve())
            (home / "open-run").write_text(own, encoding="utf-8")

    @property
    def name(self) -> str:
        """
        The folder as it was named.
        """
        return str(self.path)

    @property
    def sealed(self) -> bool:
        """
        Whether the run came to its end and was sealed.
        """
        return (self.path / ATTESTATION).exists()

    def check_open(self) -> None:
        """
        Refuse to go on with a run that is sealed.

        Raises:
            InvalidParameters: more work would void the seal.
        """
        if self.sealed:
            raise InvalidParameters("run_sealed", name="run_dir", resource=self.name)

    @property
    def chained(self) -> bool:
        """
        Whether the runner executes the whole chain in this folder.
        """
        return os.environ.get(CHAINED) == "1"

    @property
    def supervised(self) -> bool:
        """
        Whether every notebook of the run was started by our engine, which checks parameter names.
        """
        return all(each["supervised"] for each in self.state()["visited"].values())

    def state(self) -> dict[str, Any]:
        """
        Return when each notebook was last opened in this run, and whether our engine did it.
        """
        path = self.path / "run.json"
        return read_json(path) if path.exists() else {"visited": {}}

    @property
    def applies(self) -> bool:
        """
        Whether the runner was told to apply.
        """
        return self.state().get("applies") is True

    @property
    def interrupted(self) -> bool:
        """
        Whether the run was walked through, its plan approved, and not all of it applied: that plan is to go on.
        """
        walked = set(NOTEBOOKS[:-1]) <= set(self.state()["visited"])
        return walked and self.plan() is not None and self._last_noted("approved", "planned")[0] == "approved"

    def _last_noted(self, *entries: str) -> tuple[str, str]:
        """
        Return the last journal entry of these, and the digest of the plan that it is about; nothing of both else.
        """
        found = [(each["entry"], each["plan"]) for each in self.journal.entries() if each["entry"] in entries]
        return found[-1] if found else ("", "")

    def check_approved(self) -> None:
        """
        Refuse a plan that is not the one that was given or noted last: its digest can be worked out by anybody.

        Raises:
            PlanRefused: it was edited since.
        """
        plan = self.plan()
        last = self._last_noted("approved", "planned")[1] or self.state().get("given")
        if plan is not None and last and plan.digest != last:
            raise PlanRefused("plan_approved", resource=self.name, found=plan.digest, approved=last)

    def begin(self, *, applies: bool, given: Plan | None = None) -> None:
        """
        Note whether this run is to apply its plan, for the evidence and for whoever resumes it.

        Args:
            given: a plan that was made before; the run makes none of its own.
        """
        state = self.state() | {"applies": applies}
        if given is not None:
            state["given"] = given.digest
            self.save_plan(given)
        write_json(self.path / "run.json", state)

    def keep_sandbox(self, *, own: bool) -> None:
        """
        Note whether this run works on a sandbox of its own, for whoever resumes it: then it is to go on there alone.
        """
        write_json(self.path / "run.json", self.state() | {"own_sandbox": own})

    def given_plan(self) -> Plan | None:
        """
        Return the plan that this run was given; None where it makes its own.
        """
        return self.plan() if self.state().get("given") else None

    def visit(self, notebook: str, cell: Mapping[str, Any]) -> None:
        """
        Note that *notebook* was opened, and the values in its parameters cell that differ from their defaults.
        """
        self.check_open()
        state = self.state()
        state["visited"][notebook] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "supervised": os.environ.get(SUPERVISED) == "1",
            "cell": dict(cell),
        }
        write_json(self.path / "run.json", state)

    def cell(self, notebook: str) -> dict[str, Any]:
        """
        Return what *notebook*'s parameters cell said when it was opened last.
        """
        return dict(self.state()["visited"].get(notebook, {}).get("cell", {}))

    def has_chosen(self, parameter: str) -> bool:
        """
        Tell whether a parameters cell of this run gave *parameter* another value than its default.
        """
        return any(parameter in each.get("cell", {}) for each in self.state()["visited"].values())

    @property
    def complete(self) -> bool:
        """
        Tell whether every notebook took part in this run.
        """
        return set(NOTEBOOKS) <= set(self.state()["visited"])

    def parameters(self) -> dict[str, Any]:
        """
        Return the values that the run has so far; none when it is new.
        """
        path = self.path / "parameters.json"
        return dict(read_json(path)) if path.exists() else {}

    def save_parameters(self, asked: Parameters) -> None:
        """
        Keep the values for the next notebook; not the folder's own place, and never a leave to write.
        """
        self.check_open()
        kept = {name: value for name, value in asked.as_dict().items() if name not in ("run_dir", "apply")}
        write_json(self.path / "parameters.json", kept)

    def put_back(self, values: Mapping[str, Any]) -> None:
        """
        Take back parameters that nothing can be done with, for those that there were before.
        """
        self.check_open()
        if values:
            write_json(self.path / "parameters.json", dict(values))
        else:
            (self.path / "parameters.json").unlink(missing_ok=True)

    def inventory(self, which: str) -> Inventory | None:
        """
        Return the inventory `before` or `after`; None when it was not read yet.
        """
        path = self.path / f"inventory-{which}.json"
        return _decoded(Inventory, path) if path.exists() else None

    def save_inventory(self, which: str, inventory: Inventory) -> None:
        """
        Keep an inventory.
        """
        self.check_open()
        path = (self.path / f"inventory-{which}.json").resolve()
        write_json(path, inventory)
        _hold(path, inventory)

    def copy_inventory(self, which: str, to: str) -> None:
        """
        Keep an inventory once more, under another name: nothing was read since.
        """
        self.check_open()
        source, path = (self.path.resolve() / f"inventory-{each}.json" for each in (which, to))
        draft = path.with_name(path.name + ".part")
        shutil.copyfile(source, draft)
        draft.replace(path)
        _hold(path, _decoded(Inventory, source))

    def save_files(self, contents: Mapping[str, str]) -> None:
        """
        Keep the files that the run hands out, by name, in place of those of an earlier try.
        """
        self.check_open()
        place = self.path / "files"
        place.mkdir(exist_ok=True)
        for old in place.iterdir():
            if old.name not in contents:
                old.unlink()
        for name, content in contents.items():
            # Without the mark, Windows PowerShell takes UTF-8 for the machine's own code page.
            encoding = "utf-8-sig" if name.endswith(".ps1") else "utf-8"
            (place / name).write_text(content, encoding=encoding, newline="\n")

    def save_table(self, name: str, table: Table) -> None:
        """
        Keep a whole table as CSV, in place of that of an earlier try.
        """
        self.check_open()
        self._tables.mkdir(exist_ok=True)
        table.write_csv(self._tables / f"{name}.csv")

    def add_table(self, name: str, table: Table) -> str:
        """
        Keep a whole table that a notebook shows the beginning of, beside others of its name: each output that names a
        file goes on naming the right one.

        Returns:
            The file's name, relative to the folder.
        """
        self.save_table(f"{name}.new", table)
        new = self._tables / f"{name}.new.csv"
        numbered = (self._tables / f"{name}{'' if number == 1 else f'-{number}'}.csv" for number in itertools.count(1))
        kept = next(path for path in numbered if not path.exists() or filecmp.cmp(path, new, shallow=False))
        new.replace(kept)
        return kept.relative_to(self.path).as_posix()

    @property
    def _tables(self) -> Path:
        return self.path / "tables"

    def plan(self) -> Plan | None:
        """
        Return the plan that was saved; None when there is none.
        """
        path = self.path / "plan.json"
        return read_plan(path) if path.exists() else None

    def save_plan(self, plan: Plan) -> None:
        """
        Keep the plan; changes of an earlier one that were tried stay on record before those of the new one.
        """
        self.check_open()
        whole = self.merged(plan)
        path = (self.path / "plan.json").resolve()
        # A line for each change.
        write_json(path, whole, depth=4)
        _hold(path, whole)

    def merged(self, plan: Plan) -> Plan:
        """
        Return *plan* with the changes of the one that is kept that were tried, before those of its own.
        """
        tried = self.ended().keys() | self.journal.open_intents()
        earlier = self.plan()
        steps = {step.number: step for step in plan.steps}
        for step in earlier.steps if earlier else ():
            kept = tuple(change for change in step.changes if change.sha256 in tried)
            new = steps.get(step.number, Step(number=step.number))
            known = {change.sha256 for change in kept}
            merged = kept + tuple(change for change in new.changes if change.sha256 not in known)
            if kept:
                world = step.world | new.world
                steps[step.number] = Step(number=step.number, changes=merged, world=world, digest=digest(world))
        ordered = tuple(steps[number] for number in sorted(steps))
        made = replace(plan, steps=ordered)
        return replace(made, digest=plan_digest(made)) if earlier else plan

    def results(self) -> dict[str, dict[str, Any]]:
        """
        Return the journal's last word on each change, by its digest: how it ended, and the code and message of what
        failed.
        """
        return {entry["change_sha256"]: entry for entry in self.journal.entries() if entry["entry"] == "result"}

    def ended(self) -> dict[str, str]:
        """
        Return how changes ended, by their digest.
        """
        return {each: entry["outcome"] for each, entry in self.results().items()}

    def outcomes(self) -> dict[str, int]:
        """
        Count how changes ended, by the journal's last word on each thing that was to be changed.
        """
        return dict(Counter(entry["outcome"] for entry in last_words(self.journal.entries())))

    def failures(self) -> dict[str, Mapping[str, Any]]:
        """
        Return the results of the changes that did not come to be, and did not later in another form, by their digest.
        """
        last = last_words(self.journal.entries())
        return {entry["change_sha256"]: entry for entry in last if entry["outcome"] not in ("done", "adopted")}


def read_plan(path: Path) -> Plan:
    """
    Read a saved plan.

    Raises:
        BrokenEvidence: there is none, or it is not one.
    """
    made: Plan = _decoded(Plan, path)
    return made


# What this process wrote or read last, by file: one kernel runs the whole chain, and reading the inventory of a large
# estate anew for each of its notebooks costs more than all else that they do.
_HELD: dict[Path, tuple[tuple[int, ...], Any]] = {}


def _hold(path: Path, content: Any) -> None:
    if any(other.parent != path.parent for other in _HELD):
        _HELD.clear()
    _HELD[path] = (_state_of(path), content)


def _decoded(kind: type[Any], path: Path) -> Any:
    """
    Read a record from its file, unless it is what this process wrote or read there last.
    """
    path = path.resolve()
    held = _HELD.get(path)
    if held is None or held[0] != _state_of(path):
        try:
            _hold(path, decode(kind, read_json(path)))
        except ValueError as error:
            raise BrokenEvidence("evidence_unreadable", resource=str(path), problem=str(error)) from error
    return _HELD[path][1]


def _state_of(path: Path) -> tuple[int, ...]:
    # A file is never changed in place: each `write_json` makes a new one.
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
