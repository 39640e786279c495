"""Prompts for evaluation, written by hand and never used in training.

NOUNS pair a plain noun with the label of the concept that it must show. PARAPHRASES mean a concept without
using its label. The others name two objects, a colour or a place. FLOWERY pairs a long sentence with its
plain rewrite.
"""


def words(text: str) -> list[str]:
    return [word for word in text.replace("\n", "").split("|") if word]


NOUNS: list[tuple[str, str]] = [
    (n, {"bee": "honeybee", "car": "automobile", "book": "closed book"}.get(n, n))
    for n in words(
        """
dog|cat|horse|cow|pig|elephant|tiger|monkey|rabbit|bear|panda|koala|penguin|owl|duck|eagle|turtle|
snake|whale|dolphin|fish|octopus|butterfly|bee|snail|spider|crab|frog|chicken|parrot|pizza|
hamburger|taco|banana|grapes|watermelon|strawberry|red apple|pineapple|cherries|doughnut|cookie|
birthday cake|bread|cheese wedge|carrot|broccoli|hot dog|french fries|sushi|hot beverage|beer mug|
wine glass|ice cream|popcorn|pancakes|car|bus|bicycle|motorcycle|airplane|rocket|helicopter|
sailboat|locomotive|tractor|house|castle|tent|mountain|volcano|ferris wheel|fountain|
bridge at night|guitar|trumpet|violin|drum|soccer ball|basketball|tennis|trophy|artist palette|kite|
rose|sunflower|tulip|cactus|palm tree|evergreen tree|mushroom|umbrella|camera|book|light bulb|key|
hammer|scissors|balloon|wrapped gift|alarm clock|laptop|mobile phone|television|glasses|crown|jeans|
dress|bed|chair|candle|bell|ant|bat|camel|crocodile|deer|giraffe|goat|lion|shark|swan|zebra|avocado|
lemon|peach|pear|tomato|ear of corn|anchor
"""
    )
]

PARAPHRASES: list[tuple[str, str]] = [
    ("a puppy that wags its tail", "dog"),
    ("a cute kitten looking up", "cat"),
    ("slice of pizza on a table", "pizza"),
    ("a cheeseburger for lunch", "hamburger"),
    ("our new sports car", "automobile"),
    ("a pony standing in the yard", "horse"),
    ("cup of coffee with steam", "hot beverage"),
    ("a glass of red wine for dinner", "wine glass"),
    ("a pint of cold beer", "beer mug"),
    ("two scoops of gelato", "ice cream"),
    ("a jet plane taking off", "airplane"),
    ("a steam train engine", "locomotive"),
    ("a yacht with white sails", "sailboat"),
    ("my mountain bike", "bicycle"),
    ("a spaceship launching", "rocket"),
    ("an acoustic guitar I play", "guitar"),
    ("a football, the round kind", "soccer ball"),
    ("a bouquet of flowers for mum", "bouquet"),
    ("a cake with candles on it", "birthday cake"),
    ("a present with a ribbon", "wrapped gift"),
    ("a snowman in the yard", "snowman"),
    ("a big spider in its web", "spider"),
    ("a baby chick", "baby chick"),
    ("an orange and black striped big cat", "tiger"),
    ("a bunny with long ears", "rabbit"),
    ("the moon, a thin crescent", "crescent moon"),
    ("a rainbow after the rain", "rainbow"),
    ("a christmas tree with lights", "Christmas tree"),
    ("a carved halloween pumpkin", "jack-o-lantern"),
    ("a house with a garden", "house with garden"),
    ("a bunch of bananas", "banana"),
    ("a bowl of noodles", "steaming bowl"),
    ("spaghetti with tomato sauce", "spaghetti"),
    ("fried egg in a pan", "cooking"),
    ("a green salad bowl", "green salad"),
    ("a pair of running shoes", "running shoe"),
    ("a wristwatch", "watch"),
    ("the gold trophy we won", "trophy"),
    ("a stack of books to read", "books"),
    ("a sea turtle swimming", "turtle"),
    ("a colourful parrot", "parrot"),
    ("a bee on its way to honey", "honeybee"),
    ("a red rose", "rose"),
    ("a yellow sunflower", "sunflower"),
    ("a camping tent", "tent"),
    ("a hiking boot", "hiking boot"),
    ("a fishing rod with a catch", "fishing pole"),
    ("a telescope for stars", "telescope"),
    ("a red fire truck", "fire engine"),
    ("a yellow taxi cab", "taxi"),
    ("the ambulance that came", "ambulance"),
    ("a hot air balloon, or just a balloon", "balloon"),
    ("a fox from the forest", "fox"),
    ("a wolf howling", "wolf"),
    ("a gorilla", "gorilla"),
    ("a lobster for dinner", "lobster"),
    ("a strawberry shortcake slice", "shortcake"),
    ("a cup of green tea", "teacup without handle"),
    ("a croissant for breakfast", "croissant"),
    ("sandwich with ham and lettuce", "sandwich"),
]

