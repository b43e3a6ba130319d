"""Step up: what shows a secret asks for a sign-in that is minutes old, not for a browser that somebody left open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Final, TypeVar, cast

from flask import flash, redirect, url_for

from govern.core.clock import utcnow
from govern.core.uow import ActorKind
from govern.web.access import current_principal

View = TypeVar("View", bound=Callable[..., Any])
FRESH_FOR: Final = timedelta(minutes=5)


def is_fresh() -> bool:
    """Whether the reader proved who they are just now. Tokens and devices prove it with every request."""
    principal = current_principal()
    if principal.kind is not ActorKind.PERSON:
        return True
    return principal.auth_at is not None and utcnow() - principal.auth_at <= FRESH_FOR


def address(wanted: str) -> str:
    """Where the reader signs in anew, also when the identity provider still knows them, and comes back to `wanted`."""
    return url_for("auth.login", next=wanted, fresh="yes")


def fresh_sign_in(back: str, *, to: str = "see the value") -> Callable[[View], View]:
    """For a view that shows a secret or makes one: whoever signed in too long ago is led to the page `back`.

    That page offers to sign in anew.
    It does not lead to the identity provider itself: browsers do not let a form end on another site.
    """

    def mark(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **parts: Any) -> Any:
            if is_fresh():
                return view(*args, **parts)
            flash(f"You signed in more than 5 minutes ago. Sign in again to {to}.", "warning")
            return redirect(url_for(back, **parts), code=303)

        return cast(View, checked)

    return mark
