"""How the comparison table writes a number or a name, the same in every format."""

from collections.abc import Iterable
from functools import lru_cache

DASH = "–"
"""Stands where there is no value."""

UNDEFINED = "n/a"
"""Stands where the labels of a split leave a metric undefined."""

METRIC_NAMES = {
    "accuracy": "acc",
    "f1": "F1",
    "matthews": "MCC",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "cosine": "cosine",
}


def number(value: float, unit: str) -> str:
    """Write a value: ``percent`` 0.9274 -> 92.74, ``fraction`` 0.565 -> 0.565, ``seconds`` 1.5 s,
    ``count`` 12345.0 -> 12,345.

    Raises:
        KeyError: the unit is none of these.
    """
    if unit == "seconds":
        return duration(value)
    if unit == "count":
        return f"{value:,.0f}"
    factor, digits = {"percent": (100.0, 2), "fraction": (1.0, 3)}[unit]
    return f"{rounded(factor * value, digits):.{digits}f}"


def share(value: float) -> str:
    """Write a share that somebody chose: 0.01 -> 1 %, 0.125 -> 12.5 %."""
    return f"{100 * value:g} %"


def signed(value: float, unit: str) -> str:
    """Write a difference with its sign, in percentage points or as a fraction; 0 has none."""
    text = number(value, unit)
    return text if text.startswith("-") or not float(text) else f"+{text}"


def rounded(value: float, digits: int) -> float:
    """Round, and give 0 where Python gives -0."""
    return round(value, digits) + 0.0


def duration(seconds: float) -> str:
    """Write a training time in one unit: 12.3 s, 4.1 min, 2.3 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def clock(seconds: float | None) -> str:
    """Write an elapsed or remaining time as h:mm:ss; unknown is ``?``."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def count(value: int) -> str:
    """Write a number of parameters: 22.7 M, 340 k, 12."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.1f} {letter}"
    return str(value)


def size(value: int) -> str:
    """Write a number of bytes: 1.2 GB, 85.0 MB, 3.4 kB."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value / 1000:.1f} kB"


def plain(text: str) -> str:
    """One line of printable characters, whatever a configuration or an error message holds."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def listed(values: Iterable[str]) -> str:
    """Distinct values in order of appearance, joined by commas."""
    return ", ".join(dict.fromkeys(values))


@lru_cache(maxsize=1000)  # A name recurs in thousands of rows.
def csv_text(text: str) -> str:
    """A name as a field of a CSV file: one line that no spreadsheet takes for a formula."""
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
