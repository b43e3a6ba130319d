"""All settings, frozen: `config/govern.toml` < `GOVERN_SECTION_NAME` < `GOVERN_SECTION_NAME_FILE` / `_COMMAND`.

A setting is `section.name`: `[database] url = …` in the file, `GOVERN_DATABASE_URL` in the environment. Any of them can be
read from a file (`…_FILE`, as container secrets are) or from a command's output (`…_COMMAND`, as password managers offer).
An unknown name is an error, because a misspelt safety setting is worse than none. `config/govern.example.toml` explains each.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from govern.core import crashpoints
from govern.core.errors import InvalidInput
from govern.sections import (
    OIDC,
    Approvals,
    Audit,
    Bulk,
    Database,
    Devices,
    Findings,
    Keys,
    Mail,
    OpenAI,
    Removal,
    Sealing,
    Sync,
    Web,
    Webhook,
)

PREFIX: Final = "GOVERN_"
CONFIG_VARIABLE: Final = "GOVERN_CONFIG"
DEFAULT_CONFIG: Final = Path("config/govern.toml")
NOT_SETTINGS: Final = frozenset(
    {CONFIG_VARIABLE, crashpoints.VARIABLE, "GOVERN_FAKE_ADMIN_KEY", "GOVERN_SHARED", "GOVERN_URL", "GOVERN_TOKEN"}
)
ADMIN_KEY_VARIABLES: Final = ("GOVERN_OPENAI_ADMIN_KEY", "GOVERN_OPENAI_ADMIN_KEY_FILE", "GOVERN_OPENAI_ADMIN_KEY_COMMAND")


class Settings(BaseSettings):
    """Every setting. Made by `load_settings`; passed on, never imported as a global."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    mode: Literal["production", "demo", "test"] = "production"
    database: Database = Database()
    web: Web = Web()
    sealing: Sealing = Sealing()
    openai: OpenAI = OpenAI()
    oidc: OIDC = OIDC()
    mail: Mail = Mail()
    webhook: Webhook = Webhook()
    keys: Keys = Keys()
    devices: Devices = Devices()
    removal: Removal = Removal()
    sync: Sync = Sync()
    findings: Findings = Findings()
    approvals: Approvals = Approvals()
    bulk: Bulk = Bulk()
    audit: Audit = Audit()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `load_settings` gathers the sources, so that each error can name its own


def load_settings(
    environment: Mapping[str, str] | None = None, *, config: Path | None = None, without_admin_key: bool = False
) -> Settings:
    """Read the file and the environment. Raises InvalidInput with a sentence per fault, never with a value.

    `without_admin_key` leaves the admin key's variables, files and commands untouched: the web process must not hold it.
    """
    env = os.environ if environment is None else environment
    values = _from_file(config or (Path(env[CONFIG_VARIABLE]) if CONFIG_VARIABLE in env else None))
    if without_admin_key:
        for name in ("admin_key", "admin_key_file", "admin_key_command"):
            values.get("openai", {}).pop(name, None)
    values = {section: _resolved(section, table) if isinstance(table, dict) else table for section, table in values.items()}
    for variable, text in sorted(env.items()):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        if without_admin_key and variable in ADMIN_KEY_VARIABLES:
            continue
        section, name = _place(variable)
        if not name:
            values[section] = text
        else:
            values.setdefault(section, {}).update(_resolved(section, {name: text}, variable))
    try:
        settings = Settings(**values)
    except ValidationError as error:
        fields = {".".join(str(part) for part in fault["loc"]): fault["msg"] for fault in error.errors(include_input=False)}
        listing = "; ".join(f"{name}: {message}" for name, message in fields.items())
        raise InvalidInput(f"The settings cannot be used. {listing}. See config/govern.example.toml.", fields) from None
    if crashpoints.VARIABLE in env and settings.mode == "production":
        raise InvalidInput(f"{crashpoints.VARIABLE} kills processes in drills; take it out of a production environment.")
    return settings


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        path = DEFAULT_CONFIG
        if not path.exists():
            return {}
    if not path.is_file():
        raise InvalidInput(f"The configuration file {path} does not exist.")
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()
    except ValueError as error:
        raise InvalidInput(f"The configuration file {path} is not valid TOML: {error}.") from error


def _place(variable: str) -> tuple[str, str]:
    """`GOVERN_MAIL_HOST` → (mail, host); `GOVERN_MODE` → (mode, '')."""
    section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
    if section not in Settings.model_fields:
        raise InvalidInput(f"{variable} is not a setting of govern. See config/govern.example.toml for the names.")
    return section, name


def _resolved(section: str, table: Mapping[str, Any], variable: str | None = None) -> dict[str, Any]:
    """The table with `…_file` and `…_command` entries replaced by what they hold; those win over a plain value."""
    known = getattr(Settings.model_fields[section].annotation, "model_fields", {}) if section in Settings.model_fields else {}
    plain: dict[str, Any] = {}
    fetched: dict[str, Any] = {}
    for name, value in table.items():
        stem, _, how = name.rpartition("_")
        where = variable or f"{section}.{name}"
        if how == "file" and name not in known:
            fetched[stem] = _read(Path(str(value)), where)
        elif how == "command" and name not in known:
            fetched[stem] = _run(str(value), where)
        else:
            plain[name] = value
    return plain | fetched


def _read(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInput(f"{where} names the file {path}, which cannot be read: {reason}.") from None


def _run(command: str, where: str) -> str:
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise InvalidInput(f"{where} names a command that failed ({type(error).__name__}). Run it by hand to see why.") from None
    return done.stdout.strip()
