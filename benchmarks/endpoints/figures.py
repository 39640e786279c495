"""What the engine's log, and the CPU time of a process, say about a run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.endpoints.engine import BATCH, CHAT_S, CRITIQUE, IMAGE_BASE_S, IMAGE_S, PAINT, Logged

CHATS = 3  # per dialogue
WARM = 0.1  # of the dialogues, after which CPU time counts: imports and first calls are over


@dataclass(frozen=True)
class Sample:
    """What a process had used by a moment."""

    time: float
    cpu_s: float
    memory_mb: float


@dataclass(frozen=True)
class Figures:
    """One run. Seconds are from the start of the process for the first image, else of their own."""

    images_per_s: float
    cpu_ms: float  # per dialogue, once a tenth is done
    memory_mb: float
    first_image_s: float
    half_done: float  # dialogues begun and not finished, at any moment of the middle of the run
    latency_s: tuple[float, float]  # of a dialogue: median, 95th percentile


def ideal(borne: int) -> float:
    """Return the most images per second of an engine that has so many requests at each model all the time.

    With fewer than two batches' worth, what is not in the batch at work is the next batch.
    """
    at_images = min(borne, 2 * BATCH)
    return min(borne / (CHATS * CHAT_S), at_images / (2 * IMAGE_BASE_S + IMAGE_S * at_images))


def read(log: Sequence[Logged], samples: Sequence[Sample], started: float) -> Figures:
    """Compute the figures of a run that was started at a time."""
    began, ended = dict[int, float](), dict[int, float]()
    for call, dialogue, came, answered in log:
        began[dialogue] = min(came, began.get(dialogue, came))
        if call == CRITIQUE:
            ended[dialogue] = answered
    ends = sorted(ended.values())
    warm = ends[int(WARM * len(ends))]
    first, last = (_at(samples, moment) for moment in (warm, ends[-1]))
    # By calls: many dialogues are half-done by then.
    dialogues = sum(answered > warm for *_, answered in log) / (CHATS + 1)
    latencies = sorted(ended[dialogue] - began[dialogue] for dialogue in ended)
    middle = [samples[0].time + (ends[-1] - samples[0].time) * share / 10 for share in range(3, 8)]
    half_done = (sum(began[d] <= moment < ended[d] for d in ended) for moment in middle)
    return Figures(
        images_per_s=len(ends) / (ends[-1] - min(began.values())),
        cpu_ms=1000 * (last.cpu_s - first.cpu_s) / dialogues,
        memory_mb=max(sample.memory_mb for sample in samples),
        first_image_s=min(answered for call, _, _, answered in log if call == PAINT) - started,
        half_done=statistics.median(half_done),
        latency_s=(statistics.median(latencies), latencies[int(0.95 * len(latencies))]),
    )


def _at(samples: Sequence[Sample], moment: float) -> Sample:
    return next((sample for sample in samples if sample.time >= moment), samples[-1])
