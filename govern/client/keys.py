"""The person's keys on this machine: fetched into the vault, looked after, given back. A value is never printed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from govern.client.folder import Folder, Held, Profile
from govern.client.server import SignedIn
from govern.client.trouble import INPUT, NOT_POSSIBLE, OUTSIDE, Trouble, refused
from govern.client.vault import Secret, Vault

_BEING_MADE: Final = 60.0
"""Seconds for which a key that is being made is waited for."""
_LOOK_EVERY: Final = 0.5
_OVER: Final = ("revoking", "revoked", "aborting", "aborted", "unknown to the server")


@dataclass
class Keys:
    """`get`, `rotate`, `give_back`, `states` talk to the server; `value` does not."""

    signed_in: SignedIn
    vault: Vault
    folder: Folder

    def get(
        self, project: str | None, name: str | None, *, machine: str, days: int | None = None, reason: str | None = None
    ) -> tuple[Held, bool]:
        """The person's key in the project, its value in the vault; and whether it came just now.

        One that this machine has is kept, or brought up to its newest version. Else one that waits to be opened is opened.
        Else one is asked for, under `name` or the machine's, for `days`; `reason` is for whoever has to approve it, if somebody
        has to. Raises Trouble.
        """
        me = self.signed_in.call("GET", "/me")
        place = chosen_place(me["projects"], project)
        for held in self.folder.read().keys:
            if held.project == place["id"] and name in (None, held.name):
                state = self._state(held)
                if state["here"] and state["state"] not in _OVER:
                    return (self._newest(held), True) if state["newer"] else (held, False)
                self.forget(held)
        marks = self._marks(place["id"], name or machine)
        key_id = marks.get("key_id") or self._waiting(me, place, name, machine)
        if key_id is None:
            wish: dict[str, Any] = {"person": me["person"], "project": place["id"], "name": name or machine}
            wish |= {"reason": reason or f"For {name or machine}, asked for with govern key get."}
            wish |= {"expires_in_days": days} if days else {}
            key_id = self._ask(place["id"], name or machine, wish, marks["request"])
        self._note(place["id"], name or machine, key_id=key_id)
        key = self._made(key_id)
        return self._deliver(key, place["name"], marks["reveal"], pending=_mark(place["id"], name or machine)), True

    def _newest(self, held: Held) -> Held:
        """The value of a version that came after the one on this machine."""
        pending = f"newest {held.key_id}"
        with self.folder.changed() as profile:
            marks = profile.pending.setdefault(pending, {"reveal": str(uuid.uuid4())})
        return self._deliver(self._made(held.key_id, after=held.issued_at), held.project_name, marks["reveal"], pending=pending)

    def _waiting(self, me: Mapping[str, Any], place: Mapping[str, Any], name: str | None, machine: str) -> str | None:
        """A live key that was never opened; None when there is none. Raises Trouble when the name is taken by an opened one."""
        path = f"/keys?person={quote(me['person'])}&project={quote(place['id'])}&state=live&limit=200"
        # An application's key that the person happens to own is not theirs to take to a laptop, or to return from there.
        found = [key for key in self.signed_in.call("GET", path)["items"] if key.get("kind", "personal") == "personal"]
        for key in found:
            if key["revealed_at"] is None and name in (None, key["name"]):
                return str(key["id"])
        if any(key["name"] == (name or machine) for key in found):
            raise Trouble(
                f"Your key “{name or machine}” in {place['name']} was opened before, and its value is not kept anywhere but "
                "where it was opened. Give this machine a key of its own with --name, or revoke that one on the dashboard.",
                NOT_POSSIBLE,
            )
        return None

    def _ask(self, project: str, name: str, wish: Mapping[str, Any], request_id: str) -> str:
        try:
            made = self.signed_in.call("POST", "/keys", wish, request_id=request_id)
        except Trouble as trouble:
            if trouble.code == "idempotency_key_reused":  # the same key, asked for in other words: that is another request
                self._forget(project, name)
                return self._ask(project, name, wish, self._marks(project, name)["request"])
            if trouble.exit_code != OUTSIDE:  # the outcome is known: the next attempt is a new request
                self._forget(project, name)
            raise
        if "project" not in made:  # sent again under the same name, the request is answered with the key once it is approved
            said = made.get("detail") or "Asked; waiting for approval."
            raise Trouble(f"{said} Run this again when they said yes.", NOT_POSSIBLE)
        return str(made["id"])

    def _made(self, key_id: str, *, after: str | None = None) -> dict[str, Any]:
        """The key, once it is live with a version that was issued at another time than `after`."""
        until = time.monotonic() + _BEING_MADE
        while True:
            key = self.signed_in.call("GET", f"/keys/{quote(key_id)}")
            if key["state"] == "live" and key["issued_at"] not in (None, after):
                return key
            if key["state"] not in ("requested", "live"):
                self._forget_key(key_id)
                raise Trouble(str(key.get("problem") or f"The key is {key['state']}; it was not made."), NOT_POSSIBLE)
            if time.monotonic() >= until:
                raise Trouble("The key is still being made. Run this again in a minute.", OUTSIDE)
            time.sleep(_LOOK_EVERY)

    def _deliver(self, key: Mapping[str, Any], project_name: str, request_id: str, *, pending: str) -> Held:
        try:
            answer = self.signed_in.call("POST", f"/keys/{quote(key['id'])}/reveal", request_id=request_id)
        except Trouble as trouble:
            if trouble.exit_code != OUTSIDE:
                self._forget_pending(pending)
            raise
        value = Secret(str(answer["value"]))
        self.vault.put(entry(key["id"]), value)
        kept = self.vault.get(entry(key["id"]))
        if kept is None or kept.reveal() != value.reveal():
            raise Trouble("The key could not be kept on this machine. Run this again within ten minutes.", NOT_POSSIBLE)
        held = Held(key["id"], key["project"], project_name, key["name"], key.get("expires_at"), key.get("issued_at"))
        with self.folder.changed() as profile:
            profile.keys = [other for other in profile.keys if other.key_id != held.key_id] + [held]
            profile.pending.pop(pending, None)
        return held

    def rotate(self, held: Held) -> Held:
        """A new version of the key; its value takes the old one's place here. The old one ends by itself a little later."""
        return self._replace(held, "rotate", {"reason": "Rotated by its holder."})

    def renew(self, held: Held, days: int | None) -> Held:
        """Like `rotate`, with a new term: so many days, or as long as the old one lived."""
        return self._replace(held, "renew", {} if days is None else {"expires_in_days": days})

    def _replace(self, held: Held, deed: str, body: dict[str, Any]) -> Held:
        pending = f"{deed} {held.key_id}"
        with self.folder.changed() as profile:
            marks = profile.pending.setdefault(pending, {"request": str(uuid.uuid4()), "reveal": str(uuid.uuid4())})
        try:
            self.signed_in.call("POST", f"/keys/{quote(held.key_id)}/{deed}", body, request_id=marks["request"])
            key = self._made(held.key_id, after=held.issued_at)
        except Trouble as trouble:
            if trouble.exit_code != OUTSIDE:
                self._forget_pending(pending)
            raise
        return self._deliver(key, held.project_name, marks["reveal"], pending=pending)

    def give_back(self, held: Held) -> bool:
        """End the key, and forget its value; whether it is proven gone at OpenAI already. Repeating it does no harm."""
        reason = {"reason": "Returned by its holder."}
        try:
            ended = self.signed_in.call("POST", f"/keys/{quote(held.key_id)}/revoke", reason)
        except Trouble as trouble:
            if trouble.code != "not_found":
                raise
            ended = {"state": "unknown"}
        self.forget(held)
        return bool(ended["state"] in ("revoked", "aborted"))

    def forget(self, held: Held) -> None:
        """Take the value off this machine."""
        self.vault.drop(entry(held.key_id))
        with self.folder.changed() as profile:
            profile.keys = [other for other in profile.keys if other.key_id != held.key_id]

    def states(self) -> list[dict[str, Any]]:
        """Each key of this machine, as the server knows it now."""
        return [self._state(held) for held in self.folder.read().keys]

    def _state(self, held: Held) -> dict[str, Any]:
        shown = {
            "key": held.key_id, "project": held.project_name, "name": held.name, "state": "unknown to the server",
            "expires_at": held.expires_at, "here": self.vault.get(entry(held.key_id)) is not None, "newer": False,
        }  # fmt: skip
        try:
            key = self.signed_in.call("GET", f"/keys/{quote(held.key_id)}")
        except Trouble as trouble:
            if trouble.code != "not_found":
                raise
            return shown
        newer = key["state"] == "live" and held.issued_at is not None and key["issued_at"] != held.issued_at
        return shown | {"state": key["state"], "expires_at": key["expires_at"], "newer": newer}

    def _marks(self, project: str, name: str) -> dict[str, str]:
        """The names under which this wish is sent: kept until its outcome is known, so that a lost answer is found again."""
        with self.folder.changed() as profile:
            fresh = {"request": str(uuid.uuid4()), "reveal": str(uuid.uuid4())}
            return dict(profile.pending.setdefault(_mark(project, name), fresh))

    def _note(self, project: str, name: str, **facts: str) -> None:
        with self.folder.changed() as profile:
            profile.pending.setdefault(_mark(project, name), {}).update(facts)

    def _forget(self, project: str, name: str) -> None:
        self._forget_pending(_mark(project, name))

    def _forget_pending(self, pending: str) -> None:
        with self.folder.changed() as profile:
            profile.pending.pop(pending, None)

    def _forget_key(self, key_id: str) -> None:
        with self.folder.changed() as profile:
            profile.pending = {mark: facts for mark, facts in profile.pending.items() if facts.get("key_id") != key_id}


