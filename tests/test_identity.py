"""What decides an answer is in the key of its call, what decides the dataset in run.json; nothing else is.

A table says of every setting what must change with it. A setting without a row fails, whatever it does.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import pytest
from pydantic import BaseModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from magid_agents import config, resources
from magid_agents.config import Settings
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.painters import pipeline
from magid_agents.models.painters.diffusers import DiffusersPainter
from magid_agents.models.protocols import Painter
from magid_agents.runs import manifest, session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.runs.shards import Shard
from magid_agents.store.rundir import RunDir, RunDirError
from tests.answering import AnsweringEndpoint, open_models
from tests.fake_run import write_input

# A run that uses all there is: yes/no questions, a rewrite, a model that looks, a policy.
PROMPTS = {
    "scanner.prompt": "scanner/yes_no",
    "scanner.describe": "scanner/describe",
    "writer.write": "prompt_writer/write",
    "writer.rewrite": "prompt_writer/rewrite",
    "critic.critique": "critic/questions",
    "critic.answer": "critic/answer",
    "safety.prompt": "safety/prompt",
    "safety.judge": "safety/policy",
}
FREE = '{"input": 0, "output": 0}'
BASE = (
    *(f"{setting}={name}" for setting, name in PROMPTS.items()),
    "chat.provider=openai",
    "chat.model=writer",
    'critic.chat={"provider": "openai", "model": "vision_chat", "vision": true}',
    'safety.policy={"provider": "openai", "model": "judge", "vision": true}',
    f'prices={{"writer": {FREE}, "vision_chat": {FREE}, "judge": {FREE}}}',
    "scanner.threshold=0.5",
    "safety.threshold=0.7",
    "safety.review_share=1",
    "budget.attempts=2",
    "painter.model=models/one",
    'scorers.image_text_match={"backend": "pick", "model": "models/one", "threshold": 0.5}',
    'scorers.aesthetics={"backend": "laion", "model": "models/one", "threshold": 0.1}',
    "scorers.unsafe.threshold=0.8",
)

Changes = frozenset[str]
NOTHING: Changes = frozenset()
RUN: Changes = frozenset({"run"})  # it is another one, and refused without --update
CHAT, PAINT, SCORE = RUN | {"chat"}, RUN | {"paint"}, RUN | {"score"}
FILE = PAINT | SCORE | CHAT  # an image's file names its model and seed: it is another one, whatever it shows


class Row(NamedTuple):
    """What must change with a setting: `run`, and the kinds of calls whose keys do."""

    changes: Changes
    value: str  # another one
    sets: tuple[str, ...] = ()  # what goes with it


REMOTE = {
    "base_url": Row(RUN, "http://127.0.0.1:9/v1"),  # many servers tell no more of a model than its name
    "api_key_env": Row(NOTHING, "OTHER_KEY"),
    "key_over_http": Row(NOTHING, "true"),
    "timeout": Row(NOTHING, "7"),
    "retries": Row(NOTHING, "1"),
    "concurrency": Row(NOTHING, "3"),
}
MODEL = {
    **REMOTE,
    "model": Row(CHAT, "other"),
    "temperature": Row(CHAT, "0.5"),
    "threads": Row(NOTHING, "1"),
}
ROWS: Mapping[str, Row] = {
    "seed": Row(FILE, "7"),
    "graph": Row(RUN, "no_qa"),
    "concurrency": Row(NOTHING, "2"),
    "max_cost": Row(NOTHING, "1000"),
    "prices": Row(NOTHING, '{"other": {"input": 1}}'),
    **{f"prices.*.{unit}": Row(NOTHING, "2") for unit in ("input", "output", "image")},
    **{
        f"{place}.{name}": MODEL[name] for place in ("chat", "critic.chat", "safety.policy") for name in MODEL
    },
    **{setting: Row(CHAT, f"{name}-edited") for setting, name in PROMPTS.items()},
    # The embedded model's identity, and so the key, has a digest of weights that no test has.
    "chat.provider": Row(RUN, "embedded"),
    "chat.max_tokens": Row(CHAT, "99"),
    "chat.vision": Row(RUN, "true"),
    "scanner.threshold": Row(RUN, "0.55"),
    "scanner.min_gap": Row(RUN, "3"),
    "scanner.max_images": Row(RUN, "1"),
    "writer.style": Row(CHAT, "in oil"),
    "painter.backend": Row(FILE, "images_endpoint"),
    **{f"painter.{name}": row for name, row in REMOTE.items()},
    "painter.model": Row(FILE, "models/other"),
    # Known by the identity of what they name, and a preset by the settings in it.
    "painter.folder": Row(NOTHING, "images"),
    "painter.preset": Row(NOTHING, "preset.toml"),
    "painter.revision": Row(NOTHING, "v2"),
    "painter.variant": Row(PAINT, "fp16"),
    "painter.pipeline": Row(PAINT, "StableDiffusionPipeline"),
    "painter.scheduler": Row(PAINT, '{"timestep_spacing": "trailing"}'),
    "painter.arguments": Row(PAINT, '{"timeout": 9}'),
    "painter.guidance_argument": Row(PAINT, "true_cfg_scale"),
    "painter.token_limit": Row(CHAT, "70"),
    "painter.compile": Row(NOTHING, "true"),
    "painter.attention": Row(PAINT, "sage"),  # which quantises
    "painter.quantise": Row(PAINT, "int8"),
    "painter.steps": Row(PAINT, "20"),
    "painter.guidance": Row(PAINT, "3"),
    "painter.width": Row(PAINT, "32"),
    "painter.height": Row(PAINT, "32"),
    "painter.batch": Row(NOTHING, "1"),
    "painter.device": Row(NOTHING, "cpu"),
    "painter.dtype": Row(PAINT, "float16"),
    "painter.negative_prompt": Row(PAINT, "text"),
    "scorers": Row(RUN, '{"more": {"backend": "pick", "model": "models/one", "threshold": 0}}'),
    "scorers.*.backend": Row(SCORE, "laion"),
    "scorers.*.model": Row(SCORE, "models/other"),
    "scorers.*.device": Row(NOTHING, "cpu"),
    "scorers.*.threshold": Row(CHAT, "0.55"),  # the writer is told by how much the first attempt fell short
    "scorers.*.compare_to": Row(SCORE, "prompt"),
    "critic.chat": Row(RUN, "null"),
    "critic.chat.max_tokens": Row(RUN, "99"),  # it is asked yes/no questions alone
    "critic.threshold": Row(RUN, "0.7"),
    "safety.threshold": Row(RUN, "0.65"),
    "safety.policy": Row(RUN, "null"),
    "safety.policy.max_tokens": Row(RUN, "99"),
    "safety.review_from": Row(RUN, "0.2"),
    "safety.review_share": Row(RUN, "0.5"),
    "budget.attempts": Row(RUN, "3"),
    "budget.candidates": Row(RUN, "3"),
}
LOCAL_SCORERS = ("scorers.image_text_match", "scorers.aesthetics")
# The critic's own and the policy model must see, and scorers that ship take no arguments.
SEES = {f"{place}.{name}" for place in ("critic.chat", "safety.policy") for name in ("provider", "vision")}
ONE_VALUE = {*SEES, "scorers.*.arguments"}


def test_every_setting_has_a_row() -> None:
    assert sorted([*ROWS, *ONE_VALUE]) == sorted(_paths(Settings))


def _paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield every setting; `*` stands for the names in a table, and a section that may be null is one too."""
    for name, field in model.model_fields.items():
        path, kind = f"{above}{name}", field.annotation
        parts = [part for part in (kind, *get_args(kind)) if _is_section(part)]
        if kind not in parts:
            yield path
        for part in parts:
            yield from _paths(part, f"{path}.*." if get_origin(kind) is dict else f"{path}.")


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a run needs, and a finished one."""
    folder = tmp_path_factory.mktemp("identity")
    for name in ("one", "other"):  # a folder that a painter and every scorer take for theirs
        model = folder / "models" / name
        (model / "tokenizer").mkdir(parents=True)
        for file in ("model_index.json", "config.json", "preprocessor_config.json", "model.safetensors"):
            (model / file).write_text(json.dumps({"_name_or_path": name}))
        words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        words.save(str(model / "tokenizer" / "tokenizer.json"))
    (folder / "preset.toml").write_text("steps = 10")
    for name in PROMPTS.values():
        edit_prompt(folder, name, "-edited")
    write_input(folder / "in.jsonl", "dog")
    run(folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "copy")


def edit_prompt(folder: Path, name: str, suffix: str = "") -> None:
    path = folder / "prompts" / f"{name}{suffix}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((resources.folder("prompts") / f"{name}.md").read_text() + "Be strict.\n")


def run(folder: Path, *sets: str, **options: Any) -> RunResult:
    given = {"inputs": [Path("in.jsonl")], "out": Path("out"), "prompts": Path("prompts"), **options}
    with chdir(folder):
        return session.run(
            RunRequest(settings=config.load(overrides=[*BASE, *sets]), **given), open_models=open_models
        )


def changes(finished: Path, folder: Path, *sets: str, **options: Any) -> Changes:
    """Run again; return whether that is another run, and the kinds of calls that have another key."""
    run(folder, *sets, **options, update=True)
    recorded = manifest.load(RunDir(folder / "out"))
    assert recorded
    before, after = calls(finished), calls(folder)
    kinds = {before[step][0] for step in before.keys() & after.keys() if before[step] != after[step]}
    # What is refused is decided again; a part has the decisions of the whole.
    assert "shard" in options or ("dialogue" in kinds) == bool(recorded.sessions[-1].changes)
    kinds -= {"dialogue"}
    return (RUN if recorded.sessions[-1].changes else NOTHING) | kinds


def calls(folder: Path) -> dict[str, tuple[str, str]]:
    """Return kind and key of the call that each step made."""
    with closing(sqlite3.connect(folder / "out" / "journal.sqlite")) as db:
        return {
            step: (kind, key)
            for step, kind, key in db.execute("SELECT step, kind, key FROM uses JOIN calls USING (key)")
        }


def sets_of(path: str) -> list[str]:
    row = ROWS[path]
    name = path.replace("scorers.*", "scorers.image_text_match").replace("prices.*", "prices.writer")
    return [f"{name}={row.value}", *row.sets]


@pytest.mark.parametrize("path", [path for path, row in ROWS.items() if row.changes])
def test_a_setting_is_in_the_keys_of_what_it_decides(finished: Path, folder: Path, path: str) -> None:
    assert changes(finished, folder, *sets_of(path)) == ROWS[path].changes


def test_what_decides_nothing_is_neither_refused_nor_asked_again(folder: Path) -> None:
    rows = [sets_of(path) for path, row in ROWS.items() if not row.changes]
    with chdir(folder):
        base = config.load(overrides=BASE)
        assert [row for row in rows if config.load(overrides=[*BASE, *row]) == base] == []
    assert run(folder, *(one for row in rows for one in row)).calls.computed == 0


def test_another_run_is_refused_and_every_difference_named(folder: Path) -> None:
    paths = [path for path in ROWS if path.startswith(("scanner.", "writer.", "budget."))]
    with pytest.raises(RunDirError) as refused:
        run(folder, *(one for path in paths for one in sets_of(path)))
    assert [path for path in paths if f"{path}: " not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("name", "expected"), [("critic/answer", CHAT), ("scanner/yes_no", CHAT), ("critic/vision", NOTHING)]
)
def test_the_text_of_a_prompt_counts_where_it_is_used(
    finished: Path, folder: Path, name: str, expected: Changes
) -> None:
    edit_prompt(folder, name)
    assert changes(finished, folder) == expected


def test_a_graph_is_its_files_content_and_its_name_there(finished: Path, folder: Path) -> None:
    text = (resources.folder("graphs") / "magid.py").read_text()
    for place in ("here", "there"):
        (folder / place).mkdir()
        (folder / place / "mine.py").write_text(f"{text}\nagain = graph\n")
    run(folder, "graph=here/mine.py:graph", update=True)
    assert run(folder, "graph=there/mine.py:graph").calls.computed == 0
    with pytest.raises(RunDirError, match="graph: mine@"):
        run(folder, "graph=here/mine.py:again")
    (folder / "here" / "mine.py").write_text(f"{text}\n")
    assert changes(finished, folder, "graph=here/mine.py:graph") == RUN


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("my dog", "my dog!", CHAT, id="another text"),
        pytest.param('"dog"', '"cat"', FILE, id="another id, which seeds depend on"),
        pytest.param("]}\n", "]}\n{}\n", NOTHING, id="more at its end"),
    ],
)
def test_an_input_is_its_content(finished: Path, folder: Path, old: str, new: str, expected: Changes) -> None:
    path = folder / "in.jsonl"
    path.write_text(path.read_text().replace(old, new))
    assert changes(finished, folder) == expected


def test_part_and_limit(finished: Path, folder: Path) -> None:
    assert changes(finished, folder, limit=1) == NOTHING
    assert changes(finished, folder, shard=Shard(1, 1)) == RUN


def test_everything_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "elsewhere"
    away.mkdir()
    for name in ("models", "prompts", "in.jsonl"):
        (folder / name).rename(away / name)
    models = [f"{path}.model={away}/models/one" for path in ("painter", *LOCAL_SCORERS)]
    assert run(folder, *models, inputs=[away / "in.jsonl"], prompts=away / "prompts").calls.computed == 0


def test_a_threshold_that_is_known_may_be_written_out(folder: Path) -> None:
    run(folder, "scorers.unsafe.threshold=null", update=True)
    assert run(folder, "scorers.unsafe.threshold=0.5").calls.computed == 0


def decided(section: BaseModel, place: str, make: Callable[[Any], Any]) -> set[str]:
    """Return the names of the settings that what is made of the section differs by."""
    names = [name for name in type(section).model_fields if f"{place}.{name}" in ROWS]
    return {name for name in names if make(_vary(section, place, name)) != make(section)}


def _vary(section: BaseModel, place: str, name: str) -> BaseModel:
    value = ROWS[f"{place}.{name}"].value
    with suppress(ValueError):
        value = json.loads(value)
    return type(section).model_validate({**section.model_dump(), name: value})


def _key(model: Painter | OpenAIChat) -> tuple[str, Mapping[str, Any]]:
    return model.identity, model.parameters


def test_what_a_pipeline_is_called_with_is_in_the_key(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    settings = config.PainterSettings(model="models/one")
    sent = decided(settings, "painter", pipeline.arguments)
    assert sent >= {"steps", "guidance_argument", "arguments"}
    assert sent <= decided(settings, "painter", lambda s: _key(DiffusersPainter(s)))


def test_what_an_images_endpoint_is_sent_is_in_the_key_and_its_probe() -> None:
    settings = config.PainterSettings(backend="images_endpoint", model="m", negative_prompt="blur")
    sent = {"steps", "guidance", "width", "height", "negative_prompt", "arguments"}
    assert decided(settings, "painter", lambda s: _key(AnsweringEndpoint(s))) == {"model", *sent}
    assert decided(settings, "painter", lambda s: AnsweringEndpoint(s).probe_request) == {"base_url", *sent}


def test_what_a_chat_model_is_sent_is_in_the_key_and_its_probe() -> None:
    settings, sent = config.Chat(provider="openai"), {"temperature", "max_tokens"}
    assert decided(settings, "chat", lambda s: _key(OpenAIChat(s))) == {"model", *sent}
    assert decided(settings, "chat", lambda s: OpenAIChat(s).probe_request) == {"base_url", "vision", *sent}
