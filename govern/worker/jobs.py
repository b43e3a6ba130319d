"""The whole timetable on one page.

Every job is level-triggered: it reads what is due from rows, so a missed slot loses nothing and a second run changes
nothing. Each returns counts, which are kept with the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from govern.approvals import service as approvals
from govern.batches import queries as batch_queries
from govern.batches import service as batches
from govern.bootstrap import Govern
from govern.budgets import backtest
from govern.budgets import service as budgets
from govern.checkpoints import forgetting, signing
from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind
from govern.findings import evaluate as findings
from govern.findings.snapshot import Thresholds
from govern.inventory import events
from govern.inventory import sync as inventory
from govern.jobs import service as jobs
from govern.keys import leaks, renewal, reveals, rotation
from govern.keys import service as keys
from govern.keys import sync as key_sync
from govern.members import sync as directory
from govern.offboarding import schedule
from govern.offboarding import service as offboarding
from govern.settings import Settings
from govern.usage import cells
from govern.usage import queries as usage_queries
from govern.usage import sync as usage
from govern.worker import housekeeping
from govern.worker.progress import Progress

Report = Mapping[str, int]


@dataclass(frozen=True)
class Job:
    """`run` does everything that is due and returns counts. It waits until `after` has come to an end once, ever."""

    name: str
    every: timedelta
    run: Callable[[Govern, Progress], Report]
    after: str | None = None


def timetable(settings: Settings) -> tuple[Job, ...]:
    """Every job, in the order in which they begin when all are due."""
    sync = settings.sync
    return (
        Job("directory.sync", timedelta(minutes=sync.directory_minutes), sync_directory),
        Job("inventory.sync", timedelta(minutes=sync.inventory_minutes), sync_inventory, after="directory.sync"),
        Job("events.pull", timedelta(minutes=sync.events_minutes), pull_events, after="inventory.sync"),
        # Spend is put down to people and projects, so these should be known first.
        Job("usage.sync", timedelta(minutes=sync.usage_minutes), sync_usage, after="directory.sync"),
        Job("costs.sync", timedelta(minutes=sync.costs_minutes), sync_costs, after="directory.sync"),
        Job("usage.backfill", timedelta(days=1), backfill_usage, after="costs.sync"),
        Job("usage.roll_up", timedelta(minutes=5), roll_up, after="usage.sync"),
        Job("budgets.evaluate", timedelta(minutes=5), evaluate_budgets, after="usage.sync"),
        Job("budgets.backtest", timedelta(days=1), look_back, after="costs.sync"),
        Job("findings.evaluate", timedelta(minutes=5), evaluate_findings, after="events.pull"),
        Job("keys.expire", timedelta(minutes=5), expire_keys),
        Job("keys.remind", timedelta(minutes=15), remind_of_keys),
        Job("reveals.shred", timedelta(minutes=1), shred_reveals),
        Job("keys.rotate", timedelta(minutes=5), rotate_keys),
        Job("keys.reconcile", timedelta(hours=1), reconcile_keys, after="directory.sync"),
        Job("offboarding.schedule", timedelta(minutes=15), start_removals, after="directory.sync"),
        Job("offboarding.seal", timedelta(hours=1), seal_removals, after="usage.sync"),
        Job("approvals.expire", timedelta(minutes=5), expire_approvals),
        Job("batches.follow", timedelta(minutes=1), follow_batches),
        Job("audit.checkpoint", timedelta(minutes=settings.audit.checkpoint_minutes), sign_checkpoint),
        Job("audit.forget", timedelta(days=1), forget_events),
        Job("housekeeping", timedelta(hours=6), housekeeping.run),
    )


def sync_directory(govern: Govern, progress: Progress) -> Report:
    """Members, invites, projects and what stands in them, as OpenAI lists them now."""
    return directory.run(govern.unit_of_work, govern.need_outside().directory, progress=progress)


def sync_inventory(govern: Govern, progress: Progress) -> Report:
    """Admin keys, groups, roles and federation, as OpenAI lists them now."""
    outside, most = govern.need_outside(), govern.settings.sync.roles_per_run
    return inventory.run(govern.unit_of_work, outside.directory, outside.access, roles_per_run=most, progress=progress)


def pull_events(govern: Govern, _progress: Progress) -> Report:
    """Read OpenAI's own audit log, and look at once at the projects that were changed around us."""
    outside = govern.need_outside()
    pulled = events.pull(govern.unit_of_work, outside.events)
    if pulled.projects:
        directory.run_projects(govern.unit_of_work, outside.directory, pulled.projects)
    if pulled.elsewhere:  # the event does not say in which project: look at all of them
        with govern.unit_of_work(events.JOB) as uow:
            jobs.request_run(uow, "directory.sync")
    return pulled.report | {"projects": len(pulled.projects)}


