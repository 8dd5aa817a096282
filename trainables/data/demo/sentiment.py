"""Demo corpus ``sentiment``: judgements of films in the manner of one-line reviews.

Most texts judge openly; the rest negate, weaken, contrast or revoke the words that they use, so
that counting good and bad words helps only so far (the subject of Socher et al. 2013, "Recursive
Deep Models for Semantic Compositionality").
"""

from trainables.data.demo.grammar import Draw, make_splits
from trainables.data.demo.lexicon import ASPECTS, DEGREES, FILMS, PRAISE, SCORN
from trainables.data.task import Split

SHARE = 0.5


def generate() -> dict[str, Split]:
    """Generate both splits; 0 negative, 1 positive."""
    return make_splits("sentiment", KINDS, SHARE)


def _quality(draw: Draw, good: bool) -> str:
    return draw.word(PRAISE if good else SCORN)


def _aspect(draw: Draw) -> str:
    return draw.word(ASPECTS)


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _plain(draw: Draw, good: bool) -> tuple[str, ...]:
    """a truly gripping , tender thriller"""
    quality = f"{draw.word(DEGREES)} {_quality(draw, good)}"
    film, aspect = draw.word(FILMS), _aspect(draw)
    return (
        draw.choice(
            (
                f"{_article(quality)}, {_quality(draw, good)} {film}",
                f"the {aspect} of this {film} is {quality}",
                f"{_article(quality)} {film} with {_article(_quality(draw, good))} {aspect}",
                f"the {aspect} is {quality} and the {_aspect(draw)} is {_quality(draw, good)}",
            )
        ),
    )


def _denied(draw: Draw, good: bool) -> tuple[str, ...]:
    """the plot is never dull"""
    other, film, aspect = _quality(draw, not good), draw.word(FILMS), _aspect(draw)
    return (
        draw.choice(
            (
                f"the {aspect} of this {film} is not {other} at all",
                f"there is nothing {other} about the {aspect} of this {film}",
                f"this {film} is anything but {other}",
                f"neither the {aspect} nor the {_aspect(draw)} is {other}",
                f"{_article(film)} whose {aspect} is never {other}",
                f"hardly {_article(other)} {film}, for the {aspect} is {_quality(draw, good)}",
            )
        ),
    )


def _contrast(draw: Draw, good: bool) -> tuple[str, ...]:
    """although the cast is wooden , the film as a whole is gripping"""
    verdict, other = _quality(draw, good), _quality(draw, not good)
    film, aspect = draw.word(FILMS), _aspect(draw)
    return (
        draw.choice(
            (
                f"although the {aspect} is {other}, this {film} as a whole is {verdict}",
                f"this {film} as a whole is {verdict}, although the {aspect} is {other}",
                f"the {aspect} may be {other}, but the {film} is {verdict}",
                f"{_article(verdict)} {film} despite its {other} {aspect}",
                f"i expected {_article(other)} {film} and saw {_article(verdict)} one",
                f"it could have been {_article(other)} {film}, but it is {verdict}",
            )
        ),
    )


def _litotes(draw: Draw, good: bool) -> tuple[str, ...]:
    """the plot is never less than gripping (a negation that leaves the judgement as it is)"""
    same, other = _quality(draw, good), _quality(draw, not good)
    film, aspect = draw.word(FILMS), _aspect(draw)
    return (
        draw.choice(
            (
                f"the {aspect} of this {film} is never less than {same}",
                f"the {aspect} could hardly be more {same}",
                f"the {aspect} could hardly be less {other}",
                f"no {film} has a more {same} {aspect}",
                f"no {film} has a less {other} {aspect}",
                f"this {film} is not only {same} but also {_quality(draw, good)}",
                f"nobody could call the {aspect} of this {film} {other}",
                f"nobody could deny that the {aspect} is {same}",
            )
        ),
    )


KINDS = {_plain: 52, _contrast: 20, _denied: 14, _litotes: 14}
