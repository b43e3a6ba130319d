"""The whole mission on one frozen clock: hired, given a key, spending, warned about, removed, and all of it on record."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import openai as sdk
import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.audit.service import verify
from govern.bootstrap import Govern, build
from govern.core.crypto import Secret
from govern.core.uow import Actor, ActorKind
from govern.fakes.openai import FakeOpenAI
from govern.identity import tokens
from govern.identity.permissions import Role
from govern.settings import Mail, Settings
from govern.web.app import create_app
from govern.worker.runner import drain, run_job
from tests.given import PROJECT, World
from tests.peers.mail import MailSink, mail_sink
from tests.usage.reported import MODEL

SETUP = Actor(ActorKind.CLI, "setup", "setup")
NINA = "nina@acme.example"


@pytest.fixture
def mails() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture
def settings(clock: FrozenDateTimeFactory, settings: Settings, mails: MailSink) -> Settings:
    mail = Mail(host=mails.host, port=mails.port, security="none", sender="govern@acme.example", admins=("fin@acme.example",))
    return settings.model_copy(update={"mail": mail})


@pytest.fixture
def second(settings: Settings, govern: Govern, openai: FakeOpenAI) -> Iterator[Govern]:
    """Another worker on the same database, with connections of its own."""
    other = build(settings, outside=True, transport=httpx.WSGITransport(app=openai.app))
    yield other
    other.close()


class Script:
    """What an administrator's script does: the API, with a token, and nothing else."""

    def __init__(self, govern: Govern, token: Secret) -> None:
        self._client = create_app(govern).test_client()
        self._headers = {"Authorization": f"Bearer {token.reveal()}"}

    def post(self, path: str, body: object, *, status: int) -> dict[str, object]:
        answer = self._client.post(f"/api/v1{path}", json=body, headers=self._headers)
        assert answer.status_code == status, answer.get_data(as_text=True)
        found = answer.get_json()
        assert isinstance(found, dict)
        return found

    def get(self, path: str, **query: object) -> dict[str, object]:
        answer = self._client.get(f"/api/v1{path}", query_string=query, headers=self._headers)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        found = answer.get_json()
        assert isinstance(found, dict)
        return found


@pytest.fixture
def script(clock: FrozenDateTimeFactory, govern: Govern) -> Script:
    with govern.unit_of_work(SETUP) as uow:
        _, token = tokens.create_system_token(uow, name="script", role=Role.ADMIN, lifetime=timedelta(days=30))
    return Script(govern, token)


def chat(openai: FakeOpenAI, key: str) -> str:
    """One call with the official SDK, as the key's holder makes it."""
    with httpx.Client(transport=httpx.WSGITransport(app=openai.app)) as http:
        client = sdk.OpenAI(api_key=key, base_url="http://openai.test/v1", http_client=http, max_retries=0)
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}])
    return answer.choices[0].message.content or ""


def test_hired_equipped_warned_about_and_removed(
    clock: FrozenDateTimeFactory, world: World, second: Govern, script: Script, mails: MailSink
) -> None:
    govern, openai = world.govern, world.openai
    run_job(govern, "directory.sync")
    [project] = [item for item in script.get("/projects")["items"] if item["name"] == PROJECT]  # type: ignore[attr-defined]

    # She is hired: invited with her project, signs in at OpenAI, and the next sync knows her.
    invited = script.post(
        "/invites", {"email": NINA, "role": "reader", "projects": [{"id": project["id"], "role": "member"}]}, status=202
    )
    drain(govern)
    openai.accept_invite(NINA)
    clock.tick(timedelta(minutes=15))
    run_job(govern, "directory.sync")
    assert world.member(NINA).role == "reader"
    assert script.get(f"/invites/{invited['id']}")["state"] == "accepted"

    # She is given a key, sees it once, and it works.
    asked = script.post("/keys", {"person": NINA, "project": project["id"], "name": "laptop", "expires_in_days": 30}, status=202)
    drain(govern)
    assert script.get(f"/keys/{asked['id']}")["state"] == "live"
    value = str(script.post(f"/keys/{asked['id']}/reveal", {}, status=200)["value"])
    script.post(f"/keys/{asked['id']}/reveal", {}, status=410)
    assert chat(openai, value)

    # She spends. Two workers look again and again; one mail goes out.
    script.post(
        "/budgets",
        {"name": PROJECT, "scope": "project", "scope_id": project["id"], "amount_usd": "100", "thresholds": [80]},
        status=201,
    )
    [native] = [key for key in world.native_keys() if key.id == world_key(world, str(asked["id"]))]
    openai.spend(usd=85, api_key_id=native.id, model=MODEL)
    for _ in range(3):
        clock.tick(timedelta(minutes=15))
        run_job(govern, "usage.sync")
        run_job(second, "costs.sync")
        with ThreadPoolExecutor(2) as workers:
            for job in ("budgets.evaluate",):
                for done in [workers.submit(run_job, worker, job) for worker in (govern, second)]:
                    done.result()
            for done in [workers.submit(drain, worker) for worker in (govern, second)]:
                done.result()
    [mail] = mails.messages
    assert mail["Subject"] == "Search has used 85 % of its March budget"
    assert value not in mail.as_string()
    alerts = script.get("/alerts")["items"]
    assert isinstance(alerts, list)
    assert [alert["threshold"] for alert in alerts] == [80]

    # She leaves. Cut off at once; when it says done, OpenAI has nothing of her any more.
    own_key, own_value = openai.make_personal_key(NINA, PROJECT)
    began = script.post(f"/members/{NINA}/revoke", {"reason": "left on 10 March"}, status=202)
    assert began["state"] == "contained"
    script.post("/keys", {"person": NINA, "project": project["id"], "name": "another", "expires_in_days": 1}, status=409)
    world.finish(clock)
    assert script.post(f"/members/{NINA}/revoke", {"reason": "left on 10 March"}, status=200)["state"] == "done"
    for dead in (value, own_value):
        with pytest.raises(sdk.AuthenticationError):
            chat(openai, dead)
    oracle = openai.oracle()
    assert NINA not in {member.email for member in oracle.members()} | {place.email for place in oracle.project_users()}
    assert own_key not in {key.id for key in world.native_keys()}
    assert world.our_accounts() == []

    # All of it is on record, in order, and nothing of it was touched.
    with govern.unit_of_work.reading() as session:
        verdict = verify(session, govern.box)
    assert verdict.problem is None
    story = [
        "invite.requested", "invite.sent", "invite.accepted", "key.requested", "key.issued", "key.revealed", "budget.created",
        "alert.raised", "alert.delivered", "member.contained", "key.revoked", "person.left", "member.revoked",
    ]  # fmt: skip
    told = [action for action in world.audited() if action in story]
    assert told == story
    shown = script.get("/audit-events", limit=100)["items"]
    assert isinstance(shown, list)
    assert verdict.events >= len(shown) > len(story)
    assert value not in str(shown)


def world_key(world: World, key_id: str) -> str:
    """OpenAI's id of the key's native credential."""
    from govern.keys import queries

    with world.govern.unit_of_work.reading() as session:
        remote_id = queries.newest_version(session, key_id).remote_id
    assert remote_id is not None
    return remote_id
