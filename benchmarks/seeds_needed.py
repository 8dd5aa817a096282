"""What 3, 5 and 10 seeds can show of the macro average, on simulated grids of equal arms.

    python -m benchmarks.seeds_needed

Draws grids of ``benchmarks/calibration.py`` with quiet and with noisy seeds, and prints the means
of half the interval's width and of the difference that a verdict finds with a chance of 80 %, and
how often it says that arms which are equal are so, within the default margin. The numbers are in
docs/verdict.md.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.calibration import MARGIN, SEEDS, conditions, macro_differences, runs_of
from benchmarks.simulated_grids import MACRO, Condition
from orchestrator.analysis.power import detectable
from orchestrator.analysis.verdicts import Comparison, Word, verdicts
from trainables.seeding import generator

NOISE = {"quiet": 0.5, "noisy": 1.5}
"""Standard deviations of accuracy over seeds, in points."""


def shown(condition: Condition, seeds: int, seed: int, number: int) -> tuple[float, float, bool]:
    """Half the width and the detectable difference, in points, and whether equal arms are so.

    Args:
        condition: what the grid is drawn from; its arms are equal.
        seeds: number of seeds.
        seed: of all grids.
        number: of this one.
    """
    rng = generator(seed, condition.name, number)
    drawn = {name: model.draw(rng, max(SEEDS)) for name, model in condition.arms.items()}
    made = macro_differences(runs_of(drawn, MACRO), seeds)
    first = verdicts([Comparison(difference, MARGIN) for difference in made])[0]
    found = detectable(made[0], family=len(made))
    return 100 * made[0].half_width(), 100 * found, first.word is Word.EQUIVALENT


def table(grids: int, seed: int) -> list[str]:
    """The Markdown table, from so many grids of every condition."""
    lines = [
        "| seeds | noise of seeds | the interval is ± | a change that is found 4 times in 5 | "
        f"equal arms that are called equivalent within {100 * MARGIN:g} points |",
        "|--:|---|--:|--:|--:|",
    ]
    null = [c for c in conditions() if not c.points and not c.correlation]
    for seeds in SEEDS:
        for name, sd in NOISE.items():
            values = [
                shown(condition, seeds, seed, number)
                for condition in null
                if condition.seed_sd == sd
                for number in range(grids)
            ]
            width, found, equal = np.mean(values, axis=0)
            lines.append(f"| {seeds} | {name} | {width:.1f} | {found:.1f} | {100 * equal:.0f} % |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grids", type=int, default=500, help="per condition")
    parser.add_argument("--seed", type=int, default=3, help="random seed")
    options = parser.parse_args(arguments)
    print("\n".join(table(options.grids, options.seed)))


if __name__ == "__main__":
    main()
