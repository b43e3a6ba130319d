"""The cookies of the web door. With HTTPS they carry the `__Host-` prefix: no subdomain and no plain connection can set them."""

from __future__ import annotations

from flask import Response

from govern.core.crypto import Secret
from govern.identity.rules import ABSOLUTE, SIGN_IN_LIFE
from govern.settings import Settings


def is_secure(settings: Settings) -> bool:
    """Whether people reach the service by HTTPS."""
    return settings.web.url.startswith("https://")


def named(settings: Settings, name: str) -> str:
    """The cookie's name with the prefix that HTTPS allows."""
    return f"__Host-{name}" if is_secure(settings) else name


def session_name(settings: Settings) -> str:
    """The cookie that holds the opaque id of the session, and nothing else."""
    return named(settings, "govern")


def browser_name(settings: Settings) -> str:
    """The cookie that ties a sign-in under way to this browser."""
    return named(settings, "govern-sign-in")


def set_session(response: Response, settings: Settings, value: Secret) -> None:
    """Hand the browser its session."""
    _set(response, settings, session_name(settings), value, int(ABSOLUTE.total_seconds()))


def set_browser(response: Response, settings: Settings, value: Secret) -> None:
    """Mark the browser in which a sign-in began."""
    _set(response, settings, browser_name(settings), value, int(SIGN_IN_LIFE.total_seconds()))


def drop(response: Response, settings: Settings, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(name, path="/", secure=is_secure(settings), httponly=True, samesite="Lax")


def _set(response: Response, settings: Settings, name: str, value: Secret, seconds: int) -> None:
    # Lax and not Strict: the way back from the identity provider is a navigation from another site.
    response.set_cookie(
        name, value.reveal(), max_age=seconds, path="/", secure=is_secure(settings), httponly=True, samesite="Lax"
    )