PAIRS: list[tuple[str, str, str]] = [
    ("a dog and a soccer ball", "a dog", "a soccer ball"),
    ("a cat and a fish", "a cat", "a fish"),
    ("a pizza and a beer mug", "a pizza", "a beer mug"),
    ("a hamburger next to french fries", "a hamburger", "french fries"),
    ("a rose and a wrapped gift", "a rose", "a wrapped gift"),
    ("a guitar and a drum", "a guitar", "a drum"),
    ("a banana with a strawberry", "a banana", "a strawberry"),
    ("a car and a bicycle", "a car", "a bicycle"),
    ("a cow and a horse", "a cow", "a horse"),
    ("a birthday cake and a balloon", "a birthday cake", "a balloon"),
    ("a book and a cup of coffee", "a book", "a cup of coffee"),
    ("an owl next to a mushroom", "an owl", "a mushroom"),
    ("a rabbit with a carrot", "a rabbit", "a carrot"),
    ("a monkey and a banana", "a monkey", "a banana"),
    ("a panda beside an evergreen tree", "a panda", "an evergreen tree"),
    ("a bee and a sunflower", "a bee", "a sunflower"),
    ("a penguin and a fish", "a penguin", "a fish"),
    ("a house next to an evergreen tree", "a house", "an evergreen tree"),
    ("an airplane and a rocket", "an airplane", "a rocket"),
    ("a camera and a mountain", "a camera", "a mountain"),
    ("a turtle and a crab", "a turtle", "a crab"),
    ("a tiger and an elephant", "a tiger", "an elephant"),
    ("a tent and an evergreen tree", "a tent", "an evergreen tree"),
    ("a laptop with a hot beverage", "a laptop", "a hot beverage"),
    ("a trophy and a soccer ball", "a trophy", "a soccer ball"),
    ("a crown next to a key", "a crown", "a key"),
    ("grapes and a wine glass", "grapes", "a wine glass"),
    ("a taco with a watermelon", "a taco", "a watermelon"),
    ("an umbrella and a frog", "an umbrella", "a frog"),
    ("a bear and a fish", "a bear", "a fish"),
    ("a violin beside a trumpet", "a violin", "a trumpet"),
    ("a doughnut with a cookie", "a doughnut", "a cookie"),
    ("a cactus and a snake", "a cactus", "a snake"),
    ("a palm tree and a sailboat", "a palm tree", "a sailboat"),
    ("a candle and a bell", "a candle", "a bell"),
    ("a chicken and a bread", "a chicken", "a bread"),
    ("a tractor and a cow", "a tractor", "a cow"),
    ("a bus and a motorcycle", "a bus", "a motorcycle"),
    ("a basketball and a sneaker", "a basketball", "a sneaker"),
    ("a light bulb and a hammer", "a light bulb", "a hammer"),
]

COLOURED: list[tuple[str, str]] = [
    (f"a {colour} {thing}", f"a {thing}")
    for colour, thing in (
        line.split(" ", 1)
        for line in [
            "red car",
            "blue car",
            "green car",
            "purple car",
            "blue bicycle",
            "pink elephant",
            "green cat",
            "blue dog",
            "red house",
            "yellow house",
            "purple umbrella",
            "green umbrella",
            "orange balloon",
            "blue balloon",
            "black horse",
            "white horse",
            "pink rabbit",
            "red bus",
            "green bus",
            "purple butterfly",
            "yellow butterfly",
            "blue rose",
            "purple guitar",
            "green guitar",
            "pink book",
            "orange book",
            "red chair",
            "blue fish",
            "yellow bird",
            "black cat",
            "white bear",
            "brown bear",
            "purple octopus",
            "blue dress",
            "green dress",
            "pink tent",
            "red crown",
            "blue key",
            "green bell",
            "gray mouse",
        ]
    )
]

