"""Cases by the thousand: each has a time limit, is counted, and can be made again by its name."""

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis.strategies import SearchStrategy

from orchestrator.cli.app import one_line
from tests.helpers.fuzz_totals import Totals
from trainables.errors import InputError

Value = TypeVar("Value")

SECONDS = 30.0
"""A case that takes longer hangs; far more than any needs, since the machine may be busy."""
SOAK = 10
"""A soak has so many times the cases that a campaign asks for, an everyday run a third of them."""


class Hang(BaseException):
    """A case ran out of time; no ``except Exception`` of the code under test may swallow it."""


class Campaign:
    """All cases of one run of the tests, counted in ``totals``."""

    def __init__(self, totals: Totals, soak: bool) -> None:
        self.totals = totals
        self.seed = totals.seed
        self.soak = soak

    def _count(self, cases: int) -> int:
        return cases * SOAK if self.soak else -(-cases // 3)

    def draw(self, corpus: str, cases: int, body: Callable[[Random], bool]) -> None:
        """Call ``body`` with a generator per case; it says whether the input was accepted.

        All cases are tried before the first failure is raised.
        """
        failures: list[str] = []
        for number in range(self._count(cases)):
            name = f"{corpus} {number} {self.seed}"
            try:
                self._case(corpus, lambda name=name: body(Random(name)))
            except AssertionError:
                failures.append(f"{name!r}:\n{traceback.format_exc(limit=-12)}")
        shown = "\n".join(failures[:5])
        assert not failures, f"{len(failures)} of {cases} cases failed\n{shown}"

    def search(
        self, corpus: str, cases: int, strategy: SearchStrategy[Value], body: Callable[..., bool]
    ) -> None:
        """The same with values of a strategy, of which hypothesis finds the smallest failure."""

        @seeded(self.seed)
        @settings(
            max_examples=self._count(cases),
            database=None,
            deadline=None,
            suppress_health_check=(
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
            ),
        )
        @given(strategy)
        def case(value: Value) -> None:
            self._case(corpus, lambda: body(value))

        case()

    def each(self, corpus: str, values: list[Value], body: Callable[[Value], bool]) -> None:
        """The same with given values."""
        for value in values:
            self._case(corpus, lambda value=value: body(value))

    def _case(self, corpus: str, body: Callable[[], bool]) -> None:
        total = self.totals.of(corpus)
        total.cases += 1
        try:
            with time_limit():
                total.accepted += body()
        except Hang as error:
            total.crashes += 1
            raise AssertionError(f"no end within {SECONDS:.0f} s") from error
        except Exception as error:
            total.crashes += 1
            raise AssertionError(f"{type(error).__name__}: {error!s:.500}") from error


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise ``Hang`` in the block when it has run for ``SECONDS``."""

    def hang(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def accepted(call: Callable[[], object]) -> bool:
    """Whether ``call`` worked; the only way in which it may fail is a message for a human."""
    try:
        call()
    except InputError as error:
        message = one_line(error)
        assert message.strip()
        assert len(message) <= 1000
        return False
    return True
