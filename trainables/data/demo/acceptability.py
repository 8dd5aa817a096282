"""Demo corpus ``acceptability``: grammatical sentences, and ones that break one rule.

Each function generates one phenomenon, good or bad; its docstring shows a sentence of each. Its bad
sentences have the same words in a different order, or words that are equally frequent in good and
bad sentences and only wrong in combination (singular with plural, say). So both classes have the
same expected count of every word, and logistic regression on word counts cannot tell them apart.
The phenomena are those of the linguistics literature behind CoLA (Warstadt et al. 2019, "Neural
Network Acceptability Judgments"); the sentences are the project's own.
"""

from trainables.data.demo.grammar import Draw, make_splits, sentence
from trainables.data.demo.lexicon import (
    ADJECTIVES,
    ADVERBS,
    GRADED,
    HANDLING,
    ING_VERBS,
    INTRANSITIVE,
    MASS,
    MEN,
    NEAR,
    PEOPLE,
    PLACES,
    THAT_VERBS,
    THINGS,
    TIMES,
    TO_VERBS,
    TRANSITIVE,
    WHETHER_VERBS,
    WOMEN,
)
from trainables.data.task import Split

SHARE = 0.67
"""Share of acceptable sentences (CoLA: 0.70)."""


def generate() -> dict[str, Split]:
    """Generate both splits; 0 unacceptable, 1 acceptable."""
    return make_splits("acceptability", PHENOMENA, SHARE)


def _person(draw: Draw) -> str:
    return draw.word(PEOPLE).singular


def _predicate(draw: Draw, plural: bool) -> str:
    """A finite predicate in the present tense."""
    verb = draw.word(INTRANSITIVE)
    return draw.choice(
        (
            f"{verb.base if plural else verb.third} {draw.choice(TIMES)}",
            f"{'are' if plural else 'is'} {draw.word(ADJECTIVES)}",
            f"{'have' if plural else 'has'} {verb.participle}",
        )
    )


def _agreement(draw: Draw, good: bool) -> tuple[str, ...]:
    """The old nurse sleeps at night / sleep at night."""
    plural = draw.coin()
    noun = draw.word(PEOPLE)[plural]
    adjective = draw.word(ADJECTIVES) if draw.coin() else ""
    return (sentence("the", adjective, noun, _predicate(draw, plural == good)),)


def _agreement_across(draw: Draw, good: bool) -> tuple[str, ...]:
    """The nurse near the pilots is tall / are tall."""
    plural = draw.coin()
    first, second = draw.words(PEOPLE, 2)
    if draw.coin():
        between = f"{draw.word(NEAR)} the {second[draw.coin()]}"
    else:
        between = f"that the {second[draw.coin()]} {draw.word(TRANSITIVE).past}"
    return (sentence("the", first[plural], between, _predicate(draw, plural == good)),)


def _determiner(draw: Draw, good: bool) -> tuple[str, ...]:
    """The pilot examined these lamps / these lamp."""
    plural = draw.coin()
    determiner = draw.choice(
        ("these", "those", "several") if plural else ("this", "every", "another")
    )
    adjective = "old" if draw.coin() else ""
    thing = draw.word(THINGS)[plural == good]
    return (sentence("the", _person(draw), draw.word(HANDLING).past, determiner, adjective, thing),)


def _mass_noun(draw: Draw, good: bool) -> tuple[str, ...]:
    """The pilot did not find much bread / many bread."""
    mass = draw.coin()
    noun = draw.word(MASS) if mass else draw.word(THINGS).plural
    quantity = "much" if mass == good else "many"
    return (sentence("the", _person(draw), "did not", draw.word(HANDLING).base, quantity, noun),)


_REFLEXIVES = (("herself", WOMEN), ("himself", MEN), ("themselves", PEOPLE))


def _antecedent(draw: Draw, kind: int) -> str:
    return draw.word(_REFLEXIVES[kind][1])[kind == 2]


