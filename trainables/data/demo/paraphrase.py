"""Demo corpus ``paraphrase``: pairs of sentences with the same meaning, and similar pairs without.

Each function generates one kind of pair, equivalent or not (its docstring shows a sentence, an
equivalent one and one that is not), with the same expected count of every word, of words in both
sentences and of words in only one. So the classes differ in who did what to whom or in which words
combine, never in how much the sentences overlap, unlike in real corpora (Zhang et al. 2019, "PAWS:
Paraphrase Adversaries from Word Scrambling"). The sentences are the project's own.
"""

from collections.abc import Sequence

from trainables.data.demo.grammar import Draw, make_splits, sentence
from trainables.data.demo.lexicon import (
    BOUNDS,
    CONVERSES,
    GIVING,
    GRADED,
    HANDLING,
    INTRANSITIVE,
    NEAR,
    NUMBERS,
    OPPOSITE_ADJECTIVES,
    OPPOSITE_VERBS,
    PEOPLE,
    PLACES,
    QUANTITIES,
    SAME_NOUNS,
    SAME_THINGS,
    SUCCESS,
    THINGS,
    TRANSITIVE,
    Verb,
)
from trainables.data.task import Split

SHARE = 0.65
"""Share of equivalent pairs (MRPC: 0.67)."""


def generate() -> dict[str, Split]:
    """Generate both splits; 0 not_equivalent, 1 equivalent."""
    return make_splits("paraphrase", KINDS, SHARE)


def _two(draw: Draw, same: bool, synonyms: Sequence[tuple[str, str]]) -> list[str]:
    """The two words of one synonym pair, or the first of one and the second of another.

    Every word is equally likely either way.
    """
    if same:
        return draw.shuffled(draw.word(synonyms))
    first, second = draw.words(synonyms, 2)
    return draw.shuffled((first[0], second[1]))


def _people(draw: Draw) -> tuple[str, str]:
    """Two different people, for example ``the nurse`` and ``the pilot``."""
    first, second = draw.words(PEOPLE, 2)
    return f"the {first.singular}", f"the {second.singular}"


def _where(draw: Draw) -> str:
    """A place, for one pair in four."""
    if draw.coin() or draw.coin():
        return ""
    return f"{draw.word(NEAR)} the {draw.word(PLACES).singular}"


def _pair(draw: Draw, first: str, second: str, extra: str = "") -> tuple[str, ...]:
    """Both clauses as sentences in random order, each with ``extra`` before or after it."""
    return tuple(
        sentence(extra, ",", clause) if extra and draw.coin() else sentence(clause, extra)
        for clause in draw.shuffled((first, second))
    )


def _noun(draw: Draw, same: bool) -> tuple[str, ...]:
    """The doctor took the lamp / The physician took the lamp / The lawyer took the lamp."""
    rest = f"{draw.word(HANDLING).past} the {draw.word(THINGS).singular}"
    first, second = _two(draw, same, SAME_NOUNS)
    return _pair(draw, f"the {first} {rest}", f"the {second} {rest}")


