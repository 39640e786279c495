"""Export the finished dialogues of runs to a folder, one at a time, and count what was changed."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from magid_agents.errors import ConfigError, unknown
from magid_agents.export import EXPORTERS
from magid_agents.export.card import write_card
from magid_agents.export.croissant import write_croissant
from magid_agents.export.folder import create_folder
from magid_agents.export.provenance import read_provenance
from magid_agents.export.request import ExportRequest
from magid_agents.export.signing import ImageSigner
from magid_agents.export.summary import NAME, Summary
from magid_agents.export.turns import BOTH, LAST, AssistantImages, Policy, to_conversations
from magid_agents.export.writer import Sample, Writer, to_json
from magid_agents.formats import Seen
from magid_agents.reading.records import Record, count_lines, read_lines
from magid_agents.reading.trace import read_manifest
from magid_agents.store.rundir import RunDir

TRAIN, TEST = "train", "test"
SIGNED = "images_signed"
EMPTY = "splits are empty, which load_dataset refuses: the card does not name them"
RENAMED = "samples_renamed"  # another one had the same id
MAX_SPEAKERS_TOLD = 20

Report = Callable[[int, int], None]  # dialogues done, and in all


def export(request: ExportRequest, report: Report = lambda *_: None) -> Summary:
    """Write the runs' finished dialogues to a new folder.

    Raises ConfigError if the request cannot be met or no dialogue can be exported, and RunDirError if a run
    cannot be read or the folder cannot be written; there is no folder then. If the folder is there and
    complete, nothing is done.
    """
    runs = _open_runs(request.directories)
    provenance = read_provenance(runs)
    make_writer = _load_writer(request)
    policy = (request.policy or Policy()) if make_writer.has_roles else None
    splits = (TRAIN,) if request.split is None else (TRAIN, TEST)
    signer = ImageSigner(request.credentials) if request.credentials else None
    identity = request.identity(runs, policy)
    if (done := Summary.read(request.out)) and done.request == identity:
        return done
    summary = Summary(
        request.format,
        request=identity,
        assistant=policy.assistant if policy else None,
        assistant_images=policy.images.value if policy else None,
        samples=Counter(dict.fromkeys(splits, 0)),
    )
    total = sum(count_lines(run.dialogues) for run in runs)
    seen, speakers = Seen(), dict[str, None]()
    with create_folder(request.out, identity, signer) as folder:
        writer = make_writer(folder, splits)
        for run, record in _records(runs):
            split = TRAIN if request.split is None else split_of(record.id, request.split)
            for sample in _samples(run, record, policy, seen, summary.rules):
                writer.write(sample, split)
                summary.samples[split] += 1
            if len(speakers) < MAX_SPEAKERS_TOLD:
                speakers |= dict.fromkeys(utterance.speaker for utterance in record.utterances)
            summary.dialogues += 1
            report(summary.dialogues, total)
        if not summary.samples.total():
            raise ConfigError(_why_nothing(request, list(speakers)))
        if empty := sum(not n or split in writer.empty for split, n in summary.samples.items()):
            writer.notes[EMPTY] += empty
        summary.images, summary.notes = folder.image_count, writer.notes
        summary.rules += Counter({SIGNED: folder.signed_count})
        writer.finish()
        terms = provenance.terms(request.licence, request.source_licence)
        write_card(folder, writer, summary.as_dict(), provenance, terms)
        write_croissant(folder, writer, summary.as_dict(), provenance, terms)
        folder.open(NAME).write(to_json(summary.as_dict()) + b"\n")
    return summary


def split_of(dialogue_id: str, share: float) -> str:
    """Return the split that a dialogue belongs to, which depends on its id alone.

    So it stays where it is when others are added, and a dialogue that two runs have is in one split.
    """
    # The prefix makes it independent of the hash that shards are chosen by.
    digest = hashlib.sha256(f"split:{dialogue_id}".encode(errors="surrogatepass")).digest()
    return TRAIN if int.from_bytes(digest[:8], "big") < share * 2**64 else TEST


def _open_runs(directories: Sequence[Path]) -> list[RunDir]:
    runs = [RunDir(path) for path in directories]
    for run in runs:
        read_manifest(run)
    for path, times in Counter(path.resolve() for path in directories).items():
        if times > 1:
            raise ConfigError(f"{path}: is named {times} times; name each run directory once")
    return runs


def _load_writer(request: ExportRequest) -> type[Writer]:
    make_writer = EXPORTERS.load("--to", request.format)
    if not (isinstance(make_writer, type) and issubclass(make_writer, Writer)):
        raise ConfigError(f"--to {request.format}: must be a Writer of magid_agents.export.writer")
    if request.split is not None and not 0 < request.split < 1:
        raise ConfigError(f"--split {request.split}: must be between 0 and 1, such as 0.9")
    if request.policy and not make_writer.has_roles:
        raise ConfigError(
            f"--to {request.format}: has no roles; leave out --assistant and --assistant-images"
        )
    images = request.policy.images if request.policy else AssistantImages.DESCRIBE
    if images is not AssistantImages.DESCRIBE and not make_writer.assistant_images:
        raise ConfigError(
            f"--assistant-images {images}: readers of {request.format} refuse images of the assistant; use "
            "describe, or --to sharegpt"
        )
    return make_writer


def _records(runs: Sequence[RunDir]) -> Iterator[tuple[RunDir, Record]]:
    for run in runs:
        for line in read_lines(run.dialogues):
            yield run, Record.parse(line, run.path)


def _samples(
    run: RunDir, record: Record, policy: Policy | None, seen: Seen, rules: Counter[str]
) -> Iterator[Sample]:
    if policy is None:
        yield Sample(_unique(record.id, seen, rules), record, run)
        return
    conversations, changed = to_conversations(record.utterances, policy)
    rules.update({rule.value: times for rule, times in changed.items()})
    for number, one in enumerate(conversations, 1):
        name = f"{record.id}#{number}" if policy.assistant == BOTH else record.id
        yield Sample(_unique(name, seen, rules), record, run, one.assistant, one.turns)


def _unique(name: str, seen: Seen, rules: Counter[str]) -> str:
    """Return the name, or with a number behind it if another sample has it."""
    if seen.add(name):
        return name
    rules[RENAMED] += 1
    return seen.add_repeat(name)


def _why_nothing(request: ExportRequest, speakers: Sequence[str]) -> str:
    assistant = request.policy.assistant if request.policy else LAST
    if speakers and assistant not in (LAST, BOTH):
        return f"--assistant: {unknown('speaker', assistant, speakers, f'{LAST} or {BOTH}')}"
    return (
        f"{', '.join(map(str, request.directories))}: no finished dialogue can be exported; see magid trace"
    )
