"""Evaluate one run: figures with intervals over dialogues, from recorded decisions and later scores."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magid_agents.errors import ConfigError
from magid_agents.evaluation import attempts, diversity, drops, judges, match, yields
from magid_agents.evaluation.figures import Figure
from magid_agents.evaluation.judges import Judges
from magid_agents.evaluation.moments import Cluster, clusters_of, read_dialogues
from magid_agents.evaluation.scoring import Measurer, NamedScorer, Pair, Scores, measuring
from magid_agents.reading.trace import read_manifest, thresholds
from magid_agents.store.rundir import RunDir, write_atomically
from magid_agents.thresholds import Threshold

SCHEMA = 1  # of evaluation.json


@dataclass(frozen=True)
class Evaluation:
    """The figures of a run by section, and remarks on what could not be computed."""

    dialogues: int
    images: int
    scorers: Mapping[str, str]  # identities by the names in figures
    sections: Mapping[str, Sequence[Figure]]
    notes: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "dialogues": self.dialogues,
            "images": self.images,
            "scorers": dict(self.scorers),
            "sections": {name: [f.as_dict() for f in figures] for name, figures in self.sections.items()},
            "notes": list(self.notes),
        }


def evaluate_run(path: Path, held_out: str | None = None, best_of: Path | None = None) -> Evaluation:
    """Evaluate a run directory, and write DIR/evaluation.json.

    Args:
        held_out: BACKEND:MODEL of a scorer that the run never chose by.
        best_of: a run over the same dialogues that rewrote nothing and painted more candidates.

    Raises RunDirError if a directory holds no run or one is being written, ConfigError for a held-out scorer
    that a run was gated by and for a `best_of` of other scorers or without a common moment, and what
    building a scorer raises.
    """
    directory = RunDir(path)
    manifests = [read_manifest(directory), *([read_manifest(RunDir(best_of))] if best_of else [])]
    if best_of and _scorers(manifests[0]) != _scorers(manifests[1]):
        raise ConfigError(f"--best-of {best_of}: was judged by other scorers than {path}; use the same")
    chosen = judges.choose(manifests[0], held_out, manifests[1:])
    evaluation = asyncio.run(evaluate(directory, chosen, best_of))
    write_atomically(directory.evaluation, json.dumps(evaluation.as_dict(), indent=2) + "\n")
    return evaluation


async def evaluate(directory: RunDir, chosen: Judges, best_of: Path | None = None) -> Evaluation:
    """Compute a run's figures with these judges. Raises what `evaluate_run` raises."""
    dialogues = read_dialogues(directory)
    clusters = clusters_of(dialogues)
    checks = thresholds(directory)
    control = _control(clusters, best_of, list(checks.values()))
    kept = [moment for dialogue in dialogues for moment in dialogue.kept]
    sections: dict[str, Sequence[Figure]] = {}
    async with measuring(directory, [RunDir(best_of)] if best_of else []) as measurer:
        scores = {by.name: await _scores(measurer, by, clusters, control) for by in chosen.scorers}
        sections["match"] = [
            f for by in chosen.scorers for f in match.match_figures(clusters, by, scores[by.name])
        ]
        judged = [check for check in checks if check != judges.MATCH]
        sections["quality"] = yields.score_figures(clusters, judged) + yields.critique_figures(clusters)
        sections["yield"] = yields.yield_figures(clusters)
        sections["attempts"] = [
            *attempts.acceptance(clusters),
            *_rewriting(clusters, chosen.scorers, scores, control, list(checks.values())),
        ]
        sections["drops"] = drops.drops_by_check(clusters) + drops.drops_by_subject(clusters)
        sections["diversity"] = [f async for f in _diversity(measurer, clusters, chosen)]
    sections["spent"] = yields.spent_figures(clusters)
    known = {name: [f for f in figures if f.values] for name, figures in sections.items()}
    identities = {by.name: by.scorer.identity for by in chosen.scorers}
    return Evaluation(len(dialogues), len(kept), identities, known, chosen.notes)


def _scorers(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {place: name for place, name in manifest["models"].items() if place.startswith("scorers.")}


Control = Mapping[tuple[str, int], attempts.Contest]


def _control(clusters: Sequence[Cluster], best_of: Path | None, checks: Sequence[Threshold]) -> Control:
    if best_of is None:
        return {}
    found = attempts.contests(clusters, read_dialogues(RunDir(best_of)), checks)
    if not found:
        raise ConfigError(
            f"--best-of {best_of}: has no rewritten moment in common with the run; make it from the same "
            "input with --reuse, budget.attempts=1 and as many candidates as all attempts have together"
        )
    return found


async def _scores(
    measurer: Measurer, by: NamedScorer, clusters: Sequence[Cluster], control: Control
) -> Scores:
    def pairs() -> Iterator[Pair]:
        yield from match.match_pairs(clusters)
        yield from attempts.attempt_pairs(clusters)
        yield from attempts.contest_pairs(control)

    return await measurer.score(by, pairs())


def _rewriting(
    clusters: Sequence[Cluster],
    scorers: Sequence[NamedScorer],
    scores: Mapping[str, Scores],
    control: Control,
    checks: Sequence[Threshold],
) -> Iterator[Figure]:
    for by in scorers:
        yield from attempts.score_by_attempt(clusters, by, scores[by.name])
        yield attempts.gain_over_repainting(clusters, control, by, scores[by.name])
    yield attempts.passes_over_repainting(clusters, control, checks)


async def _diversity(
    measurer: Measurer, clusters: Sequence[Cluster], chosen: Judges
) -> AsyncIterator[Figure]:
    kept = [moment for cluster in clusters for dialogue in cluster for moment in dialogue.kept]
    images = [moment.image or "" for moment in kept]
    if chosen.embedder is not None:
        vectors = await measurer.embed_images(chosen.embedder, images)
        for figure in diversity.vendi_figures("images", clusters, vectors):
            yield figure
        texts = await measurer.embed_texts(chosen.embedder, [moment.description for moment in kept])
        for figure in diversity.vendi_figures("descriptions", clusters, texts):
            yield figure
    hashes = {image: diversity.difference_hash(measurer.find(image)) for image in images}
    for figure in diversity.near_duplicates(clusters, hashes):
        yield figure
