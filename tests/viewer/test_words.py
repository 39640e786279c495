"""The words that changed between two prompts."""

from hypothesis import given
from hypothesis import strategies as st

from magid_agents.viewer.words import MAX_UNITS, Piece, changes, near_changes

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


def test_case_is_a_change_where_it_counts() -> None:
    assert changes("never say", "NEVER say", case=True) == [
        Piece("removed", "never"),
        Piece("added", "NEVER"),
        Piece("same", " say"),
    ]


def test_a_long_text_is_compared_by_lines() -> None:
    lines = [f"line {i} of a long text\n" for i in range(MAX_UNITS // 2)]
    assert changes("".join(lines), "".join([*lines[:100], "new\n", *lines[101:]])) == [
        Piece("same", "".join(lines[:100])),
        Piece("removed", lines[100]),
        Piece("added", "new\n"),
        Piece("same", "".join(lines[101:])),
    ]


def test_what_is_too_long_to_compare_is_new_as_a_whole() -> None:
    long = "line\n" * (MAX_UNITS + 1)
    assert changes(long, long + "more") == [Piece("added", long + "more")]
    assert changes(long, long) == [Piece("same", long)]


@given(st.lists(st.builds(Piece, st.sampled_from(["same", "added", "removed"]), st.text(max_size=600))))
def test_only_what_is_the_same_is_cut_down_to_what_is_near_a_change(pieces: list[Piece]) -> None:
    for whole, cut in zip(pieces, near_changes(pieces), strict=True):
        assert cut.mark == whole.mark
        if whole.mark != "same":
            assert cut == whole
        elif cut != whole:
            assert len(cut.text) < len(whole.text)
            head, _, tail = cut.text.partition(" … ")
            assert whole.text.startswith(head)
            assert whole.text.endswith(tail.rpartition(" … ")[2])


def test_the_ends_of_a_text_are_cut_at_their_far_side() -> None:
    long = "x" * 1000
    first, _, last = near_changes([Piece("same", f"{long}a"), Piece("added", "b"), Piece("same", f"c{long}")])
    assert first.text.startswith(" … x")
    assert first.text.endswith("xa")
    assert last.text.startswith("cx")
    assert last.text.endswith("x … ")
