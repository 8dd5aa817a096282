"""Predictions of three small samples, whose differences are known: labels, runs of A, of B."""

from typing import Literal

from orchestrator.analysis.pseudo_values import Runs, of_classes

T1 = (
    "11111111111100000000",
    "11111111110100000011 11111111111100000001 11111110100100010011",
    "11111110110100010011 11101100001100001101 11111011110100010001",
)
T2 = (
    "1010101010101010",
    "1010101010111010 1010101010101010 1010101110111110",
    "1010101110101110 1011001110101111 1010101110101011",
)
T3 = (
    T1[0],
    "11111111110100000011 11111111101100000101 11111111110100010001",
    "11111110110100010011 11101111101100001101",
)


def runs(
    metric: Literal["accuracy", "matthews"], sample: tuple[str, str, str]
) -> tuple[Runs, Runs]:
    """The runs of both arms."""
    labels, *arms = ([list(map(int, run)) for run in part.split()] for part in sample)
    a, b = (of_classes(metric, labels[0], arm, 2) for arm in arms)
    return a, b
