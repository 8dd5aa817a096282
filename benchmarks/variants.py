"""Every method as a small change of a plain multi-task trial.

The names come from the configuration's own types, so a method that is added there is measured too.
"""

from dataclasses import dataclass, field
from typing import Any, get_args

from trainables.config.base import Settings
from trainables.config.methods import HeadConfig, variants
from trainables.config.trial import TrainingConfig

JOINT = {"strategy": "shared_encoder", "sampling": {"name": "uniform", "batch": "joint"}}
"""Every task in every step: the batches that all methods can be trained on."""


@dataclass(frozen=True)
class Variant:
    """A trial that differs from the plain one in one thing.

    Attributes:
        name: the setting, for the table.
        arm: of the trial.
        training: changed settings of ``training``.
        pair_heads: settings of the heads of tasks with two texts.
        distilled: whether it learns from a teacher's predictions.
    """

    name: str
    arm: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    pair_heads: dict[str, Any] | None = None
    distilled: bool = False


@dataclass(frozen=True)
class Group:
    """Variants that are measured side by side, in turn, against the first of them.

    Attributes:
        title: heading of their table.
        variants: the plain one first.
        longer: factor on the usual number of steps of a turn; above 1 where variants do not train
            on the same examples, whose lengths must average out.
    """

    title: str
    variants: tuple[Variant, ...]
    longer: int = 1


def names(section: type[Settings], key: str = "name") -> tuple[str, ...]:
    """All values of a key that names a method, the default first."""
    info = section.model_fields[key]
    return (info.default, *(name for name in get_args(info.annotation) if name != info.default))


def groups() -> dict[str, Group]:
    """All groups, by a short name."""
    return {
        "weighting": Group("Loss weighting", _of_arm("weighting", tuple(variants("weighting")))),
        "aggregation": Group(
            "Gradient aggregation", _of_arm("aggregation", tuple(variants("aggregation")))
        ),
        "sampling": Group("Task sampling", tuple(_sampling()), longer=10),
        "head": Group("Heads", tuple(_heads())),
        "training": Group("Optimisation, adapters, freezing, distillation", tuple(_training())),
    }


def _of_arm(key: str, kinds: tuple[str, ...]) -> tuple[Variant, ...]:
    return tuple(Variant(f"{key}.name={kind}", {**JOINT, key: {"name": kind}}) for kind in kinds)


def _sampling() -> list[Variant]:
    """Ways of drawing tasks with a batch of one task each, then the other kinds of batch."""
    default, *others = names(variants("sampling")["interleave"], "batch")
    settings = [{"name": kind, "batch": default} for kind in variants("sampling")]
    settings += [{"batch": batch} for batch in others]
    return [
        Variant(
            f"sampling.name={setting['name']}"
            if setting["batch"] == default
            else f"sampling.batch={setting['batch']}",
            {"strategy": "shared_encoder", "sampling": setting},
        )
        for setting in settings
    ]


def _heads() -> list[Variant]:
    heads = [kind for kind in names(HeadConfig) if kind != "san"]
    return [
        *(Variant(f"head.name={kind}", {**JOINT, "head": {"name": kind}}) for kind in heads),
        Variant("task_heads.TASK.name=san for pairs", JOINT, pair_heads={"name": "san"}),
    ]


def _training() -> list[Variant]:
    adamw, *optimizers = names(TrainingConfig, "optimizer")
    _, *frozen = variants("freezing")
    return [
        Variant(f"training.optimizer={adamw}", JOINT),
        *(Variant(f"training.optimizer={name}", JOINT, {"optimizer": name}) for name in optimizers),
        Variant("training.layer_decay=0.9", JOINT, {"layer_decay": 0.9}),
        Variant("training.ema_decay=0.999", JOINT, {"ema_decay": 0.999}),
        Variant("training.label_smoothing=0.1", JOINT, {"label_smoothing": 0.1}),
        Variant("adapter={rank: 8}", {**JOINT, "adapter": {"rank": 8}}),
        *(
            Variant(f"freezing.name={kind}", {**JOINT, "freezing": {"name": kind}})
            for kind in frozen
        ),
        Variant("distillation={teachers: ARM}", JOINT, distilled=True),
    ]
