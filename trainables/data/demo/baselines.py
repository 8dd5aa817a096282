"""Word-count baselines of a corpus: majority class and bag of words."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, matthews_corrcoef

from trainables.data.task import Split


@dataclass(frozen=True)
class Score:
    """Accuracy and Matthews correlation on a validation split."""

    accuracy: float
    matthews: float

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.3f}, Matthews {self.matthews:+.3f}"


def majority(splits: dict[str, Split]) -> Score:
    """Score of always predicting the training split's most frequent class."""
    labels = splits["validation"].labels
    guess = np.full_like(labels, np.bincount(splits["train"].labels).argmax())
    return Score(float(accuracy_score(labels, guess)), float(matthews_corrcoef(labels, guess)))


def bag_of_words(splits: dict[str, Split], longest: int = 1) -> Score:
    """Score of logistic regression (L2, C = 1) on counts of lower-cased word n-grams.

    The features of a pair are the counts in each sentence, in both and in only one of them, the
    number of shared and of differing n-grams, and their Jaccard overlap.

    Args:
        splits: ``train`` and ``validation``.
        longest: most words in an n-gram.
    """
    vectorizer = CountVectorizer(ngram_range=(1, longest), token_pattern=r"\w+|[^\w\s]")
    train, validation = splits["train"], splits["validation"]
    vectorizer.fit(text for texts in train.texts for text in texts)
    model = LogisticRegression(max_iter=5000)
    model.fit(_features(vectorizer, train), train.labels)
    guess = model.predict(_features(vectorizer, validation))
    return Score(
        float(accuracy_score(validation.labels, guess)),
        float(matthews_corrcoef(validation.labels, guess)),
    )


def _features(vectorizer: CountVectorizer, split: Split) -> csr_matrix:
    """The features of a split, shape ``(examples, features)``."""
    counts = [vectorizer.transform(texts) for texts in zip(*split.texts, strict=True)]
    if len(counts) == 1:
        return csr_matrix(counts[0])
    first, second = counts
    shared, apart = first.minimum(second), abs(first - second)
    n_shared, n_apart = shared.sum(axis=1), apart.sum(axis=1)
    jaccard = n_shared / (n_shared + n_apart)
    overlap = csr_matrix(np.hstack([n_shared, n_apart, jaccard]))
    return csr_matrix(hstack([first, second, shared, apart, overlap]))
