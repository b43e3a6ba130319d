"""Spend at OpenAI becomes one mail: sync, evaluate, deliver, run again and again, by two workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from freezegun import freeze_time

from govern.bootstrap import Govern
from govern.budgets import service
from govern.settings import Mail, Settings
from govern.worker.runner import drain, run_job
from tests.given import ADMIN, World
from tests.peers.mail import MailSink, mail_sink
from tests.usage.reported import MODEL


@pytest.fixture
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def settings(settings: Settings, mails: MailSink) -> Settings:
    mail = Mail(host=mails.host, port=mails.port, security="none", sender="govern@acme.example", admins=("fin@acme.example",))
    return settings.model_copy(update={"mail": mail})


@pytest.mark.one_database
def test_a_threshold_alerts_once(world: World, govern: Govern, mails: MailSink) -> None:
    with freeze_time("2026-03-10T12:00:00"):
        project = world.synced().project("Search")
        with govern.unit_of_work(ADMIN) as uow:
            service.create_budget(
                uow, name="Search", scope="project", scope_id=project.id, amount_usd=Decimal(100), thresholds=[80]
            )  # fmt: skip
        world.openai.spend(project="Search", usd=85, on="2026-03-09", model=MODEL)
        for _ in range(2):
            run_job(govern, "usage.sync")
            run_job(govern, "costs.sync")
            with ThreadPoolExecutor(2) as workers:
                for done in [workers.submit(service.evaluate_all, govern.unit_of_work) for _ in range(2)]:
                    done.result()
                for done in [workers.submit(drain, govern) for _ in range(2)]:
                    done.result()
    assert [mail["Subject"] for mail in mails.messages] == ["Search has used 85 % of its March budget"]


@pytest.mark.one_database
def test_the_estimate_alone_is_enough(world: World, govern: Govern, mails: MailSink) -> None:
    """The bill comes a day late; the warning does not wait for it."""
    with freeze_time("2026-03-10T12:10:00") as clock:
        world.synced()
        with govern.unit_of_work(ADMIN) as uow:
            service.create_budget(uow, name="All", scope="organization", amount_usd=Decimal(100), thresholds=[80])
        world.openai.spend(project="Search", usd="90.001", model=MODEL)
        clock.tick(60)
        run_job(govern, "usage.sync")
        run_job(govern, "budgets.evaluate")
        drain(govern)
        (mail,) = mails.messages
    text = mail.get_body(("plain",))
    assert text is not None
    assert "$0.00 is billed by OpenAI and $90.00 is estimated" in text.get_content()
    assert mail["Subject"] == "The organization has used 90 % of its March budget"
