"""The comparison table as Markdown and as LaTeX, with every text from data or config escaped."""

import re
from collections.abc import Iterable, Sequence

from orchestrator.report.answers.answer import Line
from orchestrator.report.table import Table
from orchestrator.report.views import (
    EQUAL_TERMS,
    Field,
    View,
    compact,
    cosines,
    cost,
    cost_text,
    detailed,
    difference,
    equal_terms,
    learning,
    marks,
    methods,
    terms_text,
    verdicts,
)

HEADER = "Protocol and data"

LEGEND = (
    "better than another arm of its model, and none is known to be better than it, by the verdicts "
    "on that column's differences"
)

SPREAD = "Mean ± sample standard deviation over seeds; one seed has none"

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
} | {character: "\\" + character for character in "&%$#_{}"}


def markdown(table: Table) -> str:
    """The answer, header, compact table, footnotes, the arms' methods, then the other tables."""
    parts = []
    for passage in table.passages:
        if passage.lines:
            parts.append(f"**{md(passage.sentence)}**")
            parts.append("\n".join(map(_md_line, passage.lines)))
        else:
            parts.append(md(passage.sentence))
    # Without a heading between them, two lists would be one.
    parts.append(f"### {HEADER}\n\n{_md_lines(table.header)}")
    parts.append(md_view(compact(table)))
    parts.append(f"**Bold**: {LEGEND}.")
    parts += [f"<sup>{note.number}</sup> {md(note.text)}" for note in table.notes]
    if table.warnings:
        parts.append("\n".join(["### Data\n", *(f"- {md(line)}" for line in table.warnings)]))
    parts.append(f"### Arms\n\n{_md_lines(methods(table))}")
    parts += [md_view(equal_terms(table)), md(EQUAL_TERMS)]
    parts += [md(line) for line in terms_text(table)]
    if table.costs is not None:
        parts += [md_view(cost(table)), *map(md, cost_text(table))]
    if table.learning:
        parts.append(md_view(learning(table)))
    if table.differences:
        parts.append(md_view(difference(table)))
    if table.cosines:
        parts.append(md_view(cosines(table)))
    parts.append(md_view(detailed(table)))
    return "\n\n".join(parts) + "\n"


def md(text: str) -> str:
    """Escape what Markdown or the HTML inside it would read as markup."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def _md_line(line: Line) -> str:
    """A line of an answer, with what can be pasted as it is."""
    pasted = f"`{line.code}`" if "`" not in line.code else md(line.code)
    return f"- {md(line.name)}: {md(line.text)}{f': {pasted}' if line.code else ''}"


def _md_lines(lines: Iterable[tuple[str, str]]) -> str:
    """Names and texts as a list."""
    return "\n".join(f"- {md(name)}: {md(text)}" for name, text in lines)


def md_view(view: View) -> str:
    """A titled Markdown table."""
    lines = [
        f"### {view.title}\n",
        _md_row(md(f"{head.title} {head.unit}".strip()) for head in view.heads),
        _md_row("--:" if head.numeric else ":--" for head in view.heads),
        *(_md_row(_md_field(field) for field in row) for row in view.rows),
    ]
    return "\n".join(lines)


def _md_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_field(field: Field) -> str:
    text = md(field.text)
    text = f"**{text}**" if field.bold else text
    sup = f"<sup>{marks(field.notes)}</sup>" if field.notes else ""
    return f"{text}{sup}{' ' if field.spread else ''}{md(field.spread)}"


def latex(table: Table) -> str:
    r"""Tables for a paper, to be ``\input`` where ``booktabs`` is loaded."""
    protocol = dict(table.header).get("protocol", "")
    sections = [
        "% needs \\usepackage{booktabs}",
        _tex_view(compact(table), f"Comparison. {protocol}. {SPREAD}. Bold: {LEGEND}.", table),
    ]
    if table.comparisons:
        caption = (
            "Differences in points, with intervals for new seeds and new examples that are not "
            "adjusted for the number of comparisons; p is adjusted by Holm's method, and the "
            "verdict follows from it, with fewer than 5 seeds also from a wider interval. "
            "With one seed the interval is of these trained models alone."
        )
        sections.append(_tex_view(verdicts(table.comparisons), caption))
    caption = " ".join(("Equal terms.", *terms_text(table), EQUAL_TERMS))
    sections.append(_tex_view(equal_terms(table), caption))
    if table.costs is not None:
        caption = " ".join(("Cost to deploy.", *cost_text(table)))
        sections.append(_tex_view(cost(table), caption))
    if table.learning:
        caption = f"Headline metric by share of the training data. {SPREAD}."
        sections.append(_tex_view(learning(table), caption))
    if table.differences:
        caption = (
            "Difference to single_task, paired by seed: mean ± sample standard deviation of the "
            "seeds' differences."
        )
        sections.append(_tex_view(difference(table), caption))
    return "\n\n".join(sections) + "\n"


def _tex(text: str) -> str:
    """Escape every character that LaTeX reads as a command."""
    return "".join(_LATEX.get(character, character) for character in text)


def _tex_view(view: View, caption: str, notes_of: Table | None = None) -> str:
    align = "".join("r" if head.numeric else "l" for head in view.heads)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_tex(caption)}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        _tex_row([_tex(head.title) for head in view.heads]),
        _tex_row([_tex(head.unit) for head in view.heads]),
        r"\midrule",
        *(_tex_row([_tex_field(field) for field in row]) for row in view.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    for note in notes_of.notes if notes_of else ():
        lines += ["", rf"\textsuperscript{{{note.number}}} {_tex(note.text)}"]
    for line in notes_of.warnings if notes_of else ():
        lines += ["", _tex(line)]
    for label, text in methods(notes_of) if notes_of else ():
        lines += ["", f"{_tex(label)}: {_tex(text)}."]
    return "\n".join([*lines, r"\end{table}"])


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_field(field: Field) -> str:
    text = _tex(field.text)
    text = rf"\textbf{{{text}}}" if field.bold else text
    sup = rf"\textsuperscript{{{marks(field.notes)}}}" if field.notes else ""
    return f"{text}{sup}{_tex(field.spread)}"
