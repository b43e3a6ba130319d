"""Wiring: the only place that names adapters. `build(settings)` returns everything that a door needs.

The EFFECTS table below says who carries out which effect, and ACTS what a yes to an approval carries out. Only the worker is
built with `outside=True`: it alone holds the admin key, so the web process, which the world can reach, cannot leak it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from govern.access_ports import AccessSource, AuditSource
from govern.approvals import effects as approval_effects
from govern.approvals.service import Act
from govern.batches import effects as batch_effects
from govern.batches import service as batches
from govern.budgets.effects import Announce, Deliver
from govern.checkpoints import effects as checkpoint_effects
from govern.core.crypto import SecretBox
from govern.core.db import make_engine
from govern.core.errors import InvalidInput
from govern.core.ids import NewId, new_id
from govern.core.outbox import Handler
from govern.core.uow import UnitsOfWork
from govern.findings import effects as finding_effects
from govern.keys import effects as key_effects
from govern.keys import freeze_effects, leak_effects, renewal
from govern.members import effects as member_effects
from govern.notices.effects import DeliverNotice, Routes, Still
from govern.notices.models import Channel
from govern.notify.email import Email
from govern.notify.sinks import AppendedFile, CheckpointHook
from govern.notify.syslog import Syslog
from govern.notify.webhook import Webhook, signing_key
from govern.offboarding import effects as offboarding_effects
from govern.offboarding import schedule
from govern.offboarding.endings import Endings
from govern.offboarding.looks import Looks
from govern.openai.audit_log import OpenAIAuditLog
from govern.openai.client import make_client
from govern.openai.directory import OpenAIDirectory
from govern.openai.groups import OpenAIAccess
from govern.openai.keys import OpenAIKeys
from govern.openai.leaked import OpenAIProbe
from govern.openai.pacing import Pace
from govern.openai.scopes import OpenAIScopes
from govern.openai.usage import OpenAIUsage
from govern.policies import asking
from govern.ports import Directory, KeyIssuer, KeyScopes, Notifier, Sink
from govern.provisioning import effects as provisioning_effects
from govern.settings import Settings
from govern.usage_ports import UsageSource

ACTS: Final[Mapping[str, Act]] = {
    asking.ISSUE: asking.issue_approved,
    schedule.START_DUE: schedule.start_approved,
    batches.KIND: batches.approve,
}
"""What a yes carries out: the kind of the approval → the command, in the transaction of the decision."""


STILL: Final[Mapping[str, Still]] = {renewal.REMINDER: renewal.still_expiring, schedule.NOTICE: schedule.still_ending}
"""Which notices may be true no longer by the time when they can be sent: the kind → whether it still is."""


@dataclass(frozen=True)
class Outside:
    """The adapters that need the admin key, and the effects that need the adapters. Exists in the worker only."""

    directory: Directory
    issuer: KeyIssuer
    usage: UsageSource
    access: AccessSource
    events: AuditSource
    scopes: KeyScopes
    effects: Mapping[str, Handler]
    close: Callable[[], None]


@dataclass(frozen=True)
class Govern:
    """What every door is given."""

    settings: Settings
    engine: sa.Engine
    box: SecretBox
    unit_of_work: UnitsOfWork
    outside: Outside | None
    acts: Mapping[str, Act] = field(default_factory=lambda: ACTS)
    own_engine: bool = True

    def need_outside(self) -> Outside:
        """The adapters. Raises InvalidInput where this process was not given the admin key."""
        if self.outside is None:
            raise InvalidInput("This process has no admin key. Set GOVERN_OPENAI_ADMIN_KEY_FILE and use `govern worker`.")
        return self.outside

    def close(self) -> None:
        """Close the connections to OpenAI, and those to the database unless somebody else brought the engine along."""
        if self.outside is not None:
            self.outside.close()
        if self.own_engine:
            self.engine.dispose()


def build(
    settings: Settings,
    *,
    outside: bool = False,
    transport: httpx.BaseTransport | None = None,
    ids: NewId = new_id,
    pace: Pace | None = None,
    engine: sa.Engine | None = None,
) -> Govern:
    """Wire the service. `outside=True` is for the worker. For tests: `transport` puts a fake organization in OpenAI's place,
    `pace` lets them wait for it on a clock of their own, and an `engine` for the same database keeps what it compiled."""
    box = SecretBox(settings.sealing.ring())
    unit_of_work = UnitsOfWork(engine or make_engine(settings.database.url), box, ids=ids)
    there = _outside(settings, unit_of_work, transport, pace or Pace()) if outside else None
    return Govern(settings, unit_of_work.engine, box, unit_of_work, there, own_engine=engine is None)


def key_defaults(settings: Settings) -> asking.Defaults:
    """What the settings say about keys that somebody asks for."""
    keys, waits = settings.keys, timedelta(days=settings.approvals.expires_in_days)
    return asking.Defaults(keys.expires_in_days, keys.most_per_person, settings.openai.generation, waits)


def _outside(settings: Settings, unit_of_work: UnitsOfWork, transport: httpx.BaseTransport | None, pace: Pace) -> Outside:
    if settings.openai.admin_key is None:
        raise InvalidInput(
            "The worker needs the organization's admin key: set GOVERN_OPENAI_ADMIN_KEY_FILE (see docs/connect.md)."
        )
    client = make_client(
        base_url=settings.openai.base_url, admin_key=settings.openai.admin_key, transport=transport, unit_of_work=unit_of_work,
        requests_per_minute=settings.openai.requests_per_minute, burst=settings.openai.burst,
        generation=settings.openai.generation, clock=pace.clock, sleep=pace.sleep,
    )  # fmt: skip
    directory, issuer, usage = OpenAIDirectory(client), OpenAIKeys(client), OpenAIUsage(client)
    scopes, access = OpenAIScopes(client), OpenAIAccess(client)
    notifiers = make_notifiers(settings)
    routes = Routes(settings.web.url, settings.mail.admins, settings.webhook.url, settings.webhook.secret)
    effects: dict[str, Handler] = {
        "key.issue": key_effects.Issue(unit_of_work, issuer, scopes),
        "key.revoke": key_effects.Revoke(unit_of_work, issuer, directory),
        "key.freeze": freeze_effects.FreezeKey(unit_of_work, scopes),
        "key.thaw": freeze_effects.ThawKey(unit_of_work, scopes),
        "leak.probe": leak_effects.Probe(unit_of_work, OpenAIProbe(client)),
        "leak.revoke": leak_effects.RevokeListed(unit_of_work, directory),
        "invite.send": member_effects.SendInvite(unit_of_work, directory),
        "invite.cancel": member_effects.CancelInvite(unit_of_work, directory),
        "offboarding.run": offboarding_effects.Run(
            unit_of_work,
            Endings(directory, issuer, access),
            Looks(directory, access),
            timedelta(seconds=settings.removal.second_look_seconds),
            timedelta(minutes=settings.removal.key_patience_minutes),
        ),
        "batch.run": batch_effects.Run(unit_of_work),
        "provisioning.return": provisioning_effects.Return(unit_of_work),
        "observed_key.delete": finding_effects.DeleteKey(unit_of_work, directory, issuer),
        "service_account.delete": finding_effects.DeleteAccount(unit_of_work, directory, issuer),
        "admin_key.delete": finding_effects.DeleteAdminKey(unit_of_work, directory),
        "alert.announce": Announce(unit_of_work, routes),
        "alert.deliver": Deliver(unit_of_work, notifiers, routes),
        "notice.deliver": DeliverNotice(unit_of_work, notifiers, routes, still=STILL),
        "audit.push": checkpoint_effects.Push(unit_of_work, make_sinks(settings)),
        "approval.tell": approval_effects.Tell(
            unit_of_work, notifiers.get(Channel.EMAIL), settings.web.url, settings.mail.admins
        ),
    }
    return Outside(directory, issuer, usage, access, OpenAIAuditLog(client), scopes, effects, client.close)


def make_notifiers(settings: Settings) -> dict[Channel, Notifier]:
    """The ways to reach people that are set up. Raises InvalidInput for a webhook without a usable signing secret."""
    mail, webhook = settings.mail, settings.webhook
    notifiers: dict[Channel, Notifier] = {}
    if mail.host is not None:
        notifiers[Channel.EMAIL] = Email(mail.host, mail.port, mail.security, mail.sender, mail.username, mail.password)
    if webhook.url is not None:
        if webhook.secret is None:
            raise InvalidInput("A webhook needs a signing secret: set GOVERN_WEBHOOK_SECRET_FILE (whsec_ and base64).")
        signing_key(webhook.secret)
        notifiers[Channel.WEBHOOK] = Webhook(allow_private=webhook.allow_private)
    return notifiers


def make_sinks(settings: Settings) -> dict[str, Sink]:
    """Where checkpoints of the audit log go, by name. Raises InvalidInput for a webhook without a usable signing secret."""
    audit, sinks = settings.audit, dict[str, Sink]()
    if audit.file:
        sinks["file"] = AppendedFile(Path(audit.file))
    if audit.webhook_url:
        if audit.webhook_secret is None:
            raise InvalidInput("The audit log's webhook needs a signing secret: set GOVERN_AUDIT_WEBHOOK_SECRET_FILE.")
        signing_key(audit.webhook_secret)
        hook = Webhook(allow_private=settings.webhook.allow_private)
        sinks["webhook"] = CheckpointHook(hook, audit.webhook_url, audit.webhook_secret)
    if audit.syslog:
        place = urlsplit(audit.syslog)
        sinks["syslog"] = Syslog(place.scheme, place.hostname or "", place.port or 0)
    return sinks
