"""Settings: what wins over what, and a clear line for what cannot be."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from magid_agents import config, prompt_places
from magid_agents.config import PRESETS, PROFILES, ConfigError, load
from magid_agents.models import scorers
from magid_agents.remote import Section


def test_later_sources_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("chat: {model: from-profile, timeout: 5}\nbudget: {attempts: 7, candidates: 4}\n")
    assert load(str(profile)).budget.attempts == 7
    assert load(str(profile), "paper").budget.attempts == 2
    monkeypatch.setenv("MAGID_CHAT__MODEL", "from-environment")
    assert load(str(profile)).chat.model == "from-environment"
    settings = load(str(profile), overrides=["chat.model=from-set", "budget.candidates=9"])
    assert (settings.chat.model, settings.chat.timeout) == ("from-set", 5)
    assert (settings.budget.attempts, settings.budget.candidates) == (7, 9)


def test_one_scorer_can_be_set_without_losing_the_others() -> None:
    settings = load(overrides=["scorers.image_text_match.threshold=0.4"])
    assert settings.scorers["image_text_match"].threshold == 0.4
    assert settings.scorers["image_text_match"].backend == "open_clip"
    assert set(settings.scorers) == {"image_text_match", "aesthetics", "unsafe"}


def test_a_scorer_that_is_null_is_taken_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("scorers: {aesthetics: null}\n")
    assert set(load(str(profile)).scorers) == {"image_text_match", "unsafe"}
    monkeypatch.setenv("MAGID_SCORERS__IMAGE_TEXT_MATCH", "null")
    assert set(load(str(profile)).scorers) == {"unsafe"}
    back = load(
        str(profile), overrides=["scorers.aesthetics.backend=quality", "scorers.aesthetics.model=quality"]
    )
    assert set(back.scorers) == {"aesthetics", "unsafe"}
    monkeypatch.delenv("MAGID_SCORERS__IMAGE_TEXT_MATCH")
    assert set(load(preset="paper", overrides=["scorers.aesthetics=null"]).scorers) == {
        "image_text_match",
        "unsafe",
    }


def test_the_paper_preset_is_the_papers() -> None:
    settings = load(preset="paper")
    assert settings.scorers["image_text_match"].compare_to == "utterance"
    assert settings.critic.critique is None
    assert (settings.budget.attempts, settings.budget.candidates) == (2, 3)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["chat.modle=x"], "chat.modle"),
        (["api_key=sk-1"], "api_key"),
        (["chat.api_key=sk-1"], "chat.api_key"),
        (["budget.attempts=0"], "budget.attempts"),
        (["painter.dtype=int8"], "painter.dtype"),
        (["nonsense"], "must be key.path=value"),
    ],
)
def test_what_cannot_be_set_is_named(sets: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=sets)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scanner.limit", "scanner.threshold"),
        ("scanner.apart", "scanner.min_gap"),
        ("scorers.unsafe.limit", "scorers.unsafe.threshold"),
        ("scorers.aesthetics.against", "scorers.aesthetics.compare_to"),
        ("critic.limit", "critic.threshold"),
        ("safety.limit", "safety.threshold"),
        ("safety.doubt", "safety.review_from"),
        ("safety.sample", "safety.review_share"),
    ],
)
def test_an_earlier_name_of_a_setting_suggests_the_new_one(old: str, new: str) -> None:
    with pytest.raises(ConfigError, match=f"^Unknown setting '{old}'. Did you mean '{new}'?"):
        load(overrides=[f"{old}=0.5"])


def test_unknown_profiles_and_presets_list_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"'moon'\. Choose from embedded, laptop, local, openai, or name"):
        load("moon")
    with pytest.raises(ConfigError, match=r"Unknown preset 'moon'\. Choose from default, paper"):
        load(preset="moon")
    with pytest.raises(ConfigError, match="Did you mean 'embedded'"):
        load("embeded")


def test_safety_cannot_be_left_out() -> None:
    with pytest.raises(ValidationError, match=r"scorers\.unsafe cannot be left out"):
        config.Settings(scorers={})
    with pytest.raises(ConfigError, match=r"scorers\.unsafe cannot be left out"):
        load(overrides=["scorers.unsafe=null"])


def test_a_key_stays_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1")
    settings = load()
    key = settings.chat.key()
    assert key is not None
    assert key.get_secret_value() == "sk-secret-1"
    assert "sk-secret-1" not in repr(settings) + settings.model_dump_json() + repr(key)


def test_every_setting_is_documented() -> None:
    def check(model: type, path: str) -> None:
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]  # pydantic models only
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, Section):
                assert kind.__doc__, path
                check(kind, f"{path}.{name}")
            else:
                assert field.description, f"{path}.{name}"

    check(config.Settings, "settings")


LAION = "shunk031/aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE"
EMBEDDED = {"image_text_match": ("matcher", 0.26), "aesthetics": ("quality", 0.5)}
LOCAL = {"image_text_match": ("ViT-B-32-quickgelu:openai", 0.25), "aesthetics": (LAION, 0.51)}
PAPER = {"image_text_match": ("ViT-B-32-quickgelu:openai", 0.21), "aesthetics": (LAION, 0.51)}


def thresholds(settings: config.Settings) -> dict[str, tuple[str, float]]:
    """Every check's model and threshold."""
    return {c: (s.model, scorers.threshold(c, s).value) for c, s in settings.scorers.items()}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("profile", [p.stem for p in PROFILES.glob("*.toml")])
