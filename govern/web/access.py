"""Who may call what: every endpoint declares it, an undeclared one stops the app, and one guard checks before any view runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request, session
from sqlalchemy.orm import Session

from govern.bootstrap import Govern
from govern.core.clock import utcnow
from govern.core.crypto import looks_like_token
from govern.core.errors import InvalidInput, NotAllowed, NotAuthenticated
from govern.core.uow import Actor, ActorKind
from govern.identity import devices, idempotency, queries, rules, service, tokens
from govern.identity.models import Device
from govern.identity.permissions import PERMISSIONS
from govern.identity.principals import Principal
from govern.people.models import Person
from govern.web import cookies

View = TypeVar("View", bound=Callable[..., Any])
_MARK: Final = "govern_access"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Access:
    """What an endpoint declares. `permission` None: open to all, for this reason. `csrf` off: no browser form posts there."""

    permission: str | None
    reason: str = ""
    csrf: bool = True


def requires(permission: str) -> Callable[[View], View]:
    """Only who holds the permission (over whomever: the view checks over whom) may call this. Raises ValueError for a typo."""
    if permission not in PERMISSIONS:
        raise ValueError(f"{permission!r} is not a permission.")
    return _declare(Access(permission))


def open_to_all(reason: str, *, csrf: bool = True) -> Callable[[View], View]:
    """Anybody may call this, also without signing in; `reason` says why that is right."""
    return _declare(Access(None, reason, csrf))


def _declare(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _MARK, access)
        return view

    return mark


def access_of(app: Flask, endpoint: str, method: str) -> Access | None:
    """What the endpoint declares for this method."""
    view = app.view_functions[endpoint]
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        view = getattr(view_class, "get" if method == "HEAD" else method.lower(), None) or view
    return cast("Access | None", getattr(view, _MARK, None))


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """(rule, method, endpoint) of everything that can be called."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule.rule, method, rule.endpoint


def check_all_declared(app: Flask) -> None:
    """Raise RuntimeError if an endpoint does not say who may call it: better no start than a forgotten check."""
    forgotten = [f"{method} {rule}" for rule, method, endpoint in routes(app) if access_of(app, endpoint, method) is None]
    if forgotten:
        raise RuntimeError(f"These endpoints declare no access (@requires or @open_to_all): {', '.join(sorted(forgotten))}.")


def govern() -> Govern:
    """The service that this app is a door of."""
    return cast(Govern, current_app.extensions["govern"])


def reads() -> Session:
    """The request's session, for reads."""
    return cast(Session, current_app.extensions["reads"].session)


def is_api() -> bool:
    """Whether the request came in by the REST API."""
    return request.path.startswith("/api/")


def is_scim() -> bool:
    """Whether an identity provider calls, by SCIM."""
    return request.path.startswith("/scim/")


def is_for_programs() -> bool:
    """Whether the request came in by an address that programs call: they are answered in JSON, errors too."""
    return request.path.startswith(("/api/", "/oauth/", "/.well-known/", "/scim/"))


def guard() -> None:
    """Before every view: who is it, may they, and did a page of ours send this? Raises what the answer is."""
    if request.url_rule is None or request.method == "OPTIONS":
        return  # no such page or method; the router says so
    access = access_of(current_app, request.url_rule.endpoint, request.method)
    if access is None:
        raise NotAllowed("This address declares nobody who may call it.")  # pragma: no cover - the app would not have started
    _refuse_what_is_no_text()
    if is_api() or is_scim():
        _refuse_token_in_address()
        g.principal = _principal_of_bearer() if access.permission else None
    else:
        g.principal = _principal_of_cookie()
        if request.endpoint != "static":
            bind_page_cookie(request.cookies.get(cookies.session_name(govern().settings)) if g.principal else None)
        if request.method not in _SAFE and access.csrf:
            _check_origin()
            current_app.extensions["csrf"].protect()
    if access.permission is not None:
        current_principal().reach(access.permission)
    if is_api() and request.method == "POST" and (mark := request.headers.get("Idempotency-Key")) is not None:
        idempotency.check_key(mark)  # also where nothing is changed, as in a dry run: what is no key is refused everywhere


def principal_or_none() -> Principal | None:
    """Who is asking, if anybody is known."""
    return cast("Principal | None", g.get("principal"))


