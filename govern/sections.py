"""The sections of the settings, one class each. `settings` reads them; `config/govern.example.toml` explains each value."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, PlainSerializer

from govern.core.crypto import Secret
from govern.core.errors import InvalidInput


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


def _syslog(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("tls", "tcp", "udp") or not parts.hostname or not parts.port or parts.path:
        raise ValueError("write tls://host:port, tcp://host:port or udp://host:port")
    return value


SyslogUrl = Annotated[str, AfterValidator(_syslog)]
Days = Annotated[tuple[Annotated[int, Field(ge=1, le=365)], ...], BeforeValidator(_as_list), Field(max_length=10)]


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
    remind_days: Days = (14, 3, 1)
    """So many days before a key expires its people are reminded by mail, each time once. Empty: never."""


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
    key_patience_minutes: int = Field(15, ge=0, le=24 * 60)
    """How long places and the seat wait for a key that OpenAI does not end. Then they go, and the key stays shown as unproven."""
    seal_hours: int = Field(24, ge=1, le=24 * 14)
    notice_days: Days = (7, 1)
    """So many days before somebody's end date their manager and the admins are told by mail, each time once."""
    most_at_once: int = Field(5, ge=0, le=10_000)
    most_at_once_percent: int = Field(10, ge=0, le=100)
    """More end dates than both of these at once start no removal by themselves; an administrator is asked instead."""


class Sync(Section):
    directory_minutes: int = Field(15, ge=1)
    usage_minutes: int = Field(15, ge=1)
    costs_minutes: int = Field(60, ge=1)
    backfill_days: int = Field(35, ge=1, le=730)
    history_days: int = Field(365, ge=0, le=1830)
    """How far back `usage.backfill` reads, in days; 0 reads no history."""
    hours_days: int = Field(400, ge=45, le=3650)
    """How long usage is kept by the hour. By day it is kept for ever."""
    more_endpoints: tuple[str, ...] = ()
    """Usage endpoints that OpenAI has and this version does not know yet."""
    trailing_days: int = Field(3, ge=1, le=40)
    inventory_minutes: int = Field(60, ge=5)
    """How often admin keys, groups and federation are read."""
    events_minutes: int = Field(5, ge=1)
    """How often OpenAI's own audit log is read."""
    roles_per_run: int = Field(50, ge=0, le=5000)
    """Roles have a listing for each member and place; so many of them are read with each inventory."""


class Audit(Section):
    checkpoint_minutes: int = Field(5, ge=1, le=24 * 60)
    """How often the audit log is signed, if anything happened. What is behind the newest checkpoint has no proof outside yet."""
    file: str | None = None
    """Checkpoints are appended to this file."""
    webhook_url: Url | None = None
    webhook_secret: SecretValue | None = None
    syslog: SyslogUrl | None = None
    """`tls://host:6514`, `tcp://host:601` or `udp://host:514`."""
    keep_days: int | None = Field(None, ge=30, le=365 * 50)
    """Older events are let go, up to a checkpoint that every sink has. None: they are kept for ever."""

    @property
    def sinks(self) -> tuple[str, ...]:
        """The names of the sinks that are set up."""
        places = {"file": self.file, "webhook": self.webhook_url, "syslog": self.syslog}
        return tuple(name for name, place in places.items() if place)


class Bulk(Section):
    """How many people one admin may remove, or invite, by themselves; the rest waits for a second admin."""

    removals_alone: int = Field(10, ge=0, le=10_000)
    invites_alone: int = Field(50, ge=0, le=10_000)
    within_minutes: int = Field(60, ge=1, le=7 * 24 * 60)
    """Counted are the removals (the invites) of so many minutes, by whomever."""


class Approvals(Section):
    expires_in_days: int = Field(7, ge=1, le=90)
    """How long something that was asked for waits to be decided; then it has to be asked for anew."""


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