def sync_usage(govern: Govern, progress: Progress) -> Report:
    """Usage of the last days; some weeks of it at the first run."""
    sync = govern.settings.sync
    return usage.run_usage(
        govern.unit_of_work, govern.need_outside().usage, trailing_days=sync.trailing_days, backfill_days=sync.backfill_days,
        endpoints=usage.endpoints_of(sync), progress=progress,
    )  # fmt: skip


def sync_costs(govern: Govern, progress: Progress) -> Report:
    """Billed costs of the last days, which OpenAI restates for a while."""
    sync = govern.settings.sync
    return usage.run_costs(
        govern.unit_of_work, govern.need_outside().usage, trailing_days=sync.trailing_days, backfill_days=sync.backfill_days,
        progress=progress,
    )  # fmt: skip


def backfill_usage(govern: Govern, progress: Progress) -> Report:
    """The history of both clocks: what was never read of it."""
    sync = govern.settings.sync
    return usage.run_backfill(
        govern.unit_of_work, govern.need_outside().usage, days=sync.history_days,
        endpoints=usage.endpoints_of(sync), progress=progress,
    )  # fmt: skip


def roll_up(govern: Govern, _progress: Progress) -> Report:
    """Bring the coarser rollups up to date: teams and cost centres that people moved between, and stretches of days."""
    return cells.run(govern.unit_of_work, utcnow().date())


def evaluate_budgets(govern: Govern, _progress: Progress) -> Report:
    """Compare spend with the budgets; each crossing alerts once."""
    return budgets.evaluate_all(govern.unit_of_work)


def look_back(govern: Govern, _progress: Progress) -> Report:
    """Compare what forecasts said with what came."""
    return backtest.run(govern.unit_of_work)


def evaluate_findings(govern: Govern, _progress: Progress) -> Report:
    """Look at the whole inventory for what should not be."""
    return findings.run(govern.unit_of_work, limits_of(govern.settings), utcnow())


def limits_of(settings: Settings) -> Thresholds:
    """From when on something is worth a look."""
    days = settings.findings
    return Thresholds(
        dormant=timedelta(days=days.dormant_days), never_used=timedelta(days=days.never_used_days),
        over_age=timedelta(days=days.over_age_days), stale_invite=timedelta(days=days.stale_invite_days),
        admin_key=timedelta(days=days.admin_key_days), changed=timedelta(days=days.changed_days),
        personal_keys=days.personal_keys,
    )  # fmt: skip


def expire_keys(govern: Govern, _progress: Progress) -> Report:
    """End keys that expired, and keys whose value nobody opened in time."""
    with govern.unit_of_work(Actor(ActorKind.JOB, "keys.expire", "keys.expire")) as uow:
        return keys.expire_due(uow, unseen=timedelta(hours=govern.settings.keys.unseen_hours))


def remind_of_keys(govern: Govern, _progress: Progress) -> Report:
    """Mail the people of keys that are about to expire, once per step. Without a mail server nobody can be told."""
    settings = govern.settings
    if settings.mail.host is None:
        return {"told": 0}
    with govern.unit_of_work(Actor(ActorKind.JOB, "keys.remind", "keys.remind")) as uow:
        overlap = timedelta(hours=settings.keys.overlap_hours)
        return renewal.remind_due(uow, days=settings.keys.remind_days, overlap=overlap, admins=settings.mail.admins)


def shred_reveals(govern: Govern, _progress: Progress) -> Report:
    """Destroy sealed values whose time is over: to be shown again, or to be asked about."""
    with govern.unit_of_work(Actor(ActorKind.JOB, "reveals.shred", "reveals.shred")) as uow:
        settings = govern.settings.keys
        window, unseen = timedelta(minutes=settings.reveal_again_minutes), timedelta(hours=settings.unseen_hours)
        return reveals.shred_due(uow, window=window, unseen=unseen) | {"unanswered": leaks.forget_unanswered(uow)}


