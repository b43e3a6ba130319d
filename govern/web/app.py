"""The Flask application: what every request passes through, and which doors there are."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, url_for
from flask_wtf.csrf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from govern.bootstrap import Govern
from govern.core.errors import InvalidInput
from govern.web import access, api, auth, cookies, health, oauth, oidc, pages, problems, scim, traffic
from govern.web.reads import Reads


def create_app(govern: Govern) -> Flask:
    """The web door over `govern`. Raises RuntimeError if an endpoint declares no access, InvalidInput for an admin key."""
    if govern.outside is not None and govern.settings.mode != "test":
        raise InvalidInput("The web process must not hold the admin key; build it without `outside`.")
    app = Flask("govern.web", static_folder="static", template_folder="templates")
    app.config.update(
        SECRET_KEY=govern.box.fingerprint("page-cookie", "v1"),
        SESSION_COOKIE_NAME=cookies.named(govern.settings, "govern-page"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=cookies.is_secure(govern.settings),
        WTF_CSRF_CHECK_DEFAULT=False,  # `access.guard` asks for it, so that no blueprint can be forgotten
        WTF_CSRF_SSL_STRICT=False,  # `access.guard` looks at Origin and Sec-Fetch-Site instead of the Referer
        WTF_CSRF_TIME_LIMIT=None,  # the token lives as long as the session that it belongs to
        SQLALCHEMY_DATABASE_URI="sqlite://",  # asked for by the extension and never opened: the engine is Govern's
        MAX_CONTENT_LENGTH=1_000_000,
        MAX_FORM_PARTS=200,
        SEND_FILE_MAX_AGE_DEFAULT=31_536_000,  # `asset` puts the content's hash into the address
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["govern"] = govern
    reads = Reads(govern.engine)
    reads.init_app(app)
    app.extensions["reads"] = reads
    app.extensions["csrf"] = CSRFProtect(app)
    app.extensions["oidc"] = oidc.make_provider(govern.settings)
    if proxies := govern.settings.web.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0, x_port=0, x_prefix=0)  # type: ignore[method-assign]
    traffic.register(app)
    app.before_request(access.guard)
    problems.register(app)
    app.context_processor(_template_context)
    api.register(app)
    oauth.register(app)
    scim.register(app)
    for blueprint in (health.blueprint, auth.blueprint, *page_blueprints()):
        app.register_blueprint(blueprint)
    access.open_to_all("Style sheets, scripts and pictures hold nothing of anybody.")(app.view_functions["static"])
    access.check_all_declared(app)
    return app


def page_blueprints() -> Iterator[Blueprint]:
    """The `blueprint` of every module in `govern.web.pages`, by name: a page is added by adding its file."""
    for module in sorted(pkgutil.iter_modules(pages.__path__), key=lambda found: found.name):
        blueprint = getattr(import_module(f"{pages.__name__}.{module.name}"), "blueprint", None)
        if isinstance(blueprint, Blueprint):
            yield blueprint


def _template_context() -> dict[str, Any]:
    """What every template may use, besides Flask's own and `csrf_token()`."""
    principal = access.principal_or_none()
    return {
        "principal": principal,
        "may": (lambda permission: principal is not None and principal.may(permission)),
        "may_anyone": (lambda permission: principal is not None and principal.is_over_anyone(permission)),
        "asset": asset,
        "mode": access.govern().settings.mode,
        "request_id": traffic.request_id(),
    }


def asset(name: str) -> str:
    """The address of a static file, with a mark of its content, so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_mark(name))


@lru_cache(maxsize=256)
def _mark(name: str) -> str:
    path = Path(__file__).parent / "static" / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "missing"
