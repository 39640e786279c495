"""The backlog: the shortest that a queue has been since the last look."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from magid_agents.store.backlog import Backlog

# What happens, by name of the queue: a call comes, a call goes, or somebody looks.
EVENTS = st.lists(st.tuples(st.sampled_from(["come", "come", "go", "look"]), st.sampled_from("ab")))


def test_without_calls_nothing_is_known() -> None:
    assert Backlog().standing() is None


def test_a_queue_that_was_empty_once_does_not_stand() -> None:
    backlog = Backlog()
    for _ in range(3):
        backlog.enter("chat")
    assert backlog.standing() == 0  # it was empty at first
    backlog.leave("chat")
    backlog.enter("chat")
    assert backlog.standing() == 2


def test_a_queue_that_nobody_leaves_stands() -> None:
    backlog = Backlog()
    backlog.enter("chat")
    backlog.standing()
    assert backlog.standing() == 1


@given(EVENTS)
def test_the_longest_standing_queue_is_the_largest_of_the_lowest_counts(
    events: list[tuple[str, str]],
) -> None:
    backlog, counts = Backlog(), Counter[str]()
    seen: dict[str, list[int]] = {}
    for what, queue in events:
        if what == "look":
            lowest = [min(values) for values in seen.values()]
            assert backlog.standing() == (max(lowest) if lowest else None)
            seen = {name: [count] for name, count in counts.items() if count}
        elif what == "come":
            seen.setdefault(queue, [counts[queue]])
            backlog.enter(queue)
            counts[queue] += 1
            seen[queue].append(counts[queue])
        elif counts[queue]:
            backlog.leave(queue)
            counts[queue] -= 1
            seen.setdefault(queue, []).append(counts[queue])
