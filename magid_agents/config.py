"""Settings: one typed object, put together from a profile, a preset, the environment and `--set`.

Later sources override earlier ones: field defaults, profile, preset, environment (MAGID_CHAT__MODEL=...),
`--set chat.model=...`.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from magid_agents.errors import ConfigError as ConfigError
from magid_agents.errors import unknown
from magid_agents.overrides import from_environment, from_flags, merge, with_nulls
from magid_agents.remote import Remote, Section
from magid_agents.validation import Formerly, explain

AUTO: Literal["auto"] = "auto"
PROFILES = Path(__file__).parent / "profiles"
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # The published pipeline (MAGID, section 3.4 and appendix I), with the scorers that its thresholds
    # were chosen for; chat model and painter remain the profile's. It paints up to three images one after
    # the other, then rewrites once, then drops the moment; here the three are painted together.
    "paper": {
        "scanner": {"prompt": "scanner/chain_of_thought", "max_images": 2},
        "budget": {"attempts": 2, "candidates": 3},
        "critic": {"critique": None},
        "scorers": {
            "image_text_match": {
                "backend": "open_clip",
                "model": "ViT-B-32-quickgelu:openai",
                "threshold": 0.21,
                "compare_to": "utterance",
            },
            "aesthetics": {
                "backend": "laion",
                "model": "shunk031/aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE",
                "threshold": 0.51,
            },
        },
    },
}


class Chat(Remote):
    """The chat model that scans, writes prompts and writes critiques."""

    provider: Literal["embedded", "openai"] = Field(
        "embedded",
        description="embedded: a local llama.cpp server; openai: any compatible endpoint, the default if "
        "base_url is set",
    )
    model: str = Field("qwen2.5-coder-1.5b", description="weights by name (embedded) or the endpoint's model")
    temperature: float | None = Field(0.0, ge=0, description="null if the model accepts none")
    max_tokens: int = Field(512, gt=0, description="longest answer, in tokens")
    vision: bool = Field(False, description="the model can look at images")
    threads: int = Field(2, gt=0, description="CPU threads of the embedded provider's server")

    @model_validator(mode="before")
    @classmethod
    def _infer_provider(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("base_url") and "provider" not in values:
            return {**values, "provider": "openai"}
        return values

    @model_validator(mode="after")
    def _check_embedded(self) -> Self:
        if self.provider == "embedded" and self.base_url is not None:
            raise ValueError("base_url is for provider=openai; set it to null for the embedded model")
        if self.provider == "embedded" and self.vision:
            raise ValueError("the embedded model cannot see; set vision=false, or provider=openai")
        return self


class Scanner(Section):
    """How sharing moments are found."""

    prompt: str = Field("scanner/few_shot", description="prompt file; its output schema is the strategy")
    describe: str = Field("scanner/describe", description="prompt file that describes such a moment")
    threshold: Annotated[float, Formerly("limit")] = Field(
        0.5, ge=0, le=1, description="probability of Yes that makes an utterance a moment"
    )
    min_gap: Annotated[int, Formerly("apart")] = Field(
        2, ge=1, description="minimum distance between such moments, in utterances"
    )
    max_images: int = Field(2, ge=0, description="maximum number of sharing moments per dialogue")


class Writer(Section):
    """How an image description becomes a generation prompt."""

    write: str = Field("prompt_writer/write", description="prompt file of the first attempt")
    rewrite: str = Field("prompt_writer/rewrite", description="prompt file of later attempts")
    style: str = Field("", description="prompt style that suits the painter, told to the writer")


class PainterSettings(Remote):
    """The image generation tool. Settings of the endpoint only apply to the backend images_endpoint."""

    backend: str = Field("diffusers", description="a painter's name, or package.module:Class")
    model: str = Field("painter", description="hub id, folder, name of shipped weights, or endpoint's model")
    folder: Path | None = Field(None, description="images to choose from, ranked by `model` (retrieval only)")
    preset: str | None = Field(None, description="a name in profiles/painters; these settings override it")
    revision: str | None = Field(None, description="hub revision; null uses the newest and records it")
    variant: str | None = Field(None, description="hub files of this kind, such as fp16")
    pipeline: str | None = Field(None, description="diffusers class, if the automatic choice finds none")
    scheduler: dict[str, Any] = Field({}, description="options of the scheduler; `class` replaces it")
    arguments: dict[str, Any] = Field(
        {}, description="more arguments of the pipeline's call, or settings of a third-party painter"
    )
    guidance_argument: str = Field("guidance_scale", description="the pipeline's name for guidance")
    token_limit: int | None = Field(None, gt=0, description="tokens of a prompt, if no file states the limit")
    compile: bool = Field(False, description="compile the denoiser: slow to start, then faster")
    attention: str | None = Field(None, description="attention backend, such as flash or _native_cudnn")
    quantise: Literal["float8", "int8", "int4"] | None = Field(
        None, description="fewer bits per weight; int8 and int4 need bitsandbytes"
    )
    steps: int = Field(10, gt=0, description="denoising steps")
    guidance: float = Field(4.0, ge=0, description="classifier-free guidance scale")
    width: int = Field(64, gt=0, description="pixels")
    height: int = Field(64, gt=0, description="pixels")
    batch: int = Field(4, gt=0, description="maximum images in one forward pass")
    device: str = Field("auto", description="auto (every GPU, else the CPU), cpu, mps, or cuda:0,cuda:1")
    dtype: Literal["float32", "float16", "bfloat16"] = Field("float32", description="number format")
    negative_prompt: str = Field("", description="what the image must not show")


class ScorerSettings(Section):
    """One check that every candidate gets."""

    backend: str = Field(description="a scorer's name, or package.module:Class")
    model: str = Field(description="weights by name, or any model that the backend accepts")
    arguments: dict[str, Any] = Field({}, description="settings of a third-party scorer")
    device: str = Field("auto", description="auto (the first GPU, else the CPU), cpu, cuda:1, mps")
    threshold: Annotated[float | None, Formerly("limit")] = Field(
        None,
        description="what scores are compared to; null uses the model's known threshold, and setting another "
        "model resets it to null",
    )
    compare_to: Annotated[Literal["description", "utterance", "prompt"], Formerly("against")] = Field(
        "description", description="the text a match is scored against"
    )


class Critic(Section):
    """The critique, which complements the scores."""

    critique: str | None = Field("critic/text", description="prompt file; null for no critique")
    answer: str = Field("critic/answer", description="prompt file, if the critique is a list of questions")
    chat: Chat | None = Field(None, description="a model with vision; null uses the chat model")
    threshold: Annotated[float, Formerly("limit")] = Field(
        0.6, ge=0, le=1, description="share of questions that must be satisfied"
    )

    @field_validator("chat")
    @classmethod
    def _check_chat_sees(cls, chat: Chat | None) -> Chat | None:
        if chat is not None and not chat.vision:
            raise ValueError("it is shown images, so it must be a model that sees; set vision=true")
        return chat


class Safety(Section):
    """Checks in addition to the classifier that scores every image."""

    prompt: str | None = Field(None, description="prompt file that checks a prompt before it is painted")
    threshold: Annotated[float, Formerly("limit")] = Field(
        0.5, ge=0, le=1, description="probability from which a prompt counts as unsafe and is not painted"
    )
    policy: Chat | None = Field(None, description="a vision model that judges some of the images")
    judge: str = Field("safety/policy", description="prompt file for the policy model")
    review_from: Annotated[float, Formerly("doubt")] = Field(
        0.1, ge=0, le=1, description="unsafe score from which the policy model judges an image"
    )
    review_share: Annotated[float, Formerly("sample")] = Field(
        0.02, ge=0, le=1, description="share of all images that it judges regardless of score"
    )

    @field_validator("policy")
    @classmethod
    def _check_policy_sees(cls, policy: Chat | None) -> Chat | None:
        if policy is not None and not policy.vision:
            raise ValueError("it judges images, so it must be a model that sees; set vision=true")
        return policy


class Budget(Section):
    """How often each sharing moment may be tried."""

    attempts: int = Field(3, gt=0, description="prompts per sharing moment, including the first")
    candidates: int = Field(2, gt=0, description="images per prompt, one seed each")


class Price(Section):
    """What a model costs, in dollars; null if unknown, 0 if it is free."""

    input: float | None = Field(None, ge=0, description="per million input tokens")
    output: float | None = Field(None, ge=0, description="per million output tokens")
    image: float | None = Field(
        None,
        ge=0,
        description="per image, if its answer counts no tokens or its tokens have no price here",
    )


class Settings(Section):
    """Everything that a run depends on besides its input and the text of the prompt files."""

    seed: int = Field(0, description="decides every image's seed")
    graph: str = Field("magid", description="a name in graphs/, or FILE:ATTR")
    concurrency: Literal["auto"] | Annotated[int, Field(gt=0)] = Field(
        AUTO, description="dialogues in flight at once; auto: as many as keep the slowest model busy"
    )
    max_cost: float | None = Field(
        None, ge=0, description="dollars after which the run stops; null for no limit"
    )
    prices: dict[str, Price] = Field({}, description="prices by model name")
    chat: Chat = Chat()
    scanner: Scanner = Scanner()
    writer: Writer = Writer()
    painter: PainterSettings = PainterSettings()
    scorers: dict[str, ScorerSettings] = Field(
        default={
            "image_text_match": ScorerSettings(backend="open_clip", model="matcher"),
            "aesthetics": ScorerSettings(backend="quality", model="quality"),
            "unsafe": ScorerSettings(backend="nsfw", model="yahoo-open-nsfw"),
        },
        description="checks by name; null removes one",
    )
    critic: Critic = Critic()
    safety: Safety = Safety()
    budget: Budget = Budget()

    @property
    def chats(self) -> dict[str, Chat]:
        """Every chat model, by its section."""
        sections = {"chat": self.chat, "critic.chat": self.critic.chat, "safety.policy": self.safety.policy}
        return {section: chat for section, chat in sections.items() if chat is not None}

    @field_validator("scorers", mode="before")
    @classmethod
    def _take_out_scorers(cls, scorers: Any) -> Any:
        if not isinstance(scorers, Mapping):
            return scorers
        return {check: scorer for check, scorer in scorers.items() if scorer is not None}

    @model_validator(mode="after")
    def _safety_is_checked(self) -> Self:
        if "unsafe" not in self.scorers:
            raise ValueError("scorers.unsafe cannot be left out: no image is kept unchecked")
        return self


def load(profile: str = "embedded", preset: str = "default", overrides: Iterable[str] = ()) -> Settings:
    """Load the settings of a run.

    Args:
        profile: a name in profiles/, or a TOML or YAML file.
        preset: a name in PRESETS.
        overrides: `key.path=value` each, the value as JSON or else as plain text.

    Raises ConfigError for an unknown profile, preset or setting, and for a value of the wrong type.
    """
    if preset not in PRESETS:
        raise ConfigError(unknown("preset", preset, PRESETS))
    layers = _profile(profile), PRESETS[preset], from_environment(Settings), from_flags(overrides, Settings)
    return _validated(_with_painter(reduce(_lay_over, layers, _defaults())))


def change(settings: Settings, overrides: Iterable[str]) -> Settings:
    """Return the settings with `key.path=value` items over them. Raises ConfigError as `load` does."""
    return _validated(_lay_over(settings.model_dump(), from_flags(overrides, Settings)))


def _validated(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, Settings, "setting")) from error


def _defaults() -> dict[str, Any]:
    # Scorers are a table of tables: without defaults here, setting one would drop the others.
    scorers: dict[str, ScorerSettings] = Settings.model_fields["scorers"].default
    return {"scorers": {name: s.model_dump() for name, s in scorers.items()}}


def _lay_over(below: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a layer over those below. A threshold does not outlive the scorer's model that it is for."""
    out = merge(below, layer)
    scorers, changes = below.get("scorers"), layer.get("scorers")
    if not isinstance(scorers, Mapping) or not isinstance(changes, Mapping):
        return out
    for check, change in changes.items():
        old = scorers.get(check)
        if not isinstance(change, Mapping) or not isinstance(old, Mapping) or "threshold" in change:
            continue
        if any(change.get(key, old.get(key)) != old.get(key) for key in ("backend", "model")):
            out["scorers"][check]["threshold"] = None
    return out


def _with_painter(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings over those of the painter's preset, if it has one."""
    painter = values.get("painter", {})
    name = painter.get("preset") if isinstance(painter, Mapping) else None
    if not name:
        return values
    preset = _table(PROFILES / "painters", name, "painter.preset", ["painter"])
    return merge({"painter": preset}, values)


def _profile(name: str) -> dict[str, Any]:
    return _table(PROFILES, name, "profile")


def _table(folder: Path, name: str, what: str, section: Sequence[str] = ()) -> dict[str, Any]:
    """Read a section's settings from one of the folder's files, by name, or a user's file, by path."""
    path = folder / f"{name}.toml"
    if not path.exists():
        path = Path(name)
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.toml"))
        raise ConfigError(unknown(what, name, known, "or name a TOML or YAML file"))
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8: {error}") from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        language = "TOML" if path.suffix == ".toml" else "YAML"
        raise ConfigError(f"{path}: is not valid {language}: {' '.join(str(error).split())}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: must be a table of settings, such as [chat] with its model")
    return with_nulls(table, Settings, section) if path.suffix == ".toml" else table
