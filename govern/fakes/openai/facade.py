"""The fake as tests and the command line see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from govern.fakes.openai import actions, seed
from govern.fakes.openai.application import Application
from govern.fakes.openai.control import Control
from govern.fakes.openai.faults import Fault
from govern.fakes.openai.oracle import Oracle
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.spec import Behaviour, Clock, WorldSpec
from govern.fakes.openai.state_file import StateFile


class FakeOpenAI:
    """One organization and its WSGI application.

    - `propagation_seconds`: until the data plane learns of a deletion or a change of scopes;
    - `requests_per_minute`: the admin API's throttle for each endpoint family (None: none), `burst` of them at once;
      `retry_after`: whether its 429 says how long to wait;
    - `cost_lag_hours`, `spend_limit_lag_seconds`: how long costs, and the enforcement of limits, stay behind usage;
    - `now`: the clock, by default the wall clock (a frozen one included);
    - `admin_key`: the value of the full-scope key, else a random one;
    - `state`: a file that keeps the organization between runs; where it exists it wins over `spec`.
    """

    def __init__(
        self,
        spec: WorldSpec | None = None,
        *,
        generation: str = "2026-11",
        propagation_seconds: float = 0.0,
        requests_per_minute: float | None = None,
        burst: int | None = None,
        retry_after: bool = False,
        cost_lag_hours: float = 8.0,
        spend_limit_lag_seconds: float = 0.0,
        now: Callable[[], datetime] | None = None,
        admin_key: str | None = None,
        state: Path | None = None,
    ) -> None:
        self.behaviour = Behaviour(
            generation=generation,
            propagation_seconds=propagation_seconds,
            requests_per_minute=requests_per_minute,
            burst=burst,
            retry_after=retry_after,
            cost_lag_hours=cost_lag_hours,
            spend_limit_lag_seconds=spend_limit_lag_seconds,
        )
        self.org = Organization(spec or WorldSpec(), self.behaviour, Clock(now))
        self._state = StateFile(state, self.org) if state else None
        if self._state is None or not self._state.load():
            seed.populate(self.org)
        self.admin_key = self._admin_key(admin_key)
        control = Control(self)
        self.app = Application(self.org, control)
        self._oracle = Oracle(self.org, self.app.requests)
        if self._state:
            self.org.changed = self._state.mark
            self._state.mark()

    def _admin_key(self, value: str | None) -> str:
        owner = next(user for user in self.org.tables.users.values() if user.role == "owner")
        return actions.main_admin_key(self.org, owner, value)

    def close(self) -> None:
        """Write the state file, if there is one. The application goes on working."""
        if self._state:
            self._state.close()

    def oracle(self) -> Oracle:
        """What is really so."""
        return self._oracle

    def make_admin_key(self, scopes: list[str] | None = None) -> str:
        """Another admin key, with these scopes only (None: all)."""
        with self.org.lock:
            return actions.make_admin_key(self.org, scopes)

    def make_personal_key(self, user: str, project: str, name: str = "my key") -> tuple[str, str]:
        """A key of a person's own, as made in the dashboard: (id, value). `user` is an id or e-mail, `project` an id or name."""
        with self.org.lock:
            return actions.make_personal_key(self.org, user, project, name)

    def disable_key(self, api_key_id: str) -> None:
        """OpenAI itself ends a key that it found in public. Unknown or dead: `LookupError`."""
        with self.org.lock:
            actions.disable_key(self.org, api_key_id)

    def accept_invite(self, email: str) -> str:
        """The invited person signs in; gives their new user id. No pending invite: `LookupError`."""
        with self.org.lock:
            return actions.accept_invite(self.org, email).id

    def spend(
        self,
        *,
        usd: Decimal | int | str,
        project: str | None = None,
        on: date | str | None = None,
        api_key_id: str | None = None,
        user_id: str | None = None,
        model: str | None = None,
    ) -> None:
        """Add exactly that much spend, seen in usage and costs at once.

        `project` is an id or name; default: the key's, else the default project. `on` is a UTC day (default: now); a
        future one shows when it has come.
        """
        day = date.fromisoformat(on) if isinstance(on, str) else on
        with self.org.lock:
            actions.spend(self.org, Decimal(usd), project=project, on=day, api_key_id=api_key_id, user_id=user_id, model=model)

    def restate(self, day: date | str, *, factor: Decimal | int | str, project: str | None = None) -> None:
        """Correct the usage and costs of a UTC day by a factor."""
        with self.org.lock:
            actions.restate(self.org, date.fromisoformat(day) if isinstance(day, str) else day, Decimal(factor), project)

    def advance(self, by: timedelta) -> None:
        """Move the organization's clock forward."""
        with self.org.lock:
            self.org.clock.advance(by)
            self.org.changed()

    def fault(
        self,
        operation: str = "*",
        nth: int = 1,
        kind: str = "status:500",
        *,
        times: int = 1,
        path: str = "*",
        share: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Script a fault; the kinds are described in `govern.fakes.openai.faults`. `operation` is a name as in the official SDK
        (`projects.service_accounts.create`) or "METHOD /path"; both may hold `*`."""
        fault = Fault(operation, kind, nth, times, path, share, seed)
        with self.org.lock:
            if fault.word == "stale_list":
                fault.snapshot = self.org.snapshot()
                fault.until = self.org.clock.instant() + fault.number(60)
            self.app.faults.add(fault)

    def clear_faults(self) -> None:
        with self.org.lock:
            self.app.faults.clear()
            self.app.throttle.forget()
