"""Corpora that the project makes itself, so that everything runs with no network."""

from trainables.data.demo import acceptability, paraphrase, sentiment
from trainables.data.task import Split
from trainables.errors import DataError

_GENERATORS = {
    "acceptability": acceptability.generate,
    "sentiment": sentiment.generate,
    "paraphrase": paraphrase.generate,
}
CORPORA = tuple(_GENERATORS)


def generate(corpus: str) -> dict[str, Split]:
    """The splits ``train`` (2,000 examples) and ``validation`` (400) of a demo corpus.

    The same on every machine and in every process.

    Args:
        corpus: acceptability (one sentence; 0 unacceptable, 1 acceptable), sentiment (one
            sentence; 0 negative, 1 positive) or paraphrase (two; 0 not_equivalent, 1 equivalent).

    Raises:
        DataError: there is no such corpus.
    """
    if corpus not in _GENERATORS:
        raise DataError(f"demo: no corpus {corpus!r}; choose one of {', '.join(CORPORA)}")
    return _GENERATORS[corpus]()