def rotate_keys(govern: Govern, _progress: Progress) -> Report:
    """Begin the rotations that are due, see which new versions are in use, and end the old ones that they replace."""
    with govern.unit_of_work(Actor(ActorKind.JOB, "keys.rotate", "keys.rotate")) as uow:
        report = rotation.rotate_due(uow, overlap=timedelta(hours=govern.settings.keys.overlap_hours))
        rotation.note_use(uow, usage_queries.last_uses(uow.session, rotation.waiting_for_use(uow)))
        return report | rotation.retire_due(uow)


def start_removals(govern: Govern, _progress: Progress) -> Report:
    """Start the removals whose day has come, or ask when they are too many; tell of those that will."""
    settings = govern.settings
    told: Report = {"told": 0}
    if settings.mail.host is not None:
        with govern.unit_of_work(schedule.JOB) as uow:
            told = schedule.give_notice(uow, days=settings.removal.notice_days, admins=settings.mail.admins)
    lifetime = timedelta(days=settings.approvals.expires_in_days)
    breaker = schedule.Breaker(settings.removal.most_at_once, settings.removal.most_at_once_percent, lifetime)
    return {**told, **schedule.run(govern.unit_of_work, breaker)}


def seal_removals(govern: Govern, _progress: Progress) -> Report:
    """Seal removals whose keys OpenAI reports no use of any more; tell of those that were used."""
    with govern.unit_of_work(Actor(ActorKind.JOB, "offboarding.seal", "offboarding.seal")) as uow:
        return offboarding.seal_due(uow, after=timedelta(hours=govern.settings.removal.seal_hours))


def expire_approvals(govern: Govern, _progress: Progress) -> Report:
    """End what waited for an approval for too long."""
    with govern.unit_of_work(Actor(ActorKind.JOB, "approvals.expire", "approvals.expire")) as uow:
        return approvals.expire_due(uow)


def follow_batches(govern: Govern, _progress: Progress) -> Report:
    """Let go whom a batch held and nobody approved; owe again what a batch has open."""
    with govern.unit_of_work.reading() as session:
        open_ids = batch_queries.open_ids(session)
    ended = 0
    for batch_id in open_ids:
        with govern.unit_of_work(Actor(ActorKind.JOB, "batches.follow", "batches.follow")) as uow:
            ended += batches.follow(uow, batch_id)
    return {"open": len(open_ids), "not_approved": ended}


def reconcile_keys(govern: Govern, _progress: Progress) -> Report:
    """Compare the keys that we issued with what OpenAI lists, and end what provably should not be there."""
    outside = govern.need_outside()
    second_look = timedelta(seconds=govern.settings.removal.second_look_seconds)
    return key_sync.reconcile(govern.unit_of_work, outside.directory, outside.issuer, second_look=second_look)


def sign_checkpoint(govern: Govern, _progress: Progress) -> Report:
    """Sign the audit log up to its newest event, unless nothing happened since, and owe the sinks what they lack."""
    actor = Actor(ActorKind.JOB, "audit.checkpoint", "audit.checkpoint")
    signed = signing.sign_newest(govern.unit_of_work, actor)
    owed = signing.owe_pushes(govern.unit_of_work, actor, govern.settings.audit.sinks)
    return {"signed": int(signed is not None), "sinks": owed}


def forget_events(govern: Govern, _progress: Progress) -> Report:
    """Let audit events go that are older than they are to be kept, up to a checkpoint that every sink has."""
    audit = govern.settings.audit
    if audit.keep_days is None:
        return {}
    with govern.unit_of_work.reading() as session:
        checkpoint = forgetting.forgettable(session, utcnow() - timedelta(days=audit.keep_days), audit.sinks)
        if checkpoint is None:
            return {"forgotten": 0}
        if not forgetting.may_delete(session):  # `govern audit forget` with the owner's account does it
            return {"forgotten": 0, "left_to_the_owner": 1}
    actor = Actor(ActorKind.JOB, "audit.forget", "audit.forget")
    return {"forgotten": forgetting.forget(govern.unit_of_work, actor, checkpoint)}
