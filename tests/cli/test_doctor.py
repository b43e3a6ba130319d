"""The doctor: for every fault a sentence that says what to do, and an exit code that a script can act on."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from govern.bootstrap import Govern as Service
from govern.checkpoints import service as checkpoints
from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind
from govern.fakes.oidc import DemoProvider
from govern.fakes.openai import FakeOpenAI
from govern.fakes.server import serve
from govern.jobs import ledger
from govern.worker.runner import run_job
from tests.cli.conftest import Answer, Govern
from tests.peers.mail import mail_sink

WORKER = Actor(ActorKind.JOB, "worker", "worker")


@pytest.fixture
def healthy(host: pytest.MonkeyPatch, govern: Service) -> Iterator[pytest.MonkeyPatch]:
    """A host on which everything works."""
    provider = DemoProvider("http://127.0.0.1:1")
    with serve(provider.app) as idp, mail_sink() as mail:
        provider.issuer = idp.url
        settings = {
            "GOVERN_OIDC_ISSUER": idp.url, "GOVERN_OIDC_CLIENT_SECRET": "a secret", "GOVERN_OIDC_ALLOWED_DOMAINS": "acme.example",
            "GOVERN_MAIL_HOST": mail.host, "GOVERN_MAIL_PORT": str(mail.port), "GOVERN_MAIL_SECURITY": "none",
            "GOVERN_MAIL_ADMINS": "ada@acme.example",
        }  # fmt: skip
        for name, value in settings.items():
            host.setenv(name, value)
        with govern.unit_of_work(WORKER) as uow:
            for job in ("directory.sync", "usage.sync", "costs.sync"):
                run = ledger.begin_slot(uow, job, "2026-03-10T12:00:00Z", "wrk_1")
                assert run
                ledger.finish(uow, run, report={})
            ledger.beat(uow, "wrk_1", "host:1", is_leader=True)
        yield host


def finding(answer: Answer, name: str) -> tuple[str, str]:
    found = [item for item in answer.json["items"] if item["name"] == name]
    assert len(found) == 1, answer.out
    return found[0]["health"], found[0]["sentence"]


def test_a_healthy_host_passes_every_probe(command: Govern, healthy: pytest.MonkeyPatch) -> None:
    answer = command("doctor --json")
    assert {item["health"] for item in answer.json["items"]} == {"ok"}, answer.out
    assert (answer.code, answer.json["ok"]) == (0, True)
    names = {item["name"] for item in answer.json["items"]}
    assert names >= {
        "settings", "database", "migrations", "sealing", "worker", "directory.sync", "usage.sync", "costs.sync", "effects",
        "admin key: management", "admin key: usage", "clock", "sign-in", "mail",
    }  # fmt: skip
    assert command("doctor").code == 0


def test_a_sink_of_the_audit_log_that_fails_is_told(command: Govern, healthy: pytest.MonkeyPatch, govern: Service) -> None:
    healthy.setenv("GOVERN_AUDIT_FILE", "kept.jsonl")
    assert finding(command("doctor --json"), "audit sinks") == ("ok", "Checkpoints of the audit log go to: file.")
    with govern.unit_of_work(WORKER) as uow:
        checkpoints.note_failed(uow, "file", "No space left on device.")
    health, sentence = finding(command("doctor --json"), "audit sinks")
    assert (health, "file since" in sentence, "No space left" in sentence) == ("warn", True, True)


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


FAULTS: list[tuple[str, dict[str, str | Callable[[], str]], str, str, str]] = [
    ("an unknown setting", {"GOVERN_MAIL_HOSTS": "x"}, "settings", "fail", "mail.hosts"),
    ("an unreadable key file", {"GOVERN_OPENAI_ADMIN_KEY_FILE": "/nowhere/key"}, "settings", "fail", "/nowhere/key"),
    ("no database", {"GOVERN_DATABASE_URL": "postgresql://g:hunter2@127.0.0.1:1/g"}, "database", "fail", "does not answer"),
    ("no URL", {"GOVERN_DATABASE_URL": "govern.db"}, "database", "fail", "sqlite:///file"),
    ("an empty database", {"GOVERN_DATABASE_URL": "sqlite:///empty.db"}, "migrations", "fail", "govern db upgrade"),
    ("another ring", {"GOVERN_SEALING_KEYS": "test:" + "B" * 43 + "="}, "sealing", "fail", "Put that key back"),
    ("a short ring", {"GOVERN_SEALING_KEYS": "test:QUJD"}, "sealing", "fail", "base64-of-32-bytes"),
    (
        "a wrong admin key",
        {"GOVERN_OPENAI_ADMIN_KEY": "sk-admin-not-known-there"},
        "admin key: management",
        "fail",
        "revoked",
    ),
    ("no OpenAI", {"GOVERN_OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "admin key: management", "fail", "cannot be reached"),
    ("a silent issuer", {"GOVERN_OIDC_ISSUER": "http://127.0.0.1:1"}, "sign-in", "fail", "[oidc] issuer"),
    ("no secret for sign-in", {"GOVERN_OIDC_CLIENT_SECRET": ""}, "sign-in", "fail", "GOVERN_OIDC_CLIENT_SECRET_FILE"),
    ("no domains", {"GOVERN_OIDC_ALLOWED_DOMAINS": ""}, "sign-in", "warn", "allowed_domains"),
    ("a silent mail server", {"GOVERN_MAIL_PORT": closed_port}, "mail", "fail", "does not answer"),
    ("mail without encryption", {"GOVERN_MAIL_SECURITY": "starttls"}, "mail", "fail", "security"),
    ("no recipients", {"GOVERN_MAIL_ADMINS": ""}, "mail", "warn", "admins is empty"),
]


@pytest.mark.one_database
@pytest.mark.parametrize(("changes", "name", "health", "words"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_gets_a_sentence(
    command: Govern,
    healthy: pytest.MonkeyPatch,
    *,
    changes: dict[str, str | Callable[[], str]],
    name: str,
    health: str,
    words: str,
) -> None:
    for variable, value in changes.items():
        healthy.setenv(variable, value if isinstance(value, str) else value())
    answer = command("doctor --json")
    found, sentence = finding(answer, name)
    assert (found, words in sentence) == (health, True), sentence
    assert answer.code == (1 if health == "fail" else 0)
    assert "hunter2" not in answer.out


@pytest.mark.one_database
def test_each_scope_of_the_admin_key_is_probed_apart(command: Govern, healthy: pytest.MonkeyPatch, openai: FakeOpenAI) -> None:
    healthy.setenv("GOVERN_OPENAI_ADMIN_KEY", openai.make_admin_key(scopes=["api.management.read", "api.management.write"]))
    answer = command("doctor --json")
    assert finding(answer, "admin key: management")[0] == "ok"
    health, sentence = finding(answer, "admin key: usage")
    assert (health, "api.usage.read" in sentence) == ("fail", True)
    healthy.setenv("GOVERN_OPENAI_ADMIN_KEY", openai.make_admin_key(scopes=["api.usage.read"]))
    answer = command("doctor --json")
    assert finding(answer, "admin key: usage")[0] == "ok"
    assert "api.management.read" in finding(answer, "admin key: management")[1]


def test_without_the_key_openai_is_left_out(command: Govern, healthy: pytest.MonkeyPatch) -> None:
    healthy.delenv("GOVERN_OPENAI_ADMIN_KEY")
    answer = command("doctor --json")
    assert finding(answer, "admin key")[0] == "warn"
    assert answer.code == 0


def test_a_provider_that_calls_itself_otherwise_is_named(command: Govern, healthy: pytest.MonkeyPatch) -> None:
    with serve(DemoProvider("https://login.acme.example").app) as idp:
        healthy.setenv("GOVERN_OIDC_ISSUER", idp.url)
        health, sentence = finding(command("doctor --json"), "sign-in")
    assert (health, "'https://login.acme.example'" in sentence) == ("fail", True)


def test_a_worker_that_fell_silent_is_a_fault_and_one_never_started_a_reminder(
    command: Govern, healthy: pytest.MonkeyPatch, govern: Service
) -> None:
    with freeze_time(utcnow() + timedelta(minutes=3)):
        answer = command("doctor --json")
    assert finding(answer, "worker")[0] == "fail"
    assert "last heard of" in finding(answer, "worker")[1]
    with govern.unit_of_work(WORKER) as uow:
        ledger.sign_off(uow, "wrk_1")
        ledger.beat(uow, "wrk_2", "host:2", is_leader=False)
    assert "none leads" in finding(command("doctor --json"), "worker")[1]
    with govern.unit_of_work(WORKER) as uow:
        ledger.sign_off(uow, "wrk_2")
    assert finding(command("doctor --json"), "worker")[0] == "warn"


def test_a_sync_that_is_late_failed_or_a_day_old_is_told(
    command: Govern, healthy: pytest.MonkeyPatch, govern: Service, openai: FakeOpenAI
) -> None:
    with freeze_time(utcnow() + timedelta(hours=2)):
        assert finding(command("doctor --json"), "usage.sync") == (
            "warn", "Last finished 2 hours ago; due every 15 minutes.",
        )  # fmt: skip
    with freeze_time(utcnow() + timedelta(days=2)):
        assert finding(command("doctor --json"), "usage.sync")[0] == "fail"
    openai.fault(kind="bare_403", times=1000)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever; the ledger keeps its sentence
        run_job(govern, "directory.sync")
    openai.clear_faults()
    health, sentence = finding(command("doctor --json"), "directory.sync")
    assert (health, "The last run failed:" in sentence) == ("warn", True)


def test_the_doctor_changes_nothing(command: Govern, healthy: pytest.MonkeyPatch, openai: FakeOpenAI, tmp_path: Path) -> None:
    before = len(openai.oracle().requests)
    command("doctor")
    asked = openai.oracle().requests[before:]
    assert asked
    assert {entry.method for entry in asked} == {"GET"}
