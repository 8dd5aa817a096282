"""The model card of an export: what the model is, how good, on which data, and by which licence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCardData

from orchestrator.deploy.manifest import ExportedModel

HUB_METRICS = {
    "accuracy": "accuracy",
    "f1": "f1",
    "matthews": "matthews_correlation",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
"""Our names of metrics -> those of the Hub."""


@dataclass(frozen=True)
class Score:
    """One metric of the model on the validation examples of one task.

    Attributes:
        task, metric: its name here.
        value: a fraction.
        title, text: name and value as a table shows them, with its interval for new examples.
        seeds: mean and standard deviation over the arm's seeds, as a table shows them.
        f1_of: whose F1 it is; empty for other metrics.
    """

    task: str
    metric: str
    value: float
    title: str
    text: str
    seeds: str
    f1_of: str = ""


@dataclass(frozen=True)
class DataSource:
    """Where the data of a task came from.

    Attributes:
        task: the task.
        origin: in words.
        dataset: name on the Hub, or that of the task where it is not from there.
        on_hub: whether it is from there.
        config, split: there; None elsewhere.
        train, validation: number of examples.
    """

    task: str
    origin: str
    dataset: str
    on_hub: bool
    config: str | None
    split: str | None
    train: int
    validation: int


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside the manifest.

    Attributes:
        method: how the arm is trained.
        encoder: the encoder that training began with, in words.
        base_model: its name on the Hub; None where it is not from there.
        licence: what its card says, such as ``apache-2.0``; None where that is not known.
        sources: of the tasks.
        scores: of the tasks.
        verdict: sentences of the comparison's answer.
    """

    method: str
    encoder: str
    base_model: str | None
    licence: str | None
    sources: Sequence[DataSource]
    scores: Sequence[Score]
    verdict: Sequence[str]


def model_card(
    manifest: ExportedModel, facts: CardFacts, usage: Sequence[str], library: str | None
) -> str:
    """Write a card, with the Hub's description of evaluation results (``model-index``) on top.

    Args:
        manifest: the model and its checks.
        facts: the rest; what is of other tasks than the manifest's is left out.
        usage: lines of Python.
        library: see ``Format.library``.

    Returns:
        Markdown with a YAML head.
    """
    origin = manifest.origin
    name = f"{origin.arm}{' tuned' * origin.tuned} {origin.model} seed {origin.seed}"
    sources = [source for source in facts.sources if source.task in manifest.tasks]
    scores = [score for score in facts.scores if score.task in manifest.tasks]
    sections = [
        f"---\n{_head(name, facts, sources, scores, library).to_yaml(line_break=chr(10))}\n---",
        f"# {name}",
        f"Answers {_tasks(manifest)}. It was trained by one-model-or-many as part of a "
        f"comparison of single-task and multi-task models: {facts.method}, trial "
        f"`{origin.key}`, from the encoder {facts.encoder}.",
        "## Use",
        "\n".join(["```python", *usage, "```"]),
        f"Texts of more than {manifest.max_length} tokens are cut. {_prefixes(manifest)}".strip(),
        "## Tasks",
        _table(
            ("task", "texts", "labels", "data", "train", "validation"),
            [_task_row(manifest, source) for source in sources],
        ),
        "## Results",
        _table(
            ("task", "metric", "this model, on validation (95 % for new examples)", "seeds"),
            [(s.task, f"{s.title}{s.f1_of}", s.text, s.seeds) for s in scores],
        ),
        "No epoch and no setting was selected on these examples. The interval is that of this one "
        "model for new examples; the last column is the mean of the arm's seeds with their "
        "standard deviation.",
        "## The comparison",
        "\n".join(f"- {_escaped(line)}" for line in facts.verdict)
        or "There was nothing to compare this model with.",
        "## Checked",
        _table(
            ("task", "beside", "examples", "other labels", "largest difference of two logits"),
            [
                (
                    task,
                    c.beside,
                    f"{c.examples:,}",
                    str(len(c.different)),
                    f"{c.largest_difference:.2g}",
                )
                for task, comparisons in manifest.checks.items()
                for c in comparisons
            ],
        ),
        f"Of the validation examples, before this folder was written. The trial computed in "
        f"{origin.precision}, this model computes in fp32. `export.json` lists the examples that "
        "get another label.",
        "## Licences",
        _licences(facts, sources),
    ]
    return "\n\n".join(sections) + "\n"


def _head(
    name: str,
    facts: CardFacts,
    sources: Sequence[DataSource],
    scores: Sequence[Score],
    library: str | None,
) -> ModelCardData:
    by_task = {source.task: source for source in sources}
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=by_task[score.task].dataset,
            dataset_name=score.task,
            dataset_config=by_task[score.task].config,
            dataset_split=by_task[score.task].split or "validation",
            metric_type=HUB_METRICS[score.metric],
            metric_name=f"{score.title.removesuffix(' %')}{score.f1_of}",
            metric_value=round(score.value, 6),
        )
        for score in scores
    ]
    return ModelCardData(
        model_name=name,
        license=facts.licence,
        library_name=library,
        pipeline_tag="text-classification",
        base_model=facts.base_model,
        datasets=sorted({s.dataset for s in sources if s.on_hub}) or None,
        eval_results=results or None,
    )


def _tasks(manifest: ExportedModel) -> str:
    names = ", ".join(manifest.tasks)
    return f"the task {names}" if len(manifest.tasks) == 1 else f"the tasks {names}"


def _prefixes(manifest: ExportedModel) -> str:
    prefixes = [f"`{task.prefix}`" for task in manifest.tasks.values() if task.prefix]
    return f"It puts {', '.join(prefixes)} before texts itself." if prefixes else ""


def _task_row(manifest: ExportedModel, source: DataSource) -> tuple[str, ...]:
    task = manifest.tasks[source.task]
    labels = ", ".join(task.labels) or "a number"
    counts = (f"{source.train:,}", f"{source.validation:,}")
    return (source.task, str(task.texts), labels, source.origin, *counts)


def _licences(facts: CardFacts, sources: Sequence[DataSource]) -> str:
    encoder = f"{facts.licence}, as its card says" if facts.licence else "not known; look it up"
    data = "; ".join(f"{_escaped(s.task)} ({_escaped(s.origin)})" for s in sources)
    return (
        f"- encoder {_escaped(facts.encoder)}: {encoder}\n"
        f"- data: {data}: not known; look them up before you publish this model"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, [":--"] * len(head), *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


_SPECIAL: Mapping[int, str] = str.maketrans({"|": r"\|", "<": "&lt;", "\n": " ", "\r": " "})


def _escaped(text: str) -> str:
    """A name or text of a user's as one line of Markdown."""
    return text.translate(_SPECIAL)
