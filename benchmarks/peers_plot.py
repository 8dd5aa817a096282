"""Draws what ``benchmarks.peers --json FILE`` wrote: an SVG of bars for each comparison in it.

    python -m benchmarks.peers_plot FILE FOLDER

Writes ``peers-trial.svg`` and ``peers-multitask.svg``: times as fast as the first way, with the
lowest and highest of the rounds, and memory.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from matplotlib.patches import Rectangle

from benchmarks.peers import SIDES, ratios_of
from orchestrator.report.svg import BLUE, DIM, INK, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Groups = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""Task -> way -> figures of each round."""


def plots(results: Mapping[str, Any]) -> dict[str, str]:
    """File name -> SVG, from all numbers of a measurement."""
    groups: dict[str, Groups] = {}
    if "trial" in results:
        groups["peers-trial"] = results["trial"]
    if "multitask" in results:
        tasks = next(iter(results["multitask"].values()))[0]["accuracies"]
        groups["peers-multitask"] = {", ".join(tasks): results["multitask"]}
    return {f"{name}.svg": chart(name, group) for name, group in groups.items()}


def chart(name: str, groups: Groups) -> str:
    """Bars of all ways, task below task: how fast on the left, memory on the right."""
    rows = [(task, way) for task, ways in groups.items() for way in ways]
    reference = rows[0][1]
    speeds, memory = [], []
    for task, way in rows:
        seconds = [[run["seconds"] for run in groups[task][w]] for w in (reference, way)]
        speeds.append(ratios_of(*seconds))
        memory.append(median(run["megabytes"] for run in groups[task][way]))

    def draw(figure: "Figure") -> None:
        whole = Rectangle((0, 0), 1, 1, transform=figure.transFigure, color="white", zorder=-1)
        figure.add_artist(whole)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        middles = [median(ratios) for ratios in speeds]
        _bars(left, rows, middles)
        for y, middle, ratios in zip(_positions(rows), middles, speeds, strict=True):
            left.plot([min(ratios), max(ratios)], [y, y], color=INK, lw=0.8)
            _label(left, max(ratios), y, f"{middle:.2f}")
        left.set_xlim(0, 1.15 * max(map(max, speeds)))
        left.set_title(f"times as fast as {reference}", loc="left")
        left.set_yticks(_positions(rows), [f"{task}, {way}" for task, way in rows])
        left.tick_params(axis="y", length=0, labelcolor=INK)
        _bars(right, rows, memory)
        for y, megabytes in zip(_positions(rows), memory, strict=True):
            _label(right, megabytes, y, f"{megabytes:.0f}")
        right.set_xlim(0, 1.15 * max(memory))
        right.set_title("memory, MB", loc="left")
        right.tick_params(axis="y", length=0)

    numbers = "; ".join(
        f"{task}, {way}: {median(ratios):.2f}, {megabytes:.0f} MB"
        for (task, way), ratios, megabytes in zip(rows, speeds, memory, strict=True)
    )
    title = f"times as fast as {reference}, and memory: {numbers}"
    return str(svg(draw, name, title, 7.2, 0.5 + 0.22 * len(rows) + 0.15 * len(groups)))


def _positions(rows: Sequence[tuple[str, str]]) -> list[float]:
    """From top to bottom, with a gap between tasks."""
    tasks = list(dict.fromkeys(task for task, _ in rows))
    return [-index - 0.6 * tasks.index(task) for index, (task, _) in enumerate(rows)]


def _bars(axes: "Axes", rows: Sequence[tuple[str, str]], values: Sequence[float]) -> None:
    """This project in colour, formats other than fp32 darker."""
    for y, (_, way), value in zip(_positions(rows), rows, values, strict=True):
        color = BLUE if way.startswith(SIDES["trial"]) else DIM
        axes.barh(y, value, color=color, alpha=0.55 if way.endswith("fp32") else 1, height=0.75)
    axes.spines["left"].set_visible(False)


def _label(axes: "Axes", x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), (3, 0), textcoords="offset points", va="center")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="what benchmarks.peers --json wrote")
    parser.add_argument("folder", type=Path, help="where the images go")
    options = parser.parse_args(arguments)
    for name, image in plots(json.loads(options.file.read_text(encoding="utf-8"))).items():
        (options.folder / name).write_text(image, encoding="utf-8")


if __name__ == "__main__":
    main()
