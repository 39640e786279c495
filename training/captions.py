"""Words for scenes: colours, places, and the many ways in which a person may caption an image.

A caption always names what is drawn, and never what is not.
"""

import random
from functools import cache

import inflect

from training import everyday, kinds
from training.concepts import Concept

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 130, 32),
    "yellow": (250, 208, 44),
    "green": (52, 160, 72),
    "blue": (38, 96, 210),
    "purple": (130, 60, 180),
    "pink": (244, 130, 180),
    "brown": (130, 80, 44),
    "black": (40, 40, 44),
    "white": (244, 244, 246),
    "gray": (140, 144, 150),
}

PLACES: dict[str, tuple[str, ...]] = {
    "sky": ("in the sky", "in a blue sky", "up in the clouds", "against the sky"),
    "meadow": ("on the grass", "in a meadow", "in the park", "in a green field", "in the garden"),
    "beach": ("on the beach", "at the beach", "by the sea", "on the sand", "at the seaside"),
    "water": ("in the water", "on the lake", "in the ocean", "at sea", "in the pool"),
    "night": ("at night", "under the stars", "under the night sky", "in the dark", "in moonlight"),
    "room": ("in a room", "at home", "in the living room", "indoors", "on the floor inside"),
    "table": ("on a table", "on the kitchen table", "on a wooden table", "on the desk"),
    "street": ("in the street", "in the city", "on the road", "downtown", "in town"),
    "snow": ("in the snow", "on a snowy day", "in winter", "on a snowy field"),
    "forest": ("in the forest", "in the woods", "among the trees"),
    "mountains": ("in the mountains", "with mountains behind", "in front of mountains"),
}

NUMBERS: dict[int, tuple[str, ...]] = {
    2: ("two", "two", "2", "a pair of", "a couple of"),
    3: ("three", "three", "3"),
    4: ("four", "four", "4"),
}

PLAIN = (
    "{x}",
    "{x}",
    "{x}",
    "{a}",
    "{a}",
    "a photo of {a}",
    "a picture of {a}",
    "an image of {a}",
    "a drawing of {a}",
    "an illustration of {a}",
    "a cartoon of {a}",
    "an emoji of {a}",
    "a simple drawing of {a}",
    "a close-up of {a}",
    "a cute drawing of {a}",
    "a clear picture of {a}, centered",
    "flat illustration, {x}",
    "{x}, simple cartoon",
    "{x}, drawing",
)
SENTENCES = (
    "look at {a}",
    "this is {a}",
    "here is {a} we talked about",
    "a person shares a picture of {a} with a friend",
    "my friend showed me {a} yesterday",
    "the picture shows {a}",
    "a photo that shows {a} from the front",
    "I just wanted to show you {a}",
    "an image of {a} to share in the chat",
    "someone sent a photo of {a} this morning",
    "we saw {a} and took a picture",
)

# What people add to a noun in a chat, and no drawing shows.
DETAILS = {
    "animals-nature": ("cute", "fluffy", "friendly", "playful", "sleepy", "beautiful", "young", "wild"),
    "food-drink": ("fresh", "homemade", "delicious", "tasty", "hot", "healthy", "organic", "favorite"),
    "travel-places": ("old", "new", "nice", "fancy", "beautiful", "famous", "busy", "historic"),
    "activities": ("new", "old", "favorite", "great", "fun", "lucky"),
    "objects": ("new", "old", "nice", "favorite", "shiny", "fancy", "antique", "expensive"),
}

TRIMS = ("stripes", "spots", "dots", "details", "flowers", "buttons", "edges", "patches", "accents", "trim")


def noun(concept: Concept, rng: random.Random) -> str:
    """Return a name for the concept: its label, an everyday name, a kind of it, or a tag of it alone."""
    label = concept.label
    for table, chance in ((everyday.NAMES, 0.4), (kinds.KINDS, 0.15)):
        if label in table and rng.random() < chance:
            return rng.choice(table[label])
    if concept.synonyms and rng.random() < 0.1:
        return rng.choice(concept.synonyms)
    return label


@cache
def _inflect() -> inflect.engine:
    return inflect.engine()


@cache
def plural(phrase: str) -> str:
    return str(_inflect().plural_noun(phrase))


@cache
def countable(label: str) -> bool:
    """Whether one can say "two" and the plural: the label is short, singular and no time of day."""
    if len(label.split()) > 2 or not label.replace(" ", "").isalpha():
        return False
    return _inflect().singular_noun(label) in (False, label)


def with_article(phrase: str) -> str:
    if phrase.endswith("s") and not phrase.endswith("ss"):
        return phrase
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def phrase(concept: Concept, colour: str | None, size: str | None, rng: random.Random) -> str:
    """Return the noun with its modifications, such as "small red car" or "fluffy dog"."""
    detail = rng.choice(DETAILS[concept.group]) if concept.group in DETAILS and rng.random() < 0.12 else None
    words = [w for w in (detail, size if rng.random() < 0.5 else None, colour) if w]
    return " ".join([*words, noun(concept, rng)])


def several(count: int, concept: Concept, colour: str | None, rng: random.Random) -> str:
    """Return the number and the plural, such as "two red cars"; `concept` has a countable label."""
    name = noun(concept, rng)
    words = [rng.choice(NUMBERS[count]), colour, plural(name if countable(name) else concept.label)]
    return " ".join(w for w in words if w)


def trim(rng: random.Random) -> str:
    return f"with {rng.choice(list(COLOURS))} {rng.choice(TRIMS)}"


def caption(
    concepts: list[Concept],
    colours: list[str | None],
    sizes: list[str | None],
    place: str | None,
    rng: random.Random,
    addition: str = "",
) -> str:
    """Return one caption of a scene of one object, two, or several equal ones.

    Args:
        place: a key of PLACES, a colour or None.
        addition: follows the noun of a single object, as "with blue stripes".
    """
    names = [phrase(c, k, s, rng) for c, k, s in zip(concepts, colours, sizes, strict=True)]
    equal = len(names) > 1 and len(set(concepts)) == len(set(colours)) == 1
    if equal and countable(concepts[0].label):
        x = a = several(len(names), concepts[0], colours[0], rng)
    elif len(names) == 1:
        x, a = names[0], with_article(names[0])
        if colours[0] and rng.random() < 0.15:
            x = a = f"{with_article(noun(concepts[0], rng))} in {colours[0]}"
        x, a = (f"{words} {addition}".strip() for words in (x, a))
    else:
        x = rng.choice(("{} and {}", "{}, {}", "{} with {}", "{} next to {}")).format(*names)
        a = rng.choice(("{} and {}", "{} with {}", "{} next to {}", "{} beside {}")).format(
            *(with_article(n) for n in names)
        )
    if place is not None:
        where = (
            rng.choice(PLACES[place])
            if place in PLACES
            else rng.choice(("on a {} background", "{} background")).format(place)
        )
        x, a = f"{x} {where}", f"{a} {where}"
    if place is None and len(names) == 1 and colours[0] is None and rng.random() < 0.12:
        tags = [t for t in concepts[0].tags if t not in names[0]]
        return ", ".join([names[0], *rng.sample(tags, min(len(tags), rng.randint(1, 3)))])
    templates = SENTENCES if rng.random() < 0.25 else PLAIN
    return rng.choice(templates).format(x=x, a=a)
