"""A small relying party on Authlib's client, to try OpenID providers with. It is strict on purpose."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response, redirect, request, session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests import RequestException
from werkzeug.wrappers import Response as AnyResponse

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Visit:
    """A signed-in visit: the claims of the ID token and of the user information endpoint."""

    claims: dict[str, Any]
    userinfo: dict[str, Any]
    id_token: str
    access_token: str


class RelyingParty:
    """`.app` signs people in at `issuer`; `.visits` are the sign-ins that have not ended; `.refusals` what was wrong.

    Addresses: `/` tells who is signed in, `/auth/login`, `/auth/callback`, POST `/auth/logout`, `/auth/logged-out`,
    POST `/auth/backchannel-logout`. Parameters in the query of `/auth/login` go into the authorization request.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.base = ""
        self.visits: dict[str, Visit] = {}
        self.logout_tokens: list[dict[str, Any]] = []
        self.refusals: list[str] = []
        self.app = Flask(__name__)
        self.app.secret_key = secrets.token_hex(32)
        self.app.config["SESSION_COOKIE_NAME"] = "relying_party"
        self.openid = OAuth(self.app).register(
            "openid",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid email profile groups",
                "code_challenge_method": "S256",
                "default_timeout": 10,
            },
        )
        self.app.add_url_rule("/", view_func=self.index)
        self.app.add_url_rule("/auth/login", view_func=self.login)
        self.app.add_url_rule("/auth/callback", view_func=self.callback)
        self.app.add_url_rule("/auth/logout", view_func=self.logout, methods=["POST"])
        self.app.add_url_rule("/auth/logged-out", view_func=self.logged_out)
        self.app.add_url_rule("/auth/backchannel-logout", view_func=self.backchannel_logout, methods=["POST"])

    def index(self) -> Response:
        visit = self.visits.get(session.get("visit", ""))
        who = visit.claims.get("email", visit.claims["sub"]) if visit else "signed out"
        return Response(
            f'<!doctype html><html lang="en"><title>Relying party</title><link rel="icon" href="data:,"><p id="who">{who}</p>'
            '<form method="post" action="/auth/logout"><button>Sign out</button></form>'
        )

    def login(self) -> AnyResponse:
        response: AnyResponse = self.openid.authorize_redirect(f"{self.base}/auth/callback", **request.args.to_dict())
        return response

    def callback(self) -> AnyResponse | tuple[str, int]:
        try:
            announced = self.openid.load_server_metadata()
            if announced["issuer"] != self.issuer:
                raise ValueError("discovery names another issuer")
            if announced.get("authorization_response_iss_parameter_supported") and request.args.get("iss") != self.issuer:
                raise ValueError("the response names another issuer")
            token = self.openid.authorize_access_token(
                claims_options={"iss": {"essential": True, "value": self.issuer}}, leeway=5
            )
            userinfo = dict(self.openid.userinfo(token=token))
        # Authlib lets the error of `requests` through when the provider is down or answers 5xx.
        except (OAuthError, JoseError, ValueError, RequestException) as error:
            self.refusals.append(f"{type(error).__name__}: {error}")
            return self.refusals[-1], 400
        session.clear()
        session["visit"] = secrets.token_urlsafe(16)
        self.visits[session["visit"]] = Visit(dict(token["userinfo"]), userinfo, token["id_token"], token["access_token"])
        return redirect("/")

    def logout(self) -> AnyResponse:
        visit = self.visits.pop(session.pop("visit", ""), None)
        if visit is None:
            return redirect("/")
        response: AnyResponse = self.openid.logout_redirect(f"{self.base}/auth/logged-out", id_token_hint=visit.id_token)
        return response

    def logged_out(self) -> AnyResponse:
        self.openid.validate_logout_response()
        return redirect("/")

    def backchannel_logout(self) -> tuple[str, int]:
        keys = KeySet.import_key_set(self.openid.fetch_jwk_set(force=True))
        token = jwt.decode(request.form["logout_token"], keys, algorithms=["RS256"])
        claims = token.claims
        jwt.JWTClaimsRegistry(
            leeway=5,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        ).validate(claims)
        if token.header.get("typ") != "logout+jwt" or LOGOUT_EVENT not in claims["events"] or "nonce" in claims:
            return "not a logout token", 400
        self.logout_tokens.append(claims)
        self.visits = {key: visit for key, visit in self.visits.items() if visit.claims.get("sid") != claims["sid"]}
        return "", 200
