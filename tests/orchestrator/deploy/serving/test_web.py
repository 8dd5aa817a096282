"""The HTTP interface: its schema, what it refuses and how, limits, metrics."""

import asyncio
from typing import Any

import httpx
import pytest

from orchestrator.deploy.predictor import probabilities
from orchestrator.deploy.serving.calls import Call, answer_calls
from orchestrator.deploy.serving.schema import Answers
from tests.helpers.fake_predictor import FakePredictor
from tests.orchestrator.deploy.serving.conftest import LIMITS, Served, run


def test_each_example_is_answered_for_the_tasks_that_fit(served: Served) -> None:
    one, two, three = served.predict(
        {"text": "a"}, {"text": "b", "text_pair": "c"}, {"text": "d"}
    ).json()["answers"]
    assert [*one] == [*three] == ["tone", "topic", "length"]
    assert [*two] == ["same"]
    logits = FakePredictor().logits([("d",)], ["topic"])["topic"]
    [shares] = probabilities(logits).tolist()
    best = max(range(3), key=shares.__getitem__)
    assert three["topic"] == {
        "label": ("art", "law", "war")[best],
        "score": shares[best],
        "probabilities": dict(zip(("art", "law", "war"), shares, strict=True)),
    }
    assert three["length"] == {"label": None, "score": 1.0, "probabilities": None}
    # The examples of one kind are computed together.
    assert [len(call.examples) for call in served.calls] == [2, 1]


def test_named_tasks_are_answered(served: Served) -> None:
    [answer] = served.predict({"text": "a", "text_pair": "b"}, tasks=["same", "tone"]).json()[
        "answers"
    ]
    assert [*answer] == ["tone", "same"]
    alone = served.predict({"text": "a"}, tasks=["tone"]).json()["answers"][0]
    assert answer["tone"] == alone["tone"]


PROBLEMS: list[tuple[dict[str, Any], int, str]] = [
    ({"content": "{"}, 422, "body: broken JSON: Expecting property name"),
    ({"json": []}, 422, "body: Input should be a valid dictionary"),
    ({"json": {}}, 422, "inputs: Field required"),
    ({"json": {"inputs": []}}, 422, "inputs: List should have at least 1 item"),
    ({"json": {"inputs": ["a"]}}, 422, "inputs.0: Input should be a valid dictionary"),
    ({"json": {"inputs": [{"text": 3}]}}, 422, "inputs.0.text: Input should be a valid string"),
    ({"json": {"inputs": [{"txt": "a"}]}}, 422, "inputs.0.text: Field required"),
    ({"json": {"inputs": [{"text": "a"}], "x": 1}}, 422, "x: Extra inputs are not permitted"),
    ({"json": {"inputs": [{"text": "a"}, {"text": " "}]}}, 422, "inputs.1: the text is empty"),
    ({"json": {"inputs": [{"text": "a\0"}]}}, 422, "inputs.0: the text holds a NUL character"),
    ({"content": b'{"inputs": [{"text": "\\ud800"}]}'}, 422, "inputs.0"),
    ({"content": b'{"inputs": [{"text": "\xff"}]}'}, 400, "There was an error parsing the body"),
    ({"json": {"inputs": [{"text": "a"}], "tasks": ["tune"]}}, 422,
     "tasks: 'tune' is no task; did you mean tone?"),
    ({"json": {"inputs": [{"text": "a"}], "tasks": ["same"]}}, 422,
     "inputs.0: same needs text_pair too"),
    ({"json": {"inputs": [{"text": "a" * 101}]}}, 413, "inputs.0: a text may have 100 characters"),
    ({"json": {"inputs": [{"text": "a"}] * 5}}, 413, "inputs: a request may have 4, this has 5"),
    ({"json": {"inputs": [{"text": "a" * 3000}]}}, 413, "a request may have 2,000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "code", "message"), PROBLEMS, ids=lambda value: str(value)[:40]
)
def test_a_bad_request_gets_one_line(
    request_: dict[str, Any], code: int, message: str, served: Served
) -> None:
    headers = {"Content-Type": "application/json"}
    response = served.ask("POST", "/predict", headers=headers, **request_)
    assert (response.status_code, [*response.json()]) == (code, ["error"])
    assert response.json()["error"].startswith(message)
    assert served.calls == []
    assert served.predict({"text": "a"}).status_code == 200


def test_a_body_without_a_length_is_cut_off(served: Served) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 500

    response = served.ask("POST", "/predict", content=endless())
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/predict", 405), ("GET", "/nothing", 404)]
)
def test_what_is_not_there_has_the_same_form(
    method: str, path: str, code: int, served: Served
) -> None:
    response = served.ask(method, path)
    assert (response.status_code, [*response.json()]) == (code, ["error"])


