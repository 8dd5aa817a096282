"""The HTTP interface of a deployed model, whoever computes the answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response

from orchestrator.deploy.predictor import TaskOutput, Texts, probabilities
from orchestrator.deploy.serving.calls import Call
from orchestrator.deploy.serving.gate import PREDICT, Gate, GateMiddleware
from orchestrator.deploy.serving.schema import (
    Answers,
    Limits,
    ModelFacts,
    Problem,
    Question,
    TaskAnswer,
    TaskFacts,
)
from trainables.config.explain import nearest
from trainables.data.examples import text_problem

Compute = Callable[[Call], Awaitable[Mapping[str, np.ndarray]]]
"""Task -> logits of a call's examples."""

_PAGE = Path(__file__).with_name("page.html")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:"
)
_CODES = {
    413: "the body is too large",
    422: "the body is none that can be answered",
    429: "too many requests at once; see the header Retry-After",
    503: "the server is stopping",
}


class Web:
    """Answers HTTP requests with what ``compute`` says of their examples.

    Args:
        tasks: the model's tasks.
        max_length: see ``Predictor``.
        compute: computes the logits.
        limits: how much may be asked.
        hosts: names by which the server may be addressed; empty for any. Where only this machine
            is meant to ask, this keeps pages of other sites from asking by a name of their own.

    Attributes:
        gate: who is inside.
        app: the ASGI application.
    """

    def __init__(
        self,
        tasks: Mapping[str, TaskOutput],
        max_length: int,
        compute: Compute,
        limits: Limits,
        hosts: Sequence[str] = (),
    ) -> None:
        self._tasks = tasks
        self._max_length = max_length
        self._compute = compute
        self._limits = limits
        self.gate = Gate(limits)
        self.app = FastAPI(title="One model or many", version="1", docs_url=None, redoc_url=None)
        self._add_routes()
        self.app.add_middleware(GateMiddleware, gate=self.gate)
        if hosts:
            self.app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
        self.app.add_exception_handler(HTTPException, _problem)
        self.app.add_exception_handler(RequestValidationError, _invalid)

    def _add_routes(self) -> None:
        problems: dict[int | str, dict[str, Any]] = {
            code: {"model": Problem, "description": text} for code, text in _CODES.items()
        }
        add = self.app.add_api_route
        add(PREDICT, self._predict, methods=["POST"], response_model=Answers, responses=problems)
        add("/model", self._model, methods=["GET"], response_model=ModelFacts)
        add("/healthz", _health, methods=["GET"])
        add("/metrics", self._metrics, methods=["GET"], include_in_schema=False)
        add("/", _page, methods=["GET"], include_in_schema=False)

    async def _predict(self, question: Question) -> Answers:
        """Answer examples for one or more tasks."""
        self._check(question)
        groups: dict[tuple[tuple[str, ...], int], list[int]] = {}
        examples: list[Texts] = []
        for number, example in enumerate(question.inputs):
            pair = example.text_pair
            examples.append((example.text,) if pair is None else (example.text, pair))
            tasks = self._tasks_of(number, examples[-1], question.tasks)
            groups.setdefault((tasks, len(examples[-1])), []).append(number)
        answers: list[dict[str, TaskAnswer]] = [{} for _ in examples]
        for (tasks, _), numbers in groups.items():
            logits = await self._compute(Call([examples[n] for n in numbers], tasks))
            for task in tasks:
                for number, row in zip(numbers, logits[task], strict=True):
                    answers[number][task] = _answer(self._tasks[task], row)
        self.gate.inputs.inc(len(examples))
        return Answers(answers=answers)

    def _check(self, question: Question) -> None:
        """Raises HTTPException: more is asked than may be, or a text cannot be answered."""
        limits = self._limits
        if len(question.inputs) > limits.inputs:
            raise HTTPException(
                413, f"inputs: a request may have {limits.inputs}, this has {len(question.inputs)}"
            )
        for number, example in enumerate(question.inputs):
            texts = (example.text, example.text_pair)
            if problem := text_problem([text for text in texts if text is not None]):
                raise HTTPException(422, f"inputs.{number}: {problem.partition(';')[0]}")
            if max(len(text or "") for text in texts) > limits.characters:
                raise HTTPException(
                    413, f"inputs.{number}: a text may have {limits.characters:,} characters"
                )

    def _tasks_of(self, number: int, texts: Texts, named: Sequence[str] | None) -> tuple[str, ...]:
        """The tasks that an example is answered for, in the model's order."""
        known = self._tasks
        for task in named or ():
            if task not in known:
                raise HTTPException(422, f"tasks: {task!r} is no task{nearest(task, [*known])}")
            if known[task].texts > len(texts):
                raise HTTPException(422, f"inputs.{number}: {task} needs text_pair too")
        if named is not None:
            return tuple(task for task in known if task in named)
        tasks = tuple(task for task in known if known[task].texts == len(texts))
        if not tasks:
            need = "leave text_pair out" if len(texts) == 2 else "add text_pair"
            raise HTTPException(422, f"inputs.{number}: no task has {len(texts)} texts; {need}")
        return tasks

    async def _model(self) -> ModelFacts:
        """Say what the model answers."""
        facts = {
            name: TaskFacts(labels=list(task.labels), texts=task.texts)
            for name, task in self._tasks.items()
        }
        return ModelFacts(tasks=facts, max_length=self._max_length)

    async def _metrics(self) -> Response:
        return Response(generate_latest(self.gate.registry), media_type=CONTENT_TYPE_LATEST)


async def _health() -> dict[str, str]:
    """Say that the server can be asked."""
    return {"status": "ok"}


async def _page() -> HTMLResponse:
    return HTMLResponse(_PAGE.read_text("utf-8"), headers={"Content-Security-Policy": _POLICY})


def _answer(output: TaskOutput, logits: np.ndarray) -> TaskAnswer:
    if output.regression:
        return TaskAnswer(label=None, score=float(logits[0]), probabilities=None)
    [row] = probabilities(logits[None]).tolist()
    best = int(logits.argmax())
    return TaskAnswer(
        label=output.labels[best],
        score=row[best],
        probabilities=dict(zip(output.labels, row, strict=True)),
    )


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first of the errors that pydantic found."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return JSONResponse({"error": f"body: broken JSON: {first['ctx']['error']}"}, 422)
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)