def test_every_profile_goes_with_every_preset(profile: str, preset: str) -> None:
    """The thresholds are those of the models beside them: a preset with thresholds brings its own scorers."""
    settings = load(profile, preset)
    own = EMBEDDED if profile == "embedded" else LOCAL
    assert thresholds(settings) == {
        **(PAPER if preset == "paper" else own),
        "unsafe": ("yahoo-open-nsfw", 0.5),
    }
    assert prompt_places.load(settings)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("mine.toml", b"[chat\n", "mine.toml: is not valid TOML: "),
        ("mine.yaml", b"chat: [\n", "mine.yaml: is not valid YAML: "),
        ("mine.yaml", b"- chat\n", "mine.yaml: must be a table of settings"),
        ("mine.toml", b"caf\xe9 = 1\n", "mine.toml: cannot be read as UTF-8: "),
        ("mine.yaml", b"chat: {modle: x}\n", "Unknown setting 'chat.modle'. Did you mean 'chat.model'?"),
    ],
)
def test_a_profile_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(str(tmp_path / name))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "preset", "sets", "match"),
    [
        pytest.param("local", "default", ["model=matcher"], ("matcher", 0.26), id="another model"),
        pytest.param("local", "paper", ["model=matcher"], ("matcher", 0.26), id="over a preset"),
        pytest.param(
            "local",
            "default",
            ["model=B:x", "threshold=0.1"],
            ("B:x", 0.1),
            id="another model and its threshold",
        ),
        pytest.param(
            "local",
            "default",
            ["model=ViT-B-32-quickgelu:openai"],
            LOCAL["image_text_match"],
            id="the same model",
        ),
        pytest.param("local", "default", ["device=cpu"], LOCAL["image_text_match"], id="no model"),
        pytest.param(
            "local", "default", ["threshold=0.3"], (PAPER["image_text_match"][0], 0.3), id="a threshold"
        ),
    ],
)
def test_a_threshold_does_not_outlive_its_model(
    profile: str, preset: str, sets: list[str], match: tuple[str, float]
) -> None:
    settings = load(profile, preset, [f"scorers.image_text_match.{item}" for item in sets])
    assert thresholds(settings)["image_text_match"] == match


def test_a_model_whose_threshold_is_unknown_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGID_SCORERS__IMAGE_TEXT_MATCH__MODEL", "ViT-B-16-SigLIP2:webli")
    with pytest.raises(
        ConfigError, match=r"for ViT-B-16-SigLIP2:webli; set scorers\.image_text_match\.threshold"
    ):
        thresholds(load("local"))


@pytest.mark.parametrize(
    "name", ["MAGID_SCORERS", "MAGID_SCORERS__AESTHETICS", "MAGID_SCORERS__AESTHETICS__MODEL"]
)
def test_scorers_of_another_form_are_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "[3]")
    with pytest.raises(ConfigError, match="scorers"):
        thresholds(load(overrides=["scorers.aesthetics.device=cpu"]))


def test_a_toml_profile_takes_out_a_check_and_the_critique(tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('[critic]\ncritique = "null"\n[scorers]\naesthetics = "null"\n')
    settings = config.load(str(profile))
    assert (list(settings.scorers), settings.critic.critique) == (["image_text_match", "unsafe"], None)


def test_null_stays_a_text_where_nothing_can_be_null(tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('[writer]\nstyle = "null"\n')
    assert config.load(str(profile)).writer.style == "null"