def test_one_request_more_than_the_limit_is_told_to_come_again(served: Served) -> None:
    async def ask() -> tuple[httpx.Response, list[httpx.Response]]:
        served.open = asyncio.Event()
        body = {"inputs": [{"text": "a"}]}
        async with served.client() as client:
            inside = [
                asyncio.create_task(client.post("/predict", json=body))
                for _ in range(LIMITS.requests)
            ]
            while len(served.calls) < LIMITS.requests:
                await asyncio.sleep(0)
            refused = await client.post("/predict", json=body)
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            served.open.set()
            return refused, await asyncio.gather(*inside)

    refused, answered = run(ask())
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert [response.status_code for response in answered] == [200] * LIMITS.requests
    assert served.predict({"text": "a"}).status_code == 200


def test_at_the_end_what_is_inside_is_answered_and_nothing_else(served: Served) -> None:
    async def ask() -> tuple[httpx.Response, httpx.Response]:
        served.open = asyncio.Event()
        body = {"inputs": [{"text": "a"}]}
        async with served.client() as client:
            inside = asyncio.create_task(client.post("/predict", json=body))
            while not served.calls:
                await asyncio.sleep(0)
            closed = asyncio.create_task(served.web.gate.close())
            await asyncio.sleep(0)
            late = await client.post("/predict", json=body)
            assert not closed.done()
            served.open.set()
            assert await closed == 1
            return await inside, late

    inside, late = run(ask())
    assert (inside.status_code, late.status_code) == (200, 503)
    assert late.headers["Retry-After"] == "1"


def test_metrics_count_codes_and_inputs(served: Served) -> None:
    served.predict({"text": "a"}, {"text": "b"})
    served.predict({"text": ""})
    lines = served.ask("GET", "/metrics").text.splitlines()
    for line in (
        'one_or_many_requests_total{code="200"} 1.0',
        'one_or_many_requests_total{code="422"} 1.0',
        "one_or_many_inputs_total 2.0",
        "one_or_many_requests_in_flight 0.0",
        "one_or_many_request_seconds_count 2.0",
    ):
        assert line in lines


def test_a_failure_of_the_model_is_counted_and_tells_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(served.predictor, "logits", fail)
    response = served.predict({"text": "a"})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert 'requests_total{code="500"} 1.0' in served.ask("GET", "/metrics").text


def test_another_sites_name_is_refused(served: Served) -> None:
    response = served.ask("GET", "/healthz", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert served.ask("GET", "/healthz", headers={"Host": "localhost:8000"}).status_code == 200


def test_the_schema_says_what_is_answered(served: Served) -> None:
    schema = served.ask("GET", "/openapi.json").json()
    predict = schema["paths"]["/predict"]["post"]
    assert {*predict["responses"]} >= {"200", "413", "422", "429", "503"}
    assert {*schema["paths"]} == {"/predict", "/model", "/healthz"}
    Answers.model_validate(served.predict({"text": "a"}).json())
    facts = served.ask("GET", "/model").json()
    assert facts["tasks"]["same"] == {"labels": ["no", "yes"], "texts": 2}


def test_calls_of_several_requests_share_batches_and_get_their_own_answers() -> None:
    predictor = FakePredictor()
    calls = [
        Call([(f"text {n} {m}",) for m in range(n % 3 + 1)], ("tone", "length")) for n in range(20)
    ]
    calls.insert(7, Call([("a", "b")], ("same",)))
    calls.insert(3, Call([("only",)], ("topic",)))
    answers = answer_calls(predictor, calls)
    assert len(predictor.batches) == 3
    for call, answer in zip(calls, answers, strict=True):
        alone = FakePredictor().logits(call.examples, call.tasks)
        assert {task: rows.tolist() for task, rows in answer.items()} == {
            task: rows.tolist() for task, rows in alone.items()
        }
