"""Write what a search came to: a prompt file beside the old one, the difference, and the evidence."""

import difflib
import json
from pathlib import Path
from typing import Any

from magid_agents.evaluation.improve.improvement import Improvement
from magid_agents.evaluation.improve.search import Proposal
from magid_agents.evaluation.intervals import Interval

PROMOTED, NOT_PROMOTED = "prompts", "not-promoted"  # folders


def write(found: Improvement, out: Path) -> Path | None:
    """Write evidence.json and evidence.md; if there is a candidate, also its file and improvement.diff.

    Returns the candidate's file: in prompts/ if it is promoted, to be used with --prompts, else in
    not-promoted/. The prompt that was improved is not touched.
    """
    files = {folder: out / folder / f"{found.part.prompt.name}.md" for folder in (PROMOTED, NOT_PROMOTED)}
    for stale in (*files.values(), diff := out / "improvement.diff"):
        stale.unlink(missing_ok=True)
    chosen = files[PROMOTED if found.promoted else NOT_PROMOTED] if found.candidate else None
    if chosen is not None:
        chosen.parent.mkdir(parents=True, exist_ok=True)
        chosen.write_text(found.part.file_with(found.text), encoding="utf-8")
        diff.write_text(_diff(found, chosen), encoding="utf-8")
    evidence = as_dict(found)
    (out / "evidence.json").write_text(json.dumps(evidence, indent=2) + "\n", encoding="utf-8")
    (out / "evidence.md").write_text(_as_page(found), encoding="utf-8")
    return chosen


def as_dict(found: Improvement) -> dict[str, Any]:
    """Return all of it as JSON values."""
    return {
        "prompt": found.part.prompt.name,
        "sha256": found.part.prompt.sha256,
        "figure": found.figure,
        "promoted": found.promoted,
        "search_dialogues": {"tried_on": found.search_dialogues[0], "chosen_on": found.search_dialogues[1]},
        "held_out_dialogues": found.baseline.clusters,
        "baseline": found.baseline.as_dict(),
        "candidate": found.candidate.as_dict() if found.candidate else None,
        "difference": found.difference.as_dict() if found.difference else None,
        "proposals": [vars(proposal) for proposal in found.proposals],
        "projection": vars(found.projection),
        "cost": found.cost,
    }


def verdict(found: Improvement) -> str:
    """Return in one sentence what came of it."""
    if found.difference is None:
        why = "no proposal did better in the search" if found.proposals else "no proposal was made"
        return f"nothing is promoted: {why}"
    told = (
        f"{found.figure} {_shown(found.difference, '+.3f')} on {found.baseline.clusters} held-out dialogues"
    )
    if found.promoted:
        return f"promoted: {told}"
    return f"not promoted: {told}, which is not told apart from no gain"


def _shown(figure: Interval, spec: str = ".3f") -> str:
    return f"{figure.estimate:{spec}} [{figure.low:{spec}}, {figure.high:{spec}}]"


def _diff(found: Improvement, path: Path) -> str:
    old = found.part.prompt.path
    lines = difflib.unified_diff(
        old.read_text(encoding="utf-8").splitlines(keepends=True),
        path.read_text(encoding="utf-8").splitlines(keepends=True),
        str(old),
        str(path),
    )
    return "".join(lines)


def _as_page(found: Improvement) -> str:
    tried, chosen = found.search_dialogues
    rows = [
        ("as it stands", found.baseline),
        ("candidate", found.candidate),
        ("difference", found.difference),
    ]
    table = [f"| {name} | {_shown(figure)} |" for name, figure in rows if figure is not None]
    proposals = [
        f"{number}. {_fate(proposal)}: {' '.join((proposal.diagnosis or proposal.text).split())[:200]}"
        for number, proposal in enumerate(found.proposals, 1)
    ]
    return "\n".join(
        [
            f"# {found.part.prompt.name}",
            "",
            f"{verdict(found)[0].upper()}{verdict(found)[1:]}.",
            "",
            f"Proposals were tried on {tried} dialogues and chosen between on {chosen} others. The figures "
            f"are of {found.baseline.clusters} dialogues that neither saw, with {found.baseline.level:.0%} "
            "intervals over dialogues; the difference is paired.",
            "",
            f"| {found.figure} | held out |",
            "|---|---|",
            *table,
            "",
            f"{len(found.proposals)} proposals, ${found.cost:.4f} in all:",
            "",
            *proposals,
            "",
        ]
    )


def _fate(proposal: Proposal) -> str:
    if proposal.refused:
        return f"refused ({proposal.refused})"
    if proposal.search_score is None:
        return "tried, no better"
    return f"kept in the search (score {proposal.search_score:.3f})"
