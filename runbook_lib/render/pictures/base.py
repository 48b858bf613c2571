"""
A picture with its words, and the sheet that it is drawn on. Imports matplotlib late: it costs 0.4 s.

A picture is shown as HTML, for JupyterLab gives a bare PNG no alternative text. The same data makes the same bytes:
neither the time nor settings or fonts of the account that draws come into it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runbook_lib.render.sinks import Shown, Table, escape, plain
from runbook_lib.text import DEFAULT_LANGUAGE, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.ft2font import FT2Font

__all__ = [
    "BAD",
    "DARK",
    "DIM",
    "GOOD",
    "LIGHT",
    "MAYBE",
    "UNSURE",
    "WIDTH",
    "Picture",
    "Sheet",
    "cut",
    "drawn",
    "measure",
    "wrap",
]

# Pixels: as wide as a notebook in a window of a usual size, less its margins.
WIDTH = 1160
_DPI = 100
# JupyterLab and nbconvert set what stands between dollar signs as a formula, but for elements of these classes.
_NO_FORMULAS = "tex2jax_ignore mathjax_ignore"
# Okabe and Ito's colours, which people who see red and green alike tell apart; a shape or a letter goes with each.
GOOD = "#009e73"
BAD = "#d55e00"
MAYBE = "#f0c040"
UNSURE = "#0072b2"
DIM = "#8a8a8a"
LIGHT = "#ececec"
DARK = "#222222"


class Picture(Shown):
    """
    A picture that has its content in words too.

    Attributes:
        caption: what the picture shows.
        alternative: what is to be seen on it, for whoever does not see it.
        table: the same in numbers.
    """

    def __init__(
        self,
        caption: str,
        alternative: str,
        table: Table,
        draw: Callable[[], bytes],
        language: str = DEFAULT_LANGUAGE,
    ) -> None:
        self.caption = caption
        self.alternative = alternative
        self.table = table
        self._draw = draw
        self._language = language

    @cached_property
    def png(self) -> bytes:
        """
        The picture itself, drawn when it is first asked for.
        """
        return self._draw()

    def html(self) -> str:
        """
        Return the picture with its alternative text, and its table folded below it.
        """
        data = base64.b64encode(self.png).decode("ascii")
        image = f'<img src="data:image/png;base64,{data}" alt="{escape(self.alternative)}" width="{WIDTH}">'
        folded = f"<summary>{escape(say('picture.as_table', self._language))}</summary>{self.table.html()}"
        return (
            f'<div class="{_NO_FORMULAS}"><figure style="margin:0">{image}'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>\n<details>{folded}</details></div>"
        )

    def text(self) -> str:
        """
        Return what is to be seen, and the table.
        """
        return "\n".join([plain(self.alternative), self.table.text()])

    def write_png(self, path: Path) -> None:
        """
        Write the picture for whoever wants it without its notebook.
        """
        path.write_bytes(self.png)


class Sheet:
    """
    A white sheet, measured in pixels from its upper left corner.
    """

    def __init__(self, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure: Figure = Figure(figsize=(WIDTH / _DPI, round(height) / _DPI), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, WIDTH)
        self.axes.set_ylim(round(height), 0)
        self.axes.set_axis_off()

    def write(
        self,
        x: float,
        y: float,
        said: str,
        *,
        size: float = 10,
        bold: bool = False,
        color: str = DARK,
        align: str = "left",
        angle: float = 0,
    ) -> None:
        """
        Write one line, *y* through its middle; nothing in it is taken for a formula.
        """
        self.axes.text(
            x,
            y,
            _drawable(said),
            fontproperties=_font(size, bold),
            color=color,
            horizontalalignment=align,
            verticalalignment="bottom" if angle else "center_baseline",
            rotation=angle,
            rotation_mode="anchor",
            parse_math=False,
            usetex=False,
            zorder=4,
        )

    def box(
        self, x: float, y: float, width: float, height: float, *, fill: str, edge: str = "none", line: float = 0
    ) -> None:
        """
        Draw a rectangle.
        """
        from matplotlib.patches import Rectangle

        patch = Rectangle((x, y), width, height, facecolor=fill, edgecolor=edge, linewidth=line, zorder=2)
        self.axes.add_patch(patch)

    def boxes(self, places: Sequence[tuple[float, float]], side: float, fill: str) -> None:
        """
        Draw many squares of one kind at once, by their middles.
        """
        self.marks(places, "s", side, fill)

    def marks(
        self, places: Sequence[tuple[float, float]], shape: str, side: float, fill: str, edge: str = "none"
    ) -> None:
        """
        Draw a mark, so many pixels wide, at many places at once.
        """
        if places:
            across, down = zip(*places, strict=True)
            # What has no face is drawn by its line.
            look = {"color": fill, "linewidths": 1.4} if shape in ("x", "+") else {"c": fill, "edgecolors": edge}
            self.axes.scatter(across, down, s=(side * 72 / _DPI) ** 2, marker=shape, zorder=3, **look)

    def letters(self, places: Sequence[tuple[float, float]], letter: str, size: float, color: str) -> None:
        """
        Write one letter at many places at once.
        """
        from matplotlib.collections import PathCollection
        from matplotlib.textpath import TextPath
        from matplotlib.transforms import Affine2D, IdentityTransform

        # As an outline that is drawn many times: a text of its own for each costs seconds.
        outline = TextPath((0, 0), letter, size=size * _DPI / 72, prop=_font(size, True))
        middle = outline.get_extents()
        centred = Affine2D().translate(-(middle.x0 + middle.x1) / 2, -(middle.y0 + middle.y1) / 2)
        many = PathCollection(
            [outline.transformed(centred)],
            offsets=places,
            offset_transform=self.axes.transData,
            transform=IdentityTransform(),
            facecolor=color,
            edgecolor="none",
            zorder=4,
        )
        self.axes.add_collection(many)

    def line(self, start: tuple[float, float], end: tuple[float, float], *, color: str = DIM, width: float = 1) -> None:
        """
        Draw a straight line.
        """
        self.axes.plot(
            (start[0], end[0]), (start[1], end[1]), color=color, linewidth=width, solid_capstyle="butt", zorder=1
        )

    def png(self) -> bytes:
        """
        Return the sheet as PNG, without a date and without the name of what made it.
        """
        from PIL import Image

        raw = io.BytesIO()
        self.figure.savefig(raw, format="rgba", dpi=_DPI)
        size = self.figure.canvas.get_width_height()
        drawn = Image.frombytes("RGBA", size, raw.getvalue()).convert("RGB")
        made = io.BytesIO()
        # Few colours, and blends of them: a third of the bytes, and nobody sees the difference.
        drawn.quantize(128, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
        return made.getvalue()


def drawn(height: float, draw: Callable[[Sheet], None]) -> bytes:
    """
    Draw on a fresh sheet, by matplotlib's own settings and not by those that somebody has made.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        sheet = Sheet(height)
        draw(sheet)
        return sheet.png()


