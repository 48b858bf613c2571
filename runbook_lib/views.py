"""
What a run shows: the tables and sentences of the notebooks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runbook_lib import evidence, render
from runbook_lib.arm.effective import compare_effective
from runbook_lib.arm.precheck import precheck
from runbook_lib.arm.rights import read_permissions, read_roles
from runbook_lib.checks.network import Tracer, destinations
from runbook_lib.conclusion import held_back
from runbook_lib.errors import RunbookError
from runbook_lib.folder import NOTEBOOKS
from runbook_lib.parameters import schema
from runbook_lib.places import interactive
from runbook_lib.plan import ENABLING, diff, going_on, ranges, rules_by_option
from runbook_lib.records import Plan, Status, Unread, Verdict, digest, key
from runbook_lib.render import pictures
from runbook_lib.rights import MOST, Right, custom_role, groups_of, needed, resources_of, subscriptions_of
from runbook_lib.scripts import files
from runbook_lib.state import State

__all__ = ["Views"]

# Steps that change nothing.
_READING = ("00", "05", "07")
# By step, the check that says whether what the step is for is there already.
_MET = {
    "01": "vault-in-region",
    "02": "vault-in-region",
    "03": "policy-fit",
    "04": "protection",
    "05": "agent",
    "06": "network-outbound",
}
_STANDING = (Verdict.ENABLED, Verdict.PROTECTED)

# Of a value that is longer, such as a list of ids, the beginning is shown; parameters.json has all of it.
_LONGEST = 160


def _short(value: object) -> str:
    said = str(value)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def _last(resource: str) -> str:
    return resource.rstrip("/").rsplit("/", 1)[-1]


class Views(State):
    """
    What a run shows: tables and sentences, made when they are asked for.
    """

    @property
    def mark(self) -> render.Stack:
        """
        The target's mark, when it was read, and where the steps of this run stand: first output of every notebook.
        """
        when = self.inventory.read_at.isoformat(timespec="seconds")
        lines = [
            self._say("mark.target", mark=self.inventory.target.mark),
            self._say("say.read_at", when=when),
            self._say("say.run_folder", path=self.folder.name),
        ]
        lines += [
            self._say("say.inherited", name=name, value=self._worded(name, value))
            for name, value in self.inherited.items()
        ]
        if not self.folder.supervised and not interactive():
            lines.append(self._say("say.verify_unsupervised"))
        return render.Stack([render.Lines(lines), *self._standing()])

    def _worded(self, name: str, value: Any) -> str:
        """
        Say a parameter's value as people do: of VMs that are given by their ids, the names.
        """
        if name == "accept_risk" and value:
            return _short("; ".join(f"{_last(each)}: {reason}" for each, reason in value.items()))
        said = str(value)
        if name != "vm_selector" or not said.lower().startswith("/subscriptions/"):
            return _short(said)
        names = [_last(each) for each in said.split(",")]
        return self._say("say.by_id", count=len(names), names=_short(", ".join(names)))

    def _standing(self) -> list[render.Shown]:
        try:
            steps = {name[:2]: self._step_state(name) for name in NOTEBOOKS}
            met = self._number in _MET and self._is_met(self._number)
        except RunbookError as error:
            # Names that make no plan are mended in a form further down, which must still be reached.
            return [render.Lines([error.describe(self.asked.language)])]
        told: list[render.Shown] = [render.board(steps, self._number, self.asked.language)]
        if met:
            told.append(render.Lines([self._say(f"met.{self._number}")]))
        return told

    def _step_state(self, name: str) -> str:
        """
        Say what has become of a step in this run, and what is planned in it.
        """
        made, left, planned = self._counted(name[:2])
        if made or left or planned:
            parts = {"made": made, "left": left, "planned": planned}
            return ", ".join(self._say(f"board.{case}", count=count) for case, count in parts.items() if count)
        if name[:2] in _READING:
            return self._say("board.opened" if name in self.folder.state()["visited"] else "board.closed")
        return self._say("board.nothing")

    def _counted(self, number: str) -> tuple[int, int, int]:
        """
        Count a step's changes: made, tried and not made, and planned besides those.
        """
        ended = self.folder.ended()
        if not ended:
            return 0, 0, len(self.plan.step(number).changes)
        saved = self.folder.plan()
        tried = [each.sha256 for each in (saved.step(number).changes if saved else ()) if each.sha256 in ended]
        made = sum(ended[each] in ("done", "adopted") for each in tried)
        planned = {each.sha256 for each in self.plan.step(number).changes} - set(tried)
        return made, len(tried) - made, len(planned)

    def _is_met(self, number: str) -> bool:
        """
        Tell whether the selected VMs have what a step is for, so that nobody needs to go through it.
        """
        if self.plan.step(number).changes:
            return False
        if number == "04":
            return all(each.verdict in _STANDING for each in self.verdicts(self.inventory))
        found = [each for each in self.findings(self.inventory) if each.check == _MET[number]]
        return all(each.status in (Status.PASS, Status.NOT_NEEDED) for each in found)

    def summary(self) -> render.Table:
        """
        Say at a notebook's end what was decided in it, what was changed, and what is next.
        """
        defaults = {row.name: row.default for row in schema()}
        values = self.asked.as_dict()
        # What its forms ask for and its cell says; what came from another notebook was decided there.
        asked = {name for (notebook, names), _ in self._widgets.items() if notebook == self.notebook for name in names}
        chosen = [
            f"{name} = {self._worded(name, value)}"
            for name, value in values.items()
            if value != defaults[name] and name in {*asked, *self.cell}
        ]
        made, left, planned = self._counted(self._number)
        changed = [
            self._say(f"ending.{case}", count=count) for case, count in (("made", made), ("left", left)) if count
        ]
        following = [self._say(f"next.{self._number}")]
        if planned:
            told = "later" if self.folder.chained and self.folder.applies else "planned"
            following.insert(0, self._say(f"ending.{told}", count=planned))
        if self.notebook == NOTEBOOKS[-1] and (unwritten := self._unwritten()):
            following = [self._say("ending.unwritten", steps=", ".join(unwritten))]
        rows = [
            ("decided", "; ".join(chosen) or self._say("ending.defaults")),
            ("changed", " ".join(changed) or self._say("ending.unchanged")),
            ("next", " ".join(following)),
        ]
        return render.summary(rows, self.asked.language)

    def _unwritten(self) -> list[str]:
        """
        List the numbers of the steps with changes that somebody who sits before the screen has not had made.
        """
        if self.folder.chained or not interactive():
            return []
        return [name[:2] for name in NOTEBOOKS if self._counted(name[:2])[2]]

    def who(self) -> render.Table:
        """
        Show who is signed in, to which tenant, and which subscriptions they see.
        """
        return self._cut("subscriptions", render.identity(self.inventory, self.asked.language))

    def _cut(self, name: str, table: render.Table) -> render.Table:
        """
        Keep a table that is too long for a notebook in the run folder, and show its beginning.
        """
        if table.is_long:
            table.whole = self.folder.add_table(f"{self._number}-{name}", table)
        return table

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
        then = {key(each.vm): each.verdict for each in self.verdicts(self.projected)}
        return self._cut(
            "readiness",
            render.readiness(self.inventory, self.verdicts(self.inventory), then, found, self.asked.language),
        )

    def matrix(self) -> render.Shown:
        """
        Show the verdicts and the checks behind them as a picture.
        """
        now, found = self.verdicts(self.inventory), self.findings(self.inventory)
        return self._drawn(pictures.matrix(self.inventory, now, found, self.asked.language))

    def _drawn(self, picture: render.Shown) -> render.Shown:
        """
        Return a picture, or in a headless chain, where nobody looks on and drawing would be a third of the work, the
        table that it is made of.
        """
        return picture.table if self.folder.chained and isinstance(picture, pictures.Picture) else picture

    def rights(self) -> render.Table:
        """
        Show what the plan needs, and whether the caller may do it; the smallest role that is missing is kept.
        """
        found, unread, left_out = self._held_rights(self.plan)
        roles, more = read_roles(self.session, found[0].scope) if found else ([], ())
        gaps = (*unread, *more)
        table = render.rights(found, roles, gaps, self.inventory, self.asked.language, left_out=left_out)
        return self._cut("rights", table)

    def _held_rights(self, plan: Plan) -> tuple[tuple[Right, ...], tuple[Unread, ...], int]:
        """
        Hold what a plan needs against what the caller has now, and keep the role that is missing, if one is.

        Returns:
            The rights, what could not be read, and how many resources were not asked about one by one.
        """
        permissions, closed = read_permissions(self.session, subscriptions_of(plan))
        groups, dim = read_permissions(self.session, groups_of(plan, permissions))
        single = resources_of(plan, permissions | groups)
        own, dark = read_permissions(self.session, single[:MOST])
        found = needed(plan, permissions | groups | own)
        role = self.folder.path / "custom-role.json"
        if any(right.granted is False for right in found):
            name, description = self._say("say.rights_role_name"), self._say("say.rights_role_description")
            evidence.write_json(role, custom_role(found, name, description))
        else:
            role.unlink(missing_ok=True)
        # Whoever has roles in groups alone may be told nothing at their subscription, and needs nothing there.
        wanted = {right.scope for right in found}
        return found, (*(each for each in closed if each.scope in wanted), *dim, *dark), len(single[MOST:])

    def precheck(self) -> render.Table:
        """
        Show what the service itself says of the VMs about to be enabled, beside our verdict; see `service_precheck`.
        """
        protecting = [change for change in self.plan.changes if change.kind in ENABLING]
        said = precheck(self.session, self.inventory, protecting, self.asked.service_precheck)
        own = self.verdicts(self.inventory)
        return self._cut(
            "precheck",
            render.precheck(
                [(each.vm, each.status, each.code, each.message, each.feature, each.held_in) for each in said],
                {key(each.vm): each.verdict.value for each in own},
                self.inventory,
                self.asked.language,
            ),
        )

    def held_back(self) -> render.Table:
        """
        Show the VMs that their verdict keeps from being enabled, with the ids that `accept_risk` takes.
        """
        found = self.findings(self.inventory)
        verdicts = [each for each in self.verdicts(self.inventory) if held_back(self.inventory, each, self.asked)]
        return self._cut("held-back", render.held_back(self.inventory, verdicts, found, self.asked.language))

    def show_findings(self, *only: str) -> render.Table:
        """
        Show the findings of some checks, or of all that are not a plain pass.
        """
        return self._cut(
            "findings", render.findings(self.inventory, self.findings(self.inventory), self.asked.language, only)
        )

    def vaults(self) -> render.Table:
        """
        Show the vaults in the selected VMs' regions, as the plan leaves them after this step.
        """
        return self._cut("vaults", render.vaults(self.inventory, self._here, self._regions, self.asked.language))

    def policies(self) -> render.Table:
        """
        Show the policies in those vaults, as the plan leaves them after this step.
        """
        return self._cut("policies", render.policies(self.inventory, self._here, self._regions, self.asked.language))

    def machines(self) -> render.Table:
        """
        Show agent and backup extension of each selected VM.
        """
        return self._cut("machines", render.machines(self.inventory, self.chosen, self.asked.language))

    def network(self) -> render.Table:
        """
        Show the outbound decision for each selected VM.
        """
        return self._cut("network", render.network(self.inventory, self.findings(self.inventory), self.asked.language))

    def options(self) -> render.Table:
        """
        Show the guide's network options, what speaks for and against each, and what it changes here.
        """
        rules = rules_by_option(self.inventory, self.asked, going_on(self.inventory, self.asked))
        counts = {
            option: (None, 0)
            if changes is None
            else (
                len(changes),
                len(files(self.inventory, replace(self.asked, network_option=option), self.chosen, changes)),
            )
            for option, changes in rules.items()
        }
        return render.options(counts, self.asked.language)

    def ranges(self) -> render.Table:
        """
        Show the address ranges behind the services, and what the NSGs have of them.
        """
        found = ranges(self.inventory, going_on(self.inventory, self.asked))
        return self._cut("ranges", render.ranges(self.inventory, found, self.asked.language))

    def files(self) -> render.Table:
        """
        Write scripts and commands to the run folder, and show for whom they are.
        """
        made = files(self.inventory, self.asked, self.chosen, self.plan.changes)
        self.folder.save_files({each.name: each.content for each in made})
        return render.files(made, self.asked.language)

    def truth_table(self) -> render.Table:
        """
        Show how far packets of each network interface come: NSGs, route and way out, for each destination.
        """
        tracer = Tracer(self.inventory)
        found = (path for vm in self.chosen for path in tracer.paths(vm, destinations(self.asked)))
        return self._cut("truth-table", render.truth_table(self.inventory, found, self.asked.language))

    def compare_effective(self) -> render.Table:
        """
        Show whether the service agrees: its effective rules and routes for a few network interfaces of running VMs.
        """
        compared = compare_effective(self.session, self.inventory, self.chosen, destinations(self.asked))
        return self._cut("effective", render.effective(self.inventory, compared, self.asked.language))

    def unread(self) -> render.Table:
        """
        Show what could not be read.
        """
        return self._cut("unread", render.unread(self.inventory, self.asked.language))

    def show_plan(self) -> render.Table:
        """
        Show the changes of this notebook's step.
        """
        step = self.plan.step(self._number)
        self._on_screen[self.notebook] = digest(step)
        caption = self._say("caption.plan", step=step.number, count=len(step.changes))
        return self._cut("plan", render.plan([step], caption, self.asked.language))

    def show_diff(self) -> render.Table:
        """
        Show the changes of this notebook's step as a difference: each field as it is, and as it will be; the last
        notebook shows the whole plan so.
        """
        whole = self.notebook == NOTEBOOKS[-1]
        steps = self._whole_plan.steps if whole else (self.plan.step(self._number),)
        found = diff(steps)
        return self._cut("diff", render.diff(found, self._say("caption.diff", count=len(found)), self.asked.language))

    def show_whole_plan(self) -> render.Table:
        """
        Show every change of every step, how each ended and why it failed.
        """
        plan = self._whole_plan
        caption = self._say("caption.plan_all", count=len(plan.changes), digest=plan.digest[:12])
        return self._cut("whole-plan", render.plan(plan.steps, caption, self.asked.language, self.folder.results()))

    def notes(self) -> render.Lines:
        """
        Say what the plan leaves as it is in this step, and why; the last notebook says all.
        """
        step = "" if self.notebook == NOTEBOOKS[-1] else self._number
        told = render.notes(self.plan, self.asked.language, step)
        return render.Lines(told or [self._say("say.no_notes")])
