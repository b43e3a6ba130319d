"""The doctor's looks at others: OpenAI and the admin key, the identity provider, the mail server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from govern.cli.health import Finding, fail, ok, warn
from govern.core.errors import GovernError
from govern.openai import probe
from govern.openai.client import make_client
from govern.sections import Mail
from govern.settings import Settings

PATIENCE = 5.0
"""Seconds that a server has to answer."""


def openai(settings: Settings) -> Iterator[Finding]:
    """Both scopes of the admin key, the generation of the API, and our clock against theirs."""
    if settings.openai.admin_key is None:
        yield warn(
            "admin key",
            "This process has no admin key, so OpenAI was not asked. Right for a host that runs only `govern web`; else set "
            "GOVERN_OPENAI_ADMIN_KEY_FILE (docs/connect.md, step 4).",
        )
        return
    client = make_client(
        base_url=settings.openai.base_url, admin_key=settings.openai.admin_key, transport=None, unit_of_work=None,
        requests_per_minute=None, burst=settings.openai.burst, generation=settings.openai.generation,
    )  # fmt: skip
    try:
        found = probe.probe(client)
    except GovernError as error:
        yield fail("admin key", error.sentence)
        return
    finally:
        client.close()
    for name, check in found.checks():
        answer = warn if check.ok is None else ok if check.ok else fail
        yield answer(name, check.sentence)


def issuer(settings: Settings) -> Finding:
    """The identity provider's discovery document, as sign-in will read it."""
    name, expected = "sign-in", settings.oidc.issuer
    if expected is None:
        return warn(name, "No identity provider is set ([oidc] issuer). Until then only links of `govern init` sign anybody in.")
    url = f"{expected}/.well-known/openid-configuration"
    try:
        answer = httpx.get(url, timeout=PATIENCE, trust_env=False)
        document: Any = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        return fail(name, f"{url} does not answer as it should ({type(error).__name__}). Check [oidc] issuer and the network.")
    if not isinstance(document, dict):
        return fail(name, f"{url} answered {answer.status_code}. Check [oidc] issuer: it is the address without /.well-known.")
    if str(document.get("issuer", "")).rstrip("/") != expected:
        return fail(name, f"The provider calls itself {document.get('issuer')!r}; write exactly that as [oidc] issuer.")
    if "S256" not in document.get("code_challenge_methods_supported", ["S256"]):
        return fail(name, "The provider does not offer PKCE with S256, which sign-in needs. Switch it on for this application.")
    missing = [key for key in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not document.get(key)]
    if missing:
        return fail(name, f"The provider's discovery document lacks {', '.join(missing)}.")
    if not settings.oidc.allowed_domains:
        return warn(name, "[oidc] allowed_domains is empty, so nobody can sign in for the first time. Name your mail domains.")
    if settings.oidc.client_secret is None or not settings.oidc.client_secret.reveal():
        return fail(name, "There is no [oidc] client_secret. Put it into a file and name it in GOVERN_OIDC_CLIENT_SECRET_FILE.")
    return ok(name, f"{expected} answers, and offers what sign-in needs.")


def mail(settings: Settings) -> Finding:
    """Connect, encrypt and sign in as for a real mail; none is sent."""
    name, server = "mail", settings.mail
    if server.host is None:
        return warn(name, "No mail server is set ([mail] host), so budget alerts reach nobody by mail.")
    where = f"{server.host}:{server.port}"
    try:
        _greet(server)
    except smtplib.SMTPAuthenticationError as error:
        return fail(name, f"{where} refuses the user name and password ({error.smtp_code}). Check [mail] username and password.")
    except smtplib.SMTPNotSupportedError:
        return fail(name, f"{where} does not offer what [mail] security = {server.security!r} and username need. Check both.")
    except ssl.SSLError as error:
        return fail(name, f"{where} cannot be spoken to encrypted ({error.reason}). Check [mail] security and the certificate.")
    except (OSError, smtplib.SMTPException) as error:
        return fail(name, f"{where} does not answer ({type(error).__name__}). Check [mail] host, port and the firewall.")
    if not server.admins:
        return warn(name, f"{where} answers, but [mail] admins is empty: alerts of budgets that name nobody reach nobody.")
    return ok(name, f"{where} answers ({server.security}).")


def _greet(server: Mail) -> None:
    assert server.host is not None
    context = ssl.create_default_context()
    connect: Any = smtplib.SMTP_SSL if server.security == "tls" else smtplib.SMTP
    extra = {"context": context} if server.security == "tls" else {}
    with connect(server.host, server.port, timeout=PATIENCE, **extra) as session:
        session.ehlo()
        if server.security == "starttls":
            session.starttls(context=context)
            session.ehlo()
        if server.username and server.password:
            session.login(server.username, server.password.reveal())
