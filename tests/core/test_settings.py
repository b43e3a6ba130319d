"""Settings: which source wins, that a misspelt name is an error, and that no error shows a value."""

from __future__ import annotations

import base64
import shlex
import sys
from pathlib import Path

import pytest

from govern.core.crypto import Secret
from govern.core.errors import InvalidInput
from govern.settings import Settings, load_settings

CANARY = "canary-4711-should-be-nowhere"


def load(environment: dict[str, str], config: Path | None = None, **options: bool) -> Settings:
    return load_settings(environment, config=config, **options)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "govern.toml"
    path.write_text('[web]\nport = 1111\n[mail]\nhost = "from-the-file"\nsender = "file@acme.example"\n')
    return path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a config/govern.toml of a developer's own."""
    monkeypatch.chdir(tmp_path)


class TestSources:
    def test_without_any_the_defaults_hold(self) -> None:
        settings = load({})
        assert (settings.mode, settings.web.port, settings.database.url) == ("production", 8000, "sqlite:///var/govern.db")

    def test_the_environment_wins_over_the_file(self, config: Path) -> None:
        settings = load({"GOVERN_WEB_PORT": "2222"}, config)
        assert (settings.web.port, settings.mail.host) == (2222, "from-the-file")

    def test_the_file_is_named_by_a_variable_or_found_in_its_place(self, config: Path, tmp_path: Path) -> None:
        assert load({"GOVERN_CONFIG": str(config)}).web.port == 1111
        (tmp_path / "config").mkdir()
        config.rename(tmp_path / "config" / "govern.toml")
        assert load({}).web.port == 1111

    def test_a_named_file_that_is_missing_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="does not exist"):
            load({"GOVERN_CONFIG": str(tmp_path / "nowhere.toml")})

    def test_file_and_command_win_over_the_plain_value(self, tmp_path: Path) -> None:
        secret = tmp_path / "password"
        secret.write_text(f"{CANARY}\n")
        named = {"GOVERN_MAIL_PASSWORD": "plain", "GOVERN_MAIL_PASSWORD_FILE": str(secret)}
        assert load(named).mail.password == Secret(CANARY)
        printed = f"{shlex.quote(sys.executable)} -c 'print(\"{CANARY}\")'"
        assert load({"GOVERN_MAIL_PASSWORD": "plain", "GOVERN_MAIL_PASSWORD_COMMAND": printed}).mail.password == Secret(CANARY)

    def test_the_configuration_file_may_point_to_files_and_commands_too(self, tmp_path: Path) -> None:
        secret, config = tmp_path / "password", tmp_path / "govern.toml"
        secret.write_text(CANARY)
        config.write_text(f'[mail]\npassword_file = "{secret}"\n')
        assert load({}, config).mail.password == Secret(CANARY)

    def test_the_environment_wins_over_a_file_that_the_configuration_names(self, tmp_path: Path) -> None:
        config = tmp_path / "govern.toml"
        (tmp_path / "password").write_text("from the file")
        config.write_text(f'[mail]\npassword_file = "{tmp_path}/password"\n')
        assert load({"GOVERN_MAIL_PASSWORD": "from the environment"}, config).mail.password == Secret("from the environment")

    def test_lists_are_written_with_commas(self) -> None:
        assert load({"GOVERN_OIDC_ADMIN_VALUES": "admins, owners ,"}).oidc.admin_values == ("admins", "owners")

    def test_addresses_lose_their_last_slash(self) -> None:
        assert load({"GOVERN_WEB_URL": "https://govern.example/"}).web.url == "https://govern.example"

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load({}).web.port = 1  # type: ignore[misc]


