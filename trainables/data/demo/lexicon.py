"""The words of the demo corpora.

Every list is ordered; the last sixth of each (``HELD_OUT``) is used in validation only, to expose
models that merely memorise words.
"""

from typing import NamedTuple

HELD_OUT = 6
"""One word in this many is held out for validation."""


class Noun(NamedTuple):
    """A count noun."""

    singular: str
    plural: str


class Verb(NamedTuple):
    """The five forms of a verb."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str


def _words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _with_s(word: str) -> str:
    return f"{word}es" if word.endswith(("s", "sh", "ch")) else f"{word}s"


def _nouns(words: str) -> tuple[Noun, ...]:
    """Nouns from ``singular/plural``, or ``singular`` where the plural is regular."""
    pairs = (word.partition("/") for word in words.split())
    return tuple(Noun(singular, plural or _with_s(singular)) for singular, _, plural in pairs)


def _verbs(words: str) -> tuple[Verb, ...]:
    """Verbs from ``base/third/past/participle/gerund``, or ``base`` where all is regular."""
    verbs = []
    for word in words.split():
        forms = word.split("/")
        if len(forms) == 1:
            stem = word.removesuffix("e")
            forms = [word, _with_s(word), f"{stem}ed", f"{stem}ed", f"{stem}ing"]
        verbs.append(Verb(*forms))
    return tuple(verbs)


PEOPLE = _nouns(
    "nurse pilot teacher lawyer student doctor farmer singer writer driver guard judge painter "
    "baker soldier sailor banker gardener plumber dancer reporter tailor librarian senator "
    "mechanic surgeon poet tourist cyclist goalkeeper"
)
WOMEN = _nouns("girl woman/women queen actress aunt sister daughter waitress")
MEN = _nouns("boy man/men king actor uncle brother son waiter")
THINGS = _nouns(
    "letter book cake ticket lamp basket picture blanket guitar coat ladder bottle chair "
    "umbrella hammer carpet necklace pumpkin statue suitcase bicycle violin kettle mirror"
)
MASS = _words("water rice milk bread furniture luggage sand gold butter cement")
PLACES = _nouns(
    "garden station kitchen museum harbour school market castle office hotel village forest "
    "theatre library/libraries bridge tower stable airport"
)

TRANSITIVE = _verbs(  # somebody does this to somebody
    "admire praise thank blame insult greet punish rescue follow defend amuse accuse "
    "meet/meets/met/met/meeting teach/teaches/taught/taught/teaching harass despise reward alarm "
    "obey betray"
)
HANDLING = _verbs(  # somebody does this to a thing; never without an object
    "examine repair borrow discard mention damage inspect fetch "
    "buy/buys/bought/bought/buying bring/brings/brought/brought/bringing "
    "take/takes/took/taken/taking find/finds/found/found/finding describe polish "
    "make/makes/made/made/making destroy"
)
INTRANSITIVE = _verbs(  # never with an object
    "arrive smile vanish sneeze yawn hesitate complain sleep/sleeps/slept/slept/sleeping "
    "fall/falls/fell/fallen/falling snore faint lie/lies/lay/lain/lying go/goes/went/gone/going "
    "shiver tremble cough"
)
TO_VERBS = ("wanted", "hoped", "decided", "refused", "planned", "agreed", "managed")
ING_VERBS = ("enjoyed", "avoided", "kept", "finished", "suggested", "postponed", "resisted")
THAT_VERBS = ("believed", "claimed", "assumed", "thought", "insisted", "hoped")
WHETHER_VERBS = ("wondered", "inquired", "debated", "investigated")

ADJECTIVES = _words(
    "old tall young clever famous quiet angry happy rich polite tired lucky lonely brave"
)
GRADED = (  # adjective, comparative, comparative of the opposite
    ("tall", "taller", "shorter"),
    ("old", "older", "younger"),
    ("rich", "richer", "poorer"),
    ("fast", "faster", "slower"),
    ("strong", "stronger", "weaker"),
    ("happy", "happier", "sadder"),
    ("young", "younger", "older"),
    ("short", "shorter", "taller"),
    ("poor", "poorer", "richer"),
    ("slow", "slower", "faster"),
    ("weak", "weaker", "stronger"),
    ("sad", "sadder", "happier"),
)
NEAR = ("near", "behind", "beside", "with", "opposite", "before")
ADVERBS = ("often", "quickly", "quietly", "rarely", "secretly", "gladly", "slowly", "calmly")
TIMES = ("every day", "at night", "in spring", "on Sundays", "all the time", "after lunch")

# Paraphrase: groups of synonym pairs; pairs of one group differ in meaning.
SAME_NOUNS = (
    ("doctor", "physician"),
    ("lawyer", "attorney"),
    ("teacher", "instructor"),
    ("author", "writer"),
    ("policeman", "cop"),
    ("baby", "infant"),
    ("thief", "burglar"),
    ("pilot", "aviator"),
    ("boss", "manager"),
    ("priest", "clergyman"),
    ("customer", "shopper"),
    ("child", "kid"),
)
SAME_THINGS = (
    ("car", "automobile"),
    ("sofa", "couch"),
    ("movie", "film"),
    ("gift", "present"),
    ("bag", "sack"),
    ("bike", "bicycle"),
    ("cup", "mug"),
    ("carpet", "rug"),
    ("stone", "rock"),
    ("coat", "jacket"),
    ("taxi", "cab"),
    ("photo", "photograph"),
)
OPPOSITE_VERBS = (
    (("repaired", "fixed"), ("damaged", "broke")),
    (("found", "discovered"), ("lost", "mislaid")),
    (("hid", "concealed"), ("showed", "displayed")),
    (("built", "constructed"), ("demolished", "destroyed")),
    (("loved", "adored"), ("hated", "detested")),
    (("praised", "applauded"), ("criticised", "condemned")),
    (("accepted", "welcomed"), ("rejected", "refused")),
    (("bought", "purchased"), ("sold", "auctioned")),
    (("lifted", "raised"), ("dropped", "lowered")),
    (("kept", "retained"), ("discarded", "abandoned")),
    (("cleaned", "washed"), ("soiled", "stained")),
    (("desired", "wanted"), ("disliked", "despised")),
)
OPPOSITE_ADJECTIVES = (
    (("big", "large"), ("small", "little")),
    (("rich", "wealthy"), ("poor", "penniless")),
    (("happy", "cheerful"), ("sad", "unhappy")),
    (("clever", "smart"), ("stupid", "foolish")),
    (("dirty", "filthy"), ("clean", "spotless")),
    (("angry", "furious"), ("calm", "relaxed")),
    (("polite", "courteous"), ("rude", "impolite")),
    (("brave", "courageous"), ("cowardly", "fearful")),
    (("sick", "ill"), ("healthy", "well")),
    (("noisy", "loud"), ("quiet", "silent")),
    (("slim", "thin"), ("fat", "plump")),
    (("tired", "weary"), ("awake", "alert")),
)
QUANTITIES = (
    ("all of", "each of"),
    ("some of", "several of"),
    ("most of", "the bulk of"),
    ("none of", "not a single one of"),
)
BOUNDS = (("at least", "no fewer than"), ("at most", "no more than"))
NUMBERS = ("two", "three", "four", "six", "seven", "ten", "twelve", "twenty", "forty", "ninety")
SUCCESS = (("managed to", "did not fail to"), ("failed to", "did not manage to"))
GIVING = ("gave", "sent", "offered", "handed", "showed", "promised")
CONVERSES = (  # subject verb thing link other = other verb thing link subject
    (("bought", "from"), ("sold", "to")),
    (("borrowed", "from"), ("lent", "to")),
    (("received", "from"), ("gave", "to")),
    (("inherited", "from"), ("bequeathed", "to")),
    (("rented", "from"), ("leased", "to")),
    (("accepted", "from"), ("offered", "to")),
)

# Sentiment.
PRAISE = _words(
    "gripping tender brilliant charming delightful witty moving superb touching elegant hilarious "
    "wonderful refreshing clever powerful beautiful captivating masterful enjoyable splendid "
    "inspiring dazzling heartfelt memorable excellent absorbing graceful marvellous"
)
SCORN = _words(
    "dull wooden tedious clumsy boring lifeless shallow predictable awful sloppy annoying dreadful "
    "stale pretentious tiresome ugly forgettable incoherent painful lazy laughable "
    "disappointing bland pointless terrible muddled insipid dismal"
)
FILMS = _words(
    "film movie thriller comedy drama sequel musical documentary romance western remake picture"
)
ASPECTS = _words(
    "plot cast script dialogue music ending humour pacing camerawork acting opening story "
    "direction editing scenery soundtrack finale premise"
)
DEGREES = _words("truly utterly remarkably quite very simply thoroughly consistently")
