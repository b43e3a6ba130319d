"""Talking to the server: where its endpoints are, TLS, tokens that renew themselves, answers as values or as Trouble."""

from __future__ import annotations

import ipaddress
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from govern import __version__
from govern.client.folder import Folder
from govern.client.trouble import INPUT, OUTSIDE, SignedOut, Trouble, Unreachable, refused
from govern.client.vault import Secret, Vault

if TYPE_CHECKING:  # a command that stays on this machine does not wait for it to be imported
    import httpx

CLIENT_ID: Final = "govern-cli"
TOKENS: Final = "tokens"
_EARLY: Final = 30.0
"""Seconds before its end at which an access token is renewed, so that it does not end on the way."""
_PATIENCE: Final = 20.0
"""Seconds for which a request that is refused for the moment is sent again."""


def check_url(text: str) -> str:
    """The server's address without a slash at the end. Raises Trouble unless it is HTTPS, or this machine itself."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Trouble("That is no address. Write it like https://govern.example.com.", INPUT) from None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise Trouble("That is no address of a server. Write it like https://govern.example.com.", INPUT)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise Trouble("Only HTTPS is used, so that nobody on the way can read your key. Write https://…", INPUT)
    return url


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Endpoints:
    """Where the server says that its OAuth endpoints are."""

    device: str
    token: str
    revocation: str


class Server:
    """One server. Redirects are never followed: a token belongs to the address that was typed."""

    def __init__(self, url: str) -> None:
        self.url = check_url(url)
        self._client: httpx.Client | None = None
        self._endpoints: Endpoints | None = None

    def close(self) -> None:
        """End its connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def endpoints(self) -> Endpoints:
        """From the server's metadata (RFC 8414). Raises Trouble when they are not the server's own."""
        if self._endpoints is None:
            response = self.send("GET", f"{self.url}/.well-known/oauth-authorization-server")
            found = _json(response)
            if response.status_code != 200 or "device_authorization_endpoint" not in found:
                raise Trouble(f"{self.url} does not answer like a govern server.", OUTSIDE)
            if found.get("issuer") != self.url:
                raise Trouble(f"The server calls itself {found.get('issuer')}. Use that address.", INPUT)
            names = ("device_authorization_endpoint", "token_endpoint", "revocation_endpoint")
            addresses = [self.own(str(found.get(name, ""))) for name in names]
            self._endpoints = Endpoints(*addresses)
        return self._endpoints

    def own(self, address: str) -> str:
        """The address, if it is this server's; nothing is sent or opened elsewhere on its word. Raises Trouble."""
        mine, theirs = urlsplit(self.url), urlsplit(address)
        if (theirs.scheme, theirs.netloc) != (mine.scheme, mine.netloc):
            raise Trouble(f"The server names an address that is not its own: {address}. Nothing was sent there.", OUTSIDE)
        return address

    def form(self, address: str, **values: str) -> tuple[int, dict[str, Any]]:
        """POST a form; status and answer."""
        response = self.send("POST", address, data={"client_id": CLIENT_ID, **values})
        return response.status_code, _json(response)

    def send(self, method: str, address: str, **more: Any) -> httpx.Response:
        """One request. Raises Unreachable with a sentence that holds nothing of the request."""
        import httpx

        if self._client is None:
            # A proxy of the environment is for the way out; to this machine itself there is none.
            outside = not is_loopback(urlsplit(self.url).hostname or "")
            headers = {"User-Agent": f"govern/{__version__}", "Accept": "application/json"}
            self._client = httpx.Client(timeout=40, follow_redirects=False, trust_env=outside, headers=headers)
        try:
            return self._client.request(method, address, **more)
        except httpx.TimeoutException:
            raise Unreachable(f"{self.url} did not answer in time. Try again; nothing is done twice.") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(f"{self.url} cannot be reached ({_why(error)}).") from None


def _why(error: BaseException) -> str:
    text = str(error).casefold()
    if "certificate" in text:
        return "its certificate is not trusted"
    return "connection refused" if "refused" in text else type(error).__name__


class SignedIn:
    """Calls the API for the person who signed in, and renews the tokens on the way."""

    def __init__(self, server: Server, vault: Vault, folder: Folder) -> None:
        self.server, self.vault, self.folder = server, vault, folder

    def keep(self, answer: dict[str, Any]) -> None:
        """Store the tokens of a token answer."""
        held = {
            "access": answer["access_token"], "refresh": answer["refresh_token"],
            "until": time.time() + float(answer.get("expires_in", 0)),
        }  # fmt: skip
        self.vault.put(TOKENS, Secret(json.dumps(held)))

    def call(self, method: str, path: str, body: Any = None, *, request_id: str | None = None) -> dict[str, Any]:
        """The answer of the API. Raises Trouble with the server's own sentence.

        `request_id` goes along as Idempotency-Key: with the same one the server does it once, however often it is sent.
        """
        headers = {"Idempotency-Key": request_id or str(uuid.uuid4())} if method == "POST" else {}
        until, token, renewed = time.monotonic() + _PATIENCE, self._access(), False
        while True:
            more = {"json": body} if body is not None else {}
            headers["Authorization"] = f"Bearer {token.reveal()}"
            response = self.server.send(method, f"{self.server.url}/api/v1{path}", headers=headers, **more)
            found = _json(response)
            if response.is_success:
                return found
            if response.status_code == 401 and not renewed:
                token, renewed = self._renewed(token), True
                continue
            wait = _wait(response, found)
            if wait is None or time.monotonic() + wait > until:
                raise refused(response.status_code, str(found.get("code", "")), str(found.get("detail", "")))
            time.sleep(wait)

    def _access(self) -> Secret:
        held = self._held()
        access = Secret(held["access"])
        return access if held["until"] - _EARLY > time.time() else self._renewed(access)

    def _renewed(self, old: Secret) -> Secret:
        """A new access token, unless another process of ours has fetched one meanwhile."""
        with self.folder.locked():
            held = self._held()
            if held["access"] != old.reveal():
                return Secret(held["access"])
            endpoint = self.server.endpoints().token
            status, found = self.server.form(endpoint, grant_type="refresh_token", refresh_token=held["refresh"])
            if status == 400 and found.get("error") == "invalid_grant":
                self.vault.drop(TOKENS)
                raise SignedOut("Your sign-in has ended. Run `govern login`.")
            if status != 200:
                raise refused(status if status >= 500 else 503, "", "The server did not renew your sign-in. Try again.")
            self.keep(found)
            return Secret(found["access_token"])

    def _held(self) -> dict[str, Any]:
        found = self.vault.get(TOKENS)
        if found is None:
            raise SignedOut
        held: dict[str, Any] = json.loads(found.reveal())
        return held

    def end(self) -> None:
        """Give the tokens back and forget them, also when the server cannot be told. Raises Unreachable then."""
        found = self.vault.get(TOKENS)
        self.vault.drop(TOKENS)
        if found is not None:
            self.server.form(self.server.endpoints().revocation, token=json.loads(found.reveal())["refresh"])


def _wait(response: httpx.Response, found: dict[str, Any]) -> float | None:
    """Seconds until the same request may be sent again; None when that would change nothing."""
    if response.status_code == 429 or found.get("code") == "request_in_flight":
        try:
            return max(1.0, float(response.headers.get("Retry-After", "1")))
        except ValueError:
            return 1.0
    return None


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
