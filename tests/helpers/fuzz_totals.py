"""What the cases of one run of the tests came to, told at its end, also where workers ran them."""

from dataclasses import astuple, dataclass, field
from secrets import randbits
from typing import Any

import pytest


@dataclass
class Total:
    """What a corpus came to."""

    cases: int = 0
    accepted: int = 0
    crashes: int = 0


@dataclass
class Totals:
    """What all corpora came to.

    Attributes:
        seed: decides every random choice; fixed but in a soak, where it is printed.
        corpora: name -> what it came to, in the order of the tests.
    """

    seed: int
    corpora: dict[str, Total] = field(default_factory=dict)

    def of(self, corpus: str) -> Total:
        return self.corpora.setdefault(corpus, Total())

    def add(self, counts: dict[str, tuple[int, int, int]]) -> None:
        """Count what another process has tried: corpus -> cases, accepted, crashes."""
        for corpus, (cases, accepted, crashes) in counts.items():
            total = self.of(corpus)
            total.cases += cases
            total.accepted += accepted
            total.crashes += crashes

    def markdown(self) -> list[str]:
        """The lines of a table."""
        everything = Totals(self.seed)
        for total in self.corpora.values():
            everything.add({"all": astuple(total)})
        return [
            f"seed {self.seed}",
            "",
            "| corpus | cases | accepted | crashes |",
            "| :-- | --: | --: | --: |",
            *(
                f"| {name} | {t.cases:,} | {t.accepted:,} | {t.crashes} |"
                for name, t in (self.corpora | everything.corpora).items()
            ),
        ]


TOTALS = pytest.StashKey[Totals]()


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] = getattr(config, "workerinput", {})
    fresh = randbits(32) if config.getoption("--soak") else 1
    config.stash[TOTALS] = Totals(given.get("fuzz_seed", fresh))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["fuzz_seed"] = node.config.stash[TOTALS].seed


def pytest_sessionfinish(session: pytest.Session) -> None:
    corpora = session.config.stash[TOTALS].corpora
    output: dict[str, Any] = getattr(session.config, "workeroutput", {})
    output["fuzz_totals"] = {corpus: astuple(total) for corpus, total in corpora.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # A worker that was killed hands nothing over.
    node.config.stash[TOTALS].add(getattr(node, "workeroutput", {}).get("fuzz_totals", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    totals = config.stash[TOTALS]
    if totals.corpora:
        terminalreporter.section("bad input")
        for line in totals.markdown():
            terminalreporter.write_line(line)
