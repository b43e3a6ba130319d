"""Signing in and out: `/auth/…`. The provider's part is in `oidc`, the rules are in `govern.identity`."""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, current_app, flash, make_response, redirect, render_template, request, session, url_for

from govern.core.clock import utcnow
from govern.core.crypto import Secret, new_token
from govern.core.errors import Conflict, NotAllowed
from govern.identity import queries, service
from govern.web import access, cookies, problems
from govern.web.access import govern, open_to_all
from govern.web.discovery import Refused
from govern.web.fresh import FRESH_FOR
from govern.web.oidc import Provider, sign_in_policy

blueprint = Blueprint("auth", __name__, url_prefix="/auth")
log = structlog.get_logger("govern.web")

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def sign_in_address(wanted: str | None) -> str:
    """Where to sign in, and come back to `wanted` afterwards."""
    return url_for("auth.sign_in_page", next=safe_path(wanted)) if wanted else url_for("auth.sign_in_page")


def safe_path(wanted: str | None) -> str:
    """The path if it is one of ours, else the front page: nobody is sent elsewhere from here."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/auth/")):
        return "/"
    if "\\" in wanted or not wanted.isprintable() or len(wanted) > 2000:
        return "/"
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else "/"


def _provider() -> Provider | None:
    found: Provider | None = current_app.extensions["oidc"]
    return found


@blueprint.get("/sign-in")
@open_to_all("Whoever is not signed in starts here.")
def sign_in_page() -> Response | str:
    """The plain page with the way to the identity provider."""
    wanted = safe_path(request.args.get("next"))
    if access.principal_or_none() is not None:
        return make_response(redirect(wanted, code=303))
    provider = _provider()
    address = url_for("auth.login", next=wanted) if provider else None
    return render_template("auth/sign_in.html", address=address, provider=provider.label if provider else None)


@blueprint.get("/login")
@open_to_all("Sends the browser to the identity provider.")
def login() -> Response:
    """Begin a sign-in: remember what only we may know, and go to the provider."""
    provider = _provider()
    if provider is None:
        raise Conflict("No identity provider is set up yet. Set [oidc] issuer, client_id and client_secret.")
    own = urlsplit(govern().settings.web.url)
    if request.host != own.netloc and {request.host.partition(":")[0], own.hostname} <= set(_LOOPBACK):
        # localhost and 127.0.0.1 have separate cookies: begun on one, the way back would find nothing on the other.
        return make_response(redirect(govern().settings.web.url + request.full_path.removesuffix("?"), code=303))
    access.release_reads()
    anew = request.args.get("fresh") == "yes"
    begun = provider.begin(_callback_address(), anew=anew)
    browser = Secret(request.cookies.get(cookies.browser_name(govern().settings)) or new_token("govb").reveal())
    kept = {"nonce": begun.nonce, "verifier": begun.verifier, "next": safe_path(request.args.get("next"))}
    kept |= {"anew": "yes"} if anew else {}
    with govern().unit_of_work(access.anonymous_actor("sign-in")) as uow:
        service.remember_sign_in(uow, begun.state, browser.reveal(), kept)
    response = make_response(redirect(begun.address, code=303))
    cookies.set_browser(response, govern().settings, browser)
    return response


@blueprint.get("/callback")
@open_to_all("The way back from the identity provider; nothing is believed before it is verified.")
def callback() -> Response:
    """End a sign-in: verify everything, then begin the session."""
    provider = _provider()
    if provider is None:
        raise Conflict("No identity provider is set up.")
    settings = govern().settings
    browser = request.cookies.get(cookies.browser_name(settings))
    with govern().unit_of_work(access.anonymous_actor("sign-in")) as uow:
        kept = service.recall_sign_in(uow, request.args.get("state", ""), browser)
    access.release_reads()
    try:
        arrived = provider.finish(
            request.args.to_dict(flat=False), _callback_address(), nonce=kept["nonce"], verifier=kept["verifier"]
        )
    except Refused as refused:
        log.warning("sign-in refused", sentence=refused.sentence)
        return problems.page(403, refused.sentence)
    signed_in_at = arrived.identity.auth_at
    if "anew" in kept and (signed_in_at is None or utcnow() - signed_in_at > FRESH_FOR):
        # Asked for with max_age, auth_time is a must (OpenID Connect Core, 3.1.2.1); one that ignores it proves nothing.
        return problems.page(403, "The identity provider did not ask you to sign in anew, so the value stays hidden.")
    before = access.principal_or_none()
    policy = sign_in_policy(settings.oidc)
    try:
        with govern().unit_of_work(access.anonymous_actor("sign-in")) as uow:
            value = service.sign_in(
                uow, arrived.identity, policy, id_token=arrived.id_token, agent=request.user_agent.string,
                replaces=before.id if before else None,
            )  # fmt: skip
    except NotAllowed as refused:
        with govern().unit_of_work(access.anonymous_actor("sign-in")) as uow:
            service.note_refusal(uow, arrived.identity, refused.sentence)
        raise
    return _signed_in(value, kept["next"])


def _callback_address() -> str:
    return govern().settings.web.url + url_for("auth.callback")


def _signed_in(value: Secret, wanted: str) -> Response:
    settings = govern().settings
    access.bind_page_cookie(value.reveal())
    response = make_response(redirect(safe_path(wanted), code=303))
    cookies.set_session(response, settings, value)
    cookies.drop(response, settings, cookies.browser_name(settings))
    return response


@blueprint.post("/logout")
@open_to_all("Ends the session of whoever has one; needs our own form.")
def logout() -> Response:
    """End the session here, then at the provider where it knows how."""
    principal = access.principal_or_none()
    settings = govern().settings
    address = url_for("auth.signed_out")
    if principal is not None:
        provider = _provider()
        hint = queries.id_token_of(access.reads(), govern().box, principal.id) if principal.issuer else None
        with govern().unit_of_work(access.current_actor()) as uow:
            service.sign_out(uow, principal.id)
        if provider is not None and principal.issuer == provider.issuer:
            address = provider.sign_out_address(hint, settings.web.url + address) or address
    session.clear()
    response = make_response(redirect(address, code=303))
    cookies.drop(response, settings, cookies.session_name(settings))
    return response


@blueprint.get("/signed-out")
@open_to_all("The page after signing out.")
def signed_out() -> str:
    """You are out."""
    return render_template("auth/signed_out.html")


@blueprint.route("/setup/<string(maxlength=100):token>", methods=["GET", "POST"])
@open_to_all("The one-time link itself is the proof.")
def setup(token: str) -> Response | str:
    """Sign in by a link from the host. Looking at it (as mail scanners do) does not spend it; the button does."""
    if request.method == "POST":
        before = access.principal_or_none()
        with govern().unit_of_work(access.anonymous_actor("set-up link")) as uow:
            value = service.use_setup_link(uow, token, agent=request.user_agent.string, replaces=before.id if before else None)
        access.bind_page_cookie(value.reveal())
        flash("You are signed in by the set-up link. Connect your identity provider next.", "info")
        return _signed_in(value, "/")
    link = service.find_setup_link(access.reads(), govern().box.fingerprint("setup-link", token))
    link = service.check_setup_link(link, utcnow())
    return render_template("auth/setup.html", link=link)


@blueprint.post("/backchannel-logout")
@open_to_all("The identity provider calls it; its signed token is the proof.", csrf=False)
def backchannel_logout() -> tuple[str | dict[str, str], int]:
    """The provider says that somebody signed out (OpenID Connect Back-Channel Logout 1.0)."""
    provider = _provider()
    try:
        if provider is None:
            raise Refused("No identity provider is set up.")
        token = provider.read_logout_token(request.form.get("logout_token", ""))
        with govern().unit_of_work(access.anonymous_actor("identity provider")) as uow:
            service.end_by_provider(
                uow, provider.issuer, sid=token.sid, subject=token.subject, token_id=token.id, good_until=token.lasts
            )
    except (Refused, Conflict) as refused:
        log.warning("logout token refused", sentence=refused.sentence)
        return {"error": "invalid_request", "error_description": refused.sentence}, 400
    return "", 200
