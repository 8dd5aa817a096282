"""Print the comparison table so that it fits the terminal: nothing is ever cut off.

Where a row is too wide, mean and spread go on two lines; where that is still too wide, the columns
are spread over several tables, each with the row's name.
"""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from orchestrator.planning.data_facts import DataFacts
from orchestrator.report.data import data_grid, model_lines
from orchestrator.report.table import Table
from orchestrator.report.views import (
    Field,
    Head,
    View,
    compact,
    cosines,
    cost,
    cost_text,
    difference,
    equal_terms,
    learning,
    marks,
    methods,
    terms_text,
)
from orchestrator.text import DASH, plain

SUPERSCRIPT = str.maketrans("0123456789,", "⁰¹²³⁴⁵⁶⁷⁸⁹⋅")
LEGEND = "* better than another arm of its model by a verdict, and none is better than it"


def print_table(console: Console, table: Table) -> None:
    """Print all but the detailed table on a terminal or into a log, the answer first."""
    for passage in table.passages:
        style = "bold" if passage.lines else ""
        console.print(Text(passage.sentence, style=style, overflow="fold"))
        if passage.lines:
            print_header(console, [(line.name, line.plain) for line in passage.lines])
        console.print()
    print_header(console, table.header)
    print_view(console, compact(table), compact(table, paired=True))
    if any(cell.better for row in table.rows for cell in row.cells.values()):
        console.print(Text(LEGEND, style="dim"))
    for note in table.notes:
        console.print(Text(f"{superscript([note.number])} {note.text}", overflow="fold"))
    for warning in table.warnings:
        console.print(Text(f"! {warning}", overflow="fold"))
    arms = Grid.grid(padding=(0, 2, 0, 0))
    for label, text in methods(table):
        arms.add_row(Text(label, style="dim", overflow="fold"), Text(text, overflow="fold"))
    console.print(Padding(arms, (1, 0, 0, 0)))
    _print_terms(console, table)
    print_cost(console, table)
    if table.learning:
        view = learning(table)
        console.print(Padding(Text(view.title, style="bold"), (1, 0, 0, 0)))
        print_view(console, view, view)
    if table.cosines:
        view = cosines(table)
        console.print(Padding(Text(view.title, style="bold"), (1, 0, 0, 0)))
        print_view(console, view, view)
    if table.differences:
        view = difference(table)
        console.print()
        console.print(Text(f"{view.title} (paired by seed)", style="bold"))
        print_view(console, view, view)


def print_cost(console: Console, table: Table) -> None:
    """Print what the rows' models cost to deploy, where that was measured."""
    if table.costs is None:
        return
    view = cost(table)
    console.print(Padding(Text(view.title, style="bold"), (1, 0, 0, 0)))
    print_view(console, view, view)
    for line in cost_text(table):
        console.print(Text(plain(line), style="dim", overflow="fold"))


def _print_terms(console: Console, table: Table) -> None:
    """Print on what terms the arms are compared; in one line where they are equal."""
    lines = terms_text(table)
    if not table.unequal:
        for line in lines:
            console.print(Padding(Text(line, style="dim", overflow="fold"), (1, 0, 0, 0)))
        return
    view = equal_terms(table)
    console.print(Padding(Text(view.title, style="bold"), (1, 0, 0, 0)))
    print_view(console, view, view)
    for line in lines:
        console.print(Text(f"! {line}", overflow="fold"))


def print_header(console: Console, header: Sequence[tuple[str, str]]) -> None:
    """Print names and texts in two columns."""
    lines = Grid.grid(padding=(0, 2, 0, 0))
    for name, text in header:
        lines.add_row(Text(name, style="dim"), Text(text, overflow="fold"))
    console.print(lines)


def print_facts(console: Console, facts: DataFacts) -> None:
    """Print a plan's facts about the data."""
    heads, rows = data_grid(facts)
    grid = Grid(title="data, before limits", box=SIMPLE_HEAD)
    for head in heads:
        grid.add_column(head, justify="right" if head == "examples" else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))
    console.print(grid)
    print_header(console, model_lines(facts))


def print_scoring(console: Console, scoring: Mapping[str, str]) -> None:
    """Print how each task is scored, one line each.

    Args:
        console: where to.
        scoring: name of a task -> the result of ``orchestrator.planning.scoring.scoring``.
    """
    for name, text in scoring.items():
        console.print(plain(f"task {name}: {text}"), markup=False, highlight=False)


def print_findings(console: Console, facts: DataFacts | None) -> None:
    """Print a warning for each finding in the tasks' data, one line each."""
    for line in () if facts is None else facts.warnings:
        console.print(f"warning: {plain(line)}", markup=False, highlight=False, soft_wrap=True)


def superscript(notes: Sequence[int]) -> str:
    """Footnote numbers as superscript characters."""
    return marks(notes).translate(SUPERSCRIPT)


def print_view(console: Console, view: View, narrow: View) -> None:
    """Print a view, one line per row; if that is too wide, print ``narrow`` cut into blocks."""
    one_line = _grid(view, range(2, len(view.heads)), stacked=False)
    if _width(console, one_line) <= console.width:
        console.print(one_line)
        return
    for block in _blocks(console, narrow):
        console.print(_grid(narrow, block, stacked=True))


def _blocks(console: Console, view: View) -> list[list[int]]:
    """Cut the numeric columns into blocks that fit next to the names, each as wide as possible."""
    blocks: list[list[int]] = [[]]
    for index in range(2, len(view.heads)):
        candidate = [*blocks[-1], index]
        fits = _width(console, _grid(view, candidate, stacked=True)) <= console.width
        if fits or not blocks[-1]:
            blocks[-1] = candidate
        else:
            blocks.append([index])
    return blocks


def _width(console: Console, grid: Grid) -> int:
    """The width that ``grid`` needs; ``console.measure`` would cap it at the console's."""
    return Measurement.get(console, console.options.update(max_width=10_000), grid).maximum


def _grid(view: View, numeric: Sequence[int], stacked: bool) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    names = [0] if stacked else [0, 1]
    for index in (*names, *numeric):
        head = view.heads[index]
        justify = "right" if head.numeric else "left"
        grid.add_column(_head(head), justify=justify, overflow="fold", no_wrap=False)
    for row in view.rows:
        first = _name(row, stacked) if stacked else _value(row[0], stacked=False)
        rest = [row[index] for index in (*names[1:], *numeric)]
        grid.add_row(first, *(_value(field, stacked) for field in rest))
    return grid


def _head(head: Head) -> Text:
    return Text(f"{head.title}\n{head.unit}" if head.unit else head.title)


def _name(row: Sequence[Field], stacked: bool) -> Text:
    arm, model = row[0], row[1]
    below = "" if model.text == DASH else f"\n{model.text}"
    return _value(arm, stacked).append(below, style="dim")


def _value(field: Field, stacked: bool) -> Text:
    text = Text(field.text, style="bold" if field.bold else "")
    text.append("*" if field.bold else "")
    text.append(superscript(field.notes))
    if field.spread:
        between = "\n" if stacked else "" if field.spread.startswith("±") else " "
        text.append(between + field.spread, style="dim not bold")
    return text
