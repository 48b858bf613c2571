"""
One run: its folder, parameters, target, inventory, plan, what was applied, and its evidence.

This is what the notebooks hold on to, whether a person walks through them or papermill runs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from runbook_lib import checks, evidence, render, ui
from runbook_lib.applying import apply_plan, detail, raise_failed
from runbook_lib.arm.apply import Applied
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.session import Session, open_session
from runbook_lib.conclusion import conclude, findings_on, verdicts_on
from runbook_lib.errors import InvalidParameters, PlanRefused
from runbook_lib.folder import GIVEN, NOTEBOOKS, RunFolder, interactive, open_folder
from runbook_lib.parameters import NAMES, Parameters, build, schema
from runbook_lib.plan import Difference, compare, is_done, project
from runbook_lib.plan import build as build_plan
from runbook_lib.records import (
    Finding,
    Inventory,
    Plan,
    VirtualMachine,
    VmVerdict,
    digest,
    key,
)
from runbook_lib.selection import select
from runbook_lib.text import say

__all__ = ["Run", "open_run"]

# Parameters that decide what has to be read.
_SELECTING = ("subscription_ids", "vm_selector", "location", "vault_subscription")


def open_run(notebook: str, namespace: Mapping[str, Any]) -> Run:
    """
    Open the run that a notebook belongs to: the first code cell of each notebook.

    A parameter that differs from its default is taken from the notebook; else the run folder's value counts, so that
    what was chosen in one notebook is the default of the next.

    Args:
        notebook: name of the notebook, such as `01_create_vault`.
        namespace: the notebook's `globals()`, where its parameters cell put them.

    Raises:
        InvalidParameters: a value breaks a rule; nothing was sent.
    """
    given = {name: namespace[name] for name in NAMES if name in namespace}
    folder = open_folder(str(given.get("run_dir", "")), new=notebook == NOTEBOOKS[0])
    defaults = {row.name: row.default for row in schema()}
    stored = folder.parameters()
    if stored and stored["target"] != given.get("target", stored["target"]):
        raise InvalidParameters("target_conflict", name="target", resource=folder.name, target=stored["target"])
    named = os.environ.get(GIVEN, "").split(",")
    values = stored | {n: v for n, v in given.items() if n not in stored or n in named or v != defaults[n]}
    asked = build(values | {"run_dir": folder.name})
    run = Run(folder, asked)
    run.inherited = {name: value for name, value in stored.items() if name in given and values[name] != given[name]}
    run.arrive(notebook)
    return run


class Run:
    """
    A run folder with a target behind it.
    """

    def __init__(self, folder: RunFolder, asked: Parameters) -> None:
        self.folder = folder
        self.asked = asked
        self.notebook = ""
        self.inherited: dict[str, Any] = {}
        self._after: Inventory | None = None
        self.folder.save_parameters(asked)

    def arrive(self, notebook: str) -> None:
        """
        Note that *notebook* is being worked on; the first one reads the estate anew.
        """
        self.notebook = notebook
        if notebook == NOTEBOOKS[0] and self.folder.inventory("before") is not None:
            self.read_again()
        self.folder.visit(notebook)

    @cached_property
    def session(self) -> Session:
        """
        The signed-in target; opened when it is first needed.
        """
        return open_session(self.asked.target, self.folder.journal)

    # --- what is there -------------------------------------------------------------------------------------------

    @cached_property
    def before(self) -> Inventory:
        """
        The estate as this run found it: read once, then kept in the run folder.
        """
        kept = self.folder.inventory("before")
        if kept is None:
            kept = read_inventory(self.session, self.asked)
            self.folder.save_inventory("before", kept)
        return kept

    @property
    def inventory(self) -> Inventory:
        """
        The estate as it was read last.
        """
        if self._after is None:
            self._after = self.folder.inventory("after")
        return self._after or self.before

    def read_again(self) -> Inventory:
        """
        Read the estate anew; what it was before stays as it is.
        """
        _ = self.before
        self._after = read_inventory(self.session, self.asked)
        self.folder.save_inventory("after", self._after)
        return self._after

    @property
    def chosen(self) -> tuple[VirtualMachine, ...]:
        """
        The selected VMs.
        """
        return select(self.inventory, self.asked)

    # --- what it means -------------------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """
        What is missing, by the parameters as they stand.
        """
        return build_plan(self.inventory, self.asked, self.before.read_at.date())

    @property
    def projected(self) -> Inventory:
        """
        The estate as the plan would leave it.
        """
        return project(self.inventory, self.plan.changes)

    def findings(self, inventory: Inventory) -> tuple[Finding, ...]:
        """
        Judge the selected VMs in *inventory*.
        """
        return findings_on(inventory, self.asked)

    def verdicts(self, inventory: Inventory, found: Sequence[Finding]) -> list[VmVerdict]:
        """
        Draw the verdict on each selected VM from its findings.
        """
        return verdicts_on(inventory, self.asked, found)

    # --- what is shown -------------------------------------------------------------------------------------------

    @property
    def mark(self) -> render.Lines:
        """
        The target's mark, and when it was read: first output of every notebook.
        """
        when = self.inventory.read_at.isoformat(timespec="seconds")
        lines = [
            self._say("mark.target", mark=self.inventory.target.mark),
            self._say("say.read_at", when=when),
            self._say("say.run_folder", path=self.folder.name),
        ]
        lines += [self._say("say.inherited", name=name, value=value) for name, value in self.inherited.items()]
        if not self.folder.supervised and not interactive():
            lines.append(self._say("say.verify_unsupervised"))
        return render.Lines(lines)

    def _say(self, message: str, **facts: Any) -> str:
        return say(message, self.asked.language, **facts)

    @property
    def _here(self) -> Inventory:
        """
        The estate as the plan would leave it once this notebook's step is applied.
        """
        return project(
            self.inventory,
            [change for step in self.plan.steps if step.number <= self._number for change in step.changes],
        )

    @property
    def _regions(self) -> set[str]:
        return {vm.location for vm in self.chosen}

    def prerequisites(self) -> render.Table:
        """
        Show the guide's four prerequisites and where the selected VMs stand.
        """
        return render.prerequisites(self.findings(self.inventory), self.chosen, self.inventory, self.asked.language)

    def readiness(self) -> render.Table:
        """
        Show the verdict on each selected VM, now and after the plan.
        """
        found = self.findings(self.inventory)
        after = checks.verdicts(self.findings(self.projected))
        then = {key(vm): verdict for vm, (verdict, _) in after.items()}
        return render.readiness(self.inventory, self.verdicts(self.inventory, found), then, found, self.asked.language)

    def show_findings(self, *only: str) -> render.Table:
        """
        Show the findings of some checks, or of all that are not a plain pass.
        """
        return render.findings(self.inventory, self.findings(self.inventory), self.asked.language, only)

    def vaults(self) -> render.Table:
        """
        Show the vaults in the selected VMs' regions, as the plan leaves them after this step.
        """
        return render.vaults(self.inventory, self._here, self._regions, self.asked.language)

    def policies(self) -> render.Table:
        """
        Show the policies in those vaults, as the plan leaves them after this step.
        """
        return render.policies(self.inventory, self._here, self._regions, self.asked.language)

    def machines(self) -> render.Table:
        """
        Show agent and backup extension of each selected VM.
        """
        return render.machines(self.inventory, self.chosen, self.asked.language)

    def network(self) -> render.Table:
        """
        Show the outbound decision for each selected VM.
        """
        return render.network(self.inventory, self.findings(self.inventory), self.asked.language)

    def unread(self) -> render.Table:
        """
        Show what could not be read.
        """
        return render.unread(self.inventory, self.asked.language)

    def show_plan(self) -> render.Table:
        """
        Show the changes of this notebook's step.
        """
        step = self.plan.step(self._number)
        caption = self._say("caption.plan", step=step.number, count=len(step.changes))
        return render.plan([step], caption, self.asked.language)

    def show_whole_plan(self) -> render.Table:
        """
        Show every change of every step, and how each ended: of the plan that was saved, else as it would be now.
        """
        plan = self.folder.plan() or self.plan
        caption = self._say("caption.plan_all", count=len(plan.changes), digest=plan.digest[:12])
        return render.plan(plan.steps, caption, self.asked.language, self.folder.ended())

    def notes(self) -> render.Lines:
        """
        Say what the plan leaves as it is in this step, and why; the last notebook says all.
        """
        step = "" if self.notebook == NOTEBOOKS[-1] else self._number
        return render.Lines(render.notes(self.plan, self.asked.language, step))

    @property
    def _number(self) -> str:
        return self.notebook[:2]

    # --- what is chosen ------------------------------------------------------------------------------------------

    def form(self, *names: str) -> ui.Form:
        """
        Offer parameters for change; their initial values are the parameters.
        """
        return ui.Form(self.asked, names)

    def choose(self, form: ui.Form) -> render.Table:
        """
        Take the form's values as parameters of this run and of the notebooks that follow.

        Raises:
            InvalidParameters: a value breaks a rule; the parameters stay as they were.
        """
        earlier, self.asked = self.asked, build(self.asked.as_dict() | form.values)
        self.folder.save_parameters(self.asked)
        if any(getattr(earlier, name) != getattr(self.asked, name) for name in _SELECTING):
            # Another selection needs other reads: subscriptions, and single instance views.
            self.read_again()
        return render.parameter_values(
            {name: self.asked.as_dict()[name] for name in form.names}, self.asked.language, only=form.names
        )

    def approval(self) -> ui.Approval:
        """
        Ask for approval of this step's plan; parameter `apply` is its initial value.
        """
        return ui.Approval(self._say("say.approve"), self.asked.apply, digest(self.plan.step(self._number)))

    # --- what is done --------------------------------------------------------------------------------------------

    def apply(self, approval: ui.Approval) -> render.Shown:
        """
        Apply this notebook's step if it was approved, then read back and compare; else say that it was only planned.

        Raises:
            Drift, PlanRefused: nothing was sent.
            WriteFailed: some changes did not succeed.
        """
        if not approval.value:
            later = self.folder.chained and self.folder.applies
            return render.Lines([self._say("say.applied_later" if later else "say.planned_only")])
        plan = self.plan
        if digest(plan.step(self._number)) != approval.step:
            raise PlanRefused("not_shown", step=self._number)
        self.folder.save_plan(plan)
        try:
            ended = self.apply_plan(plan, [self._number])
        finally:
            # Also after drift: the next plan must be made on the world as it is.
            self.read_again()
        table = render.results(
            self._number, [(each.change, each.outcome, detail(each)) for each in ended], self.asked.language
        )
        raise_failed(ended, self.asked.language)
        return table

    def apply_plan(
        self, plan: Plan, numbers: Sequence[str], told: Callable[[Applied], None] = lambda _: None
    ) -> list[Applied]:
        """
        Apply the steps *numbers* of a plan, each on what is read just before it; see `applying.apply_plan`.
        """
        return apply_plan(self.session, self.folder, self.asked, plan, numbers, told)

    def progress(self, each: Applied) -> str:
        """
        Say in a line how a change ended.
        """
        what = self._say(f"change.{each.change.kind}", **each.change.facts)
        return render.plain(self._say("say.progress_change", outcome=self._say(f"outcome.{each.outcome}"), what=what))

    # --- what is left behind -------------------------------------------------------------------------------------

    def differences(self) -> tuple[Difference, ...]:
        """
        List where the world is not as the applied changes promised; empty when nothing was applied.
        """
        plan = self.folder.plan()
        ended = self.folder.ended()
        wrote = [change for change in plan.changes if ended.get(change.sha256) in ("done", "adopted")] if plan else []
        return compare(project(self.before, wrote), self.inventory, wrote)

    def conclude(self) -> render.Table:
        """
        Read again, compare with before, and write the outcome: the last step of every run.
        """
        if self.folder.plan() is None:
            self.folder.save_plan(self.plan)
        self.read_again()
        self._read_back()
        return conclude(self.folder, self.asked, self.before, self.inventory, self.differences())

    def _read_back(self) -> None:
        """
        Set right what the journal has as failed: a write whose answer was lost may have been made all the same.
        """
        plan = self.folder.plan()
        ended = self.folder.ended()
        for change in plan.changes if plan else ():
            if ended.get(change.sha256) == "failed" and is_done(self.inventory, change):
                self.folder.journal.result(change, "adopted", read_back=True)

    def show_differences(self) -> render.Shown:
        """
        Show where the world is not as the plan promised; a run that wrote nothing promised nothing.
        """
        if not self.folder.ended():
            return render.Lines([self._say("say.nothing_written")])
        return render.differences(self.differences(), self.asked.language)

    def seal(self) -> render.Lines:
        """
        Seal the run's files; in a chain the runner does that, once this notebook is on disk.
        """
        if self.folder.chained:
            return render.Lines([self._say("say.sealed_later")])
        digest = evidence.seal(self.folder.path)
        return render.Lines([self._say("say.sealed", path=self.folder.name, digest=digest)])
