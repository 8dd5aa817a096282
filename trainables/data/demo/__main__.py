"""Prints samples and statistics of the demo corpora: ``python -m trainables.data.demo``."""

import numpy as np

from trainables.data.demo import CORPORA, generate
from trainables.data.demo.baselines import bag_of_words, majority


def main() -> None:
    """Print sizes, class shares, sample rows and the scores of word counts."""
    for corpus in CORPORA:
        splits = generate(corpus)
        print(f"{corpus}")
        for name, split in splits.items():
            shares = np.bincount(split.labels) / len(split)
            listed = ", ".join(f"{label}: {share:.1%}" for label, share in enumerate(shares))
            print(f"  {name}: {len(split)} examples ({listed})")
        train = splits["train"]
        for texts, label in zip(train.texts[:5], train.labels[:5], strict=True):
            print(f"    {label}  {' | '.join(texts)}")
        print(f"  majority class        {majority(splits)}")
        print(f"  words                 {bag_of_words(splits)}")
        print(f"  words and word pairs  {bag_of_words(splits, longest=2)}")


if __name__ == "__main__":
    main()
