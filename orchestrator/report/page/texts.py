"""The texts of examples, from the data as it is now, if it is what the trials were trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.report.page.disagreements import Disagreement
from orchestrator.report.rows import PlannedTrial
from orchestrator.text import plain
from trainables.data.planned import load_planned
from trainables.errors import InputError

LONGEST = 1000
"""Characters of a text that are shown."""

NOT_ASKED = (
    "This page shows no text of the data. The command report writes one that does, where the run "
    "directory is a folder and the data is as it was: python -m orchestrator report RUN_DIR"
)
"""Stands in place of texts that were not asked for."""


@dataclass(frozen=True)
class Texts:
    """The texts of the listed examples.

    Attributes:
        by_row: task, as the plan has it -> row -> its texts, each one line.
        problems: why those of tasks are not there, a line each.
    """

    by_row: dict[str, dict[int, tuple[str, ...]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of(self, task: str, row: int) -> tuple[str, ...]:
        """Those of an example; nothing where they cannot be read."""
        return self.by_row.get(task, {}).get(row, ())


def read_texts(
    plan: Iterable[PlannedTrial], listed: Sequence[Disagreement], glue_dir: str | None
) -> Texts:
    """Read the listed examples' texts from the data, whose fingerprint must be the plan's.

    Args:
        plan: of the run directory.
        listed: what is shown.
        glue_dir: the GLUE folder; None without one.
    """
    configs = {task: trial.config for trial in plan for task in trial.config.tasks}
    by_row, problems = {}, []
    for task in dict.fromkeys(one.source for one in listed):
        own = [one for one in listed if one.source == task]
        try:
            texts = load_planned(task, configs[task], glue_dir).splits["validation"].texts
        except (InputError, OSError) as error:
            reason = str(error).removeprefix(f"task {task}: ")
            problems.append(f"{task}: {reason}")
            continue
        if any(one.size != len(texts) for one in own):
            problems.append(f"{task}: the predictions are of another number of examples")
            continue
        rows = {example.row for one in own for example in one.examples}
        by_row[task] = {row: tuple(map(_shown, texts[row])) for row in rows}
    return Texts(by_row, tuple(plain(f"No texts of {problem}") for problem in problems))


def _shown(text: str) -> str:
    text = plain(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
