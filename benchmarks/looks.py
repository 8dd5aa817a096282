"""How often an equal arm is called different where one looks at the verdict more than once.

    python -m benchmarks.looks

Draws the grids of equal arms of ``benchmarks/calibration.py`` with 20 seeds, and counts those in
which one of the three comparisons of the macro average is better or worse at any look, for several
looks and levels. The numbers are in docs/verdict.md.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.calibration import MARGIN, conditions, macro_differences, runs_of
from benchmarks.simulated_grids import MACRO, Condition
from orchestrator.analysis.looks import LEVEL
from orchestrator.analysis.verdicts import Comparison, Word, verdicts
from trainables.seeding import generator

LOOKS = (
    (3, 5),
    (5, 10),
    (3, 5, 10),
    (3, 5, 7, 10),
    (3, 5, 7, 10, 15),
    (3, 5, 8, 10, 15, 20),
    tuple(range(3, 21)),
)
LEVELS = (LEVEL, LEVEL / 2, LEVEL / 4)
SEEDS = sorted({seeds for looks in LOOKS for seeds in looks})


def claimed(condition: Condition, seed: int, number: int) -> dict[tuple[float, int], bool]:
    """Level and number of seeds -> whether an arm of a grid is called better or worse.

    Args:
        condition: what the grid is drawn from.
        seed: of all grids.
        number: of this one.
    """
    rng = generator(seed, condition.name, number)
    drawn = {name: model.draw(rng, max(SEEDS)) for name, model in condition.arms.items()}
    runs = runs_of(drawn, MACRO)
    made = {seeds: macro_differences(runs, seeds) for seeds in SEEDS}
    return {
        (level, seeds): any(
            verdict.word in (Word.BETTER, Word.WORSE)
            for verdict in verdicts([Comparison(d, MARGIN) for d in differences], level)
        )
        for level in LEVELS
        for seeds, differences in made.items()
    }


def errors(grids: int, seed: int) -> dict[tuple[tuple[int, ...], float], list[float]]:
    """Looks and level -> percentage of grids with an error at any look, of every condition."""
    found: dict[tuple[tuple[int, ...], float], list[float]] = {}
    for condition in (c for c in conditions() if not c.points):
        claims = [claimed(condition, seed, number) for number in range(grids)]
        for looks in LOOKS:
            for level in LEVELS:
                hits = [any(claim[level, seeds] for seeds in looks) for claim in claims]
                found.setdefault((looks, level), []).append(100 * float(np.mean(hits)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the mean over the conditions, and the highest, as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grids", type=int, default=2000, help="per condition")
    parser.add_argument("--seed", type=int, default=7, help="random seed")
    options = parser.parse_args(arguments)
    found = errors(options.grids, options.seed)
    print("| looks |" + "".join(f" at {100 * level:g} % each |" for level in LEVELS))
    print("|---|" + "--:|" * len(LEVELS))
    for looks in LOOKS:
        cells = [found[looks, level] for level in LEVELS]
        shown = "".join(f" {np.mean(cell):.1f} % (at most {max(cell):.1f}) |" for cell in cells)
        print(f"| {', '.join(map(str, looks))} |{shown}")


if __name__ == "__main__":
    main()
