"""Renew a key in one click: the button on its page, to which reminders lead."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, url_for
from werkzeug.wrappers import Response

from govern.bootstrap import key_defaults
from govern.keys import queries
from govern.keys.models import KeyState
from govern.policies import renewing
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.fresh import fresh_sign_in
from govern.web.pages import forms
from govern.web.pages.acting import act, wait_until
from govern.web.pages.going import see

blueprint = Blueprint("key_renewals_page", __name__, url_prefix="/keys")


@blueprint.post("/<string(maxlength=60):key_id>/renew")
@requires("keys:issue")
@fresh_sign_in("keys_page.show", to="renew the key")
def renew(key_id: str) -> Response:
    """A new version with a term as long as the old one's; its value waits to be seen once."""
    key = queries.get(reads(), key_id)
    scope.check_key("keys:issue", key)
    defaults, administers = key_defaults(govern().settings), current_principal().is_over_anyone("keys:issue")
    back, overlap = url_for("keys_page.show", key_id=key.id), timedelta(hours=govern().settings.keys.overlap_hours)
    try:
        act(lambda uow: renewing.renew(uow, key_id, defaults, administers=administers, overlap=overlap).id)
    except forms.REFUSALS as error:
        return see(back, error.sentence, "warning")
    wait_until(lambda session: queries.newest_version(session, key_id).state is not KeyState.REQUESTED)
    return see(back, "The key is renewed. Open the new value and put it where the old one is.")
