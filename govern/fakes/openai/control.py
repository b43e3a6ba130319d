"""The control API under /_control/: everything that a test in another process, or a demo script, may do to the organization.

No key is needed: it exists only on the fake. Bodies and answers are JSON; a refusal is `{"error": "…"}` with 400 or 404.
`GET /_control/` lists the calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from govern.fakes.openai.problems import Refusal
from govern.fakes.openai.tables import Json

if TYPE_CHECKING:
    from govern.fakes.openai.facade import FakeOpenAI

_CALLS = {
    "GET /_control/": "this list, the time and the settings",
    "POST /_control/advance": "{seconds}: move the clock forward",
    "POST /_control/spend": "{usd, project?, on?, api_key_id?, user_id?, model?}: add spend; usd is a string or an integer",
    "POST /_control/restate": "{day, factor, project?}: correct a day's usage and costs",
    "POST /_control/accept-invite": "{email}: the invited person signs in; answers {user_id}",
    "POST /_control/personal-keys": "{user, project, name?}: a person makes a key in the dashboard; answers {id, value}",
    "POST /_control/disable-key": "{api_key_id}: OpenAI ends a key that it found in public",
    "POST /_control/admin-keys": "{scopes?}: an admin key with these scopes; answers {value}",
    "POST /_control/faults": "{operation?, nth?, kind, times?, path?, share?, seed?}: script a fault "
    "(kinds: govern/fakes/openai/faults.py)",
    "GET /_control/faults": "the script",
    "DELETE /_control/faults": "forget the script and the throttle's memory",
    "POST /_control/settings": "any of the settings below: change how the organization behaves",
    "POST /_control/authenticates": "{value}: whether the data plane would let this key in now; answers {authenticates}",
    "GET /_control/oracle": "members, invites, projects, project_users, service_accounts, keys, key_lives, alert_mails as they "
    "really are; ?only=keys,invites for some of them",
    "GET /_control/requests": "the log of requests; ?since=N leaves out the first N",
}
_VIEWS = ("members", "invites", "projects", "project_users", "service_accounts", "keys", "key_lives", "alert_mails")


class Control:
    """Answers requests under /_control/."""

    def __init__(self, fake: FakeOpenAI) -> None:
        self._fake = fake

    def __call__(self, request: Request) -> Response:
        path = request.path.rstrip("/").removeprefix("/_control").strip("/")
        handler = self._handlers().get((request.method, path))
        if handler is None:
            return _json({"error": f"no such control call: {request.method} {request.path}"}, 404)
        try:
            body = json.loads(request.get_data() or b"{}")
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            return _json(handler(body, request))
        except LookupError as error:
            return _json({"error": str(error)}, 404)
        except Refusal as error:
            return _json({"error": str(error)}, error.status)
        except (ValueError, TypeError, ArithmeticError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    def _handlers(self) -> dict[tuple[str, str], Callable[[Json, Request], Any]]:
        fake = self._fake
        return {
            ("GET", ""): lambda _b, _r: self._about(),
            ("POST", "advance"): lambda b, _r: self._done(lambda: fake.advance(timedelta(seconds=b["seconds"]))),
            ("POST", "spend"): lambda b, _r: self._done(lambda: fake.spend(**b | {"usd": str(b["usd"])})),
            ("POST", "restate"): lambda b, _r: self._done(lambda: fake.restate(b.pop("day"), **b | {"factor": str(b["factor"])})),
            ("POST", "accept-invite"): lambda b, _r: {"user_id": fake.accept_invite(**b)},
            ("POST", "personal-keys"): lambda b, _r: dict(zip(("id", "value"), fake.make_personal_key(**b), strict=True)),
            ("POST", "disable-key"): lambda b, _r: self._done(lambda: fake.disable_key(**b)),
            ("POST", "admin-keys"): lambda b, _r: {"value": fake.make_admin_key(**b)},
            ("POST", "faults"): lambda b, _r: self._done(lambda: fake.fault(**b)),
            ("GET", "faults"): lambda _b, _r: {"faults": fake.app.faults.pending()},
            ("DELETE", "faults"): lambda _b, _r: self._done(fake.clear_faults),
            ("POST", "settings"): lambda b, _r: self._settings(b),
            ("POST", "authenticates"): lambda b, _r: {"authenticates": fake.oracle().authenticates(**b)},
            ("GET", "oracle"): lambda _b, r: self._oracle(r.args.get("only")),
            ("GET", "requests"): lambda _b, r: {
                "requests": [line._asdict() for line in fake.oracle().requests[int(r.args.get("since", 0)) :]]
            },
        }

    def _about(self) -> Json:
        return {"now": self._fake.org.clock.now().isoformat(), "calls": _CALLS, "settings": asdict(self._fake.behaviour)}

    def _done(self, act: Callable[[], None]) -> Json:
        act()
        return {"ok": True}

    def _settings(self, changes: Json) -> Json:
        behaviour = self._fake.behaviour
        if unknown := set(changes) - {field.name for field in fields(behaviour)}:
            raise LookupError(f"no setting {min(unknown)!r}")
        with self._fake.org.lock:
            type(behaviour)(**asdict(behaviour) | changes)  # checks them together before any takes effect
            for name, value in changes.items():
                setattr(behaviour, name, value)
            self._fake.app.throttle.forget()
        return asdict(behaviour)

    def _oracle(self, only: str | None) -> Json:
        oracle = self._fake.oracle()
        names = only.split(",") if only else _VIEWS
        if unknown := set(names) - set(_VIEWS):
            raise LookupError(f"no view {min(unknown)!r}")
        views = {name: getattr(oracle, name)() for name in names}
        return {name: [row if isinstance(row, dict) else row._asdict() for row in rows] for name, rows in views.items()}


def _json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document), status=status, mimetype="application/json")
