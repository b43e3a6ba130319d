"""All settings, frozen: `config/govern.toml` < `GOVERN_SECTION_NAME` < `GOVERN_SECTION_NAME_FILE` / `_COMMAND`.

A setting is `section.name`: `[database] url = …` in the file, `GOVERN_DATABASE_URL` in the environment. Any of them can be
read from a file (`…_FILE`, as container secrets are) or from a command's output (`…_COMMAND`, as password managers offer).
An unknown name is an error, because a misspelt safety setting is worse than none. `config/govern.example.toml` explains each.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, PlainSerializer, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from govern.core import crashpoints
from govern.core.crypto import Secret
from govern.core.errors import InvalidInput

PREFIX: Final = "GOVERN_"
CONFIG_VARIABLE: Final = "GOVERN_CONFIG"
DEFAULT_CONFIG: Final = Path("config/govern.toml")
NOT_SETTINGS: Final = frozenset(
    {CONFIG_VARIABLE, crashpoints.VARIABLE, "GOVERN_FAKE_ADMIN_KEY", "GOVERN_SHARED", "GOVERN_URL", "GOVERN_TOKEN"}
)
ADMIN_KEY_VARIABLES: Final = ("GOVERN_OPENAI_ADMIN_KEY", "GOVERN_OPENAI_ADMIN_KEY_FILE", "GOVERN_OPENAI_ADMIN_KEY_COMMAND")


def _as_secret(value: object) -> object:
    return Secret(value) if isinstance(value, str) else value


def _as_list(value: object) -> object:
    """In the environment a list is written with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _without_slash(value: str) -> str:
    return value.rstrip("/")


SecretValue = Annotated[Secret, BeforeValidator(_as_secret), PlainSerializer(repr)]
Url = Annotated[str, BeforeValidator(lambda value: str(HttpUrl(str(value)))), AfterValidator(_without_slash)]
Words = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Database(Section):
    url: str = "sqlite:///var/govern.db"


class Web(Section):
    url: Url = "http://127.0.0.1:8000"
    """Where people reach the service; sign-in and links in mail are built from it."""
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(2, ge=1, le=64)
    threads: int = Field(16, ge=2, le=256)
    wait_seconds: float = Field(6.0, ge=0, le=25)
    """How long a request waits for its effect to settle before it answers 202."""
    trusted_proxies: int = Field(0, ge=0, le=5)
    """How many reverse proxies in front set X-Forwarded-For and -Proto."""


class Sealing(Section):
    keys: SecretValue | None = None
    """The ring: `kid:base64-of-32-bytes`, comma-separated; the first one seals, all of them open."""

    def ring(self) -> dict[str, bytes]:
        """Key id → 32 bytes, in order. Raises InvalidInput with what to do."""
        if self.keys is None:
            raise InvalidInput(
                "No sealing key is set. Make one with `govern init --new-sealing-key FILE` "
                "and name it in GOVERN_SEALING_KEYS_FILE."
            )
        ring: dict[str, bytes] = {}
        entries = [part.strip() for part in self.keys.reveal().replace("\n", ",").split(",")]
        for number, entry in enumerate(filter(None, entries), 1):
            # Whatever stands here may be the key itself, written without its name: it is not shown, only counted.
            kid, _, text = entry.partition(":")
            try:
                key = base64.b64decode(text, validate=True)
            except ValueError:
                key = b""
            if len(key) != 32 or not re.fullmatch(r"[A-Za-z0-9-]{1,32}", kid):
                raise InvalidInput(
                    f"Entry {number} of the sealing keys cannot be used. Each is written name:base64-of-32-bytes, "
                    "the name of letters, digits and hyphens."
                )
            ring[kid] = key
        return ring


class OpenAI(Section):
    base_url: Url = "https://api.openai.com/v1"
    admin_key: SecretValue | None = None
    """Only the worker reads it. `govern web` removes it from its own process."""
    generation: Literal["auto", "2026-08", "2026-11"] = "auto"
    requests_per_minute: int | None = Field(None, ge=1)
    """Where pacing starts, per endpoint; it learns from refusals. Unset: unlimited until the first refusal."""
    burst: int = Field(4, ge=1)


class OIDC(Section):
    issuer: Url | None = None
    name: str = "Single sign-on"
    client_id: str = "govern"
    client_secret: SecretValue | None = None
    scopes: str = "openid email profile groups"
    role_claim: str = "groups"
    """The claim whose values decide the role; a list or a word."""
    admin_values: Words = ()
    manager_values: Words = ()
    auditor_values: Words = ()
    employee_values: Words = ("*",)
    """`*` means: everybody who can sign in. The highest role that matches is taken."""
    allowed_domains: Words = ()
    """Domains whose verified addresses may be linked at the first sign-in."""


class Mail(Section):
    host: str | None = None
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretValue | None = None
    sender: str = "govern@localhost"
    admins: Words = ()
    """Who is told when nobody more particular is named."""


class Webhook(Section):
    url: Url | None = None
    secret: SecretValue | None = None
    """`whsec_…`, base64 of at least 24 bytes: signs every delivery (Standard Webhooks)."""
    allow_private: bool = False
    """Allow addresses inside private networks; off, so that nobody points it at an internal service."""


class Keys(Section):
    expires_in_days: int = Field(90, ge=1, le=365)
    """Expiry when a request names none."""
    most_per_person: int = Field(5, ge=1, le=100)
    reveal_again_minutes: int = Field(10, ge=0, le=60)
    unseen_hours: int = Field(24, ge=1, le=168)
    overlap_hours: int = Field(24, ge=0, le=24 * 30)
    """How long the old version of a rotated key works on when nobody is seen using the new one."""


class Devices(Section):
    code_minutes: int = Field(10, ge=1, le=30)
    """How long a code of `govern login` can be typed."""
    poll_seconds: int = Field(5, ge=1, le=60)
    access_minutes: int = Field(15, ge=1, le=60)
    idle_days: int = Field(30, ge=1, le=365)
    """A device that was not used for so long has to sign in again."""
    longest_days: int = Field(90, ge=1, le=365)
    """However much it is used, it has to sign in again after so long."""


class Removal(Section):
    second_look_seconds: int = Field(30, ge=0, le=3600)
    """How long after the first complete listings they are read again; then a removal counts as proven."""
    seal_hours: int = Field(24, ge=1, le=24 * 14)


class Sync(Section):
    directory_minutes: int = Field(15, ge=1)
    usage_minutes: int = Field(15, ge=1)
    costs_minutes: int = Field(60, ge=1)
    backfill_days: int = Field(35, ge=1, le=730)
    trailing_days: int = Field(3, ge=1, le=40)
    inventory_minutes: int = Field(60, ge=5)
    """How often admin keys, groups and federation are read."""
    events_minutes: int = Field(5, ge=1)
    """How often OpenAI's own audit log is read."""
    roles_per_run: int = Field(50, ge=0, le=5000)
    """Roles have a listing for each member and place; so many of them are read with each inventory."""


class Findings(Section):
    """From when on something is worth a look. Days are counted from when it was made or last used."""

    dormant_days: int = Field(60, ge=1, le=3650)
    never_used_days: int = Field(14, ge=1, le=3650)
    over_age_days: int = Field(180, ge=1, le=3650)
    stale_invite_days: int = Field(7, ge=1, le=365)
    admin_key_days: int = Field(180, ge=1, le=3650)
    changed_days: int = Field(14, ge=1, le=365)
    """How long a change made around this service stays in the inbox by itself."""
    personal_keys: bool = True
    """Whether keys that people make for themselves count as unmanaged."""


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
