"""Asks a served model many different texts at once, and compares every answer with the model's own.

    python -m benchmarks.serve_load MODEL [--requests 20000] [--clients 64] [--kill-at N]

Printed are, as Markdown: how many answers were right, lost (no answer, or an error) and swapped
(another text's), the median and 95th percentile of the time of a request, and requests a second.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import psutil

from orchestrator.commands.serve import Address, Options, serving
from orchestrator.deploy.bulk.batches import answer
from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.predictor import Predictor, probabilities

TOLERANCE = 1e-4
"""By which probabilities may differ: batches are padded to other lengths."""

SENTENCE = (
    "the a one this small big red old cat dog bird child teacher river house tree book film song "
    "sees likes finds reads and or not very never often in on under with is was good bad dull"
)
WORDS = SENTENCE.split()


@dataclass
class Load:
    """What came of the requests.

    Attributes:
        right: answers that are the model's own.
        swapped: answers that are another's, or wrong.
        lost: requests without an answer, or with an error.
        seconds: of each request that was answered.
        total: seconds from the first to the last.
    """

    right: int = 0
    swapped: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    total: float = 0.0


def texts(count: int, seed: int = 41) -> list[str]:
    """Different texts of 3 to 24 words, each with its number."""
    draw = random.Random(seed)
    return [
        f"{number} {' '.join(draw.choices(WORDS, k=draw.randint(2, 23)))}"
        for number in range(count)
    ]


def expected(predictor: Predictor, asked: Sequence[str]) -> list[dict[str, Any]]:
    """Of each text, task -> probabilities of its labels."""
    tasks = [name for name, task in predictor.tasks.items() if task.texts == 1 and task.labels]
    logits = answer(predictor, [(text,) for text in asked], tasks)
    shares = {task: probabilities(logits[task]) for task in tasks}
    return [
        {
            task: dict(zip(predictor.tasks[task].labels, shares[task][row].tolist(), strict=True))
            for task in tasks
        }
        for row in range(len(asked))
    ]


async def ask(
    url: str,
    asked: Sequence[str],
    right: Sequence[dict[str, Any]],
    clients: int,
    at: Callable[[int], None] = lambda number: None,
) -> Load:
    """Ask each text in a request of its own, so many at once.

    Args:
        url: of the server.
        asked: the texts.
        right: see ``expected``.
        clients: requests at once.
        at: is called with the number of each request before it is sent.
    """
    load = Load()
    numbers = iter(range(len(asked)))
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as client:

        async def one() -> None:
            for number in numbers:
                at(number)
                began = time.perf_counter()
                try:
                    body = {"inputs": [{"text": asked[number]}], "tasks": [*right[number]]}
                    response = await client.post("/predict", json=body)
                except httpx.HTTPError as error:
                    load.lost.append(f"{type(error).__name__}: {error}")
                    continue
                if response.status_code != 200:
                    load.lost.append(f"{response.status_code}: {response.text[:200]}")
                    continue
                load.seconds.append(time.perf_counter() - began)
                if _same(response.json()["answers"], right[number]):
                    load.right += 1
                else:
                    load.swapped += 1

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(clients)))
        load.total = time.perf_counter() - began
    return load


def _same(answers: list[Any], right: dict[str, Any]) -> bool:
    if len(answers) != 1 or answers[0].keys() != right.keys():
        return False
    return all(
        abs(answers[0][task]["probabilities"][label] - share) <= TOLERANCE
        for task, shares in right.items()
        for label, share in shares.items()
    )


def kill_a_replica(name: str = "Model") -> None:
    """Kill one of this process's replicas of a deployment, as the system would.

    Raises:
        RuntimeError: there is none.
    """
    for process in psutil.Process().children(recursive=True):
        if f"ServeReplica:one-model-or-many:{name}" in " ".join(process.cmdline()):
            os.kill(process.pid, signal.SIGKILL)
            return
    raise RuntimeError(f"no replica of {name} runs")


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


def report(load: Load) -> str:
    """The measurements as Markdown."""
    p95 = quantiles(load.seconds, n=20)[-1] if len(load.seconds) > 1 else float("nan")
    return (
        "| right | lost | swapped | median | p95 | requests/s |\n|--:|--:|--:|--:|--:|--:|\n"
        f"| {load.right:,} | {len(load.lost)} | {load.swapped} | {1000 * median(load.seconds):.0f} "
        f"ms | {1000 * p95:.0f} ms | {len(load.seconds) / load.total:.0f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve, ask and print; exit with code 1 if an answer was lost or swapped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--kill-at", type=int, help="kill a replica at this request")
    options = parser.parse_args(arguments)
    asked = texts(options.requests)
    right = expected(open_predictor(options.model), asked)

    def at(number: int) -> None:
        if number == options.kill_at:
            kill_a_replica()

    address = Address(port=free_port())
    with serving(options.model, Options(address, replicas=options.replicas)):
        # The first requests pay for what is made once.
        asyncio.run(ask(address.url, asked[:100], right, 8))
        load = asyncio.run(ask(address.url, asked, right, options.clients, at))
    print(report(load))
    for reason in load.lost[:10]:
        print(f"lost: {reason}")
    sys.exit(bool(load.lost or load.swapped))


if __name__ == "__main__":
    main()