def cut(said: str, width: float, *, size: float = 10, bold: bool = False) -> str:
    """
    Shorten a line to so many pixels.
    """
    whole = _drawable(said)
    if measure(whole, size=size, bold=bold) <= width:
        return whole
    low, high = 0, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        fits = measure(f"{whole[:middle]}…", size=size, bold=bold) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return f"{whole[:low]}…"


def wrap(said: str, width: float, lines: int, *, size: float = 10, bold: bool = False) -> list[str]:
    """
    Break a text into so many lines of so many pixels at most; what is left over is cut.
    """
    broken: list[str] = []
    for word in _drawable(said).split():
        for part in _parts(word, width, size, bold):
            longer = f"{broken[-1]} {part}" if broken else part
            if broken and measure(longer, size=size, bold=bold) <= width:
                broken[-1] = longer
            else:
                broken.append(part)
    if len(broken) <= lines:
        return broken
    return [*broken[: lines - 1], cut(f"{broken[lines - 1]} …", width, size=size, bold=bold)]


def _parts(word: str, width: float, size: float, bold: bool) -> Iterator[str]:
    """
    Break a word that is wider than a line anywhere: names are no prose.
    """
    while len(word) > 1 and measure(word, size=size, bold=bold) > width:
        # Less the mark of the cut.
        length = max(len(cut(word, width, size=size, bold=bold)) - 1, 1)
        yield word[:length]
        word = word[length:]
    yield word


def measure(said: str, *, size: float = 10, bold: bool = False) -> float:
    """
    Tell how many pixels wide a line is.
    """
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(_drawable(said), _font(size, bold), False)
    return float(width) * _DPI / 72


@cache
def _font(size: float, bold: bool) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=_file(bold), size=size)


def _file(bold: bool) -> str:
    import matplotlib

    # The one that comes with matplotlib: every machine has the same.
    return str(Path(matplotlib.get_data_path()) / "fonts/ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf")


@cache
def _glyphs() -> FT2Font:
    from matplotlib.ft2font import FT2Font

    return FT2Font(_file(bold=True))


def _drawable(said: str) -> str:
    """
    Make text safe to draw: what commands is shown, and so is by its number what the font has no picture of.
    """
    return "".join(
        each if each.isascii() or _glyphs().get_char_index(ord(each)) else f"\\u{ord(each):04x}" for each in plain(said)
    )