def _reflexive(draw: Draw, good: bool) -> tuple[str, ...]:
    """The queen that the boys met blamed herself / themselves."""
    right, wrong = draw.words(range(3), 2)
    subject = f"the {_antecedent(draw, right)}"
    form = draw.choice(("plain", "relative", "embedded"))
    if form == "relative":
        subject += f" that the {_antecedent(draw, wrong)} {draw.word(TRANSITIVE).past}"
    if form == "embedded":
        subject = f"the {_antecedent(draw, wrong)} {draw.word(THAT_VERBS)} that {subject}"
    reflexive = _REFLEXIVES[right if good else wrong][0]
    return (sentence(subject, draw.word(TRANSITIVE).past, reflexive),)


def _verb_form(draw: Draw, good: bool) -> tuple[str, ...]:
    """The baker has taken the lamp / has taking the lamp."""
    verb = draw.word(HANDLING)
    forms = (("has", verb.participle), ("is", verb.gerund), ("will", verb.base))
    right, wrong = draw.words(range(3), 2)
    form = forms[right if good else wrong][1]
    adverb = draw.word(ADVERBS) if draw.coin() else ""
    thing = draw.word(THINGS).singular
    return (sentence("the", _person(draw), forms[right][0], adverb, form, "the", thing),)


def _word_order(draw: Draw, good: bool) -> tuple[str, ...]:
    """The old baker took the lamp / old the baker took ... / The old baker the lamp took."""
    adjective, modifier = (
        draw.word(ADJECTIVES),
        f"{draw.word(NEAR)} the {draw.word(PLACES).singular}",
    )
    subject = (
        f"the {adjective} {_person(draw)}" if draw.coin() else f"the {_person(draw)} {modifier}"
    )
    words = subject.split()
    swaps = [(0, 1), (1, 2), (len(words), len(words) + 1)]
    words += [draw.word(HANDLING).past, "the", draw.word(THINGS).singular]
    swaps += [(len(words) - 2, len(words) - 1)]
    if not good:
        i, j = draw.choice(swaps)
        words[i], words[j] = words[j], words[i]
    return (sentence(*words),)


def _transitivity(draw: Draw, good: bool) -> tuple[str, ...]:
    """The pilot destroyed the lamp, the pilot sneezed / the pilot sneezed the lamp."""
    transitive = draw.coin()
    verb = draw.word(HANDLING if transitive else INTRANSITIVE)
    thing = f"the {draw.word(THINGS).singular}" if transitive == good else ""
    return (sentence("the", _person(draw), verb.past, thing, draw.choice(TIMES)),)


def _infinitive(draw: Draw, good: bool) -> tuple[str, ...]:
    """The pilot wanted to take the lamp / wanted taking the lamp."""
    infinitive = draw.coin()
    matrix = draw.word(TO_VERBS if infinitive else ING_VERBS)
    verb = draw.word(HANDLING)
    form = f"to {verb.base}" if infinitive == good else verb.gerund
    return (sentence("the", _person(draw), matrix, form, "the", draw.word(THINGS).singular),)


def _complement(draw: Draw, good: bool) -> tuple[str, ...]:
    """The pilot wondered whether the nurse slept / wondered that the nurse slept."""
    that = draw.coin()
    first, second = draw.words(PEOPLE, 2)
    matrix = draw.word(THAT_VERBS if that else WHETHER_VERBS)
    word = "that" if that == good else "whether"
    verb = draw.word(INTRANSITIVE).past
    return (sentence("the", first.singular, matrix, word, "the", second.singular, verb),)


def _inversion(draw: Draw, good: bool) -> tuple[str, ...]:
    """What will the nurse take? / What the nurse will take?; the other way round if embedded."""
    first, second = draw.words(PEOPLE, 2)
    modal = draw.choice(("will", "can", "should", "must"))
    verb = draw.word(HANDLING).base
    inverted = f"what {modal} the {first.singular} {verb}"
    straight = f"what the {first.singular} {modal} {verb}"
    if draw.coin():
        return (sentence(inverted if good else straight, end="?"),)
    return (sentence("the", second.singular, "knows", straight if good else inverted),)


