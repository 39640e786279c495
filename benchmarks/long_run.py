"""A run directory of many dialogues, written without running anything.

Two moments a dialogue, one or two attempts of two candidates with three scores each, decided by the loop's
own function; a few of the calls that a run would have made, and no image files.
"""

import hashlib
import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import worlds
from magid_agents.agents.state import DIALOGUE
from magid_agents.agents.verdict import decide
from magid_agents.dialogue import (
    Attempt,
    Candidate,
    Decision,
    Decisions,
    Dropped,
    Illustration,
    MomentOutcome,
    SharingMoment,
)
from magid_agents.models.fakes import FakePainter
from magid_agents.runs import session
from magid_agents.store.database import RECORD_CALL, RECORD_USE, open_journal
from magid_agents.store.rundir import RunDir, image_name
from magid_agents.thresholds import Threshold

ATTEMPTS, CANDIDATES, UTTERANCES, WORDS = 2, 2, 6, 10
VOCABULARY = [f"{a}{b}{c}" for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "ou") for c in "lmnrst"]
RARE_WORD = "quagga"  # of one dialogue in a thousand
THRESHOLDS = (Threshold("image_text_match", 0.25), Threshold("aesthetics", 0.5), worlds.THRESHOLDS[1])
COMMIT_EVERY = 5000  # dialogues


def write(directory: Path, dialogues: int) -> None:
    """Write the directory; it is of no run that could go on."""
    _write_manifest(directory, dialogues)
    run, chance = RunDir(directory), random.Random(0)
    with closing(open_journal(run.journal)) as journal, run.dialogues.open("w", encoding="utf-8") as out:
        journal.execute("PRAGMA synchronous = OFF")  # it is thrown away
        for table in ("calls", "uses"):
            journal.execute(f"DELETE FROM {table}")
        journal.execute("BEGIN")
        for number in range(dialogues):
            name, texts = f"d{number}", [_say(chance) for _ in range(UTTERANCES)]
            if number % 1000 == 0:
                texts[0] += f" {RARE_WORD}"
            outcomes = [_moment(chance, utterance, texts[utterance]) for utterance in (1, 4)]
            record = _record(name, texts, outcomes)
            out.write(json.dumps(record) + "\n")
            decisions = Decisions(outcomes=tuple(outcomes)).model_dump(mode="json", exclude_defaults=True)
            calls = [
                *_calls(texts, outcomes),
                (DIALOGUE, DIALOGUE, {"record": record, "decisions": decisions}),
            ]
            for step, kind, answer in calls:
                key = hashlib.sha256(f"{name}/{step}".encode()).hexdigest()
                request = {} if kind == DIALOGUE else {"messages": [["user", " ".join(texts)]]}
                usage = {"input_tokens": 300, "output_tokens": 30, "cost": 0.0001} if kind == "chat" else {}
                said = (json.dumps(value) for value in (request, answer, usage))
                journal.execute(RECORD_CALL, (key, kind, "model@1", *said, 1.8e9, 0.1, 0.5, 0.0, None))
                journal.execute(RECORD_USE, (name, step, key, 0))
            if number % COMMIT_EVERY == 0:
                journal.execute("COMMIT")
                journal.execute("BEGIN")
        journal.execute("COMMIT")


def _write_manifest(directory: Path, dialogues: int) -> None:
    """Take that of a run of one dialogue."""
    directory.mkdir(parents=True)
    sets = {"budget.attempts": ATTEMPTS, "budget.candidates": CANDIDATES, "critic.critique": None}
    request = worlds.request(directory, 1, **sets)
    session.run(request, open_models=worlds.fakes(FakePainter))
    for path in (directory / "out").iterdir():
        path.rename(directory / path.name)
    path = directory / "run.json"
    content = json.loads(path.read_text())
    content["counts"]["dialogues"] = dialogues
    content["thresholds"] = {t.check: content["thresholds"]["image_text_match"] | vars(t) for t in THRESHOLDS}
    path.write_text(json.dumps(content))


def _say(chance: random.Random) -> str:
    return " ".join(["the", *chance.choices(VOCABULARY, k=WORDS)])


def _moment(chance: random.Random, utterance: int, text: str) -> MomentOutcome:
    moment = SharingMoment(utterance=utterance, speaker="A", description=text[:40], rationale="shows it")
    attempts = list[Attempt]()
    for number in range(1, ATTEMPTS + 1):
        candidates = [_candidate(chance) for _ in range(CANDIDATES)]
        verdict = decide(candidates, THRESHOLDS, None, 0.0, ATTEMPTS - number)
        prompt = f"{text[:30]} {number}"
        attempts.append(Attempt(prompt=prompt, candidates=tuple(candidates), verdict=verdict))
        if verdict.decision is Decision.ACCEPT:
            best = candidates[verdict.best or 0]
            kept = Illustration(
                path=image_name(best.sha256),
                description=moment.description,
                rationale=moment.rationale,
                prompt=prompt,
                critique="",
                attempts=number,
                **best.model_dump(exclude={"unanswered"}),
            )
            return MomentOutcome(moment=moment, attempts=tuple(attempts), illustration=kept)
    dropped = Dropped(utterance=utterance, description=moment.description, reason=verdict.reason)
    return MomentOutcome(moment=moment, attempts=tuple(attempts), dropped=dropped)


def _candidate(chance: random.Random) -> Candidate:
    scores = {
        "image_text_match": round(chance.gauss(0.3, 0.05), 5),
        "aesthetics": round(chance.betavariate(3, 2), 5),
        "unsafe": round(chance.betavariate(1, 30), 5),
    }
    return Candidate(
        sha256=chance.randbytes(32).hex(), seed=chance.getrandbits(31), model="painter@1", scores=scores
    )


def _record(name: str, texts: list[str], outcomes: list[MomentOutcome]) -> dict[str, Any]:
    images = {o.moment.utterance: o.illustration.model_dump() for o in outcomes if o.illustration}
    utterances = [
        {"speaker": "AB"[i % 2], "text": text, "images": [images[i]] if i in images else []}
        for i, text in enumerate(texts)
    ]
    dropped = [o.dropped.model_dump() for o in outcomes if o.dropped]
    return {"id": name, "source": "made", "utterances": utterances, "dropped": dropped}


def _calls(texts: list[str], outcomes: list[MomentOutcome]) -> list[tuple[str, str, Any]]:
    """Return the scan, and the prompt and one painting of every attempt: step, kind, answer."""
    found: list[tuple[str, str, Any]] = [("scan", "chat", {"moments": texts[:2]})]
    for outcome in outcomes:
        for number, attempt in enumerate(outcome.attempts, 1):
            place = f"{outcome.moment.utterance:04}/{number}"
            found.append((f"{place}/write", "chat", {"prompt": attempt.prompt}))
            found.append((f"{place}/paint/00", "paint", attempt.candidates[0].sha256))
    return found
