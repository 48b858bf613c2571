"""
A table to choose VMs from, made for thousands of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from runbook_lib.render import Shown, Table
from runbook_lib.text import say
from runbook_lib.ui.twin import Remark, Twinned

if TYPE_CHECKING:
    from itables.widget import ITable

__all__ = ["Picker"]

_PAGES = [10, 25, 50, 100]
# Names that are offered while one is typed; a longer list would be sent to the page, and is not read.
_OFFERED = 500
# Of each chosen VM the saved notebook keeps what tells it from others; the rest is in the readiness table.
_KEPT = ("vm", "resource_group", "region", "verdict", "protection")


class Picker(Twinned):
    """
    Every VM there is, searchable and sortable, with what decides about it; the chosen rows become `vm_selector`.

    Attributes:
        names: the parameters that the choice sets.
    """

    names = ("vm_selector", "location", "accept_risk")

    def __init__(
        self,
        candidates: Table,
        ids: Sequence[str],
        chosen: Sequence[str],
        held: Mapping[str, str],
        given: Mapping[str, Any],
        language: str,
        *,
        live: bool = True,
    ) -> None:
        """
        Args:
            candidates: one row for each VM.
            ids: the VMs' ARM ids, in the order of the rows.
            chosen: ids of the VMs that are selected now.
            held: ids of the VMs that their verdict keeps from being enabled, and the reason given for going on all the
                same, if one was.
            given: the parameters as they are, by name.
            live: whether somebody may choose; else there is the twin alone: the table costs a second to make.
        """
        super().__init__(language)
        self._candidates = candidates
        self._ids = tuple(ids)
        self._held = dict(held)
        self._given = {name: given[name] for name in self.names}
        places = {each: place for place, each in enumerate(ids)}
        # Rows are told apart by their place in the frame that is handed over; ids are what counts from here on.
        self._initial = tuple(sorted(places[each] for each in chosen))
        self._live = live
        # What the field of the reason was filled with, and whether somebody has typed another one.
        self._filled, self._typed = "", False
        self.reason = ipywidgets.Text(
            description=say("label.accept_risk", language),
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="60em"),
        )
        self.reason.add_class("rb-reason")
        self._count = Remark()
        self.reason.observe(self.guarded(self._reasoned), names="value")
        if live:
            self.table = _table(candidates, self._initial, language)
            self.table.add_class("rb-vms")
            self.table.observe(self.guarded(self._picked), names="selected_rows")
            by_name = self._by_name()
            self.children = (self.table, self._count, by_name, self._found, self.reason, self._open, self._failure)
        self._picked(None)
        self.take()

    def _by_name(self) -> ipywidgets.HBox:
        """
        Make the way to choose that needs no mouse: the rows of the table take no focus.
        """
        self._called = _called(self._candidates, self._ids)
        labels = list(dict.fromkeys(_labels(self._candidates)))
        self.name = ipywidgets.Combobox(
            options=labels if len(labels) <= _OFFERED else [],
            description=say("label.vm_by_name", self._language),
            placeholder=say("say.vm_by_name", self._language),
            # A click overtakes letters that are still on their way: the name is sent whole, when the field is left.
            continuous_update=False,
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="40em"),
        )
        self.name.add_class("rb-vm-by-name")
        self.choose = ipywidgets.Button(description=say("say.vm_choose", self._language))
        self.leave_out = ipywidgets.Button(description=say("say.vm_leave_out", self._language))
        self.choose.on_click(self.guarded(lambda _: self._set_named(chosen=True)))
        self.leave_out.on_click(self.guarded(lambda _: self._set_named(chosen=False)))
        self._found = Remark()
        return ipywidgets.HBox([self.name, self.choose, self.leave_out])

    def _set_named(self, *, chosen: bool) -> None:
        """
        Choose, or leave out, the VM whose name was typed.
        """
        typed = self.name.value.strip()
        places = self._called.get(typed.lower(), ())
        if len(places) != 1:
            case = "say.vm_several" if places else "say.vm_nowhere"
            self._found.tell(say(case, self._language, name=typed, count=len(places)), wrong=True)
            return
        others = {place for place in self._places if place != places[0]}
        self.table.selected_rows = sorted(others | set(places)) if chosen else sorted(others)
        self.name.value = ""
        self._found.tell(say("say.vm_chosen" if chosen else "say.vm_left_out", self._language, name=typed))

    @property
    def _places(self) -> Sequence[int]:
        chosen: Sequence[int] = self.table.selected_rows if self._live else self._initial
        return chosen

    @property
    def chosen(self) -> tuple[str, ...]:
        """
        The ids of the chosen VMs.
        """
        # A row that is not there is accepted by the table widget, and chosen by nobody.
        places = {place for place in self._places if 0 <= place < len(self._ids)}
        return tuple(self._ids[place] for place in sorted(places))

    @property
    def values(self) -> dict[str, Any]:
        """
        The choice as parameters that select the same VMs in a headless run.
        """
        chosen = self.chosen
        risks = {vm: reason for vm, reason in self._reasons().items() if reason}
        if tuple(sorted(self._places)) == self._initial:
            return self._given | {"accept_risk": risks}
        everything = len(chosen) == len(self._ids)
        return {"vm_selector": "all" if everything else ",".join(chosen), "location": "", "accept_risk": risks}

    def static(self) -> Shown:
        """
        Return the chosen VMs.
        """
        chosen = set(self.chosen)
        rows = [
            dict(zip(self._candidates.columns, row, strict=True))
            for row, vm in zip(self._candidates.rows, self._ids, strict=True)
            if vm in chosen
        ]
        caption = say("caption.picked", self._language, count=len(chosen), all=len(self._ids))
        table = Table(caption, _KEPT, rows, self._language, notes=(*self._undecided, self._sum()))
        table.whole = say("say.picked_whole", self._language)
        return table

    def _ipython_display_(self, **options: Any) -> None:
        if self._live:
            super()._ipython_display_(**options)
        else:
            self._twin.show(self.static())

    def _reasons(self) -> dict[str, str]:
        """
        Return the reason for each chosen VM that its verdict holds back, empty where there is none: what somebody has
        typed, else the one that was given for it.
        """
        own = {vm: self._held[vm] for vm in self.chosen if vm in self._held}
        return dict.fromkeys(own, self.reason.value.strip()) if self._typed else own

    def _sum(self) -> str:
        chosen, reasons = len(self.chosen), self._reasons()
        if not chosen:
            return say("say.picked_nothing", self._language)
        accepted = sum(map(bool, reasons.values()))
        counts = {"say.picked_accepted": accepted, "say.picked_held": len(reasons) - accepted}
        said = [say("say.picked", self._language, count=chosen, all=len(self._ids))]
        said += [say(told, self._language, count=count) for told, count in counts.items() if count]
        return " ".join(said)

    def _picked(self, _: Any) -> None:
        if self._live:
            self._found.tell("")
        if not self._typed:
            given = set(self._reasons().values())
            # A reason is for the VMs that it was given for: none is filled in for one that is chosen besides them.
            alike = len(given) < 2
            self._filled = next(iter(given), "") if alike else ""
            self.reason.placeholder = say("say.reason" if alike else "say.reason_own", self._language)
            self.reason.value = self._filled
        self._tell()

    def _reasoned(self, _: Any) -> None:
        # Emptied where it was filled it takes the reason back; else each VM keeps its own.
        self._typed = self._typed or self.reason.value != self._filled if self._filled else bool(self.reason.value)
        self._tell()

    def _tell(self) -> None:
        self._count.tell(self._sum(), wrong=not self.chosen)
        # Only what is held back wants a reason.
        self.reason.layout.display = "" if self._reasons() else "none"
        self._tell_open()
        self.follow()


def _labels(candidates: Table) -> list[str]:
    vm, group = (candidates.columns.index(name) for name in ("vm", "resource_group"))
    return [f"{row[vm]} ({row[group]})" for row in candidates.rows]


def _called(candidates: Table, ids: Sequence[str]) -> dict[str, list[int]]:
    """
    Return the places of VMs by what they may be called, in small letters: the name, with its group, and the ARM id.
    """
    places: dict[str, list[int]] = {}
    vm = candidates.columns.index("vm")
    for place, (row, label, arm_id) in enumerate(zip(candidates.rows, _labels(candidates), ids, strict=True)):
        for name in (str(row[vm]), label, arm_id):
            places.setdefault(name.lower(), []).append(place)
    return places


def _table(candidates: Table, chosen: Sequence[int], language: str) -> ITable:
    # Imported where it is used: pandas and itables cost half a second, and most notebooks have no such table.
    from itables.widget import ITable

    words: dict[str, Any] = {
        "search": say("say.search", language),
        "lengthMenu": say("say.search_pages", language),
        "zeroRecords": say("say.search_nothing", language),
        "info": say("say.search_info", language),
        "infoEmpty": say("say.search_none", language),
        "infoFiltered": say("say.search_filtered", language),
        "select": {"rows": say("say.search_selected", language)},
    }
    frame = candidates.frame.rename(columns=dict(zip(candidates.columns, candidates.titles, strict=True)))
    return ITable(
        frame,
        caption=candidates.caption,
        select=True,
        selected_rows=list(chosen),
        showIndex=False,
        # By default rows beyond 64 KB are left out without a word.
        maxBytes=0,
        allow_html=False,
        order=[],
        lengthMenu=_PAGES,
        buttons=[
            {
                "extend": "selectAll",
                "text": say("say.select_filtered", language),
                "selectorModifier": {"search": "applied"},
            },
            {"extend": "selectNone", "text": say("say.select_none", language)},
        ],
        language=words,
        layout={
            "topStart": "buttons",
            "topEnd": "search",
            "bottomStart": "pageLength",
            "bottom": "info",
            "bottomEnd": "paging",
        },
        # Reasons are long: they get room, and the table scrolls within the page.
        columnDefs=[{"targets": [candidates.columns.index("why")], "width": "26em"}],
        scrollX=True,
        classes="display compact",
    )