PLACED: list[tuple[str, str]] = [
    ("a dog on the beach", "beach"),
    ("a crab on the sand", "beach"),
    ("a sailboat in the ocean", "water"),
    ("a duck on the lake", "water"),
    ("a cow on the grass", "meadow"),
    ("a horse in a green field", "meadow"),
    ("a tent in the forest", "forest"),
    ("a bear in the woods", "forest"),
    ("an owl at night", "night"),
    ("a castle under the night sky", "night"),
    ("a rocket under the stars", "night"),
    ("an airplane in the sky", "sky"),
    ("an eagle in a blue sky", "sky"),
    ("a balloon in the sky", "sky"),
    ("a bus in the city", "street"),
    ("a taxi on the road", "street"),
    ("a bicycle in the street", "street"),
    ("a penguin in the snow", "snow"),
    ("a fox in the snow", "snow"),
    ("a house on a snowy day", "snow"),
    ("a cat in the living room", "room"),
    ("a guitar at home", "room"),
    ("a chair in a room", "room"),
    ("a pizza on a table", "table"),
    ("a cup of tea on a wooden table", "table"),
    ("a birthday cake on the kitchen table", "table"),
    ("a bear in the mountains", "mountains"),
    ("a tent with mountains behind", "mountains"),
    ("a rabbit in the garden", "meadow"),
    ("a turtle by the sea", "beach"),
]
# The prompt, the label of the concept and how many of it there must be.
COUNTED: list[tuple[str, str, int]] = [
    (prompt, label, number)
    for label, several in (
        ("dog", "dogs"),
        ("cat", "cats"),
        ("elephant", "elephants"),
        ("frog", "frogs"),
        ("butterfly", "butterflies"),
        ("pizza", "pizzas"),
        ("hamburger", "hamburgers"),
        ("red apple", "red apples"),
        ("strawberry", "strawberries"),
        ("carrot", "carrots"),
        ("automobile", "cars"),
        ("rose", "roses"),
        ("soccer ball", "soccer balls"),
        ("guitar", "guitars"),
        ("umbrella", "umbrellas"),
        ("closed book", "books"),
    )
    for number, prompt in ((2, f"two {several}"), (3, f"three {several}"))
]
PLACE_WORDS = {
    "beach": "on the beach",
    "water": "in the water",
    "meadow": "on the grass",
    "forest": "in the forest",
    "night": "at night",
    "sky": "in the sky",
    "street": "in the city street",
    "snow": "in the snow",
    "room": "in a room",
    "table": "on a table",
    "mountains": "in the mountains",
}

# Each opening is joined with each object, into a hundred sentences that bury one plain noun.
_OPENINGS = (
    "oh what an unforgettable golden afternoon it was when at long last we came upon {} and smiled",
    "with a heart full of gentle memories she whispers softly about {} she once held dear",
    "in the spirit of friendship and after so many weary hours I proudly present {} to you all",
    "nothing in this wide and wondrous world compares with {} in the glow of our conversation",
    "imagine if you will a dreamy cinematic moment of breathtaking wonder featuring {} at last",
)
_OBJECTS = [
    "a dog",
    "a cat",
    "a pizza",
    "a guitar",
    "a red apple",
    "a bicycle",
    "an elephant",
    "a birthday cake",
    "a sailboat",
    "a soccer ball",
    "a sunflower",
    "a house",
    "a banana",
    "an airplane",
    "a horse",
    "a camera",
    "a hamburger",
    "a rose",
    "an umbrella",
    "a cactus",
]
FLOWERY: list[tuple[str, str]] = [(o.format(x), x) for x in _OBJECTS for o in _OPENINGS]


# The contact sheet.
SHEET = [
    "a dog",
    "a cat",
    "a horse",
    "an elephant",
    "a penguin",
    "an owl",
    "a fish",
    "a butterfly",
    "a pizza",
    "a hamburger",
    "a banana",
    "a red apple",
    "a birthday cake",
    "a doughnut",
    "a cup of coffee",
    "ice cream",
    "a car",
    "a bus",
    "a bicycle",
    "an airplane",
    "a rocket",
    "a sailboat",
    "a house",
    "a castle",
    "a guitar",
    "a soccer ball",
    "a trophy",
    "a book",
    "an umbrella",
    "a camera",
    "a rose",
    "a sunflower",
    "a blue car",
    "a green cat",
    "a purple umbrella",
    "a pink elephant",
    "a yellow balloon",
    "a black horse",
    "a dog on the beach",
    "a penguin in the snow",
    "an owl at night",
    "a cow on the grass",
    "a bus in the city",
    "a pizza on a table",
    "a dog and a soccer ball",
    "a cat and a fish",
    "a rose and a wrapped gift",
    "a house next to an evergreen tree",
]


def all_prompts() -> list[str]:
    """Return the 300 prompts for evaluating the painter."""
    singles = [p for p, _ in [*NOUNS, *PARAPHRASES, *COLOURED, *PLACED]]
    return [*singles, *(p for p, _, _ in PAIRS)]