def current_principal() -> Principal:
    """Who is asking. Raises NotAuthenticated."""
    principal = principal_or_none()
    if principal is None:
        raise NotAuthenticated("Please sign in.")
    return principal


def current_person() -> Person:
    """The signed-in person's row. Raises NotAuthenticated."""
    principal = current_principal()
    if principal.person_id is None:
        raise NotAuthenticated("Please sign in as a person.")
    return reads().get_one(Person, principal.person_id)


def current_actor() -> Actor:
    """The actor for a unit of work: the one who asks, from where, in which request."""
    return current_principal().actor(ip=request.remote_addr, request_id=g.request_id)


def anonymous_actor(label: str) -> Actor:
    """The actor of a change before anybody is signed in: signing in itself."""
    return Actor(ActorKind.PERSON, "anonymous", label, request.remote_addr, g.request_id)


def _principal_of_bearer() -> Principal:
    value = _bearer()
    if value is None:
        raise NotAuthenticated("Send an API token: “Authorization: Bearer gov_…”.")
    principal = _principal_of_value(value)
    if principal is None:
        raise NotAuthenticated("The API token is not known, has expired or was revoked.", token=True)
    return principal


def principal_of_bearer_or_none() -> Principal | None:
    """Whom the request's bearer token stands for, for a door that answers in its own way when there is none."""
    value = _bearer()
    return _principal_of_value(value) if value else None


def _bearer() -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if value and scheme.casefold() == "bearer" else None


def _principal_of_value(value: str) -> Principal | None:
    now, box = utcnow(), govern().box
    on_device = queries.principal_of_device(reads(), box, value, now)
    found = on_device or queries.principal_of_token(reads(), box, value, now)
    if found is None:
        return None
    principal, row = found
    used_at = row.used_at if isinstance(row, Device) else row.last_used_at
    if used_at is None or now - used_at >= rules.TOUCH_EVERY:
        release_reads()
        note_use = devices.note_use if isinstance(row, Device) else tokens.note_use
        with govern().unit_of_work(principal.actor(ip=request.remote_addr, request_id=g.request_id)) as uow:
            note_use(uow, principal.id)
    return principal


def _principal_of_cookie() -> Principal | None:
    if request.endpoint == "static":
        return None
    value = request.cookies.get(cookies.session_name(govern().settings))
    found = queries.principal_of_session(reads(), govern().box, value, utcnow()) if value else None
    if found is None:
        return None
    principal, row = found
    if utcnow() - row.seen_at >= rules.TOUCH_EVERY:
        release_reads()
        with govern().unit_of_work(principal.actor(ip=request.remote_addr, request_id=g.request_id)) as uow:
            service.touch(uow, principal.id)
    return principal


def release_reads() -> None:
    """Give the read connection back before writing: two connections for one request can starve a small pool."""
    current_app.extensions["reads"].session.remove()


def _refuse_what_is_no_text() -> None:
    """A NUL in a text is an error of PostgreSQL; no honest address or form has one."""
    values = [request.path, *(value for _, value in request.args.items(multi=True))]
    if not (is_api() or is_scim()) and request.method not in _SAFE:
        values += [value for _, value in request.form.items(multi=True)]
    if any("\x00" in value for value in values):
        raise InvalidInput("The request holds a NUL character.")


def _refuse_token_in_address() -> None:
    sent = (value for _, value in request.args.items(multi=True))
    if any(looks_like_token(value) or devices.looks_like_device_token(value) for value in sent):
        raise InvalidInput(
            "A token belongs into the Authorization header, never into an address: addresses are logged. Revoke it."
        )


def bind_page_cookie(value: str | None) -> None:
    """The page cookie (form protection, flashed sentences) belongs to one session: at sign-in and sign-out it begins anew."""
    owner = govern().box.fingerprint("page-cookie", value)[:32] if value else None
    if session.get("of") != owner:
        session.clear()
        if owner:
            session["of"] = owner


def _check_origin() -> None:
    """Refuse what a page of another site sends, before the form's own token is looked at."""
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise NotAllowed("This came from another site and was not carried out.")
    origin = request.headers.get("Origin")
    own = {origin_of(request.host_url), origin_of(govern().settings.web.url)}
    if origin is not None and origin_of(origin) not in own:
        raise NotAllowed("This came from another site and was not carried out.")


def origin_of(url: str) -> str:
    """`https://host:port` of an address, in lower case; empty when there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".casefold() if parts.scheme and parts.netloc else ""
