"""Matplotlib figures as SVG inside a page and as files: equal figures give equal bytes."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, DIM, LINE = "#1b1f24", "#5b6570", "#d5dae0"
BLUE, ORANGE, RED = "#0072b2", "#d55e00", "#b3261e"

SERIES = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of lines, the first one first, which the colour-blind tell apart.

Okabe and Ito, "Color universal design" (2008).
"""

THEME = {INK: "--text", DIM: "--dim", LINE: "--line"} | {
    color: f"--s{index}" for index, color in enumerate(SERIES)
}
"""Colour -> the variable of the page's style sheet that holds it, also in its dark form."""

STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": DIM,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}
_STYLE_SHEET = re.compile(r"\s*<defs>\s*<style type=\"text/css\">.*?</style>\s*</defs>", re.DOTALL)


def svg(
    draw: Callable[["Figure"], None],
    name: str,
    title: str,
    width: float,
    height: float,
    *,
    themed: bool = False,
) -> Markup:
    """A figure as an ``<svg>`` element.

    Args:
        draw: draws on the empty figure; texts need no escaping and are never read as formulas.
        name: unique on the page; keeps the ids inside the element unique too.
        title: text alternative, for screen readers.
        width, height: in inches; text is 7.5 points.
        themed: whether the colours of ``THEME`` follow the page's, light or dark.
    """
    out = io.StringIO()
    with _drawn(draw, name, width, height) as figure:
        figure.savefig(out, format="svg", transparent=True, metadata=_NO_METADATA)
    text = out.getvalue()
    text = _STYLE_SHEET.sub("", text[text.index("<svg") :])
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text)
    if themed:
        for color, variable in THEME.items():
            text = text.replace(f": {color}", f": var({variable})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))


def image_files(
    draw: Callable[["Figure"], None], name: str, width: float, height: float
) -> dict[str, bytes]:
    """A figure as files, ``svg`` and ``png`` (200 dots an inch): ending -> content.

    Args:
        draw, name, width, height: see ``svg``.
    """
    contents = {}
    with _drawn(draw, name, width, height) as figure:
        for ending, metadata in (("svg", _NO_METADATA), ("png", {"Software": None})):
            out = io.BytesIO()
            figure.savefig(out, format=ending, dpi=200, metadata=metadata)
            contents[ending] = out.getvalue()
            # The layout that was found for the first file holds for the second.
            figure.set_layout_engine(None)
    return contents


_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@contextmanager
def _drawn(
    draw: Callable[["Figure"], None], name: str, width: float, height: float
) -> Iterator["Figure"]:
    # Imported here: it takes a second, which only a page with figures is worth.
    from matplotlib.figure import Figure
    from matplotlib.style import context

    with context(["default", STYLE | {"svg.hashsalt": name}]), warnings.catch_warnings():
        # A name may hold characters that the font for measuring lacks, or leave an axis no room.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        yield figure
