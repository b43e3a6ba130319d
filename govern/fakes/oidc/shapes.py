"""Our records in the shapes that Authlib's server asks for. It looks at methods only, never at classes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from govern.fakes.oidc.provider import DemoProvider
from govern.fakes.oidc.records import AccessToken, Client, Person

SCOPES = ("openid", "profile", "email", "groups")


@dataclass(frozen=True)
class RegisteredClient:
    """A relying party in the shape that Authlib asks for."""

    client: Client

    @property
    def client_id(self) -> str:
        """The public id."""
        return self.client.id

    @property
    def client_metadata(self) -> Mapping[str, Any]:
        """Registration metadata by its standard names."""
        return {"post_logout_redirect_uris": self.client.post_logout_redirect_uris}

    def get_client_id(self) -> str:
        """The public id."""
        return self.client.id

    def get_default_redirect_uri(self) -> None:
        """OpenID Connect wants `redirect_uri` in each request, so there is no default."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The known scopes among those asked for; unknown ones are ignored (OpenID Connect Core, 3.1.2.1)."""
        return " ".join(name for name in (scope or "").split() if name in SCOPES) or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exact match, as the security practice for OAuth demands."""
        return redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare in constant time."""
        return secrets.compare_digest(self.client.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Confidential clients only, by HTTP Basic."""
        return endpoint != "token" or method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        """The code flow only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """No refresh tokens: a sign-in that has to last is the relying party's business."""
        return grant_type == "authorization_code"


@dataclass(frozen=True)
class PresentedToken:
    """An access token in the shape that Authlib asks for."""

    token: AccessToken
    provider: DemoProvider

    @property
    def scope(self) -> str:
        """The granted scope."""
        return self.token.scope

    def get_scope(self) -> str:
        """The granted scope."""
        return self.token.scope

    def is_expired(self) -> bool:
        """True after its lifetime."""
        return self.provider.now() >= self.token.expires_at

    def is_revoked(self) -> bool:
        """True when its person or client is gone."""
        return self.get_user() is None or self.provider.client(self.token.client_id) is None

    def get_user(self) -> Person | None:
        """Whom it speaks of."""
        return self.provider.person(self.token.sub)

    def get_client(self) -> RegisteredClient | None:
        """Whom it was given to."""
        client = self.provider.client(self.token.client_id)
        return RegisteredClient(client) if client else None
