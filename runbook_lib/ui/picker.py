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
        self.reason = ipywidgets.Text(
            description=say("label.accept_risk", language),
            placeholder=say("say.reason", language),
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="60em"),
        )
        self.reason.add_class("rb-reason")
        self._count = Remark()
        self.reason.observe(self.guarded(self._changed), names="value")
        if live:
            self.table = _table(candidates, self._initial, language)
            self.table.add_class("rb-vms")
            self.table.observe(self.guarded(self._changed), names="selected_rows")
            self.children = (self.table, self._count, self.reason, self._open, self._failure)
        self._changed(None)
        self.take()

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
        kept = {vm: why for vm, why in self._held.items() if why and vm in set(chosen)}
        risks = kept | (
            {vm: self.reason.value.strip() for vm in self._unaccepted()} if self.reason.value.strip() else {}
        )
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
        table.whole = self._candidates.whole
        return table

    def _ipython_display_(self, **options: Any) -> None:
        if self._live:
            super()._ipython_display_(**options)
        else:
            self._twin.show(self.static())

    def _unaccepted(self) -> list[str]:
        return [vm for vm in self.chosen if vm in self._held and not self._held[vm]]

    def _sum(self) -> str:
        chosen, held = len(self.chosen), len(self._unaccepted())
        if not chosen:
            return say("say.picked_nothing", self._language)
        said = say("say.picked", self._language, count=chosen, all=len(self._ids))
        if not held:
            return said
        told = "say.picked_accepted" if self.reason.value.strip() else "say.picked_held"
        return f"{said} {say(told, self._language, count=held)}"

    def _changed(self, _: Any) -> None:
        self._count.tell(self._sum(), wrong=not self.chosen)
        # Only what is held back wants a reason.
        self.reason.layout.display = "" if self._unaccepted() else "none"
        self._tell_open()
        self.follow()


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
