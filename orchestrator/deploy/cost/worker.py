"""A process that loads an arm's models and answers requests, for its memory and times.

    python -m orchestrator.deploy.cost.worker

Standard input gives a ``WorkerRequest`` as one line of JSON, then ``Asked`` lines; each is answered
by a ``WorkerAnswer`` as one line. When the input ends, the last answer says the peak of the memory.
"""

import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import torch
from transformers import BatchEncoding, PreTrainedTokenizerBase

from orchestrator.deploy.cost.serving import (
    Asked,
    Input,
    Loaded,
    Pass,
    ServedModel,
    WorkerAnswer,
    WorkerRequest,
)
from trainables.errors import OneOrManyError, ResourceError
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.saved import SavedClassifier, TaskClasses, load_classifier
from trainables.training.device import resolve_device, use_threads

Texts = Sequence[tuple[str, ...]]
"""Examples of one or two texts each."""


class Server:
    """Answers requests with the models of a deployment.

    Args:
        request: what to load.

    Raises:
        InputError: a model or the device cannot be used.
    """

    def __init__(self, request: WorkerRequest) -> None:
        self.device = resolve_device(request.device)
        if self.device.type not in ("cpu", "cuda"):
            raise ResourceError(f"--device {request.device}: measured are cpu and cuda alone")
        self._request = request
        models, inputs = request.deployment.models, request.deployment.inputs
        self.models = [load_model(model).to(self.device) for model in models]
        # All models of an arm have the same encoder, and so the same tokenizer.
        self._tokenizer = load_tokenizer(models[0].config)
        self._max_length = models[0].config.max_length
        self._mixed = {given.texts: mixed(request.texts, given.texts) for given in inputs}

    @property
    def loaded(self) -> Loaded:
        """What is loaded."""
        tensors = [t for model in self.models for t in model.tensors().values()]
        cuda = self.device.type == "cuda"
        return Loaded(
            device=torch.cuda.get_device_name(self.device) if cuda else "cpu",
            parameters=sum(model.parameters_count for model in self.models),
            weight_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
            tokens={
                task: float(self._encode(texts, None)["attention_mask"].sum()) / len(texts)
                for task, texts in self._request.texts.items()
            },
        )

    @torch.inference_mode()
    def answer(self, asked: Asked, number: int) -> dict[str, list[float]]:
        """Answer one request.

        Args:
            asked: of what kind it is.
            number: counted from 0; it decides the task and the texts.

        Returns:
            Task -> its label, or number of a regression, for each of ``batch_size`` inputs.
        """
        tasks, inputs = self._request.tasks, self._request.deployment.inputs
        if asked.scenario == "one_task":
            task = tasks[number % len(tasks)]
            [(given, run)] = [(i, p) for i in inputs for p in i.passes if task in p.tasks]
            texts = cut(self._request.texts[task], number // len(tasks), asked.batch_size)
            only = Pass(model=run.model, tasks=(task,))
            return self._through(given, (only,), texts)
        answers = {}
        for given in inputs:
            texts = cut(self._mixed[given.texts], number, asked.batch_size)
            answers |= self._through(given, given.passes, texts)
        return answers

    def _through(
        self, given: Input, passes: Sequence[Pass], texts: Texts
    ) -> dict[str, list[float]]:
        batch = self._encode(texts, given.prefix).to(self.device)
        answers = {}
        for run in passes:
            for task, logits in self.models[run.model].answers(batch, run.tasks).items():
                chosen = logits.argmax(dim=-1) if logits.shape[1] > 1 else logits[:, 0]
                # Waits for a GPU.
                answers[task] = chosen.tolist()
        return answers

    def _encode(self, texts: Texts, prefix: str | None) -> BatchEncoding:
        first, *second = map(list, zip(*texts, strict=True))
        if prefix is not None:
            first = [f"{prefix}: {text}" for text in first]
        tokenizer: PreTrainedTokenizerBase = self._tokenizer
        return tokenizer(
            first,
            second[0] if second else None,
            truncation="longest_first",
            max_length=self._max_length,
            padding=True,
            return_tensors="pt",
        )


def load_model(model: ServedModel) -> SavedClassifier:
    """A saved model, or one of the same shape whose heads are untrained; on the CPU.

    Raises:
        EncoderError: it cannot be read.
    """
    if model.folder is not None:
        return load_classifier(model.folder)[0]
    encoder = load_encoder(model.config, seed=0)
    built = SavedClassifier(encoder, model.heads, 0, model.config.dropout, model.kinds)
    built.tasks = {
        name: TaskClasses(head=task.head, classes=task.classes)
        for name, task in model.tasks.items()
    }
    return built.eval()


def mixed(examples: Mapping[str, Texts], texts: int) -> Texts:
    """The examples of so many texts, one of each task after the other."""
    groups = [own for own in examples.values() if len(own[0]) == texts]
    shortest = min(map(len, groups))
    return [own[index] for index in range(shortest) for own in groups]


def cut(texts: Texts, number: int, size: int) -> Texts:
    """The ``number``-th batch of ``size`` examples; after the last one the first comes again."""
    start = number * size
    return [texts[index % len(texts)] for index in range(start, start + size)]


def serve(incoming: TextIO, outgoing: TextIO) -> None:
    """Load, answer all requests and say the peak of the memory.

    Raises:
        InputError: a model or the device cannot be used.
    """
    request = WorkerRequest.model_validate_json(incoming.readline())
    use_threads(request.threads)
    # Threads and their buffers are there before the models.
    torch.matmul(torch.ones(256, 256), torch.ones(256, 256))
    before = resident()
    server = Server(request)
    _write(outgoing, WorkerAnswer(loaded=server.loaded))
    for line in incoming:
        asked, times = Asked.model_validate_json(line), []
        for number in range(asked.requests):
            began = time.perf_counter()
            server.answer(asked, number)
            times.append(round(1000 * (time.perf_counter() - began), 4))
        _write(outgoing, WorkerAnswer(milliseconds=tuple(times)))
    if server.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(server.device)
    else:
        peak = most_resident() - before
    _write(outgoing, WorkerAnswer(peak_bytes=peak))


def resident() -> int:
    """Bytes of resident memory of this process; the peak where the system does not say it."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return most_resident()
    return int(path.read_text().split()[1]) * resource.getpagesize()


def most_resident() -> int:
    """Bytes of resident memory of this process at the highest so far.

    ``ru_maxrss`` would begin with the memory of the parent on Linux.
    """
    path = Path("/proc/self/status")
    if not path.exists():
        # macOS, where it is in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def _write(outgoing: TextIO, answer: WorkerAnswer) -> None:
    outgoing.write(f"{answer.model_dump_json()}\n")
    outgoing.flush()


def main() -> None:
    """See the module's description."""
    # What libraries print must not come between the lines.
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin, outgoing)
    except OneOrManyError as error:
        _write(outgoing, WorkerAnswer(error=(type(error).__name__, str(error))))


if __name__ == "__main__":
    main()
