"""Ended dialogues with made-up moments, for tests of figures."""

from magid_agents.dialogue import (
    Attempt,
    Candidate,
    Decision,
    Dropped,
    Illustration,
    MomentOutcome,
    SharingMoment,
    Shortfall,
    Verdict,
)
from magid_agents.evaluation.moments import EndedDialogue, JudgedMoment


def digest(name: str) -> str:
    """Return a made-up SHA-256 that begins with the name in hex."""
    return name.encode().hex().ljust(64, "0")[:64]


def candidate(name: str, **scores: float) -> Candidate:
    return Candidate(sha256=digest(name), seed=1, model="p", scores={"unsafe": 0.0, **scores})


def attempt(prompt: str, *candidates: Candidate, failed: str | None = None, end: bool = False) -> Attempt:
    """An attempt judged by its first candidate; accepted unless it failed a check."""
    decision = Decision.ACCEPT if failed is None else Decision.GIVE_UP if end else Decision.REWRITE
    shortfalls = () if failed is None else (Shortfall(check=failed, score=0.1, threshold=0.5),)
    best = 0 if candidates else None
    verdict = Verdict(decision=decision, best=best, shortfalls=shortfalls)
    return Attempt(prompt=prompt, candidates=candidates, verdict=verdict)


def moment(dialogue: str, utterance: int, description: str, *attempts: Attempt) -> JudgedMoment:
    """A moment with the first candidate of its last attempt as image, if that was accepted."""
    told = SharingMoment(utterance=utterance, speaker="A", description=description)
    last = attempts[-1] if attempts else None
    if last is None or last.verdict is None or last.verdict.decision is not Decision.ACCEPT:
        dropped = Dropped(utterance=utterance, description=description, reason="r")
        outcome = MomentOutcome(moment=told, attempts=attempts, dropped=dropped)
    else:
        kept = last.candidates[0]
        illustration = Illustration(
            path="p",
            sha256=kept.sha256,
            description=description,
            rationale="",
            prompt=last.prompt,
            seed=1,
            model="p",
            scores=kept.scores,
            critique="",
            attempts=len(attempts),
        )
        outcome = MomentOutcome(moment=told, attempts=attempts, illustration=illustration)
    return JudgedMoment(dialogue, utterance, f"look at {description}", outcome)


def dialogue(name: str, *moments: JudgedMoment, calls: int = 4, cost: float = 0.0) -> EndedDialogue:
    return EndedDialogue(
        name, [("A", f"what {name} says")], moments, failed=False, calls=calls, seconds=2.0 * calls, cost=cost
    )


def kept(name: str, utterance: int = 0, description: str = "a dog", **scores: float) -> JudgedMoment:
    """A moment whose first candidate was kept; its image is named after dialogue and utterance."""
    image = candidate(f"{name}{utterance}", **scores)
    return moment(name, utterance, description, attempt("p", image))
