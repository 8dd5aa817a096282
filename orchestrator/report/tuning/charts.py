"""The charts of a searched group: budget, importance, parallel coordinates, slices."""

import math
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from orchestrator.report.columns import metric_unit
from orchestrator.report.svg import BLUE, DIM, INK, LINE, ORANGE, RED, svg
from orchestrator.report.tuning.scales import Scale, scale_of
from orchestrator.report.tuning.views import group_name, score_title, short_names
from orchestrator.search.summary import GroupSummary, TrialSummary
from orchestrator.text import count, plain
from trainables.results.status import TrialStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST = 16
"""Most characters of a name in a chart."""

NOWHERE = -0.16
"""Position below every axis: no score, or a parameter that a trial does not have."""

PER_ROW = 6
"""Most panels in a row."""

MARKS: dict[str, dict[str, Any]] = {
    "no score": {"marker": "x", "color": RED, "ms": 4.5, "mew": 1.2},
    "partial": {"marker": "o", "mfc": "none", "mec": BLUE, "ms": 4, "mew": 0.9},
    "finished": {"marker": "o", "mfc": BLUE, "mec": BLUE, "ms": 4, "mew": 0.9},
    "chosen": {"marker": "*", "color": ORANGE, "ms": 10, "mew": 0},
}
"""Markers of trials in slices; later kinds are drawn above earlier ones."""


def best_so_far_chart(group: GroupSummary, group_number: int) -> Markup | None:
    """Best score against examples spent, as a step line; None before the first score."""
    points = group.best_so_far
    if not points:
        return None
    spent = group.spent

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        xs = [examples for examples, _ in points]
        ys = [_shown(score, group) for _, score in points]
        axes.axvspan(spent.examples, max(spent.full, spent.examples), color="#eef1f4", lw=0)
        axes.step(xs, ys, where="post", color=BLUE, lw=1.6)
        rises = len(xs) - (len(xs) > 1 and ys[-1] == ys[-2])
        axes.plot(xs[:rises], ys[:rises], "o", color=BLUE, ms=3)
        axes.set_xlim(0, max(spent.full, spent.examples) * 1.02)
        low, high = min(ys), max(ys)
        margin = (high - low) * 0.12 or 1
        axes.set_ylim(low - margin, high + margin)
        axes.xaxis.set_major_formatter(lambda value, _: count(int(value)).replace(".0 ", " "))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
        axes.grid(axis="y", color=LINE, lw=0.5)
        axes.set_xlabel("training examples spent; shaded: not spent of the full budget")
        axes.set_ylabel(score_title(group.metric))

    title = f"best score so far against examples spent, {group_name(group)}"
    return svg(draw, f"{group_number}-budget", title, 5.4, 2.3)


def importance_chart(group: GroupSummary, group_number: int) -> Markup | None:
    """Importance of the parameters as bars, the highest on top; None if it is unknown."""
    finite = {k: v for k, v in group.importances.items() if math.isfinite(v)}
    if not finite:
        return None
    ordered = sorted(finite.items(), key=lambda item: (item[1], item[0]))
    names = short_names([key for key, _ in ordered])

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        positions = range(len(ordered))
        shares = [100 * share for _, share in ordered]
        axes.barh(positions, shares, color=BLUE, height=0.6)
        axes.set_yticks(positions, [_cut(names[key]) for key, _ in ordered])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        for position, share in zip(positions, shares, strict=True):
            axes.annotate(
                f"{share:.0f} %", (share, position), (3, 0), textcoords="offset points", va="center"
            )
        axes.set_xlim(0, max(*shares, 1) * 1.12)
        axes.set_ylim(-0.6, len(ordered) - 0.4)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("share of what the scores depend on, %")

    title = f"importance of the parameters, {group_name(group)}"
    return svg(draw, f"{group_number}-importance", title, 5.0, max(2.3, 0.5 + 0.22 * len(ordered)))


