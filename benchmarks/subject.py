"""The subject of measurements: training loops of variants of one trial."""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from transformers import AutoTokenizer, BertConfig

from benchmarks.variants import Variant
from orchestrator.config.experiment import load_single_trial
from orchestrator.planning.grid import Grid, glue_folder
from orchestrator.run_dir.environment import describe_environment
from trainables.config.trial import ModelConfig, Runtime, TrialConfig
from trainables.data.planned import load_data
from trainables.models.source import locate
from trainables.storage.run_dir import RunDir
from trainables.training.device import resolve_device, resolve_precision, use_threads
from trainables.training.loop import TrainingLoop
from trainables.trial.artifacts import write_teacher_logits
from trainables.trial.build import build_training_loop

BATCH_SIZE = 24
"""Examples of a step, as in the preset `methods`."""

CORES = len(os.sched_getaffinity(0))


class Subject:
    """One multi-task trial; ``loop`` makes its variants.

    Attributes:
        model: the encoder's name.
        data: the source of the examples.
        device: that it is trained on.
        threads: CPU threads.

    Args:
        steps: most optimiser steps of each variant.
        overrides: settings of a single trial, as on the command line. Without a folder of GLUE
            (``data.glue_dir`` or ``GLUE_DIR``) the project's generated corpora are used: nothing
            is downloaded for a measurement.
    """

    def __init__(self, steps: int, overrides: list[str]) -> None:
        arm = "shared_encoder"
        # One epoch that is longer than the measurement, so that nothing is evaluated.
        settings = ["training.epochs=1", f"training.batch_size={BATCH_SIZE}", *overrides]
        single = load_single_trial(arm, settings)
        folder = glue_folder(single.data.glue_dir)
        if folder is None:
            single = load_single_trial(arm, ["data.source=demo", *settings])
        [plain] = Grid(single).trials_of(arm, single.model, single.seed)
        self._plain = plain.model_copy(update={"total_steps": steps + 1})
        self.model = single.model
        self.data = "generated corpora" if folder is None else "GLUE"
        self.device = resolve_device(single.device)
        self._precision = resolve_precision(single.training.precision, self.device)
        self.threads = single.threads or CORES
        use_threads(self.threads)
        self._folder = tempfile.TemporaryDirectory(prefix="one-model-or-many-")
        self._runtime = Runtime(
            output_dir=self._folder.name,
            device=str(self.device),
            threads=self.threads,
            glue_dir=folder,
            cache_dir=single.data.cache_dir,
        )
        self._tasks = load_data(plain, folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    @property
    def machine(self) -> str:
        """The hardware that it is measured on, for humans."""
        environment = describe_environment()
        cores, version = environment["cores"], environment["packages"]["torch"]
        on_gpu = self.device.type == "cuda"
        name = ", ".join(environment["gpus"]) if on_gpu else environment["cpu"]
        return f"{name}, {self.threads} of {cores} cores, torch {version}"

    def loop(self, variant: Variant) -> TrainingLoop:
        """A training loop of a variant, ready to run."""
        plain = self._plain.model_dump()
        arm, teachers = dict(variant.arm), {}
        if variant.pair_heads is not None:
            pairs = [name for name, task in self._plain.tasks.items() if len(task.text) == 2]
            arm["task_heads"] = dict.fromkeys(pairs, variant.pair_heads)
        if variant.distilled:
            arm["distillation"] = {"teachers": "teacher"}
            teachers = dict.fromkeys(self._plain.tasks, ("teacher",))
            self._write_teacher_logits("teacher")
        changes = {
            "arm": arm,
            "training": plain["training"] | variant.training,
            "teachers": teachers,
        }
        config = TrialConfig.model_validate(plain | changes)
        return build_training_loop(config, self._runtime, self._tasks, self.device, self._precision)

    def _write_teacher_logits(self, key: str) -> None:
        """Write random predictions of a teacher; their values do not change the cost."""
        path = RunDir(self._folder.name).teacher_logits(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        logits = {
            name: rng.normal(size=(len(data.splits["train"]), data.outputs))
            for name, data in self._tasks.items()
        }
        write_teacher_logits(path, logits)


def write_encoder(folder: Path, layers: int, width: int) -> None:
    """Write a BERT without weights, with the tokenizer of the embedded encoder (BERT's vocabulary).

    Args:
        folder: is created for ``config.json`` and the tokenizer.
        layers: 12 for BERT base.
        width: of the hidden states, 768 for BERT base; a head has 64.
    """
    embedded = locate(ModelConfig(encoder="minilm-l6"), download_weights=False).folder
    tokenizer = AutoTokenizer.from_pretrained(embedded, local_files_only=True)
    tokenizer.save_pretrained(folder)
    BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
    ).save_pretrained(folder)
