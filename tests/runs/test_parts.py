"""Parts that share one cost limit, however their costs and their ends fall."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.runs.parts import PartQueue
from magid_agents.runs.shards import Shard


def parts(count: int) -> list[Shard]:
    return [Shard(number, count) for number in range(1, count + 1)]


def test_without_a_limit_every_part_is_taken_once_and_may_cost_anything() -> None:
    queue = PartQueue(dict.fromkeys(parts(3), 0.0), None)
    assert [queue.take(2) for _ in range(4)] == [*((part, None) for part in parts(3)), None]


def test_workers_without_a_part_share_what_is_left() -> None:
    first, second, third, _ = parts(4)
    queue = PartQueue({**dict.fromkeys(parts(4), 0.0), third: 2.0}, 12.0)
    assert queue.take(2) == (first, 5.0)
    assert queue.take(1) == (second, 5.0)
    queue.finish(first, 1.0)
    assert queue.take(1) == (third, 2.0 + 4.0)


def test_a_part_that_stopped_gets_what_others_left_over() -> None:
    first, second = parts(2)
    queue = PartQueue(dict.fromkeys(parts(2), 0.0), 10.0)
    queue.take(2)
    queue.take(1)
    queue.put_back(first, 5.5)
    assert queue.take(1) is None
    queue.finish(second, 1.0)
    assert queue.take(2) == (first, 9.0)
    queue.put_back(first, 9.0)
    assert queue.take(2) is None
    assert queue.short == 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8),
    st.integers(0, 200),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_the_whole_keeps_to_the_limit_and_uses_it(
    costs: list[tuple[int, int]], limit: int, workers: int, random: Random
) -> None:
    """Each call costs one dollar. `costs`: what a part has cost before, and what it needs besides."""
    names = parts(len(costs))
    spent = {part: float(before) for part, (before, _) in zip(names, costs, strict=True)}
    needs = {part: float(before + more) for part, (before, more) in zip(names, costs, strict=True)}
    queue, running, done, takes = PartQueue(spent, limit), list[tuple[Shard, float]](), set[Shard](), 0
    while True:
        while len(running) < workers and (taken := queue.take(workers - len(running))):
            part, allowed = taken
            assert allowed is not None
            running.append((part, allowed))
            takes += 1
        if not running:
            break
        part, allowed = running.pop(random.randrange(len(running)))
        while spent[part] < min(needs[part], allowed):  # the limit is looked at before a call
            spent[part] += 1
        if spent[part] < needs[part]:
            queue.put_back(part, spent[part])
        else:
            queue.finish(part, spent[part])
            done.add(part)
    total = sum(spent.values())
    assert total < max(limit, sum(before for before, _ in costs)) + workers  # one call under way in each
    assert len(done) == len(names) or total >= limit
    assert queue.short == len(names) - len(done)
    assert takes <= 2 * len(names) + 100