class TestMistakes:
    @pytest.mark.parametrize("name", ["GOVERN_WEB_PROT", "GOVERN_WBE_PORT", "GOVERN_WEB", "GOVERN_", "GOVERN_SEALING_KEY"])
    def test_an_unknown_variable_is_an_error(self, name: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            load({name: CANARY})
        assert CANARY not in told(caught.value)

    @pytest.mark.parametrize("text", ["[web]\nprot = 1", "[wbe]\nport = 1", "port = 1", "web = 3"])
    def test_an_unknown_name_in_the_file_is_an_error(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "govern.toml"
        path.write_text(text)
        with pytest.raises(InvalidInput):
            load({}, path)

    @pytest.mark.parametrize(
        ("environment", "word"),
        [
            ({"GOVERN_WEB_PORT": CANARY}, "web.port"),
            ({"GOVERN_MODE": CANARY}, "mode"),
            ({"GOVERN_WEB_URL": CANARY}, "web.url"),
            ({"GOVERN_OPENAI_GENERATION": CANARY}, "openai.generation"),
            ({"GOVERN_KEYS_MOST_PER_PERSON": "0"}, "keys.most_per_person"),
            ({"GOVERN_SYNC_TRAILING_DAYS": "-1"}, "sync.trailing_days"),
        ],
    )
    def test_an_error_names_the_setting_and_never_the_value(self, environment: dict[str, str], word: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            load(environment)
        assert word in caught.value.sentence
        assert word in caught.value.fields
        assert CANARY not in told(caught.value)

    def test_an_unreadable_file_or_a_failing_command_is_named_without_its_output(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="GOVERN_MAIL_PASSWORD_FILE"):
            load({"GOVERN_MAIL_PASSWORD_FILE": str(tmp_path / "nowhere")})
        failing = f"{shlex.quote(sys.executable)} -c 'import sys; print(\"{CANARY}\", file=sys.stderr); sys.exit(3)'"
        for command in (failing, "/no/such/program", "'unbalanced"):
            with pytest.raises(InvalidInput, match="GOVERN_MAIL_PASSWORD_COMMAND") as caught:
                load({"GOVERN_MAIL_PASSWORD_COMMAND": command})
            assert CANARY not in told(caught.value).replace(command, "")

    def test_broken_toml_says_where_and_shows_no_line(self, tmp_path: Path) -> None:
        path = tmp_path / "govern.toml"
        path.write_text(f'[mail]\npassword = "{CANARY}\n')
        with pytest.raises(InvalidInput, match=r"govern\.toml") as caught:
            load({}, path)
        assert CANARY not in told(caught.value)


class TestSecrets:
    def test_no_secret_shows_in_the_settings_themselves(self) -> None:
        ring = "k1:" + base64.b64encode(CANARY.ljust(32)[:32].encode()).decode()
        environment = {"GOVERN_OPENAI_ADMIN_KEY": CANARY, "GOVERN_MAIL_PASSWORD": CANARY, "GOVERN_SEALING_KEYS": ring}
        settings = load(environment)
        shown = repr(settings) + str(settings) + str(settings.model_dump()) + settings.model_dump_json()
        assert CANARY not in shown
        assert ring.split(":")[1] not in shown

    def test_the_web_process_does_not_even_look_at_the_admin_key(self, tmp_path: Path) -> None:
        """Neither the variable, nor the file, nor the command: each would put the key into the process's memory."""
        trace = tmp_path / "the command ran"
        config = tmp_path / "govern.toml"
        config.write_text(f'[openai]\nadmin_key = "{CANARY}"\nadmin_key_file = "/no/file"\nadmin_key_command = "touch {trace}"\n')
        environment = {
            "GOVERN_OPENAI_ADMIN_KEY": CANARY,
            "GOVERN_OPENAI_ADMIN_KEY_FILE": "/no/such/file",
            "GOVERN_OPENAI_ADMIN_KEY_COMMAND": f"touch '{trace}'",
        }
        assert load(environment, config, without_admin_key=True).openai.admin_key is None
        assert not trace.exists()

    def test_the_ring_keeps_its_order_and_may_span_lines(self) -> None:
        new, old = base64.b64encode(b"n" * 32).decode(), base64.b64encode(b"o" * 32).decode()
        for text in (f"new:{new},old:{old}", f"new:{new}\nold:{old}\n", f" new:{new} ,\n old:{old}"):
            assert list(load({"GOVERN_SEALING_KEYS": text}).sealing.ring().items()) == [("new", b"n" * 32), ("old", b"o" * 32)]

    @pytest.mark.parametrize("text", [CANARY, f"k:{CANARY}", f"{CANARY}:", "k:", f"a b:{'A' * 43}=", f"k:{'A' * 22}=="])
    def test_a_broken_ring_is_refused_without_showing_it(self, text: str) -> None:
        """Also a key written without its name: then the name that an error would quote is the key."""
        with pytest.raises(InvalidInput, match="Entry 1") as caught:
            load({"GOVERN_SEALING_KEYS": text}).sealing.ring()
        assert CANARY not in told(caught.value)

    def test_without_a_ring_it_says_how_to_make_one(self) -> None:
        with pytest.raises(InvalidInput, match="govern init"):
            load({}).sealing.ring()


class TestCrashVariable:
    """It kills the process: a production environment must not carry it."""

    def test_is_refused_in_production(self) -> None:
        with pytest.raises(InvalidInput, match="GOVERN_TEST_CRASH"):
            load({"GOVERN_TEST_CRASH": "key.issue.created"})

    def test_is_allowed_in_drills(self) -> None:
        assert load({"GOVERN_TEST_CRASH": "key.issue.created", "GOVERN_MODE": "test"}).mode == "test"


def told(error: InvalidInput) -> str:
    """Everything that the error could show anywhere."""
    chain = f"{error.__cause__!r} {error.__context__!r}" if not error.__suppress_context__ else f"{error.__cause__!r}"
    return f"{error} {error.sentence} {error.fields} {error.facts} {chain}"
