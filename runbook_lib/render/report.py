"""
The report of a run, for whoever reads nothing else of it: one page of HTML that loads nothing and runs nothing.

It is made of what the run folder has, so that a redacted copy of the folder has a report of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runbook_lib.parameters import schema
from runbook_lib.records import Change, Plan, Verdict
from runbook_lib.render.ending import failure, irreversible
from runbook_lib.render.sinks import Table, escape
from runbook_lib.render.steps import notes
from runbook_lib.text import say

__all__ = ["changes", "report"]

# Nothing may be loaded or run, whatever gets in; the style is the page's own.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 76rem; padding: 0 1.5rem 2rem; background: #fff; color: #1a1a1a;
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 1rem 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 2px solid #444; break-after: avoid; }
p, ul { margin: .4rem 0; }
.mark { font-weight: bold; }
.page { width: 100%; border-collapse: collapse; table-layout: fixed; }
.page > thead > tr > td { padding: .4rem 0 .8rem; }
.page > tbody > tr > td { padding: 0; }
main table { width: 100%; border-collapse: collapse; margin: .6rem 0; font-size: .87rem; }
main table caption { padding: .2rem 0; }
main th, main td { border: 1px solid #bbb; padding: .25rem .4rem; vertical-align: top; overflow-wrap: break-word; }
main thead th { background: #eee; }
main tbody th { font-weight: 600; }
@media print {
  @page { size: A4; margin: 14mm 12mm; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  main table { font-size: 7.5pt; }
  main tr, .page > thead { break-inside: avoid; }
  thead { display: table-header-group; }
  main thead th { print-color-adjust: exact; }
}
"""
_PROVES = ("report.proves_changed", "report.proves_recomputed", "report.proves_signed")
_NOT = ("report.not_identity", "report.not_clock", "report.not_restore", "report.not_unread")
# What a redacted copy has instead of tables, where it is not `outcome.json`.
_INSTEAD = {"tables/changes.csv": "plan.json", "tables/plan.csv": "plan.json"}
# The heading of each section, in order.
_SECTIONS = ("who", "verdicts", "changes", "final", "risks", "unread", "parameters", "worth")


def report(
    outcome: Mapping[str, Any],
    plan: Plan,
    entries: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    state: Mapping[str, Any],
    version: str,
    language: str,
) -> str:
    """
    Say on one page what a run was, what it found and did, and what its evidence is worth.

    Args:
        outcome: content of `outcome.json`.
        entries: of the journal.
        parameters: content of `parameters.json`.
        state: content of `run.json`.
        version: of the runbook.

    Long tables are cut; a redacted copy, which has no tables, has all of it in its JSON files.
    """
    mark = say("mark.target", language, mark=outcome["target"])
    parts = (
        [_who(outcome, plan, entries, parameters, state, version, language)],
        _verdicts(outcome, language),
        _written(outcome, plan, entries, language),
        _final(outcome, plan, language),
        [_risks(outcome, language)],
        _unread(outcome, language),
        [_parameters(parameters, language)],
        _worth(outcome, language),
    )
    body = "\n".join(
        "\n".join(["<section>", f"<h2>{escape(say(f'report.{name}', language))}</h2>", *own, "</section>"])
        for name, own in zip(_SECTIONS, parts, strict=True)
    )
    title = say("report.title", language)
    return f"""<!DOCTYPE html>
<html lang="{escape(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: {escape(mark)}</title>
<style>{_STYLE}</style>
</head>
<body>
<table class="page" role="presentation">
<thead><tr><td class="mark">{escape(mark)}</td></tr></thead>
<tbody><tr><td>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</td></tr></tbody>
</table>
</body>
</html>
"""


def changes(plan: Plan, entries: Iterable[Mapping[str, Any]], language: str) -> Table:
    """
    One row per change: how it ended, and by which ids Azure knows the request that was sent for it last.
    """
    results: dict[str, Mapping[str, Any]] = {}
    calls: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if entry["entry"] == "result":
            results[entry["change_sha256"]] = entry
        elif entry["entry"] == "call" and "change_sha256" in entry:
            calls[entry["change_sha256"]] = entry
    rows = [
        _change(change, results.get(change.sha256, {"outcome": "pending"}), calls.get(change.sha256, {}), language)
        for change in plan.changes
    ]
    columns = ("step", "change", "outcome", "detail", "sent_at", "request_id", "correlation_id", "id")
    return Table(say("report.changes_caption", language, count=len(rows)), columns, rows, language)


