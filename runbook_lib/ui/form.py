"""
Controls for parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets

from runbook_lib.errors import InvalidParameters, RunbookError
from runbook_lib.offering import Offer
from runbook_lib.parameters import Parameter, Parameters, build, from_text, is_masked, schema
from runbook_lib.render import Lines, Shown, Stack, Table
from runbook_lib.secrets import redacted
from runbook_lib.text import exists, say
from runbook_lib.ui.twin import Remark, Twinned

__all__ = ["Form"]

_NAMED = {"style": {"description_width": "17em"}, "layout": ipywidgets.Layout(width="46em")}
# What a parameter means stands under its control: beside it, at 1280 pixels, it would leave no room to type.
_UNDER = "-4px 0 8px 17.8em"
_INDENTED = "2px 0 2px 17.6em"
# When a parameter has no effect its control is out of the way, unless its value breaks a rule; its value stays.
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
        The values as they stand, in the parameters' own types; what is none of its type is the text as it was typed.
        """
        return {name: _value(name, self._kinds[name], control) for name, control in self.controls.items()}

    def static(self) -> Shown:
        """
        Return the values as they stand, which rules they break, and what they would come to.
        """
        made, problems = self._built()
        said = (redacted(each.describe(self._language)) for each in problems)
        broken = {each.facts.get("name") for each in problems}
        rows = [
            {"parameter": name, "value": self._shown(value, masked=name in broken and is_masked(name))}
            for name, value in self.values.items()
        ]
        caption = say("caption.form", self._language)
        table = Table(caption, ("parameter", "value"), rows, self._language, notes=(*self._undecided, *said))
        if made is None or self._preview is None:
            return table
        shown = self._preview(made)
        # What a sentence repeats was typed; tables have names that the rules allow.
        return Stack([table, Lines(map(redacted, shown.lines)) if isinstance(shown, Lines) else shown])

    def _shown(self, value: Any, *, masked: bool) -> str:
        if masked and isinstance(value, str):
            return say("say.not_accepted", self._language)
        return redacted(str(value))

    def _built(self) -> tuple[Parameters | None, Iterable[RunbookError]]:
        try:
            return build(self._asked.as_dict() | self.values), ()
        except InvalidParameters as error:
            return None, error.problems

    def _changed(self, change: Any) -> None:
        self._judge(change.owner)
        self._tell_open()
        self.follow()

    def _judge(self, touched: Any = None) -> None:
        """
        Name the rules that the values break, each beside its control, and put away what has no effect and breaks none.

        Args:
            touched: the control that was changed; it stays in sight, or it would go from under the hands that mend it.
        """
        given = self._asked.as_dict() | self.values
        _, problems = self._built()
        said: dict[str, list[str]] = {}
        for problem in problems:
            name = problem.facts.get("name", "")
            said.setdefault(name if name in self._fields else "", []).append(problem.describe(self._language))
        for name, field in self._fields.items():
            needed = name not in _MATTERS or _MATTERS[name](given) or name in said
            kept = self.controls[name] is touched and field.layout.display != "none"
            field.layout.display = "" if needed or kept else "none"
        for name, remark in self._remarks.items():
            remark.tell(" ".join(said.get(name, ())), wrong=True)
        self._rest.tell(" ".join(said.get("", ())), wrong=True)


def _control(row: Parameter, value: Any, language: str, offer: Offer | None) -> Any:
    words = {"description": say(f"label.{row.name}", language), "tooltip": row.help(language), **_NAMED}
    match row.type:
        case "bool":
            return ipywidgets.Checkbox(value=value, **words)
        case "int":
            # A field for numbers keeps the old one where it is emptied, and takes a part of what it shows.
            return ipywidgets.Text(value=str(value), **words)
        case "dict[str, str]":
            return ipywidgets.Text(value=json.dumps(value, ensure_ascii=False), **words)
        case "list[str]" if offer is not None:
            given = {each.lower(): each for each in value}
            options = _options(offer, given)
            return ipywidgets.SelectMultiple(
                options=options, value=tuple(given.values()), rows=min(len(options), 7), **words
            )
        case "list[str]":
            return ipywidgets.Text(value=", ".join(value), **words)
    if row.choices:
        return _choice(row, value, language, words)
    if offer is None:
        return ipywidgets.Text(value=value, **words)
    if offer.free:
        return ipywidgets.Combobox(value=value, options=[option for _, option in offer.options], **words)
    return ipywidgets.Dropdown(options=_options(offer, {value.lower(): value}), value=value, **words)


def _options(offer: Offer, given: Mapping[str, str]) -> list[tuple[str, str]]:
    """
    List what there is to choose from, and after it what was given and is not among it.

    Args:
        given: the values as they are now, by what they are in small letters: GUIDs and regions are one in any case, and
            an untouched form leaves them as they are written.
    """
    left = dict(given)
    options = [(label, left.pop(value.lower(), value)) for label, value in offer.options]
    return [*options, *((each, each) for each in left.values())]


def _choice(row: Parameter, value: Any, language: str, words: dict[str, Any]) -> Any:
    if not exists(f"choice.{row.name}.{value}", language):
        return ipywidgets.Dropdown(options=list(row.choices), value=value, **words)
    # What a choice means is read before it is made: not behind a list that has to be opened.
    options = [(f"{each}: {say(f'choice.{row.name}.{each}', language)}", each) for each in row.choices]
    return ipywidgets.RadioButtons(
        options=options, value=value, **words | {"layout": ipywidgets.Layout(width="max-content", margin=_INDENTED)}
    )


def _value(name: str, kind: str, control: Any) -> Any:
    match kind:
        case "list[str]":
            parts = control.value.split(",") if isinstance(control.value, str) else control.value
            return [part.strip() for part in parts if part.strip()]
        case "int" | "dict[str, str]":
            try:
                return from_text(name, control.value.strip())
            except InvalidParameters:
                # `build` refuses it, and names the parameter.
                return control.value
    return control.value
