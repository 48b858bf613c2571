"""
One run: its folder, parameters, target, inventory, plan, what was applied, and its evidence.

This is what the notebooks hold on to, whether a person walks through them or papermill runs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runbook_lib import evidence, render, ui
from runbook_lib.choosing import Choosing
from runbook_lib.conclusion import close, conclude
from runbook_lib.errors import InvalidParameters, PlanRefused, RunbookError, speak
from runbook_lib.events import Event
from runbook_lib.evidence import UNFINISHED
from runbook_lib.folder import GIVEN, NOTEBOOKS, open_folder
from runbook_lib.parameters import NAMES, build, schema
from runbook_lib.places import interactive, opened_language
from runbook_lib.plan import Difference, compare, is_done, is_gone, project
from runbook_lib.records import Plan, Step, digest, key
from runbook_lib.selection import select

if TYPE_CHECKING:
    from runbook_lib.applying import Progress
    from runbook_lib.arm.apply import Applied

__all__ = ["Run", "open_run"]


def open_run(notebook: str, namespace: Mapping[str, Any]) -> Run:
    """
    Open the run that a notebook belongs to: the first code cell of each notebook.

    A parameter counts as the notebook's cell has it when that was edited since the run last saw it; else the run
    folder's value does, so that what was chosen, by a click or in another notebook, is the default from then on. A
    notebook that somebody has open speaks its own language, unless a parameters cell chose one.

    Args:
        notebook: name of the notebook, such as `01_create_vault`.
        namespace: the notebook's `globals()`, where its parameters cell put them.

    Raises:
        InvalidParameters: a value breaks a rule, and nothing was sent; or it selects nothing. Neither is kept.
    """
    given = {name: namespace[name] for name in NAMES if name in namespace}
    defaults = {row.name: row.default for row in schema()}
    named = os.environ.get(GIVEN, "").split(",")
    cell = {name: v for name, v in given.items() if v != defaults[name] and name not in ("run_dir", "apply")}
    if "language" not in named and given.get("language") == defaults["language"]:
        given["language"] = opened_language() or defaults["language"]
    speak(given.get("language"))
    folder = open_folder(str(given.get("run_dir", "")), last=notebook == NOTEBOOKS[-1])
    stored, seen = folder.parameters(), folder.cell(notebook)
    said = {n: v for n, v in given.items() if n not in stored or n in named or v != seen.get(n, defaults[n])}
    if interactive() and "language" in given and not folder.has_chosen("language"):
        said["language"] = given["language"]
    if stored and said.get("target", stored["target"]) != stored["target"]:
        if notebook != NOTEBOOKS[0] or given.get("run_dir"):
            raise InvalidParameters("target_conflict", name="target", resource=folder.name, target=stored["target"])
        # Another target is another run; the first notebook is where it begins.
        folder = open_folder("", new=True)
        stored, said = {}, given
    values = stored | said
    speak(values.get("language"))
    run = Run(folder, build(values | {"run_dir": folder.name}))
    run.inherited = {name: value for name, value in stored.items() if name in given and values[name] != given[name]}
    run.cell = cell
    edited = any(value != stored.get(name) for name, value in said.items())
    try:
        run.arrive(notebook)
        if edited and run.inventory.vms:
            select(run.inventory, run.asked)
    except RunbookError:
        if edited:
            folder.put_back(stored)
        raise
    return run


class Run(Choosing):
    """
    A run as the notebooks hold on to it: what is shown, and what is chosen, done and left behind.
    """

    # --- what is done --------------------------------------------------------------------------------------------

    def apply(self, approval: ui.Approval) -> render.Shown:
        """
        Apply this notebook's step if it was approved, then read back and compare; else say that it was only planned.

        Raises:
            Drift, PlanRefused: nothing was sent.
            WriteFailed: some changes did not succeed.
        """
        if not approval.value:
            return self._unapproved()
        self.folder.check_open()
        self._refuse_stale()
        from runbook_lib.applying import raise_failed

        plan = self.plan
        step = plan.step(self._number)
        self._refuse_open()
        if not step.changes:
            return self._unapproved()
        if digest(step) != approval.step:
            raise PlanRefused("not_shown", step=self._number)
        self._refuse_before_others(plan, step)
        self.folder.save_plan(plan)
        try:
            ended = self.apply_plan(plan, [self._number], self._live())
        finally:
            # Also after drift: the next plan must be made on the world as it is.
            self.read_again()
        raise_failed(ended, self.asked.language)
        older = [render.Lines([self._say("say.older")])] if interactive() else []
        return render.Stack([self._made(), *older])

    def _unapproved(self) -> render.Shown:
        """
        Show what was done in this step before, if anything was, and say what is left to be approved.
        """
        if self.folder.chained and self.folder.applies:
            return render.Lines([self._say("say.applied_later")])
        made, left = self._made(), self._counted(self._number)[2]
        if not made.rows:
            return render.Lines([self._say("say.planned_only" if left else "say.nothing_to_do")])
        said = self._say("say.planned_more", count=left) if left else self._say("say.nothing_left", step=self._number)
        return render.Stack([made, render.Lines([said])])

    def _made(self) -> render.Table:
        """
        Show what was tried in this step, in the plan's order, and how it ended.
        """
        language, results, saved = self.asked.language, self.folder.results(), self.folder.plan()
        told = [
            (change, entry["outcome"], render.failure(entry.get("code", ""), entry.get("message", ""), language))
            for change in (saved.step(self._number).changes if saved else ())
            if (entry := results.get(change.sha256))
        ]
        return self._cut("results", render.results(self._number, told, language))

    def _refuse_stale(self) -> None:
        """
        Raises:
            PlanRefused: something was decided in another notebook since this one was opened.
        """
        own = self.asked.as_dict()
        moved = [name for name, value in self.folder.parameters().items() if own[name] != value]
        if moved:
            raise PlanRefused("moved_on", step=self._number, names=", ".join(moved))

    def _refuse_before_others(self, plan: Plan, step: Step) -> None:
        """
        Raises:
            PlanRefused: the step rests on something that an earlier one is still to make.
        """
        needed, ended = {key(each) for change in step.changes for each in change.reads}, self.folder.ended()
        for earlier in plan.steps:
            # What was tried and failed keeps only that from being tried which rests on it.
            waiting = [each for each in earlier.changes if key(each.target) in needed and each.sha256 not in ended]
            if earlier.number < step.number and waiting:
                raise PlanRefused("step_before", step=step.number, earlier=earlier.number, count=len(earlier.changes))

    def apply_plan(
        self, plan: Plan, numbers: Sequence[str], told: Callable[[Progress], None] = lambda _: None
    ) -> list[Applied]:
        """
        Apply the steps *numbers* of a plan, each on what is read just before it; see `applying.apply_plan`.
        """
        # Imported where it is used: what writes brings the models of all clients along, half a second at each start.
        from runbook_lib.applying import apply_plan

        return apply_plan(self.session, self.folder, self.asked, plan, numbers, told, self.sought)

    def _live(self) -> Callable[[Progress], None]:
        """
        Make a line that tells whoever sits before the screen how far the apply is.
        """
        if not interactive():
            return lambda _: None
        live = ui.Live()
        return lambda now: live.tell(now.event.line(self.asked.language), last=now.ended.total() == now.total)

    def progress(self, each: Applied) -> Event:
        """
        Tell how a change ended, and why where it failed.
        """
        change = each.change
        what = self._say(f"change.{change.kind}", **change.facts)
        if each.code:
            what = f"{what}: {render.failure(each.code, each.message, self.asked.language)}"
        own = {"outcome": self._say(f"outcome.{each.outcome}"), "what": what}
        facts = own | {"ended": each.outcome, "kind": change.kind, "step": change.step, "target": change.target}
        bad = each.outcome not in ("done", "adopted")
        return Event(id="say.progress_change", level="error" if bad else "info", facts=facts | each.told)

    # --- what is left behind -------------------------------------------------------------------------------------

    def differences(self) -> tuple[Difference, ...]:
        """
        List where the world is not as the applied changes promised; empty when nothing was applied.
        """
        plan = self.folder.plan()
        ended = self.folder.ended()
        if plan is None or not ended:
            return ()
        wrote = [change for change in plan.changes if ended.get(change.sha256) in ("done", "adopted")]
        return compare(project(self.before, wrote), self.inventory, wrote)

    def conclude(self) -> render.Table:
        """
        Read again, but for a chain that only plans, compare with before, and write the outcome: the last step of every
        run.
        """
        self.folder.check_open()
        self._keep_plan()
        if not self.folder.chained or self.folder.applies or self.folder.ended():
            self.read_again()
        elif self.folder.inventory("after") is None:
            # A chain that only plans read the estate at its start: what is there is what it planned on.
            self.folder.copy_inventory("before", "after")
        self._read_back()
        rights, *_ = self._held_rights(self.folder.plan() or self.plan)
        return conclude(self.folder, self.asked, self.before, self.inventory, self.differences(), rights)

    def _keep_plan(self) -> None:
        """
        Keep the plan of the whole run, if it is not the one that is kept.
        """
        saved, whole = self.folder.plan(), self._whole_plan
        if saved is None or saved.digest != whole.digest:
            self.folder.save_plan(whole)
            if saved is not None:
                self.folder.journal.note("planned", plan=whole.digest)

    def _read_back(self) -> None:
        """
        Set right what the journal has as failed, in doubt or open: it may have come to be all the same, or what it was
        about may be gone.
        """
        plan = self.folder.plan()
        ended, sent = self.folder.ended(), self.folder.journal.open_intents()
        if not ended and not sent:
            return
        for change in plan.changes if plan else ():
            if ended.get(change.sha256) not in UNFINISHED and change.sha256 not in sent:
                continue
            if is_done(self.inventory, change):
                self.folder.journal.result(change, "adopted", read_back=True)
            elif is_gone(self.inventory, change):
                self.folder.journal.result(change, "gone", read_back=True)

    def show_differences(self) -> render.Shown:
        """
        Show where the world is not as the plan promised, the changes that were not made among that; a run that wrote
        nothing promised nothing.
        """
        ended = self.folder.ended()
        if not ended:
            return render.Lines([self._say("say.nothing_written")])
        plan = self.folder.plan()
        missed = [
            (change, ended.get(change.sha256, "pending"))
            for change in (plan.changes if plan else ())
            if ended.get(change.sha256) not in ("done", "adopted")
        ]
        return self._cut("differences", render.differences(self.differences(), missed, self.asked.language))

    def seal(self, sealing: ui.Approval) -> render.Lines:
        """
        Seal the run's files, if that is wanted; in a chain the runner does that, once this notebook is on disk.
        """
        if not sealing.value:
            return render.Lines([self._say("say.not_sealing", steps=", ".join(self._unwritten()))])
        if self.folder.chained:
            return render.Lines([self._say("say.sealed_later")])
        self.folder.check_open()
        signer = evidence.signer()
        digest = close(self.folder, signer)
        key = signer.public_key.keyid if signer else ""
        return render.Lines([evidence.sealed(self.folder.name, digest, key, self.asked.language)])
