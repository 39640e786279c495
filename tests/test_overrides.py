"""Settings as text, from `--set` and from the environment: what the text means, and what is refused."""

from typing import Any

import pytest

from magid_agents.config import ConfigError, load


@pytest.mark.parametrize(
    ("item", "section", "name", "value"),
    [
        ("chat.model=123", "chat", "model", "123"),
        ("chat.model=null", "chat", "model", "null"),
        ('chat.model="123"', "chat", "model", "123"),
        ("chat.model=a=b", "chat", "model", "a=b"),
        ("painter.revision=1234567", "painter", "revision", "1234567"),
        ("painter.revision=12345e7", "painter", "revision", "12345e7"),
        ("painter.revision=null", "painter", "revision", None),
        ("painter.dtype=float16", "painter", "dtype", "float16"),
        ("critic.critique=null", "critic", "critique", None),
        ("chat.temperature=null", "chat", "temperature", None),
        ("chat.temperature=1", "chat", "temperature", 1.0),
        ("painter.compile=true", "painter", "compile", True),
        ('painter.arguments={"eta": 0}', "painter", "arguments", {"eta": 0}),
        ("painter.arguments.eta=0.5", "painter", "arguments", {"eta": 0.5}),
    ],
)
def test_text_becomes_what_its_setting_holds(
    item: str, section: str, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(getattr(load(overrides=[item]), section), name) == value
    path, _, text = item.partition("=")
    monkeypatch.setenv("MAGID_" + path.upper().replace(".", "__"), text)
    assert getattr(getattr(load(), section), name) == value


def test_a_part_of_a_path_that_holds_a_dot_is_quoted() -> None:
    settings = load(overrides=['prices."gpt-4.1-mini".input=0.4', "prices.local.output=1"])
    assert settings.prices["gpt-4.1-mini"].input == 0.4
    assert settings.prices["local"].output == 1


def test_a_whole_table_may_stand_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGID_CHAT", '{"model": "a", "timeout": 7}')
    monkeypatch.setenv("MAGID_CHAT__MODEL", "b")
    assert (load().chat.model, load().chat.timeout) == ("b", 7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "MAGID_BUGDET__ATTEMPTS",
            "MAGID_BUGDET__ATTEMPTS: Unknown setting 'bugdet'. Did you mean 'budget'",
        ),
        ("MAGID_MAX_COTS", "MAGID_MAX_COTS: Unknown setting 'max_cots'. Did you mean 'max_cost'?"),
        ("MAGID_XYZ__MODEL", "MAGID_XYZ__MODEL: Unknown setting 'xyz'. Choose from seed, graph, "),
        ("MAGID_CHAT__MODLE", "Unknown setting 'chat.modle'. Did you mean 'chat.model'?"),
        ("MAGID_CHAT", "Setting 'chat' cannot be used: "),
        ("MAGID_SEED", "Setting 'seed' cannot be used: "),
        (
            "MAGID_CONCURRENCY",
            "Setting 'concurrency' cannot be used: Input should be 'auto'. Setting 'concurrency' cannot be ",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_one_line(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["MAGID_CACHE", "MAGID_SERVICE_HOST", "MAGID_PORT_80_TCP"])
def test_variables_that_are_no_settings_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load()
    monkeypatch.setenv(name, "x")
    assert load() == before


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("budgit.attempts=2", "Unknown setting 'budgit'. Did you mean 'budget'?"),
        (
            "scorers.unsafe.treshold=1",
            "Unknown setting 'scorers.unsafe.treshold'. Did you mean 'scorers.unsafe.t",
        ),
        ("budget.zzz=1", "Unknown setting 'budget.zzz'. Choose from budget.attempts, budget.candidates."),
        ("attempts", "--set attempts: must be key.path=value"),
        ("=2", "--set =2: must be key.path=value"),
        ("budget..attempts=2", "--set budget..attempts=2: must be key.path=value"),
        ("budget\n.attempts=2", "--set budget\\n.attempts=2: must be key.path=value"),
    ],
)
def test_a_mistake_in_a_flag_is_one_line(item: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=[item])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_message_does_not_repeat_the_value() -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=["chat.timeout=https://user:secret@host"])
    assert "secret" not in str(caught.value)