def _change(change: Change, result: Mapping[str, Any], call: Mapping[str, Any], language: str) -> dict[str, Any]:
    return {
        "step": change.step,
        "change": say(f"change.{change.kind}", language, **change.facts),
        "outcome": say(f"outcome.{result['outcome']}", language),
        "detail": failure(result.get("code", ""), result.get("message", ""), language),
        "sent_at": call.get("at", ""),
        "request_id": call.get("request_id", ""),
        "correlation_id": call.get("correlation_id", ""),
        "id": change.target,
    }


def _file(table: str, outcome: Mapping[str, Any]) -> str:
    """
    Name the file with all rows of a table.
    """
    return _INSTEAD.get(table, "outcome.json") if "redacted_from" in outcome else table


def _facts(rows: Iterable[tuple[str, Any]], language: str) -> str:
    told = [{"fact": say(f"report.{name}", language), "value": value} for name, value in rows]
    return Table(say("report.who_caption", language), ("fact", "value"), told, language).html()


def _who(
    outcome: Mapping[str, Any],
    plan: Plan,
    entries: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    state: Mapping[str, Any],
    version: str,
    language: str,
) -> str:
    visited = [each["at"] for each in state["visited"].values()]
    times = sorted([*visited, *(entry["at"] for entry in (*entries[:1], *entries[-1:]))])
    before = Counter(each["before"] or say("say.unknown", language) for each in outcome["verdicts"])
    did = "report.applied" if outcome["applied"] else "report.planned_only"
    copied = []
    if origin := plan.copy_of:
        when = origin.read_at.isoformat(timespec="seconds")
        copied = [("made_on", say("copy.of", language, mark=origin.mark, when=when))]
    return _facts(
        [
            ("target", outcome["target"]),
            ("caller", say("report.caller_is", language, caller=outcome["caller"])),
            ("when", say("report.when_is", language, first=times[0], last=times[-1]) if times else ""),
            ("read", say("report.read_is", language, **outcome["read_at"])),
            ("version", version),
            ("selected", parameters["vm_selector"]),
            ("did", say(did, language, count=len(plan.changes))),
            ("before", _counted(before)),
            ("after", _counted(outcome["counts"])),
            ("ended", say(f"report.exit_{outcome['exit_code']}", language)),
            ("complete", say("say.yes" if outcome["complete"] else "say.no", language)),
            ("supervised", say("say.yes" if outcome["supervised"] else "say.no", language)),
            ("plan", f"sha256:{outcome['plan_digest']}"),
            *copied,
        ],
        language,
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _lines(said: Iterable[str]) -> list[str]:
    return [f"<p>{escape(each)}</p>" for each in said]


def _list(said: Iterable[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{escape(each)}</li>" for each in said) + "\n</ul>"


def _verdicts(outcome: Mapping[str, Any], language: str) -> list[str]:
    worst = [str(verdict) for verdict in Verdict]
    rows = [
        {
            "vm": each["machine"]["vm"],
            "resource_group": each["machine"]["resource_group"],
            "region": each["machine"]["region"],
            "before": each["before"] or say("say.unknown", language),
            "after": each["verdict"],
            "why": f"{each['why']} {each['remedy']}".strip(),
        }
        for each in outcome["verdicts"]
    ]
    columns = ("vm", "resource_group", "region", "before", "after", "why")
    ranks = [worst.index(each["verdict"]) for each in outcome["verdicts"]]
    table = Table(say("caption.comparison", language), columns, rows, language, ranks=ranks)
    table.put_worst_first()
    table.whole = _file("tables/comparison.csv", outcome)
    return [table.html(), *_lines(each["why"] for each in outcome["missing"])]


def _written(outcome: Mapping[str, Any], plan: Plan, entries: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    approvals = [
        {"step": entry["step"], "at": entry["at"], "digest": entry["digest"], "plan": entry["plan"]}
        for entry in entries
        if entry["entry"] == "approved" and entry["step"]
    ]
    parts = []
    if outcome["applied"]:
        counted = {
            name: outcome["changes"].get(name, 0) for name in ("done", "adopted", "failed", "in_doubt", "pending")
        }
        parts += _lines([say("say.changes", language, **counted), say("report.activity_log", language)])
        if gone := outcome["changes"].get("gone", 0):
            parts += _lines([say("say.changes_gone", language, count=gone)])
    else:
        parts += _lines([say("say.nothing_written", language)])
    if approvals:
        caption = say("report.approved_caption", language, count=len(approvals))
        parts.append(Table(caption, ("step", "at", "digest"), approvals, language).html())
    parts.append(
        _told(
            changes(plan, entries, language),
            _file("tables/changes.csv", outcome),
            applied=outcome["applied"],
            language=language,
        )
    )
    differences = [
        {name: each.get(name, "") for name in ("resource", "field", "expected", "found")}
        for each in outcome["differences"]
    ]
    if differences:
        columns = ("field", "resource", "expected", "found")
        table = Table(say("caption.differences", language), columns, differences, language)
        table.whole = "outcome.json"
        parts.append(table.html())
    elif outcome["applied"]:
        parts += _lines([say("say.as_promised", language)])
    return [*parts, *_lines(notes(plan, language))]


def _told(whole: Table, file: str, *, applied: bool, language: str) -> str:
    """
    Show a table of changes with what a page has room for: both of Azure's ids in one column, none where none was sent.
    """
    rows = [dict(zip(whole.columns, row, strict=True)) for row in whole.rows]
    for row in rows:
        # Azure often gives both the same value.
        row["ids"] = "; ".join(dict.fromkeys(row[name] for name in ("correlation_id", "request_id") if row[name]))
    columns: tuple[str, ...] = ("step", "change", "outcome", "detail", "ids") if applied else ("step", "change")
    if not any(row["detail"] for row in rows):
        columns = tuple(name for name in columns if name != "detail")
    nothing = () if rows else (say("report.no_changes", language),)
    table = Table(whole.caption, columns, rows, language, notes=nothing)
    table.whole = file
    return table.html()


def _final(outcome: Mapping[str, Any], plan: Plan, language: str) -> list[str]:
    counted = irreversible(plan.irreversible, language)
    said = [
        say(
            "report.final_change",
            language,
            step=change.step,
            what=say(f"change.{change.kind}", language, **change.facts),
            reasons=", ".join(say(f"irreversible.{reason}", language) for reason in change.irreversible),
        )
        for change in plan.changes
        if change.irreversible
    ]
    rows = [{"change": each} for each in said]
    table = Table(counted or say("report.no_final", language), ("change",), rows, language)
    table.whole = _file("tables/plan.csv", outcome)
    return [table.html()]


def _risks(outcome: Mapping[str, Any], language: str) -> str:
    rows = [
        {
            "vm": each["machine"]["vm"],
            "resource_group": each["machine"]["resource_group"],
            "verdict": each["verdict"],
            "accepted_risk": each["accepted_risk"],
        }
        for each in outcome["verdicts"]
        if each.get("accepted_risk")
    ]
    columns = ("vm", "resource_group", "verdict", "accepted_risk")
    caption = say("report.risks_caption" if rows else "report.no_risks", language, count=len(rows))
    table = Table(caption, columns, rows, language)
    table.whole = _file("tables/comparison.csv", outcome)
    return table.html()


def _unread(outcome: Mapping[str, Any], language: str) -> list[str]:
    rows = [
        {
            "what": gap["what"],
            "scope": gap["scope"],
            "http": gap.get("status", ""),
            "detail": f"{gap['code']}: {gap.get('message', '')}",
        }
        for gap in outcome["unread"]
    ]
    caption = say("report.unread_caption" if rows else "report.all_read", language, count=len(rows))
    table = Table(caption, ("what", "scope", "http", "detail"), rows, language)
    table.whole = _file("tables/unread.csv", outcome)
    unknown = outcome["rights"]["unknown"]
    return [table.html(), *_lines([say("say.rights_unclear", language, count=unknown)] if unknown else [])]


def _parameters(parameters: Mapping[str, Any], language: str) -> str:
    rows = [
        {"parameter": row.name, "value": parameters[row.name], "default": row.default}
        for row in schema()
        if row.name in parameters and parameters[row.name] != row.default
    ]
    caption = say("report.parameters_caption" if rows else "report.all_default", language, count=len(rows))
    return Table(caption, ("parameter", "value", "default"), rows, language).html()


def _worth(outcome: Mapping[str, Any], language: str) -> list[str]:
    simulated = ["report.not_azure"] if outcome["target"].startswith("SANDBOX") else []
    copied = ["report.not_names"] if "redacted_from" in outcome else []
    return [
        *_lines([say("report.proves", language)]),
        _list(say(each, language) for each in _PROVES),
        *_lines([say("report.proves_not", language)]),
        _list(say(each, language) for each in (*simulated, *copied, *_NOT)),
    ]
