"""What the load benchmark counts as right, swapped and lost."""

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks.serve_load import Load, ask, expected, report, texts
from tests.helpers.fake_predictor import FakePredictor
from tests.orchestrator.deploy.serving.conftest import listening


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with listening() as address:
        yield address


def test_right_swapped_and_refused_answers_are_told_apart(url: str) -> None:
    asked = [text[:90] for text in texts(20)]
    right = expected(FakePredictor(), asked)
    load = asyncio.run(ask(url, asked, right, 2))
    assert (load.right, load.swapped, load.lost) == (20, 0, [])
    swapped = asyncio.run(ask(url, [asked[1], asked[0], *asked[2:]], right, 2))
    assert (swapped.right, swapped.swapped, swapped.lost) == (18, 2, [])
    refused = asyncio.run(ask(url, ["a" * 101], right[:1], 2))
    assert [reason[:4] for reason in refused.lost] == ["413:"]


def test_every_text_is_another_one() -> None:
    assert len(set(texts(1000))) == 1000


def test_the_report_has_median_and_p95() -> None:
    load = Load(right=100, seconds=[n / 1000 for n in range(1, 101)], total=2.0)
    assert report(load).endswith("| 100 | 0 | 0 | 50 ms | 96 ms | 50 |")
