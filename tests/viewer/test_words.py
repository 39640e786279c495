"""The words that changed between two prompts."""

from hypothesis import given
from hypothesis import strategies as st

from magid_agents.viewer.words import MAX_WORDS, Piece, changes

prompts = (
    st.lists(st.sampled_from(["a", "dog", "Dog", "cat,", "red", " ", "(", "\n"])).map(" ".join) | st.text()
)


def kept(pieces: list[Piece], without: str) -> str:
    return "".join(piece.text for piece in pieces if piece.mark != without)


@given(prompts, prompts)
def test_both_prompts_can_be_read_off(before: str, after: str) -> None:
    pieces = changes(before, after)
    assert kept(pieces, "removed") == after
    if len(pieces) > 1 or (pieces and pieces[0].mark == "removed"):
        assert kept(pieces, "added").lower() == before.lower()


def test_whole_words_are_marked() -> None:
    assert changes("a brown dog", "a black dog, simple") == [
        Piece("same", "a "),
        Piece("removed", "brown"),
        Piece("added", "black"),
        Piece("same", " dog"),
        Piece("added", ", simple"),
    ]


def test_the_first_prompt_has_no_marks() -> None:
    assert changes(None, "a dog") == [Piece("same", "a dog")]


def test_case_alone_is_no_change() -> None:
    assert changes("A Dog", "a dog") == [Piece("same", "a dog")]


def test_a_prompt_that_is_too_long_to_compare_is_new_as_a_whole() -> None:
    long = "word " * MAX_WORDS
    assert changes(long, long + "more") == [Piece("added", long + "more")]
    assert changes(long, long) == [Piece("same", long)]
