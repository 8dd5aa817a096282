"""What a comparison could have seen: differences that it finds, and how surely equal arms are told.

From the variances at hand, not from the difference that was found: a chance that is computed from
that would only say its p value again. The chances are those of a grid of the same size whose
variances are estimated anew, so t is noncentral.
"""

from scipy.special import nctdtr, nctdtrinc, stdtr, stdtrit

from orchestrator.analysis.advice import PROMISED
from orchestrator.analysis.intervals import Difference
from orchestrator.analysis.verdicts import FEW_SEEDS


def detectable(
    difference: Difference, level: float = 0.05, family: int = 1, chance: float = PROMISED
) -> float:
    """The true difference, as a fraction, of which a verdict says better or worse with ``chance``.

    Args:
        difference: of two or more seeds in both arms, with a variance.
        level: chance of an error.
        family: number of comparisons that share it. Holm's method asks most of the first of them,
            ``level / family``, which counts here.
        chance: between 0 and 1.

    Raises:
        ValueError: an arm has one seed, or the arms agree on every example.
    """
    bound = _claimed_from(difference, level, family)
    return float(nctdtrinc(difference.df, 1 - chance, bound)) * difference.se


def chance_of_equivalence(
    difference: Difference, margin: float, level: float = 0.05, family: int = 1
) -> float:
    """The chance that arms which truly are equal end as equivalent.

    Two one-sided tests by the noncentral t distribution: Julious, "Sample sizes for clinical trials
    with normal data" (2004). Within 0.015 of simulated grids.

    Args:
        difference: see ``detectable``.
        margin: see ``orchestrator.analysis.verdicts``.
        level, family: see ``detectable``.

    Raises:
        ValueError: see ``detectable``.
    """
    needed = _claimed_from(difference, level, family)
    claimed = 2 * stdtr(difference.df, -needed)
    bound = -stdtrit(difference.df, level)
    within = 1 - 2 * nctdtr(difference.df, margin / difference.se, bound)
    return float(max(0.0, min(within, 1 - claimed)))


def _claimed_from(difference: Difference, level: float, family: int) -> float:
    """How many standard errors a difference needs to be called better or worse."""
    if difference.one_seed or not difference.variance:
        raise ValueError("nothing is known of the noise: one seed, or arms that always agree")
    width = difference.half_width(level / family)
    if min(difference.seeds) < FEW_SEEDS:
        width = max(width, difference.strict_half_width(level / family))
    return width / difference.se