def parallel_chart(group: GroupSummary, group_number: int) -> Markup | None:
    """A line per trial through its settings and its score; None before the first trial."""
    if not group.tried or not group.parameters:
        return None
    keys = group.parameters
    # Names of neighbouring axes must not overlap.
    longest = min(LONGEST, max(4, 130 // (len(keys) + 1)))
    names = {key: _cut(name, longest) for key, name in short_names(keys).items()}
    axis_of = {key: _scale(group, key) for key in keys}
    values = [trial.value for trial in group.tried if trial.value is not None]
    scores = scale_of(values, log=False)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.set_axis_off()
        for x, key in enumerate(keys):
            log = " (log)" if axis_of[key].kind == "log" else ""
            absent = any(key not in trial.settings for trial in group.tried)
            _axis(axes, x, f"{names[key]}{log}", axis_of[key], "not set" if absent else "")
        missing = any(trial.value is None for trial in group.tried)
        shown = scale_of([_shown(value, group) for value in values], log=False)
        _axis(axes, len(keys), score_title(group.metric), shown, "no score" if missing else "")
        # The best are drawn last, above the others.
        for trial in sorted(
            group.tried, key=lambda trial: (trial.index == group.chosen, _rank(trial))
        ):
            heights = [
                axis_of[key].position(trial.settings[key]) if key in trial.settings else NOWHERE
                for key in keys
            ]
            heights.append(NOWHERE if trial.value is None else scores.position(trial.value))
            axes.plot(range(len(keys) + 1), heights, **_line(trial, group, scores))
        axes.set_xlim(-0.15, len(keys) + 0.35)
        axes.set_ylim(NOWHERE - 0.08, 1.2)

    title = f"parallel coordinates of settings and score, {group_name(group)}"
    return svg(draw, f"{group_number}-parallel", title, min(11, 1.6 * len(keys) + 2), 2.7)


def _axis(axes: "Axes", x: int, name: str, scale: Scale, below: str) -> None:
    axes.plot([x, x], [0, 1], color=DIM, lw=0.8, zorder=5)
    axes.text(x, 1.09, name, ha="center", va="bottom", weight="bold")
    ticks = [*scale.ticks, *([(NOWHERE, below)] if below else [])]
    for position, text in ticks:
        axes.annotate(
            _cut(text),
            (x, position),
            (3, 0),
            textcoords="offset points",
            va="center",
            color=DIM,
            zorder=6,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )


def _rank(trial: TrialSummary) -> float:
    return -math.inf if trial.value is None else trial.value


def _line(trial: TrialSummary, group: GroupSummary, scores: Scale) -> dict[str, Any]:
    if trial.value is None:
        return {"color": RED, "lw": 0.8, "ls": (0, (1, 2))}
    if trial.index == group.chosen:
        return {"color": ORANGE, "lw": 2.4, "zorder": 4}
    # Imported here for the reason given in svg.py.
    from matplotlib import colormaps

    colour = colormaps["YlGnBu"](0.3 + 0.7 * scores.position(trial.value))
    dashes = "-" if trial.status == TrialStatus.FINISHED else (0, (4, 2))
    return {"color": colour, "lw": 1.2, "ls": dashes}


def slice_chart(group: GroupSummary, group_number: int) -> Markup | None:
    """Score against each parameter; None before the first trial."""
    keys = group.parameters
    if not group.tried or not keys:
        return None
    names = short_names(keys)
    rows = math.ceil(len(keys) / PER_ROW)
    per_row = math.ceil(len(keys) / rows)

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(rows, per_row, sharey=True, squeeze=False)
        panels = list(grid.flat)
        floor = _floor(group)
        for axes, key in zip(panels, keys, strict=False):
            scale = _scale(group, key)
            for kind, mark in MARKS.items():
                trials = [t for t in group.tried if key in t.settings and _kind(t, group) == kind]
                xs = [scale.position(trial.settings[key]) for trial in trials]
                ys = [floor if t.value is None else _shown(t.value, group) for t in trials]
                if trials:
                    axes.plot(xs, ys, ls="", **mark)
            log = ", log" if scale.kind == "log" else ""
            axes.set_title(f"{_cut(names[key])}{log}")
            axes.set_xticks([p for p, _ in scale.ticks], [_cut(t, 9) for _, t in scale.ticks])
            axes.set_xlim(-0.08, 1.08)
            axes.grid(axis="y", color=LINE, lw=0.5)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
        for axes in panels[len(keys) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel(score_title(group.metric))
            if not any(trial.value is not None for trial in group.tried):
                row[0].set_yticks([])

    title = f"score against each parameter, {group_name(group)}"
    return svg(
        draw, f"{group_number}-slices", title, min(11, 0.6 + 2.2 * per_row), 0.2 + 1.75 * rows
    )


def _floor(group: GroupSummary) -> float:
    """Vertical position of trials without a score: a little below the lowest score."""
    shown = [_shown(trial.value, group) for trial in group.tried if trial.value is not None]
    if not shown:
        return 0.0
    return min(shown) - 0.12 * ((max(shown) - min(shown)) or 1)


def _kind(trial: TrialSummary, group: GroupSummary) -> str:
    if trial.value is None:
        return "no score"
    if trial.index == group.chosen:
        return "chosen"
    return "finished" if trial.status == TrialStatus.FINISHED else "partial"


def _scale(group: GroupSummary, key: str) -> Scale:
    return scale_of([trial.settings[key] for trial in group.tried if key in trial.settings])


def _shown(score: float, group: GroupSummary) -> float:
    return score * (1.0 if metric_unit(group.metric) == "fraction" else 100.0)


def _cut(text: str, longest: int = LONGEST) -> str:
    text = plain(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
