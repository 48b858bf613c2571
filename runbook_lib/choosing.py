"""
What a person chooses in a run: forms and tables that ask, what is looked at meanwhile, and approval.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from runbook_lib import checks, render, ui
from runbook_lib.checks.network import WIRESERVER, Destination, destinations
from runbook_lib.conclusion import held_back, verdicts_of
from runbook_lib.errors import InvalidParameters, PlanRefused, RunbookError
from runbook_lib.folder import new_folder
from runbook_lib.offering import offers
from runbook_lib.parameters import SIGNING_IN, Parameters, build, schema
from runbook_lib.places import interactive
from runbook_lib.records import Policy, Status, VirtualMachine, digest, key
from runbook_lib.render import pictures
from runbook_lib.selection import select
from runbook_lib.views import Views

__all__ = ["Choosing"]

# Parameters that decide who reads, and where; which VMs the run is about; and what of them has to be read.
_SIGNING_IN = {"target", *SIGNING_IN}
_SELECTED = {"subscription_ids", "vm_selector", "location", "vault_subscription", "accept_risk"}
_SELECTING = _SELECTED - {"accept_risk"}
_Asking = TypeVar("_Asking", ui.Form, ui.Picker)


class Choosing(Views):
    """
    A run that asks: what is chosen becomes its parameters, and those of the notebooks that follow.
    """

    def form(self, *names: str) -> ui.Form:
        """
        Offer parameters for change; their initial values are the parameters, and what exists is offered first.
        """
        previews = {"vault_name": self._placed, "policy_name": self._named_policy, "vm_selector": self._selected}
        preview = next((show for name, show in previews.items() if name in names), None)
        form = ui.Form(self.asked, names, offers(self.inventory, self._chosen_or_none(), self.asked), preview)
        return self._asking(names, form)

    def _chosen_or_none(self) -> tuple[VirtualMachine, ...]:
        """
        Return the selected VMs, and none where the selection is what has to be mended.
        """
        try:
            return self.chosen
        except RunbookError:
            return ()

    def _asking(self, names: tuple[str, ...], widget: _Asking) -> _Asking:
        """
        Remember what asks for these parameters: nothing is applied while a choice is not taken over.
        """
        self._widgets[self.notebook, names] = widget
        return widget

    def _refuse_open(self) -> None:
        """
        Raises:
            PlanRefused: what was changed in a form or a table of this notebook is not in the plan.
        """
        for (notebook, names), widget in self._widgets.items():
            if notebook == self.notebook and widget.is_open:
                raise PlanRefused("not_taken", step=self._number, names=", ".join(names))

    def _named_policy(self, asked: Parameters) -> render.Lines:
        """
        Say whether a policy is there by the name that is given: then the other values count for nothing.
        """
        homes = {key(vault.id) for vault in self._here.vaults.values() if vault.location in self._regions}
        count = sum(
            key(policy.vault_id) in homes and policy.name.lower() == asked.policy_name.lower()
            for policy in self._here.policies.values()
        )
        told = "say.policy_there" if count else "say.policy_new"
        return render.Lines([self._say(told, name=asked.policy_name, count=count)])

    def _selected(self, asked: Parameters) -> render.Lines:
        try:
            count = len(select(self.inventory, asked))
        except RunbookError as error:
            return render.Lines([error.describe(self.asked.language)])
        return render.Lines([self._say("say.selects", count=count, all=len(self.inventory.vms))])

    def _placed(self, asked: Parameters) -> render.Table:
        return render.placed(self.inventory, self.chosen, asked)

    def pick(self) -> ui.Picker:
        """
        Offer every VM that can be read for selection, each with its verdict and what decided it.
        """
        everything = replace(self.asked, vm_selector="all", location="")
        verdicts = verdicts_of(self.inventory, everything)
        found = checks.findings_on(self.inventory, everything)
        table = self._cut("candidates", render.candidates(self.inventory, verdicts, found, self.asked.language))
        held = {
            each.vm: each.accepted_risk
            for each in verdicts
            if each.accepted_risk or held_back(self.inventory, each, everything)
        }
        ids, chosen = [each.vm for each in verdicts], [vm.id for vm in self._chosen_or_none()]
        given, language = self.asked.as_dict(), self.asked.language
        picker = ui.Picker(table, ids, chosen, held, given, language, live=not self.folder.chained)
        return self._asking(picker.names, picker)

    def points(self) -> ui.Look:
        """
        Offer a look at a policy's recovery points over time, and at what another policy would keep of them.
        """
        here, regions = self._here, self._regions
        vaults = {key(vault.id): vault.name for vault in here.vaults.values() if vault.location in regions}
        policies = [
            (f"{policy.name} ({vaults[key(policy.vault_id)]})", policy)
            for _, policy in sorted(here.policies.items())
            if key(policy.vault_id) in vaults
        ]
        # First the one that is asked for.
        policies.sort(key=lambda each: each[1].name.lower() != self.asked.policy_name.lower())
        nothing = (self._say("say.policy_alone"), None)
        return ui.Look(
            {"policy": policies or [nothing], "instead": [nothing, *policies]}, self._points, self.asked.language
        )

    def _points(self, policy: Policy | None, other: Policy | None) -> render.Shown:
        now, language = self.inventory.read_at, self.asked.language
        if policy is None:
            return render.Lines([self._say("say.none")])
        if other is None:
            return self._drawn(pictures.kept_points(policy, now, language))
        return self._drawn(pictures.lost_points(policy, other, now, language))

    def way(self) -> ui.Look:
        """
        Offer a look at the way that a VM's packets take to a destination.
        """
        inventory = self.inventory
        found = {key(each.resource): each for each in self.findings(inventory) if each.check == "network-outbound"}
        # First the ones whose way is not plainly open.
        vms = sorted(self.chosen, key=lambda vm: found[key(vm.id)].guide is Status.PASS)
        groups = [f"{vm.name} ({inventory.group_name(vm)})" for vm in vms]
        counts = Counter(groups)
        machines = [
            (self._with_subscription(name, vm) if counts[name] > 1 else name, vm)
            for name, vm in zip(groups, vms, strict=True)
        ]
        # First the services; the agent's way to the platform is the same for all.
        services = sorted(destinations(self.asked), key=lambda each: each.name == WIRESERVER)
        places = [(f"{each.name}, {each.protocol.upper()} {each.port}", each) for each in services]
        return ui.Look({"vm": machines, "destination": places}, self._way, self.asked.language)

    def _with_subscription(self, name: str, vm: VirtualMachine) -> str:
        known = self.inventory.subscriptions.get(key(f"/subscriptions/{vm.subscription}"))
        return f"{name}, {known.name if known else vm.subscription}"

    def _way(self, vm: VirtualMachine, destination: Destination) -> render.Shown:
        return self._drawn(pictures.way(self.inventory, vm, destination, self.asked, self.asked.language))

    def choose(self, form: ui.Form | ui.Picker) -> render.Stack:
        """
        Take the values of a form, or the VMs that were picked, as parameters of this run and of the notebooks that
        follow; what was decided in other notebooks since this one was opened stays decided.

        Another target is another run, and begins one; another way to sign in is tried at once.

        Raises:
            InvalidParameters: a value breaks a rule, or the run is sealed; the parameters stay as they were.
            SignInError: the target refuses the caller; so they do then.
        """
        self.folder.check_open()
        if isinstance(form, ui.Picker) and not form.chosen:
            raise InvalidParameters("nothing_picked", name="vm_selector")
        earlier, state = self.asked.as_dict(), dict(vars(self))
        values = earlier | self.folder.parameters() | form.values
        if values["target"] != earlier["target"]:
            # What was selected is not there.
            values |= {row.name: row.default for row in schema() if row.name in _SELECTED}
        self.asked = build(values)
        changed = {name for name, value in self.asked.as_dict().items() if value != earlier[name]}
        try:
            if changed & _SIGNING_IN:
                self._sign_in(another="target" in changed)
            elif self._lacks_something or changed & _SELECTING:
                # Another selection needs other reads: subscriptions, and single instance views.
                self.read_again()
            # Also where nothing is read anew: a selection of nothing must not become this run's.
            select(self.inventory, self.asked)
            self._refuse_unplannable(form.names)
        except RunbookError:
            if self.folder is not state["folder"]:
                shutil.rmtree(self.folder.path)
            self.__dict__ = state
            raise
        if self.folder is not state["folder"]:
            self.folder.remember()
            self.folder.visit(self.notebook, self.cell)
        self.folder.save_parameters(self.asked)
        form.take()
        values = self.asked.as_dict()
        told = {name: self._worded(name, values[name]) for name in form.names}
        table = render.parameter_values(told, self.asked.language, only=form.names)
        said = [self._say("say.selects", count=len(self.chosen), all=len(self.inventory.vms))]
        if changed and interactive():
            said.append(self._say("say.older_choice"))
        return render.Stack([*([self.mark] if changed & _SIGNING_IN else []), table, render.Lines([" ".join(said)])])

    def _sign_in(self, *, another: bool) -> None:
        """
        Sign in anew and read the estate.

        Args:
            another: whether to another target.
        """
        if another:
            self.folder = new_folder()
        for name in ("session", "before"):
            vars(self).pop(name, None)
        self._after = None
        if not another:
            self.read_again()
        elif not self.inventory.vms:
            raise InvalidParameters("no_vms", name="target", count=len(self.inventory.subscriptions))

    def _refuse_unplannable(self, names: Sequence[str]) -> None:
        """
        Raises:
            InvalidParameters: one of these parameters makes no plan: a name is too long with one of the regions in it.
        """
        try:
            _ = self.plan
        except InvalidParameters as error:
            if any(each.facts.get("name") in names for each in (error, *error.problems)):
                raise

    def approval(self) -> ui.Approval:
        """
        Ask for approval of this step's plan as it was shown last; parameter `apply` is its initial value.

        Raises:
            PlanRefused: what is planned now was not on screen.
        """
        step = digest(self.plan.step(self._number))
        if step != self._on_screen.get(self.notebook):
            raise PlanRefused("not_shown", step=self._number)
        return ui.Approval(self.asked.apply, step, self.asked.language)

    def sealing(self) -> ui.Approval:
        """
        Ask whether the run is to end here; the box is ticked where nothing that was planned is left.
        """
        return ui.Approval(not self._unwritten(), self.plan.digest, self.asked.language, "sealing")