def chosen_place(places: list[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
    """The project that is meant, by id or name; the only one when none is named. Raises Trouble with those there are."""
    names = ", ".join(place["name"] for place in places[:20])
    if not places:
        raise Trouble("You do not stand in a project in which you may have a key. Ask for a place in one.", NOT_POSSIBLE)
    if wanted is None:
        if len(places) == 1:
            return places[0]
        raise Trouble(f"Choose a project with --project: {names}.", INPUT)
    for same in (
        [place for place in places if wanted in (place["id"], place["remote_id"], place["name"])],
        [place for place in places if place["name"].casefold() == wanted.casefold()],
    ):
        if len(same) == 1:
            return same[0]
        if same:
            raise Trouble(f"Several projects are called “{wanted}”. Name its id: {', '.join(p['id'] for p in same)}.", INPUT)
    raise Trouble(f"You have no project “{wanted}”. You may have a key in: {names}.", INPUT)


def chosen_key(profile: Profile, project: str | None, name: str | None) -> Held | None:
    """The key of this machine that is meant; None when there is none. Raises Trouble when several could be."""
    found = [
        held
        for held in profile.keys
        if (project is None or project in (held.project, held.project_name) or project.casefold() == held.project_name.casefold())
        and name in (None, held.name)
    ]
    if len(found) > 1:
        there_are = ", ".join(f"{held.project_name}/{held.name}" for held in found)
        raise Trouble(f"Several keys could be meant: {there_are}. Choose with --project and --name.", INPUT)
    return found[0] if found else None


def value_of(vault: Vault, held: Held) -> Secret:
    """The key's value. Raises Trouble when it is not here any more."""
    value = vault.get(entry(held.key_id))
    if value is None:
        raise refused(410, "", f"The value of “{held.name}” is no longer in {vault.where}. Run `govern key rotate`.")
    return value


def entry(key_id: str) -> str:
    """Under which name the vault keeps the key's value."""
    return f"key {key_id}"


def _mark(project: str, name: str) -> str:
    return f"get {project} {name}"
