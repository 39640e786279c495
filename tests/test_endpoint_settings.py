"""Settings of remote endpoints: which server answers, where a key goes, and that no secret is a setting."""

import traceback

import pytest

from magid_agents.config import Chat, ConfigError, PainterSettings, Settings, load

KEY = "sk-of-openai"


@pytest.fixture(autouse=True)
def _openais_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.parametrize(
    "address",
    [None, "https://api.openai.com/v1", "https://api.openai.com/v1/", "https://eu.api.openai.com/v1"],
)
def test_openais_key_is_for_openais_own_address(address: str | None) -> None:
    key = Chat(provider="openai", base_url=address).key()
    assert key is not None
    assert key.get_secret_value() == KEY


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8000/v1",
        "http://somebody:8000/v1",
        "https://api.openai.com.evil.example/v1",
        "https://notapi.openai.com.example/v1",
        "https://evilapi.openai.com/v1",
        "http://api.openai.com/v1",
    ],
)
@pytest.mark.parametrize("section", [Chat, PainterSettings])
def test_no_other_address_gets_openais_key(section: type[Chat | PainterSettings], address: str) -> None:
    assert section(base_url=address).key() is None


def test_no_profile_sends_openais_key_to_another_address() -> None:
    assert load("local").chat.key() is None
    assert load("openai").chat.key() is not None
    assert load("openai", overrides=["chat.base_url=https://other.example/v1"]).chat.key() is None


def test_another_address_gets_the_key_that_its_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")
    key = Chat(base_url="https://other.example/v1", api_key_env="MY_KEY").key()
    assert key is not None
    assert key.get_secret_value() == "sk-mine"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "gpu.localhost"])
def test_a_key_may_go_unencrypted_to_this_machine(host: str) -> None:
    assert Chat(base_url=f"http://{host}:8000/v1", api_key_env="MY_KEY").key_variable == "MY_KEY"


def test_a_key_goes_unencrypted_to_another_machine_only_if_that_is_said() -> None:
    sets = ["chat.base_url=http://gpu.lan:8000/v1", "chat.api_key_env=MY_KEY"]
    with pytest.raises(ConfigError, match=r"chat' cannot be used: MY_KEY would be sent to gpu\.lan without"):
        load(overrides=sets)
    assert load(overrides=[*sets, "chat.key_over_http=true"]).chat.key_variable == "MY_KEY"


@pytest.mark.parametrize(
    "address",
    [
        "https://me:hunter2@host/v1",
        "https://hunter2@host/v1",
        "https://me:hunt/er2@host/v1",
        "https://host/v1?key=hunter2",
        "https://host/v1#hunter2",
        "https://host:hunter2/v1",
        "hunter2",
        "ftp://hunter2/v1",
        "https://[hunter2/v1",
    ],
)
@pytest.mark.parametrize("section", ["chat", "painter", "critic.chat"])
def test_an_address_that_holds_a_secret_or_is_none_is_refused_without_being_repeated(
    section: str, address: str
) -> None:
    with pytest.raises(ConfigError, match=rf"'{section}\.base_url' cannot be used: it ") as raised:
        load(overrides=[f"{section}.base_url={address}"])
    assert "hunt" not in "".join(traceback.format_exception(raised.value))


def test_a_model_with_an_address_is_behind_it_unless_the_settings_say_otherwise() -> None:
    settings = load(overrides=["critic.chat.base_url=http://127.0.0.1:1/v1", "critic.chat.vision=true"])
    assert settings.critic.chat is not None
    assert (settings.chat.provider, settings.critic.chat.provider) == ("embedded", "openai")
    with pytest.raises(ConfigError, match=r"base_url is for provider=openai"):
        load("local", overrides=["chat.provider=embedded"])


@pytest.mark.parametrize("section", ["chat", "critic.chat", "safety.policy"])
def test_the_embedded_model_is_not_taken_for_one_that_sees(section: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{section}' cannot be used: the embedded model cannot see"):
        load(overrides=[f"{section}.vision=true"])


def test_a_model_that_judges_images_must_see() -> None:
    with pytest.raises(ConfigError, match=r"'safety\.policy' cannot be used: it judges images"):
        load(overrides=["safety.policy.base_url=http://127.0.0.1:1/v1"])


def test_keys_are_in_no_recorded_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")
    settings = load("openai", overrides=["chat.api_key_env=MY_KEY"])
    key = settings.chat.key()
    for text in (repr(settings), settings.model_dump_json(), repr(key), str(Settings.model_json_schema())):
        assert KEY not in text
        assert "sk-mine" not in text


@pytest.mark.parametrize("odd", ["\u00a0", "\u200b", "\u2026", "\n-", "\x7f"])
def test_a_key_that_cannot_be_sent_is_said_without_it(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    """As pasted from a web page: the client's own error would quote the whole header."""
    monkeypatch.setenv("MY_KEY", f"sk-mi{odd}ne")
    with pytest.raises(ConfigError, match="MY_KEY holds a character that no API key has") as raised:
        Chat(base_url="https://other.example/v1", api_key_env="MY_KEY").key()
    assert "sk-mi" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("around", [" {} ", "{}\n", "{}\r\n", "\t{}"])
def test_space_around_a_key_is_not_sent(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    monkeypatch.setenv("MY_KEY", around.format("sk-mine"))
    key = Chat(base_url="https://other.example/v1", api_key_env="MY_KEY").key()
    assert key is not None
    assert key.get_secret_value() == "sk-mine"
    monkeypatch.setenv("MY_KEY", around.format(""))
    assert Chat(base_url="https://other.example/v1", api_key_env="MY_KEY").key() is None


@pytest.mark.parametrize("section", ["chat", "painter", "critic.chat"])
def test_a_key_in_place_of_its_variables_name_is_refused_without_it(section: str) -> None:
    sets = [f"{section}.base_url=https://other.example/v1", f"{section}.api_key_env=sk-proj-Secret1"]
    with pytest.raises(ConfigError, match="must be the name of an environment variable") as caught:
        load(overrides=[*sets, "critic.chat.vision=true"])
    assert "Secret1" not in str(caught.value)


def test_a_critic_that_cannot_see_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"critic\.chat.*must be a model that sees; set vision=true"):
        load(overrides=["critic.chat.base_url=http://127.0.0.1:1/v1", "critic.chat.model=m"])