def _thing(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse took the car / the automobile / the couch."""
    start = f"the {draw.word(PEOPLE).singular} {draw.word(HANDLING).past} the"
    first, second = _two(draw, same, SAME_THINGS)
    return _pair(draw, f"{start} {first}", f"{start} {second}")


def _verb(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse found the lamp / discovered the lamp / lost the lamp."""
    subject, thing = f"the {draw.word(PEOPLE).singular}", f"the {draw.word(THINGS).singular}"
    first, second = _two(draw, same, draw.word(OPPOSITE_VERBS))
    return _pair(draw, f"{subject} {first} {thing}", f"{subject} {second} {thing}", _where(draw))


def _adjective(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse that the pilot met was rich / was wealthy / was poor."""
    subject, other = _people(draw)
    relative = f"that {other} {draw.word(TRANSITIVE).past}" if draw.coin() else ""
    start = f"{subject} {relative} was" if relative else f"{subject} was"
    first, second = _two(draw, same, draw.word(OPPOSITE_ADJECTIVES))
    return _pair(draw, f"{start} {first}", f"{start} {second}")


def _quantity(draw: Draw, same: bool) -> tuple[str, ...]:
    """All of the nurses fell / Each of the nurses fell / Some of the nurses fell."""
    rest = f"the {draw.word(PEOPLE).plural} {draw.word(INTRANSITIVE).past}"
    first, second = _two(draw, same, QUANTITIES)
    return _pair(draw, f"{first} {rest}", f"{second} {rest}", _where(draw))


def _bound(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse took at least six lamps / no fewer than six lamps / no more than six lamps."""
    start = f"the {draw.word(PEOPLE).singular} {draw.word(HANDLING).past}"
    rest = f"{draw.word(NUMBERS)} {draw.word(THINGS).plural}"
    first, second = _two(draw, same, BOUNDS)
    return _pair(draw, f"{start} {first} {rest}", f"{start} {second} {rest}")


def _success(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse failed to find the lamp / did not manage to find it / did not fail to find it."""
    subject = f"the {draw.word(PEOPLE).singular}"
    rest = f"{draw.word(HANDLING).base} the {draw.word(THINGS).singular}"
    first, second = _two(draw, same, SUCCESS)
    return _pair(draw, f"{subject} {first} {rest}", f"{subject} {second} {rest}")


def _event(draw: Draw, same: bool) -> tuple[str, Verb, str, str, str]:
    """Agent, verb and patient, then the agent and patient that the second sentence names.

    Exchanged roles make sense where the patient is a person, and hardly where it is a thing.
    """
    first, second = _people(draw)
    verb = draw.word(TRANSITIVE)
    if draw.coin():
        second, verb = f"the {draw.word(THINGS).singular}", draw.word(HANDLING)
    agent, patient = (first, second) if same else (second, first)
    return first, verb, second, agent, patient


def _voice(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse met the pilot / The pilot was met by the nurse / The nurse was met by the pilot."""
    first, verb, second, agent, patient = _event(draw, same)
    return _pair(
        draw,
        f"{first} {verb.past} {second}",
        f"{patient} was {verb.participle} by {agent}",
        _where(draw),
    )


def _cleft(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse met the pilot / It was the nurse that met the pilot / the pilot that met ..."""
    first, verb, second, agent, patient = _event(draw, same)
    return _pair(
        draw,
        f"{first} {verb.past} {second}",
        f"it was {agent} that {verb.past} {patient}",
        _where(draw),
    )


def _dative(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse gave the pilot a lamp / gave a lamp to the pilot / The pilot gave ..."""
    first, second = _people(draw)
    giver, taker = (first, second) if same else (second, first)
    verb, thing = draw.word(GIVING), f"the {draw.word(THINGS).singular}"
    return _pair(draw, f"{first} {verb} {second} {thing}", f"{giver} {verb} {thing} to {taker}")


def _converse(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse bought the lamp from the pilot / The pilot sold the lamp to the nurse / ..."""
    first, second = _people(draw)
    (takes, source), (gives, goal) = draw.word(CONVERSES)
    giver, taker = (second, first) if same else (first, second)
    thing = f"the {draw.word(THINGS).singular}"
    return _pair(
        draw,
        f"{first} {takes} {thing} {source} {second}",
        f"{giver} {gives} {thing} {goal} {taker}",
    )


def _comparison(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse is taller than the pilot / The pilot is shorter than the nurse / ..."""
    first, second = _people(draw)
    _, more, less = draw.word(GRADED)
    small, tall = (second, first) if same else (first, second)
    return _pair(draw, f"{first} is {more} than {second}", f"{small} is {less} than {tall}")


def _order(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse left before the pilot fell / The pilot fell after the nurse left / ..."""
    people = _people(draw)
    verbs = draw.words(INTRANSITIVE, 2)
    early, late = (f"{who} {verb.past}" for who, verb in zip(people, verbs, strict=True))
    first, last = (early, late) if same else (late, early)
    second = f"after {first} , {last}" if draw.coin() else f"{last} after {first}"
    return _pair(draw, f"{early} before {late}", second)


def _negation(draw: Draw, same: bool) -> tuple[str, ...]:
    """The nurse was not rich although the pilot was sad / The nurse was rich although ... not."""
    people = _people(draw)
    pairs = draw.words(OPPOSITE_ADJECTIVES, 2)
    subject, other = (f"{who} was" for who in people)
    first, second = (draw.choice(draw.choice(pair)) for pair in pairs)
    link = draw.choice(("although", "because", "while"))
    moved = (
        (f"{subject} not {first}", f"{other} {second}")
        if same
        else (f"{subject} {first}", f"{other} not {second}")
    )
    return _pair(
        draw,
        f"{subject} not {first} {link} {other} {second}",
        f"{link} {moved[1]} , {moved[0]}",
    )


KINDS = {  # mostly what a small encoder learns from a few hundred pairs, then a hard tail
    _noun: 92,
    _thing: 92,
    _voice: 4,
    _cleft: 2,
    _verb: 1,
    _adjective: 1,
    _quantity: 1,
    _bound: 1,
    _success: 1,
    _dative: 1,
    _converse: 1,
    _comparison: 1,
    _order: 1,
    _negation: 1,
}
