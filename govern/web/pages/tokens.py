"""API tokens: what scripts sign in with."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.crypto import Secret
from govern.core.uow import UnitOfWork
from govern.identity import queries, tokens
from govern.identity.models import ApiToken
from govern.identity.permissions import PERMISSIONS, Reach
from govern.web import fresh, scope
from govern.web.access import current_principal, reads, requires
from govern.web.fresh import fresh_sign_in
from govern.web.pages import counts, forms
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("tokens_page", __name__, url_prefix="/tokens")


@blueprint.get("")
@requires("tokens:read")
def index() -> str:
    """Tokens within reach, newest first."""
    found = queries.find_tokens(
        reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, person_ids=scope.people_within("tokens:read")
    )
    page = forms.paged(found)
    return render_template(
        "tokens/index.html", page=page, people=counts.people(reads(), [token.person_id for token in page.items])
    )


@blueprint.get("/new")
@requires("tokens:write")
def new() -> str:
    """The form that makes a token."""
    return _form(Form({"expires_in_days": "30", "owner": "me"}))


@blueprint.post("")
@requires("tokens:write")
@fresh_sign_in("tokens_page.new", to="make a token")
def create() -> str | tuple[str, int]:
    """Make it, and show its value this once."""
    made: list[tuple[ApiToken, Secret]] = []
    principal = current_principal()
    try:
        name = forms.text("name")
        days = forms.whole("expires_in_days", "Choose 1 to 365 days.")
        owner = None if forms.text("owner") == "system" else principal.person_id
        chosen = request.form.getlist("permissions")

        def command(uow: UnitOfWork) -> str:
            token, value = tokens.create_token(
                uow, principal, name=name, permissions=chosen, lifetime=timedelta(days=days), person_id=owner
            )
            made.append((token, value))
            return token.id

        act(command)
    except forms.REFUSALS as error:
        return _form(forms.refused(error)), status_of(error)
    if not made:  # the form was sent again: the value was in the first answer and is nowhere else
        return render_template("tokens/again.html")
    token, value = made[0]
    return render_template("tokens/created.html", token=token, value=value.reveal())


@blueprint.get("/<string(maxlength=60):token_id>/revoke")
@requires("tokens:write")
def ask_revoke(token_id: str) -> str:
    """What ending it means."""
    return render_template("tokens/revoke.html", token=_token(token_id))


@blueprint.post("/<string(maxlength=60):token_id>/revoke")
@requires("tokens:write")
def revoke(token_id: str) -> Response:
    """End it."""
    token = _token(token_id)
    act(lambda uow: tokens.revoke_token(uow, token_id, reason=forms.text("reason") or None).id)
    return see(url_for("tokens_page.index"), f"The token “{token.name}” no longer works.")


def _token(token_id: str) -> ApiToken:
    token = queries.get_token(reads(), token_id)
    scope.check_person("tokens:write", token.person_id, f"There is no token {token_id!r}.")
    return token


def _form(form: Form) -> str:
    principal = current_principal()
    return render_template(
        "tokens/new.html",
        form=form,
        permissions=[
            (word, sentence, principal.grants[word]) for word, sentence in PERMISSIONS.items() if word in principal.grants
        ],
        widest=Reach.ANYONE,
        may_system=principal.is_over_anyone("tokens:write"),
        once=forms.once(),
        sign_in_first=None if fresh.is_fresh() else fresh.address(url_for("tokens_page.new")),
    )
