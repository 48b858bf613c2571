"""
The state of one run: its folder, parameters, target, inventory and plan.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from runbook_lib import checks, ui
from runbook_lib.arm.inventory import read_inventory
from runbook_lib.arm.opening import open_session
from runbook_lib.arm.session import Session
from runbook_lib.arm.signin import Asked
from runbook_lib.conclusion import verdicts_of
from runbook_lib.errors import RunbookError
from runbook_lib.folder import NOTEBOOKS, RunFolder
from runbook_lib.parameters import Parameters
from runbook_lib.plan import POINTS, changing, project
from runbook_lib.plan import build as build_plan
from runbook_lib.records import (
    SERVICE_TAGS,
    Finding,
    Inventory,
    Plan,
    VirtualMachine,
    VmVerdict,
    key,
)
from runbook_lib.selection import select
from runbook_lib.text import say

__all__ = ["State"]


class State:
    """
    A run folder with a target behind it: what was read, and what follows from it.
    """

    def __init__(self, folder: RunFolder, asked: Parameters) -> None:
        self.folder = folder
        self.asked = asked
        self.notebook = ""
        self.inherited: dict[str, Any] = {}
        # What the parameters cell of the notebook that is being worked on says, where that is not the default.
        self.cell: dict[str, Any] = {}
        # By notebook, the digest of the step whose plan was shown last.
        self._on_screen: dict[str, str] = {}
        # What asks for parameters, by notebook and by the names of these.
        self._widgets: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._after: Inventory | None = None
        self.folder.save_parameters(asked)

    def arrive(self, notebook: str) -> None:
        """
        Note that *notebook* is being worked on; the first one reads the estate anew, as does one that asks for more.
        """
        self.notebook = notebook
        if self.folder.inventory("before") is not None and (notebook == NOTEBOOKS[0] or self._lacks_something):
            self.read_again()
        self.folder.visit(notebook, self.cell)

    @cached_property
    def session(self) -> Session:
        """
        The signed-in target; opened when it is first needed.
        """
        prompt = _Prompt(self.asked.language)
        session = open_session(self.asked.target, self.folder.journal, Asked.by(self.asked), prompt)
        prompt.over(session.target.caller)
        return session

    # --- what is there -------------------------------------------------------------------------------------------

    @cached_property
    def before(self) -> Inventory:
        """
        The estate as this run found it: read once, then kept in the run folder; one without VMs, which nothing can rest
        on, is read anew.
        """
        kept = self.folder.inventory("before")
        if kept is None or not kept.vms:
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
        self._after = read_inventory(self.session, self.asked, self.sought)
        self.folder.save_inventory("after", self._after)
        return self._after

    @property
    def sought(self) -> tuple[str, ...]:
        """
        The ids of the VMs that were selected when the run began; none where what is asked for now selects others.
        """
        try:
            return tuple(vm.id for vm in select(self.before, self.asked))
        except RunbookError:
            # Whoever reads again will say so, in the world as it is then.
            return ()

    @property
    def chosen(self) -> tuple[VirtualMachine, ...]:
        """
        The selected VMs.
        """
        return select(self.inventory, self.asked)

    @property
    def _lacks_something(self) -> bool:
        """
        Whether the service tags list or recovery points are wanted, and nobody has tried to read them yet.
        """
        tried = {(gap.what, key(gap.scope)) for gap in self.inventory.unread}
        if self.asked.network_option == "ip_ranges" and not self.inventory.service_tags:
            return SERVICE_TAGS not in {what for what, _ in tried}
        return self.asked.change_policy and any(
            item.points is None and (POINTS, key(item.id)) not in tried for item in changing(self.inventory, self.asked)
        )

    # --- what it means -------------------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """
        The plan that the run was given, else what is missing, by the parameters as they stand.
        """
        if self._given:
            return self._given
        day = self.before.read_at.date()
        return self.inventory.derive(self.asked, f"plan of {day}", lambda: build_plan(self.inventory, self.asked, day))

    @cached_property
    def _given(self) -> Plan | None:
        return self.folder.given_plan()

    @property
    def _whole_plan(self) -> Plan:
        """
        The plan of the whole run: what was tried, and what is planned by the parameters as they stand; in a chain, the
        one that it made.
        """
        saved = self.folder.plan()
        if saved is None:
            return self.plan
        return saved if self.folder.chained or self.folder.sealed else self.folder.merged(self.plan)

    @property
    def projected(self) -> Inventory:
        """
        The estate as the plan would leave it.
        """
        plan = self.plan
        return self.inventory.derive(self.asked, f"after {plan.digest}", lambda: project(self.inventory, plan.changes))

    def findings(self, inventory: Inventory) -> tuple[Finding, ...]:
        """
        Judge the selected VMs in *inventory*.
        """
        return checks.findings_on(inventory, self.asked)

    def verdicts(self, inventory: Inventory) -> tuple[VmVerdict, ...]:
        """
        Draw the verdict on each selected VM in *inventory*.
        """
        return verdicts_of(inventory, self.asked)

    def _say(self, message: str, **facts: Any) -> str:
        return say(message, self.asked.language, **facts)

    @property
    def _here(self) -> Inventory:
        """
        The estate as the plan would leave it once this notebook's step is applied.
        """
        plan, number = self.plan, self._number
        made = [change for step in plan.steps if step.number <= number for change in step.changes]
        return self.inventory.derive(
            self.asked, f"after {number} of {plan.digest}", lambda: project(self.inventory, made)
        )

    @property
    def _regions(self) -> set[str]:
        return {vm.location for vm in self.chosen}

    @property
    def _number(self) -> str:
        return self.notebook[:2]


class _Prompt:
    """
    Asks a person to sign in; the code is taken off the screen, and so out of the saved notebook, when it was used.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._live: ui.Live | None = None

    def __call__(self, page: str, code: str) -> None:
        self._live = ui.Live()
        self._live.tell(say("say.device_code", self._language, page=page, code=code), last=True)

    def over(self, caller: str) -> None:
        if self._live is not None:
            self._live.tell(say("say.signed_in", self._language, caller=caller), last=True)
