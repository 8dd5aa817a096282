"""Attempts until a deadline, with pauses that grow."""

from collections.abc import Callable

import pytest

from trainables.storage.retry import Backoff, retry


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def failing(times: int, error: type[Exception] = OSError) -> Callable[[], str]:
    failures = [error("away")] * times

    def action() -> str:
        if failures:
            raise failures.pop()
        return "done"

    return action


def test_pauses_double_up_to_the_longest_and_end_at_the_deadline() -> None:
    clock = Clock()
    backoff = Backoff(20.0, 1.0, 4.0, clock.now)
    errors: list[Exception] = []
    with pytest.raises(OSError, match="away"):
        retry(failing(100), backoff, on_failure=errors.append, sleep=clock.sleep)
    assert clock.slept == [1, 2, 4, 4, 4, 4, 1]
    assert clock.time == 20
    assert len(errors) == len(clock.slept)


def test_what_succeeds_in_time_is_returned() -> None:
    clock = Clock()
    backoff = Backoff(20.0, 1.0, 4.0, clock.now)
    assert retry(failing(0), backoff, sleep=clock.sleep) == "done"
    assert clock.slept == []
    assert retry(failing(2), backoff, sleep=clock.sleep) == "done"
    assert clock.slept == [1, 2]
    backoff.reset()
    assert retry(failing(2), backoff, sleep=clock.sleep) == "done"
    assert clock.slept == [1, 2, 1, 2]


def test_without_time_there_is_one_attempt() -> None:
    clock = Clock()
    with pytest.raises(OSError, match="away"):
        retry(failing(1), Backoff(0.0, now=clock.now), sleep=clock.sleep)
    assert clock.slept == []


def test_another_error_is_raised_at_once() -> None:
    clock = Clock()
    with pytest.raises(KeyError):
        retry(failing(1, KeyError), Backoff(9.0, now=clock.now), sleep=clock.sleep)
    assert clock.slept == []
