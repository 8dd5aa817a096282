"""Demo corpora: generated data sets, so that everything runs without a network.

They resemble CoLA, SST-2 and MRPC in form, class shares and relative difficulty, but predict no
scores on those. Validation scores of word counts (logistic regression trained on all 2,000
examples; ``python -m trainables.data.demo`` prints them with sample rows):

    corpus          majority class   words                 words and word pairs
    acceptability   0.670            0.657 (Matthews .07)  0.823 (Matthews .58)
    sentiment       0.500            0.728 (Matthews .46)  0.795 (Matthews .59)
    paraphrase      0.650            0.635 (Matthews .06)  0.598 (Matthews .05)

Word pairs detect local errors of acceptability ("took lamp the"), about half of all, which lets a
small encoder learn that corpus from a few hundred examples. In paraphrase, nine pairs in ten differ
in one noun, synonymous or not; the rest (voice, clefts, quantities, negation ...) is too rare to be
learned from a few hundred examples and keeps the ceiling below 100 %.
"""

from functools import cache

from trainables.data.demo import acceptability, paraphrase, sentiment
from trainables.data.task import Split
from trainables.errors import DataError

_GENERATORS = {
    "acceptability": acceptability.generate,
    "sentiment": sentiment.generate,
    "paraphrase": paraphrase.generate,
}
CORPORA = tuple(_GENERATORS)


@cache
def generate(corpus: str) -> dict[str, Split]:
    """Generate the splits ``train`` (2,000 examples) and ``validation`` (400) of a demo corpus.

    They are the same on every machine and in every process.

    Args:
        corpus: ``acceptability`` (one sentence; 0 unacceptable, 1 acceptable), ``sentiment`` (one
            sentence; 0 negative, 1 positive) or ``paraphrase`` (two sentences; 0 not equivalent,
            1 equivalent).

    Raises:
        DataError: there is no such corpus.
    """
    if corpus not in _GENERATORS:
        raise DataError(f"demo: no corpus {corpus!r}; choose one of {', '.join(CORPORA)}")
    return _GENERATORS[corpus]()