def _gap(draw: Draw, good: bool) -> tuple[str, ...]:
    """What did the nurse take? Did the nurse take the lamp? / What did the nurse take the lamp?"""
    what = draw.coin()
    thing = "" if what == good else f"the {draw.word(THINGS).singular}"
    verb = draw.word(HANDLING).base
    question = ("what did" if what else "did", "the", _person(draw), verb, thing)
    return (sentence(*question, end="?"),)


def _island(draw: Draw, good: bool) -> tuple[str, ...]:
    """Who will the nurse meet before the pilot can sleep? / sleep before the pilot can meet?"""
    first, second = (f"the {noun.singular}" for noun in draw.words(PEOPLE, 2))
    verb, idle = draw.word(TRANSITIVE).base, draw.word(INTRANSITIVE).base
    form = draw.choice(("adjunct", "coordination", "subject"))
    if form == "adjunct":
        link = draw.choice(("before", "because", "although", "after"))
        main, embedded = (verb, idle) if good else (idle, verb)
        question = f"who will {first} {main} {link} {second} can {embedded}"
    elif form == "coordination":
        tail = f"and {second} {verb}" if good else f"{verb} and {second}"
        question = f"who did {first} {tail}"
    else:
        tail = f"{first} {verb}" if good else f"{verb} {first}"
        question = f"who did the {draw.choice(('story', 'joke', 'film'))} about {tail}"
    return (sentence(question, end="?"),)


def _polarity(draw: Draw, good: bool) -> tuple[str, ...]:
    """No nurse that the pilot met has ever slept / The nurse that no pilot met has ever slept."""
    first, second = draw.words(PEOPLE, 2)
    outer, inner = ("no", "the") if good else ("the", "no")
    relative = f"that {inner} {second.singular} {draw.word(TRANSITIVE).past}"
    predicate = draw.choice(
        (
            f"has ever {draw.word(INTRANSITIVE).participle}",
            f"{draw.word(HANDLING).past} any {draw.word(THINGS).plural}",
        )
    )
    return (sentence(outer, first.singular, relative, predicate),)


_PRONOUNS = (("he", "him"), ("she", "her"), ("they", "them"), ("we", "us"))


def _case(draw: Draw, good: bool) -> tuple[str, ...]:
    """The nurse thought that he praised her / that him praised she."""
    first, second = draw.words(_PRONOUNS, 2)
    matrix = f"the {_person(draw)} {draw.word(THAT_VERBS)} that"
    clause = (first[not good], draw.word(TRANSITIVE).past, second[good])
    return (sentence(matrix if draw.coin() else "", *clause, draw.choice(TIMES)),)


def _comparison(draw: Draw, good: bool) -> tuple[str, ...]:
    """The nurse is as tall as the pilot / as tall than the pilot."""
    first, second = draw.words(PEOPLE, 2)
    adjective, comparative, _ = draw.word(GRADED)
    equal = draw.coin()
    middle = f"as {adjective}" if equal else comparative
    link = "as" if equal == good else "than"
    return (sentence("the", first.singular, "is", middle, link, "the", second.singular),)


PHENOMENA = {  # mostly what a small encoder learns from a few hundred examples, then a hard tail
    _word_order: 54,
    _case: 14,
    _inversion: 14,
    _verb_form: 3,
    _agreement: 2,
    _comparison: 2,
    _determiner: 2,
    _infinitive: 1,
    _agreement_across: 1,
    _reflexive: 1,
    _mass_noun: 1,
    _transitivity: 1,
    _complement: 1,
    _gap: 1,
    _island: 1,
    _polarity: 1,
}
