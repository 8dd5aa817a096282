"""Draws what ``benchmarks.calibration --json FILE`` wrote: how often intervals cover the truth.

    python -m benchmarks.calibration_plot FILE FOLDER

Writes ``calibration.svg``: a dot for each condition, metric and random seed, a bar for their mean,
of the project's interval and of the usual ones, with 3, 5 and 10 seeds. Seeds of different arms are
not correlated there.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from benchmarks.calibration import SEEDS, conditions
from orchestrator.report.svg import BLUE, DIM, INK, LINE, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {
    "coverage": "this project",
    "t test over seeds": "t test over seeds",
    "bootstrap over seeds and examples": "bootstrap over seeds\nand examples",
    "bootstrap over seeds": "bootstrap over seeds",
}
"""What is counted -> its name in the figure."""

Cells = Mapping[str, Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]]]
"""Random seed -> condition -> hits and cases of every question."""


def coverages(cells: Cells, question: str, seeds: int) -> list[float]:
    """Percentages of all cells in which the arms' seeds are not correlated."""
    independent = {c.name for c in conditions() if not c.correlation}
    return [
        100 * hits[key] / number
        for of_seed in cells.values()
        for name, (hits, cases) in of_seed.items()
        if name in independent
        for key, number in cases.items()
        if key.split("|")[0] == question and key.split("|")[-1] == str(seeds)
    ]


def chart(cells: Cells) -> str:
    """The figure as SVG."""

    def draw(figure: "Figure") -> None:
        whole = Rectangle((0, 0), 1, 1, transform=figure.transFigure, color="white", zorder=-1)
        figure.add_artist(whole)
        for axes, seeds in zip(figure.subplots(1, len(SEEDS), sharey=True), SEEDS, strict=True):
            axes.axvline(95, color=LINE, zorder=0)
            for y, question in enumerate(METHODS):
                values = np.array(coverages(cells, question, seeds))
                color = DIM if y else BLUE
                # Dots of one line lie apart by a fixed pattern, so that equal figures are equal.
                spread = 0.5 * (np.arange(len(values)) * 0.618 % 1 - 0.5)
                axes.scatter(
                    values, y + spread, s=3, color=color, alpha=0.35, lw=0, rasterized=True
                )
                axes.plot([values.mean()] * 2, [y - 0.36, y + 0.36], color=INK, lw=1.4)
                axes.annotate(
                    f"{values.mean():.1f}", (values.mean(), y - 0.42), ha="center", va="bottom"
                )
            axes.set_title(f"{seeds} seeds", loc="left")
            axes.set_xlim(50, 101)
            axes.tick_params(axis="y", length=0, labelcolor=INK)
            axes.spines["left"].set_visible(False)
        axes = figure.axes[0]
        axes.set_yticks(range(len(METHODS)), list(METHODS.values()))
        axes.invert_yaxis()
        figure.supxlabel("% of 95 % intervals that cover the true difference", color=DIM)

    means = "; ".join(
        f"{' '.join(name.split())}, {seeds} seeds: {mean:.1f} %"
        for key, name in METHODS.items()
        for seeds in SEEDS
        for mean in [np.mean(coverages(cells, key, seeds))]
    )
    return str(svg(draw, "calibration", f"mean coverage of 95 % intervals: {means}", 7.2, 2.6))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="what benchmarks.calibration --json wrote")
    parser.add_argument("folder", type=Path, help="where the image goes")
    options = parser.parse_args(arguments)
    cells = json.loads(options.file.read_text(encoding="utf-8"))
    (options.folder / "calibration.svg").write_text(chart(cells), encoding="utf-8")


if __name__ == "__main__":
    main()
