"""The texts that are asked about: a sample of the validation splits."""

from collections.abc import Sequence

from orchestrator.planning.plan import PlannedTrial
from trainables.data.planned import load_planned
from trainables.seeding import generator

SAMPLE = 128
"""Examples of each task."""


def sample_texts(
    plan: Sequence[PlannedTrial], glue_dir: str | None
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Up to ``SAMPLE`` validation examples of each task, the same ones each time.

    Args:
        plan: the trials.
        glue_dir: the GLUE folder; None without one.

    Returns:
        Task -> examples, each of one or two texts.

    Raises:
        DataError: the data cannot be read, or is not what the trials were planned with.
    """
    configs = {task: trial.config for trial in plan for task in trial.config.tasks}
    sample = {}
    for task in dict.fromkeys(task for trial in plan for task in trial.config.tasks):
        texts = load_planned(task, configs[task], glue_dir).splits["validation"].texts
        chosen = generator(0, "cost", task).permutation(len(texts))[:SAMPLE]
        sample[task] = tuple(texts[index] for index in chosen.tolist())
    return sample
