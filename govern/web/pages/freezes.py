"""Freezing and thawing, from a key's page and from the list of every key that OpenAI shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, render_template, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from govern.core.errors import Conflict, InvalidInput
from govern.core.uow import UnitOfWork
from govern.keys import freezing, queries
from govern.keys.models import Freeze, FreezeState, KeyVersion, ObservedKey
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.pages import forms
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("freezes_page", __name__)

_KEY = "/keys/<string(maxlength=60):key_id>"
_OBSERVED = "/observed-keys/<string(maxlength=120):observed_id>"


@blueprint.get("/observed-keys")
@requires("keys:read")
def index() -> str:
    """Every project key that OpenAI lists."""
    scope.check_anyone("keys:read")
    page = forms.paged(queries.observed_keys(reads(), after=forms.query_text("after"), limit=forms.PAGE + 1))
    return render_template(
        "observed_keys/index.html", page=page, project_names=projects.names(reads(), [key.project_id for key in page.items]),
        frozen=queries.frozen_natives(reads(), [key.remote_id for key in page.items]),
    )  # fmt: skip


@blueprint.get(_OBSERVED)
@requires("keys:read")
def show(observed_id: str) -> str:
    """One of them."""
    scope.check_anyone("keys:read")
    key = queries.observed_key(reads(), observed_id)
    version = reads().get(KeyVersion, key.version_id) if key.version_id else None
    lasting = queries.open_freeze(reads(), key.remote_id)
    may = current_principal().is_over_anyone("keys:revoke") and key.vanished_at is None
    return render_template(
        "observed_keys/show.html", key=key, project=projects.get(reads(), key.project_id),
        ours=version.key_id if version else None, freezes=list(reversed(queries.freezes_of_native(reads(), key.remote_id))),
        may_freeze=may and lasting is None, may_thaw=may and lasting is not None and lasting.state is FreezeState.FROZEN,
    )  # fmt: skip


@blueprint.get(f"{_KEY}/freeze")
@requires("keys:revoke")
def ask_freeze(key_id: str) -> str:
    """What freezing means."""
    return _of_key(key_id).ask(Form(), thaw=False)


@blueprint.post(f"{_KEY}/freeze")
@requires("keys:revoke")
def freeze(key_id: str) -> Response | tuple[str, int]:
    """Stop it."""
    return _of_key(key_id).freeze()


@blueprint.get(f"{_KEY}/thaw")
@requires("keys:revoke")
def ask_thaw(key_id: str) -> str:
    """What thawing means."""
    return _of_key(key_id).ask(Form(), thaw=True)


@blueprint.post(f"{_KEY}/thaw")
@requires("keys:revoke")
def thaw(key_id: str) -> Response | tuple[str, int]:
    """Let it go on."""
    return _of_key(key_id).thaw()


@blueprint.get(f"{_OBSERVED}/freeze")
@requires("keys:revoke")
def ask_freeze_observed(observed_id: str) -> str:
    """What freezing means."""
    return _of_observed(observed_id).ask(Form(), thaw=False)


@blueprint.post(f"{_OBSERVED}/freeze")
@requires("keys:revoke")
def freeze_observed(observed_id: str) -> Response | tuple[str, int]:
    """Stop it."""
    return _of_observed(observed_id).freeze()


@blueprint.get(f"{_OBSERVED}/thaw")
@requires("keys:revoke")
def ask_thaw_observed(observed_id: str) -> str:
    """What thawing means."""
    return _of_observed(observed_id).ask(Form(), thaw=True)


@blueprint.post(f"{_OBSERVED}/thaw")
@requires("keys:revoke")
def thaw_observed(observed_id: str) -> Response | tuple[str, int]:
    """Let it go on."""
    return _of_observed(observed_id).thaw()


class _Stopping:
    """The same two forms for a key of ours and for any other."""

    def __init__(
        self, name: str, back: str, lasting: Sequence[Freeze], stop: Callable[[UnitOfWork, str], object],
        read: Callable[[Session], Sequence[Freeze]],
    ) -> None:  # fmt: skip
        self._name, self._back, self._lasting, self._stop, self._read = name, back, lasting, stop, read

    def ask(self, form: Form, *, thaw: bool) -> str:
        return render_template(
            "freezes/ask.html", form=form, name=self._name, back=self._back, thaw=thaw, once=forms.once(),
            unknown=thaw and any(freeze.original is None for freeze in self._lasting),
            generation=govern().settings.openai.generation,
        )  # fmt: skip

    def freeze(self) -> Response | tuple[str, int]:
        try:
            reason = _reason()
            act(lambda uow: str(self._stop(uow, reason)))
        except forms.REFUSALS as error:
            return self.ask(forms.refused(error), thaw=False), status_of(error)
        return self._wait()

    def thaw(self) -> Response | tuple[str, int]:
        try:
            scope.check_thaw(self._lasting)
            reason, restore = _reason(), forms.text("restore", most=2000).replace(",", " ").split() or None
            ids = [freeze.id for freeze in self._lasting]
            if not ids:
                raise Conflict("The key is not frozen.")

            def command(uow: UnitOfWork) -> str:
                for freeze_id in ids:
                    freezing.thaw(uow, freeze_id, reason=reason, restore=restore)
                return ids[0]

            act(command)
        except forms.REFUSALS as error:
            return self.ask(forms.refused(error), thaw=True), status_of(error)
        return self._wait()

    def _wait(self) -> Response:
        wait_until(
            lambda session: not any(row.state in (FreezeState.FREEZING, FreezeState.THAWING) for row in self._read(session))
        )
        return see(self._back)


def _reason() -> str:
    reason = forms.text("reason")
    if not reason:
        raise InvalidInput("Say why: an auditor will ask.", {"reason": "A few words."})
    return reason


def _of_key(key_id: str) -> _Stopping:
    key = queries.get(reads(), key_id)
    scope.check_key("keys:revoke", key)
    generation = govern().settings.openai.generation
    return _Stopping(
        key.name, url_for("keys_page.show", key_id=key_id), queries.open_freezes(reads(), key_id),
        lambda uow, reason: freezing.freeze_key(uow, key_id, reason=reason, generation=generation).id,
        lambda session: queries.freezes_of(session, key_id),
    )  # fmt: skip


def _of_observed(observed_id: str) -> _Stopping:
    scope.check_anyone("keys:revoke")
    key: ObservedKey = queries.observed_key(reads(), observed_id)
    row_id, remote_id, generation = key.id, key.remote_id, govern().settings.openai.generation
    lasting = queries.open_freeze(reads(), remote_id)
    return _Stopping(
        key.name, url_for("freezes_page.show", observed_id=row_id), [lasting] if lasting else [],
        lambda uow, reason: freezing.freeze_observed(uow, row_id, reason=reason, generation=generation).id,
        lambda session: queries.freezes_of_native(session, remote_id),
    )  # fmt: skip
