"""Directory sync: rows become what OpenAI lists, page by page; what is listed no more has vanished; nothing else changes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import ProviderError
from govern.keys.models import ObservedKey
from govern.members import queries, sync
from govern.members.models import Invite, InviteState, Member
from govern.people.models import Person
from govern.ports import ProjectGrant
from govern.projects import queries as projects
from govern.projects.models import Project, ProjectMember, ServiceAccount
from tests.given import ADA, ADMIN, EVE, MAX, OLA, PROJECT, World

NEW = "nina@acme.example"


def pull(world: World) -> dict[str, int]:
    return sync.run(world.govern.unit_of_work, world.govern.need_outside().directory)


def state(world: World) -> dict[str, list[dict[str, object]]]:
    """Every mirrored row, without when it was seen last."""
    found = {}
    with world.govern.engine.connect() as connection:
        for table in (Member, Person, Project, ProjectMember, ServiceAccount, ObservedKey, Invite):
            rows = connection.execute(sa.select(table.__table__).order_by(table.__table__.c.id)).mappings()
            found[table.__tablename__] = [{name: row[name] for name in row if name != "last_seen_at"} for row in rows]
    return found


def user(world: World, email: str):
    found = world.openai.org.user_by_email(email)
    assert found is not None
    return found


class TestMirror:
    def test_a_first_pull_knows_everybody_and_everything(self, clock: FrozenDateTimeFactory, world: World) -> None:
        report = pull(world)
        oracle = world.openai.oracle()
        with world.govern.unit_of_work.reading() as session:
            members = {member.email: member for member in queries.find_members(session, limit=100)}
            assert set(members) == {ADA, EVE, OLA, MAX}
            assert {member.remote_id for member in members.values()} == {member.id for member in oracle.members()}
            assert (members[ADA].role, members[EVE].role) == ("owner", "reader")
            assert queries.count_members(session) == 4
            places = {project.remote_id: project.id for project in projects.find_projects(session)}
            assert set(places) == {project.id for project in oracle.projects()}
            for place in oracle.project_users():
                here = [row.member_remote_id for row in projects.members_of(session, places[place.project_id])]
                assert place.user_id in here
            accounts = set(session.scalars(sa.select(ServiceAccount.remote_id)))
            assert accounts == {account.id for account in oracle.service_accounts()}
            assert set(session.scalars(sa.select(ObservedKey.remote_id))) == {key.id for key in world.native_keys()}
        assert (report["members"], report["projects"], report["service_accounts"], report["keys"]) == (
            4, len(oracle.projects()), len(oracle.service_accounts()), len(world.native_keys()),
        )  # fmt: skip

    @pytest.mark.one_database
    def test_a_second_pull_changes_nothing(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.key(project=PROJECT)
        known.invite(NEW)
        known.drain()
        pull(known)
        before, log = state(known), known.audited()
        clock.tick(900)
        report = pull(known)
        assert (report["added"], report["vanished"]) == (0, 0)
        assert state(known) == before
        assert known.audited() == log

    def test_many_pages_are_read_to_the_end(self, clock: FrozenDateTimeFactory, database_url: str) -> None:
        import httpx

        from govern.bootstrap import build
        from govern.core.crypto import Secret
        from govern.fakes.openai import FakeOpenAI, WorldSpec
        from govern.settings import OpenAI, Sealing, Settings
        from tests.conftest import SEALING_KEYS

        crowd = FakeOpenAI(WorldSpec(people=330, projects=12, months=0, seed=3))
        settings = Settings(
            mode="test", database={"url": database_url}, sealing=Sealing(keys=Secret(SEALING_KEYS)),
            openai=OpenAI(admin_key=Secret(crowd.admin_key), base_url="http://openai.test/v1"),
        )  # fmt: skip
        govern = build(settings, outside=True, transport=httpx.WSGITransport(app=crowd.app))
        pull(World(govern, crowd))
        with govern.unit_of_work.reading() as session:
            assert queries.count_members(session) == len(crowd.oracle().members()) == 330
            observed = set(session.scalars(sa.select(ObservedKey.remote_id).where(ObservedKey.vanished_at.is_(None))))
            assert observed == {key.id for key in crowd.oracle().keys()}  # noqa: SIM118
        govern.close()

    def test_our_keys_are_recognized_among_all(self, known: World) -> None:
        key = known.key(project=PROJECT)
        pull(known)
        with known.govern.unit_of_work.reading() as session:
            ours = session.scalars(sa.select(ObservedKey).where(ObservedKey.version_id.is_not(None))).all()
            assert [row.version_id for row in ours] == [known.version(key).id]

    @pytest.mark.one_database
    @pytest.mark.parametrize("operation", ["users.list", "invites.list", "projects.list", "projects.users.list",
                                           "projects.service_accounts.list", "projects.api_keys.list"])  # fmt: skip
    @pytest.mark.parametrize("kind", ["bad_json", "missing:id"])
    def test_a_listing_that_cannot_be_read_marks_nobody_as_gone(self, known: World, operation: str, kind: str) -> None:
        known.govern.need_outside().directory.invite("otto@acme.example", "reader", [])
        before = state(known)
        known.openai.fault(operation, kind=kind, times=0)
        with pytest.raises(ProviderError):
            pull(known)
        assert not any(row.get("vanished_at") for rows in state(known).values() for row in rows)
        assert state(known)["members"] == before["members"]


class TestChanges:
    def test_a_seat_that_is_gone_has_vanished_and_comes_back_as_itself(self, known: World, clock: FrozenDateTimeFactory) -> None:
        leaver, person = user(known, EVE), known.person(EVE)
        known.govern.need_outside().directory.remove_member(leaver.id)
        clock.tick(60)
        assert pull(known)["vanished"] >= 1
        assert known.member(EVE).vanished_at is not None
        assert known.person(EVE).id == person.id
        known.openai.org.tables.users[leaver.id] = leaver
        pull(known)
        assert known.member(EVE).vanished_at is None

    def test_renamed_moved_and_promoted(self, known: World) -> None:
        person = known.person(EVE)
        eve = user(known, EVE)
        eve.name, eve.role = "Eve Elsewhere", "owner"
        project = known.openai.org.tables.projects[known.project(PROJECT).remote_id]
        project.name = "Discovery"
        pull(known)
        assert (known.member(EVE).name, known.member(EVE).role) == ("Eve Elsewhere", "owner")
        assert known.member(EVE).person_id == person.id
        assert known.project("Discovery").remote_id == project.id

    def test_a_new_address_is_another_person(self, known: World) -> None:
        """An address says who somebody is; a changed one is not taken as a proof that it is the same employee."""
        before = known.person(EVE)
        user(known, EVE).email = "Eva@acme.example"
        pull(known)
        member = known.member("eva@acme.example")
        assert member.person_id != before.id
        assert known.person(EVE).id == before.id

    @pytest.mark.one_database
    @pytest.mark.parametrize("email", [None, "", "not an address", "x@y"])
    def test_a_member_whose_address_is_of_no_use_is_kept_without_a_person(self, known: World, email: str | None) -> None:
        eve = user(known, EVE)
        eve.email = email
        pull(known)
        with known.govern.unit_of_work.reading() as session:
            member = queries.get_member(session, eve.id)
            assert (member.person_id, member.vanished_at) == (None, None)

    @pytest.mark.parametrize(("name", "value"), [("name", "N" * 500), ("name", None), ("role", "guest")])
    def test_odd_values_do_not_stop_the_pull(self, known: World, name: str, value: object) -> None:
        setattr(user(known, EVE), name, value)
        pull(known)
        assert known.member(EVE).vanished_at is None

    def test_people_who_are_no_people(self, known: World) -> None:
        robot = user(known, EVE)
        robot.is_service_account = True
        pull(known)
        with known.govern.unit_of_work.reading() as session:
            assert robot.id not in {member.remote_id for member in queries.find_members(session)}
            assert queries.count_members(session) == 3

    def test_an_archived_project_loses_everything_but_its_dead_keys(self, known: World, clock: FrozenDateTimeFactory) -> None:
        place = known.project(PROJECT)
        known.openai.org.tables.projects[place.remote_id].archived_at = known.openai.org.clock.seconds()
        clock.tick(60)
        pull(known)
        done = len(known.calls())
        pull(known)
        assert not any(place.remote_id in call for call in known.calls()[done:])
        with known.govern.unit_of_work.reading() as session:
            assert projects.get(session, place.id).archived_at is not None
            assert place.id not in {project.id for project in projects.open_projects(session)}
            assert projects.members_of(session, place.id) == []
            assert projects.service_accounts_of(session, place.id) == []
            keys = sa.select(ObservedKey.remote_id).where(ObservedKey.project_id == place.id, ObservedKey.vanished_at.is_(None))
            assert set(session.scalars(keys)) == {key.id for key in known.native_keys() if key.project_id == place.remote_id}

    @pytest.mark.one_database
    def test_a_key_that_is_gone_has_vanished(self, known: World) -> None:
        own, _ = known.openai.make_personal_key(EVE, PROJECT)
        pull(known)
        known.openai.disable_key(own)
        assert pull(known)["vanished"] == 1


class TestInvites:
    @pytest.mark.one_database
    def test_ours_that_was_accepted_becomes_a_member(self, known: World) -> None:
        invite = known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        known.openai.accept_invite(NEW)
        pull(known)
        assert known.reload(invite).state is InviteState.ACCEPTED
        member = known.member(NEW)
        assert member.person_id == known.person(NEW).id
        with known.govern.unit_of_work.reading() as session:
            assert [project.name for project, _ in projects.places_of(session, member.remote_id)] == [PROJECT]
        assert known.audited("invite.accepted") == ["invite.accepted"]

    def test_those_that_others_made_are_shown_as_theirs(self, known: World) -> None:
        place = known.project(PROJECT).remote_id
        remote = known.govern.need_outside().directory.invite("Otto@ACME.example", "reader", [ProjectGrant(place, "owner")])
        pull(known)
        with known.govern.unit_of_work.reading() as session:
            row = queries.get_invite(session, remote.id)
            assert (row.email, row.issued_by_us, row.state) == ("otto@acme.example", False, InviteState.PENDING)
            assert row.projects == [{"id": place, "role": "owner"}]
        before = state(known)
        pull(known)
        assert state(known) == before

    @pytest.mark.one_database
    def test_one_that_others_cancelled_is_cancelled(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        remote_id = known.reload(invite).remote_id
        assert remote_id is not None
        known.govern.need_outside().directory.cancel_invite(remote_id)
        clock.tick(60)
        pull(known)
        assert known.reload(invite).state is InviteState.CANCELLED
        assert known.invite(NEW).state is InviteState.REQUESTED

    @pytest.mark.one_database
    def test_one_that_is_on_its_way_is_not_taken_for_a_stranger(self, known: World) -> None:
        """It exists at OpenAI, and its row has not been told yet."""
        invite = known.invite(NEW)
        known.govern.need_outside().directory.invite(NEW, "reader", [])
        pull(known)
        known.drain()
        assert known.reload(invite).state is InviteState.PENDING
        with known.govern.unit_of_work.reading() as session:
            assert len(queries.find_invites(session)) == 1

    @pytest.mark.one_database
    def test_one_sent_while_the_directory_is_listed_has_not_been_cancelled(self, known: World) -> None:
        """The listing is older than the invite: its absence there says nothing."""

        class Slow:
            """The real directory, in which an invite is sent while somebody reads."""

            def __getattr__(self, name: str) -> object:
                return getattr(known.govern.need_outside().directory, name)

            def invites(self) -> object:
                listed = known.govern.need_outside().directory.invites()
                self.sent = known.invite(NEW)
                known.drain()
                return listed

        slow = Slow()
        sync.run(known.govern.unit_of_work, slow)  # type: ignore[arg-type]
        assert known.reload(slow.sent).state is InviteState.PENDING


class TestReading:
    @pytest.mark.parametrize(
        ("choice", "found"),
        [
            ({}, {ADA, EVE, OLA, MAX}), ({"search": "eVe"}, {EVE}), ({"search": "manager"}, {MAX}), ({"search": "%"}, set()),
            ({"search": "_"}, set()), ({"role": "owner"}, {ADA}), ({"limit": 1}, 1), ({"person_ids": []}, set()),
        ],
    )  # fmt: skip
    def test_members_are_found(self, known: World, choice: dict[str, object], found: set[str] | int) -> None:
        with known.govern.unit_of_work.reading() as session:
            emails = {member.email for member in queries.find_members(session, **choice)}  # type: ignore[arg-type]
        assert len(emails) == found if isinstance(found, int) else emails == found

    def test_page_by_page_nobody_is_missed_or_seen_twice(self, known: World) -> None:
        seen, after = [], None
        with known.govern.unit_of_work.reading() as session:
            while page := queries.find_members(session, after=after, limit=1):
                seen += [member.email for member in page]
                after = page[-1].id
        assert sorted(seen) == sorted([ADA, EVE, OLA, MAX])

    def test_by_any_name_the_one_who_has_the_seat_comes_first(self, known: World, clock: FrozenDateTimeFactory) -> None:
        old = known.member(EVE)
        known.govern.need_outside().directory.remove_member(old.remote_id)
        clock.tick(60)
        pull(known)
        known.invite(EVE)
        known.drain()
        known.openai.accept_invite(EVE)
        pull(known)
        with known.govern.unit_of_work.reading() as session:
            for name in (EVE, EVE.upper(), old.person_id or ""):
                found = queries.get_member(session, name)
                assert found.vanished_at is None
                assert found.remote_id != old.remote_id
            assert queries.get_member(session, old.remote_id).vanished_at is not None
            assert {member.email for member in queries.find_members(session, with_vanished=True)} == {ADA, EVE, OLA, MAX}
        assert ADMIN.id
