"""Draws a running grid: the whole, a row for each group, a row for each running trial.

It fits 80 columns and the height of the terminal, however many trials there are.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.monitor.sparkline import ASCII_BARS, BARS, sparkline
from orchestrator.monitor.state import GridProgress, GroupProgress, TrialProgress
from orchestrator.text import clock, plain
from trainables.results.status import TrialStatus
from trainables.secrets import redacted

SILENT_SECONDS = 60.0
"""A running trial that has reported nothing for longer is called silent."""

SPARK = 8
"""Characters of a sparkline."""

BAD = (TrialStatus.FAILED, TrialStatus.DIVERGED)
LOG_ROWS = 1000
"""Most groups, and most trials, that are shown where nothing scrolls away."""


def render(
    progress: GridProgress, now: float, lines: Sequence[str], options: ConsoleOptions
) -> list[RenderableType]:
    """The grid as Rich shows it.

    Args:
        progress: the grid.
        now: seconds, by the clock of ``progress``.
        lines: about the whole grid; empty ones are left out.
        options: how wide and how high the console is, and whether it knows Unicode.
    """
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=1.0, completed=progress.share(), width=40),
        Text(f"{100 * progress.share():3.0f} %"),
    )
    texts = [Text(plain(redacted(line)), overflow="fold") for line in lines if line]
    groups, running = progress.groups(), progress.running()
    for_groups = for_trials = LOG_ROWS
    if options.is_terminal:
        # Below the bar and the lines: a heading for each table, and how many rows are hidden.
        room = options.size.height - 1 - sum(1 + len(line) // options.max_width for line in lines)
        for_groups = max(1, min(len(groups), max(room // 2, room - len(running) - 4) - 2))
        for_trials = max(1, room - for_groups - 4)
    bars = ASCII_BARS if options.ascii_only else BARS
    parts: list[RenderableType] = [bar, *texts]
    if len(groups) > 1 or any(group.name for group in groups):
        parts += _groups(groups, for_groups, options.max_width, bars)
    if running:
        parts.append(_trials(progress, running[:for_trials], now, options.max_width, bars))
        if len(running) > for_trials:
            parts.append(Text(f"and {len(running) - for_trials} more that run"))
    return parts


def _groups(groups: list[GroupProgress], rows: int, width: int, bars: str) -> list[RenderableType]:
    # Where not all fit: first those that run, then those to come.
    ranked = sorted(range(len(groups)), key=lambda index: (_rank(groups[index]), index))
    lines: list[list[RenderableType]] = []
    for group in (groups[index] for index in sorted(ranked[:rows])):
        ended = sum(number for state, number in group.counts.items() if state.is_finished())
        headlines = group.headlines
        lines.append(
            [
                group.name,
                f"{ended}/{group.counts.total()}",
                str(group.counts[TrialStatus.RUNNING] or ""),
                Text(str(sum(group.counts[state] for state in BAD) or ""), style="red"),
                ProgressBar(total=1.0, completed=group.share, width=6),
                f"{sum(headlines) / len(headlines):.3f}" if headlines else "",
                f"{max(headlines):.3f}" if headlines else "",
                sparkline(headlines, SPARK, bars),
            ]
        )
    table = _table(("", "done", "run", "bad", "", "mean", "best", ""), lines, width)
    hidden = len(groups) - rows
    return [table, Text(f"and {hidden} more groups")] if hidden > 0 else [table]


def _rank(group: GroupProgress) -> int:
    if group.counts[TrialStatus.RUNNING]:
        return 0
    return 2 if all(state.is_finished() for state, number in group.counts.items() if number) else 1


def _trials(
    progress: GridProgress, trials: list[TrialProgress], now: float, width: int, bars: str
) -> Table:
    lines: list[list[RenderableType]] = []
    for trial in trials:
        last, curves = trial.last, progress.curves(trial.expected.key)
        if last is None:
            lines.append([trial.expected.title, "", "starts", *[""] * 6])
            continue
        examples = trial.expected.examples
        done = 1 - trial.examples_left / examples if examples else 0.0
        lines.append(
            [
                trial.expected.title,
                ProgressBar(total=1.0, completed=done, width=5),
                f"{last['epoch']:.1f}/{last['epochs']}",
                "" if last["loss"] is None else f"{last['loss']:.3f}",
                sparkline(curves.loss.values, SPARK, bars),
                "" if last["headline"] is None else f"{last['headline']:.3f}",
                sparkline(curves.headline.values, SPARK, bars),
                f"{last['examples_per_second']:.0f}",
                _time_left(trial, now),
            ]
        )
    names = ("running", "", "epoch", "loss", "", "score", "", "ex/s", "left")
    return _table(names, lines, width)


def _time_left(trial: TrialProgress, now: float) -> Text:
    assert trial.last is not None
    if now - trial.last["time"] > SILENT_SECONDS:
        return Text("silent", style="red")
    if trial.last.get("phase") == "evaluating":
        return Text("evaluates")
    return Text(clock(trial.seconds_left(now)))


def _table(names: Sequence[str], lines: list[list[RenderableType]], width: int) -> Table:
    """A table without lines, whose first column is cut so that the others are whole."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index and name else "left", no_wrap=True)
        if index:
            width -= 1 + max(cell_len(name), *(_width(line[index]) for line in lines))
    for first, *others in lines:
        table.add_row(Text(_cut(plain(str(first)), max(8, width))), *others)
    return table


def _width(cell: RenderableType) -> int:
    return cell.width or 0 if isinstance(cell, ProgressBar) else cell_len(str(cell))


def _cut(text: str, width: int) -> str:
    """Leave out the middle of what is too long: names differ at their ends."""
    if cell_len(text) <= width:
        return text
    end = width // 2
    return f"{text[: width - end - 1]}…{text[-end:]}"
