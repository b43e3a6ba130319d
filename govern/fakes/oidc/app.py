"""The demo provider's web application: its endpoints and its few pages."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, abort, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from govern.fakes.oidc.faults import OTHER_ISSUER, Fault
from govern.fakes.oidc.provider import SIGN_IN_LIFETIME, DemoProvider
from govern.fakes.oidc.records import AccessToken, Person, SignIn, origin_of
from govern.fakes.oidc.server import Server
from govern.fakes.oidc.shapes import SCOPES

COOKIE = "demo_openid_sign_in"
"""Cookies do not know ports, so the name must differ from the relying party's on the same host."""


def create_app(provider: DemoProvider) -> Flask:
    """The WSGI application over a provider's state."""
    app = Flask(__name__)
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"authorization_code": int(AccessToken.LIFETIME.total_seconds())}
    Routes(app, provider)
    return app


class Routes:
    """One method per address."""

    def __init__(self, app: Flask, provider: DemoProvider) -> None:
        self.provider = provider
        self.server = Server(app, provider)
        app.add_url_rule("/.well-known/openid-configuration", view_func=self.discovery)
        app.add_url_rule("/jwks", view_func=self.keys)
        app.add_url_rule("/authorize", view_func=self.authorize, methods=["GET", "POST"])
        app.add_url_rule("/token", view_func=self.token, methods=["POST"])
        app.add_url_rule("/userinfo", view_func=self.userinfo, methods=["GET", "POST"])
        app.add_url_rule("/logout", view_func=self.logout, methods=["GET", "POST"])
        app.add_url_rule("/", view_func=self.index)
        app.after_request(self.add_headers)
        app.register_error_handler(HTTPException, self.http_error)

    # what machines read

    def discovery(self) -> Response:
        """OpenID Connect Discovery 1.0, RFC 8414 and the announcements of the later extensions."""
        issuer = self.provider.issuer
        return jsonify(
            issuer=OTHER_ISSUER if self.provider.does(Fault.WRONG_DISCOVERY_ISSUER) else issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            userinfo_endpoint=f"{issuer}/userinfo",
            jwks_uri=f"{issuer}/jwks",
            end_session_endpoint=f"{issuer}/logout",
            scopes_supported=list(SCOPES),
            claims_supported=["sub", "name", "email", "email_verified", "groups", "auth_time", "sid"],
            response_types_supported=["code"],
            response_modes_supported=["query"],
            grant_types_supported=["authorization_code"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            token_endpoint_auth_methods_supported=["client_secret_basic"],
            code_challenge_methods_supported=["S256"],
            claims_parameter_supported=False,
            request_parameter_supported=False,
            request_uri_parameter_supported=False,
            authorization_response_iss_parameter_supported=True,
            backchannel_logout_supported=True,
            backchannel_logout_session_supported=True,
        )

    def keys(self) -> Response:
        """The public keys."""
        return jsonify(self.provider.public_keys())

    def token(self) -> Response:
        """Exchange a code for tokens."""
        if self.provider.does(Fault.TOKEN_ERROR):
            return make_response(jsonify(error="server_error"), 500)
        response: Response = self.server.create_token_response()
        return response

    def userinfo(self) -> Response:
        """The claims behind an access token."""
        response: Response = self.server.create_endpoint_response("userinfo")
        return response

    # what people see

    def index(self) -> Response:
        """What this is, and who is signed in."""
        sign_in, person = self._present()
        return make_response(render_template("index.html", provider=self.provider, person=person, sign_in=sign_in))

    def authorize(self) -> AnyResponse:
        """Send the browser back with a code, after a sign-in page unless somebody is signed in already."""
        answering = request.method == "POST" and bool({"person", "cancel"} & request.form.keys())
        sign_in, person = self._present()
        user: SignIn | None = sign_in
        chosen: Person | None = None
        if answering:
            self._refuse_foreign_form()
            if (sub := request.form.get("person")) and (chosen := self.provider.person(sub)) is None:
                abort(400, "This person is not here any more.")
        elif sign_in and self._too_old(sign_in):
            user = None
        try:
            grant = self.server.get_consent_grant(end_user=user)
        except (OAuth2Error, ValueError) as error:
            return self._refusal(error)
        if answering:
            granted = self.provider.start_sign_in(chosen, sign_in) if chosen else None
        elif grant.prompt or user is None:
            return self._sign_in_page(grant.client.client_id, person)
        else:
            granted = user
        response: AnyResponse = self.server.create_authorization_response(grant=grant, grant_user=granted)
        if granted is not None:
            self._set_cookie(response, granted)
        return response

    def logout(self) -> AnyResponse:
        """OpenID Connect RP-Initiated Logout 1.0; asks first when the request does not prove where it comes from."""
        confirmed = request.method == "POST" and "confirm" in request.form
        if confirmed:
            self._refuse_foreign_form()
        try:
            wanted = self.server.validate_endpoint_request("end_session")
        except (OAuth2Error, ValueError) as error:
            return self._refusal(error)
        sign_in, person = self._present()
        if sign_in and wanted.needs_confirmation and not confirmed:
            fields = [(name, value) for name, value in request.values.items(multi=True) if name != "confirm"]
            return make_response(render_template("confirm_logout.html", person=person, fields=fields))
        if sign_in and self._same_browser(sign_in, wanted.id_token_claims):
            self.provider.end_sign_in(sign_in.sid)
        done = self.server.create_endpoint_response("end_session", wanted)
        response: AnyResponse = done or make_response(
            render_template("message.html", title="You are signed out", text="You can close this page.")
        )
        if sign_in and self.provider.sign_in_of(sign_in.cookie) is None:
            response.delete_cookie(COOKIE, httponly=True, samesite="Lax")
        return response

    # the steps

    def _present(self) -> tuple[SignIn | None, Person | None]:
        sign_in = self.provider.sign_in_of(request.cookies.get(COOKIE))
        person = self.provider.person(sign_in.sub) if sign_in else None
        return (sign_in, person) if person else (None, None)

    def _too_old(self, sign_in: SignIn) -> bool:
        max_age = request.values.get("max_age", "")
        age = (self.provider.now() - sign_in.authenticated_at).total_seconds()
        return max_age.isascii() and max_age.isdigit() and age > int(max_age)

    @staticmethod
    def _same_browser(sign_in: SignIn, hint: dict[str, object] | None) -> bool:
        # A hint about somebody else (a stale tab) must not end the sign-in of the person who sits here now.
        return hint is None or hint.get("sub") == sign_in.sub

    @staticmethod
    def _refuse_foreign_form() -> None:
        # A page elsewhere must not sign the visitor in or out by posting our form for them.
        origin = request.headers.get("Origin")
        if origin is not None and origin != origin_of(request.host_url):
            abort(403, "The form was sent from another site.")

    def _sign_in_page(self, client_id: str, present: Person | None) -> AnyResponse:
        hint = request.values.get("login_hint", "").strip().lower()
        people = sorted(self.provider.people(), key=lambda person: person.email.lower() != hint)
        fields = list(request.values.items(multi=True))
        return make_response(render_template("sign_in.html", client_id=client_id, people=people, present=present, fields=fields))

    def _refusal(self, error: OAuth2Error | ValueError) -> AnyResponse:
        """Back to the relying party with the error, or a page when there is no address that may be trusted."""
        if not isinstance(error, OAuth2Error):
            # Authlib raises ValueError when the bad input that it wants to quote cannot stand in an error description.
            abort(400, "The request carries characters that are not allowed.")
        response: Response = self.server.handle_error_response(None, error)
        if not response.location:
            abort(400, error.description or error.error)
        self.server.response_issuer.add_issuer_parameter(self.server, response)
        return response

    def _set_cookie(self, response: AnyResponse, sign_in: SignIn) -> None:
        response.set_cookie(
            COOKIE,
            sign_in.cookie,
            max_age=int(SIGN_IN_LIFETIME.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=self.provider.issuer.startswith("https://"),
        )

    # around every answer

    def http_error(self, error: HTTPException) -> AnyResponse:
        """A page that says what was wrong."""
        page = render_template("message.html", title=error.name, text=error.description or "")
        response = make_response(page, error.code or 500)
        response.headers.extend(  # Allow and the like, which the page must not lose
            (name, value) for name, value in error.get_headers(request.environ) if name.lower() != "content-type"
        )
        return response

    def add_headers(self, response: Response) -> Response:
        """Nothing is loaded from elsewhere and nothing is framed."""
        # Browsers hold the redirect after a form against `form-action` too, so the relying parties must stand there.
        addresses = [
            address
            for client in self.provider.clients()
            for address in (*client.redirect_uris, *client.post_logout_redirect_uris)
        ]
        targets = " ".join(["'self'", *sorted({origin_of(address) for address in addresses})])
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action {targets}"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Not `no-referrer`: with it browsers send `Origin: null` even to ourselves.
        response.headers["Referrer-Policy"] = "same-origin"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response
