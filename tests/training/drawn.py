"""Three concepts that the tests draw as plain discs."""

from training.concepts import Concept

CONCEPTS = [
    Concept("dog", "dog", "1F415", "animals-nature", ("animal", "pet"), ()),
    Concept("red apple", "red-apple", "1F34E", "food-drink", ("fruit", "diet"), ()),
    Concept("nurse", "nurse", "X", "people", ("care",), ()),
]
