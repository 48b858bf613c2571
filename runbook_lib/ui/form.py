"""
Controls for parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets

from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.offering import Offer
from runbook_lib.parameters import Parameter, Parameters, build, schema
from runbook_lib.render import Shown, Stack, Table
from runbook_lib.text import exists, say
from runbook_lib.ui.twin import Remark, Twinned

__all__ = ["Form"]

_NAMED = {"style": {"description_width": "17em"}, "layout": ipywidgets.Layout(width="46em")}
# What a parameter means stands under its control: beside it, at 1280 pixels, it would leave no room to type.
_UNDER = "-4px 0 8px 17.8em"
_INDENTED = "2px 0 2px 17.6em"
# When a parameter has no effect its control is out of the way; its value stays.
_MATTERS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "sign_in": lambda given: given["target"] == "azure",
    "tenant_id": lambda given: given["target"] == "azure",
    "cloud": lambda given: given["target"] == "azure",
    "cross_region_restore": lambda given: given["redundancy"] == "GeoRedundant",
    "hourly_interval": lambda given: given["schedule"] == "Hourly",
    "hourly_duration": lambda given: given["schedule"] == "Hourly",
    "daily_retention_days": lambda given: given["schedule"] != "Weekly",
    "weekly_days": lambda given: (
        given["schedule"] == "Weekly"
        or any(given[name] for name in ("weekly_retention_weeks", "monthly_retention_months", "yearly_retention_years"))
    ),
    "proxy_host": lambda given: given["network_option"] == "http_proxy",
    "proxy_port": lambda given: given["network_option"] == "http_proxy",
    "proxy_ports": lambda given: given["network_option"] == "http_proxy",
}


class Form(Twinned):
    """
    Controls for some parameters; their initial values are the parameters. A rule that a value breaks is named beside
    its control while it is typed.

    Attributes:
        names: the parameters on offer.
        controls: by parameter name.
    """

    def __init__(
        self,
        asked: Parameters,
        names: Sequence[str],
        offers: Mapping[str, Offer] | None = None,
        preview: Callable[[Parameters], Shown] | None = None,
    ) -> None:
        """
        Args:
            offers: by parameter name, what there is to choose from.
            preview: shows what the values would come to; it must be quick, for it is called at each change.
        """
        super().__init__(asked.language)
        self.names = tuple(names)
        self._asked = asked
        self._preview = preview
        rows = {row.name: row for row in schema()}
        self._kinds = {name: rows[name].type for name in names}
        given = asked.as_dict()
        self.controls = {
            name: _control(rows[name], given[name], asked.language, (offers or {}).get(name)) for name in names
        }
        self._remarks = {name: Remark(margin=_UNDER) for name in names}
        self._rest = Remark()
        self._fields = {}
        for name, control in self.controls.items():
            control.add_class(f"rb-{name.replace('_', '-')}")
            control.observe(self.guarded(self._changed), names="value")
            meaning = ipywidgets.HTML(
                f"{rows[name].help(asked.language)} (<code>{name}</code>)", layout=ipywidgets.Layout(margin=_UNDER)
            )
            self._fields[name] = ipywidgets.VBox([control, meaning, self._remarks[name]])
        self.children = (*self._fields.values(), self._rest, self._open, self._failure)
        self._judge()
        self.take()

    @property
    def values(self) -> dict[str, Any]:
        """
        The values as they stand, in the parameters' own types.
        """
        return {name: _value(self._kinds[name], control) for name, control in self.controls.items()}

    def static(self) -> Shown:
        """
        Return the values as they stand, which rules they break, and what they would come to.
        """
        made, problems = self._built()
        said = tuple(each.describe(self._language) for each in problems)
        rows = [{"parameter": name, "value": value} for name, value in self.values.items()]
        caption = say("caption.form", self._language)
        table = Table(caption, ("parameter", "value"), rows, self._language, notes=said)
        if made is None or self._preview is None:
            return table
        return Stack([table, self._preview(made)])

    def _built(self) -> tuple[Parameters | None, Iterable[RunbookError]]:
        try:
            return build(self._asked.as_dict() | self.values), ()
        except InvalidParameters as error:
            return None, error.problems

    def _changed(self, _: Any) -> None:
        self._judge()
        self._tell_open()
        self.follow()

    def _judge(self) -> None:
        """
        Name the rules that the values break, each beside its control, and put away what has no effect.
        """
        given = self._asked.as_dict() | self.values
        for name, field in self._fields.items():
            field.layout.display = "" if name not in _MATTERS or _MATTERS[name](given) else "none"
        _, problems = self._built()
        said: dict[str, list[str]] = {}
        for problem in problems:
            name = problem.facts.get("name", "")
            shown = name in self._fields and self._fields[name].layout.display == ""
            said.setdefault(name if shown else "", []).append(problem.describe(self._language))
        for name, remark in self._remarks.items():
            remark.tell(" ".join(said.get(name, ())), wrong=True)
        self._rest.tell(" ".join(said.get("", ())), wrong=True)


def _control(row: Parameter, value: Any, language: str, offer: Offer | None) -> Any:
    words = {"description": say(f"label.{row.name}", language), "tooltip": row.help(language), **_NAMED}
    match row.type:
        case "bool":
            return ipywidgets.Checkbox(value=value, **words)
        case "int":
            return ipywidgets.IntText(value=value, **words)
        case "list[str]" if offer is not None:
            rows = min(len(offer.options), 7)
            return ipywidgets.SelectMultiple(options=list(offer.options), value=tuple(value), rows=rows, **words)
        case "list[str]":
            return ipywidgets.Text(value=", ".join(value), **words)
    if row.choices:
        return _choice(row, value, language, words)
    if offer is None:
        return ipywidgets.Text(value=value, **words)
    if offer.free:
        return ipywidgets.Combobox(value=value, options=[option for _, option in offer.options], **words)
    options = list(offer.options)
    if value not in {option for _, option in options}:
        options.append((value, value))
    return ipywidgets.Dropdown(options=options, value=value, **words)


def _choice(row: Parameter, value: Any, language: str, words: dict[str, Any]) -> Any:
    if not exists(f"choice.{row.name}.{value}", language):
        return ipywidgets.Dropdown(options=list(row.choices), value=value, **words)
    # What a choice means is read before it is made: not behind a list that has to be opened.
    options = [(f"{each}: {say(f'choice.{row.name}.{each}', language)}", each) for each in row.choices]
    return ipywidgets.RadioButtons(
        options=options, value=value, **words | {"layout": ipywidgets.Layout(width="max-content", margin=_INDENTED)}
    )


def _value(kind: str, control: Any) -> Any:
    if kind == "list[str]":
        parts = control.value.split(",") if isinstance(control.value, str) else control.value
        return [part.strip() for part in parts if part.strip()]
    return control.value
