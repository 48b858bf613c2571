"""
What an attacker calls things, and what must not come of it: the corpus of hostile strings, an estate that is full of
them, and what a browser, a terminal and a spreadsheet make of what is shown.
"""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

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
ALLOWED = {
    "table": set(),
    "caption": {("style", "text-align:left;font-weight:bold")},
    "thead": set(),
    "tbody": set(),
    "tr": set(),
    "th": {("scope", "col"), ("scope", "row"), ("style", "text-align:left")},
    "td": {("style", "text-align:left"), ("style", "text-align:left;overflow-wrap:anywhere")},
    "p": set(),
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
