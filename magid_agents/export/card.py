"""The dataset card, README.md: what the Hub reads, what made the dataset, and what the rules changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any

import yaml

from magid_agents.export import statements
from magid_agents.export.folder import OutputFolder
from magid_agents.export.licences import Terms, hub_name
from magid_agents.export.provenance import AGENTS, Provenance
from magid_agents.export.writer import Writer

SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST = "n>1M"


def write_card(
    folder: OutputFolder,
    writer: Writer,
    summary: Mapping[str, Any],
    provenance: Provenance,
    terms: Terms,
) -> None:
    """Write README.md. Nothing in it comes from a dialogue, except the assistant's name."""
    head = yaml.safe_dump(_head(writer, summary, terms), sort_keys=False)
    body = "\n".join(_sections(writer, summary, provenance, terms))
    folder.open("README.md").write(f"---\n{head}---\n\n{body}".encode(errors="replace"))


def _head(writer: Writer, summary: Mapping[str, Any], terms: Terms) -> Mapping[str, Any]:
    samples: Mapping[str, int] = summary["samples"]
    total = sum(samples.values())
    name = hub_name(terms.licence)
    files = [
        {"split": split, "path": writer.data_files.format(split=split)}
        for split, count in samples.items()
        if count and split not in writer.empty
    ]
    return {
        "license": name,
        **({"license_name": terms.licence} if name == "other" else {}),
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["extended"],
        "size_categories": [next((size for limit, size in SIZES.items() if total < limit), LARGEST)],
        "tags": ["synthetic", "dialogue", "image"],
        **(
            {"configs": [{"config_name": "default", "data_files": files}]}
            if writer.data_files and files
            else {}
        ),
    }


def _sections(
    writer: Writer, summary: Mapping[str, Any], provenance: Provenance, terms: Terms
) -> Iterator[str]:
    yield f"# {statements.title(provenance)}\n"
    yield (
        f"Written by `magid export --to {_code(summary['format'])}`. croissant.json says the same for "
        "programs.\n"
    )
    if summary["assistant"] is not None:
        yield (
            f"The assistant is: `{_code(summary['assistant'])}`. Images that the assistant shares: "
            f"`{summary['assistant_images']}`.\n"
        )
    counts = {"dialogues": summary["dialogues"], "images": summary["images"]}
    counts |= {f"samples in {split}": count for split, count in summary["samples"].items()}
    counts |= {**summary["rules"], **summary["notes"]}
    yield _table(("what", "how many"), ((name.replace("_", " "), n) for name, n in counts.items()))
    for files, columns in writer.columns.items():
        yield f"## Columns of `{files}`\n"
        yield _table(("column", "what it holds"), ((f"`{name}`", said) for name, said in columns.items()))
    yield "## How it was made\n"
    made = provenance.counts
    yield (
        f"{made['dialogues']} dialogues were read; {made['failed']} failed. {made['accepted']} images were "
        f"accepted, {made['rewritten']} of them after their prompt was rewritten; {made['dropped']} moments "
        "ended without one.\n"
    )
    yield _table(
        ("agent", "models", "prompts (SHA-256)"),
        (
            (agent, _list(provenance.models(agent)), _list(map(" ".join, provenance.prompts(agent))))
            for agent in AGENTS
        ),
    )
    yield _table(("check", "an image is accepted"), provenance.thresholds)
    yield _table(("input", "SHA-256"), ((f"`{_code(f.name)}`", f.sha256 or "") for f in provenance.inputs))
    if provenance.figures:
        yield "## Figures\n\nOf `magid evaluate run`, with intervals over dialogues.\n"
        yield _table(("about", "figure", "estimate", "interval"), starmap(_figure, provenance.figures))
    yield f"## Licences\n\n{_licences(terms)}\n"
    rows = ((_list([part]), _code(licence or "not known")) for part, licence in terms.parts.items())
    yield _table(("part", "licence"), rows)
    yield f"## Intended use\n\n{statements.USES}\n"
    yield (
        f"## Limits\n\n{statements.LIMITATIONS}\n\n{statements.BIASES}\n\n{statements.PERSONAL}\n\n"
        f"{statements.IMPACT}\n"
    )


def _licences(terms: Terms) -> str:
    said = [f"The maker of this export states: {_code(terms.stated)}."] if terms.stated else []
    if terms.binding:
        part, licence = terms.binding
        said.append(f"{_code(licence)}, of {_code(part)}, is the most demanding one that is known; it binds.")
    if terms.unknown:
        said.append("Find out those that are not known before you publish the dataset.")
    return " ".join(said)


def _figure(section: str, figure: Mapping[str, Any]) -> Sequence[object]:
    estimate, low, high = (_number(figure[name]) for name in ("estimate", "low", "high"))
    return _code(section), _code(figure["name"]), estimate, f"{low} to {high}" if low and high else ""


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{_code(name)}`" for name in names)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _code(text: str) -> str:
    """Return the text so that it can stand between backticks, in a cell, on one line."""
    return " ".join(text.replace("`", "'").replace("|", "/").split())
