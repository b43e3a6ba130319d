"""What the admin key can do, asked by harmless reads: for `govern doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from govern.core.errors import CredentialRefused, Missing, ProviderError, Rejected, Throttled, Unavailable
from govern.openai.client import OpenAIClient, Query
from govern.openai.failures import CertificateRefused, NeverSent
from govern.openai.paths import Path, path

MOST_SKEW: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Check:
    """One answer. `ok` None: could not be found out. The sentence says what to do where something is wrong."""

    ok: bool | None
    sentence: str


@dataclass(frozen=True)
class Probe:
    """Everything that the probe found. `generation` is `2026-08`, `2026-11`, or None where it could not be told."""

    management: Check
    usage: Check
    generation_check: Check
    clock: Check
    generation: str | None
    skew: timedelta

    def checks(self) -> tuple[tuple[str, Check], ...]:
        """What was asked, in the order in which to show it, by name."""
        return (
            ("admin key: management", self.management), ("admin key: usage", self.usage),
            ("API generation", self.generation_check), ("clock", self.clock),
        )  # fmt: skip

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; what could not be told counts as wrong only where the service cannot do without it."""
        return self.management.ok is True and self.usage.ok is True and self.clock.ok is not False


def probe(client: OpenAIClient) -> Probe:
    """Ask for one member, one day of costs and one federation provider, and compare clocks. Never raises ProviderError.

    That the key may also write cannot be seen without writing: the sentence says so.
    """
    management = _check(
        client, path("/organization/users"), [("limit", "1")],
        "The admin key may read members, projects and keys. Whether it may also write shows with the first invite or key.",
        "The admin key lacks the scope api.management.read. Make a new one whose management permission is Write: scopes "
        "changed later may not take effect.",
    )  # fmt: skip
    yesterday = int((client.their_now() - timedelta(days=1)).timestamp()) // 86_400 * 86_400
    usage = _check(
        client, path("/organization/costs"), [("start_time", str(yesterday)), ("limit", "1")],
        "The admin key may read usage and costs.",
        "The admin key lacks the scope api.usage.read: there will be no usage, no costs and no budget alerts. Make a new one "
        "whose usage permission is Read.",
    )  # fmt: skip
    generation, about = _generation(client)
    return Probe(
        management, usage, about, _clock(client, asked=management.ok is True or usage.ok is True), generation, client.skew
    )


def _check(client: OpenAIClient, where: Path, query: Query, good: str, lacking: str) -> Check:
    try:
        client.get(where, query)
    except CredentialRefused as error:
        if error.status == 401:
            return Check(False, "OpenAI does not accept the admin key: it is mistyped, revoked or expired, or its owner left.")
        return Check(False, lacking)
    except CertificateRefused:
        return Check(False, "The TLS certificate at OpenAI's address cannot be verified. Is something in between?")
    except NeverSent:
        return Check(False, "OpenAI cannot be reached. Check the network, name resolution and GOVERN_OPENAI_BASE_URL.")
    except Throttled as error:
        seconds = "a minute" if error.retry_after is None else f"{error.retry_after:.0f} s"
        return Check(None, f"OpenAI takes no more calls for now; ask again in {seconds}.")
    except Unavailable as error:
        return Check(None, f"OpenAI does not answer properly now: {error.sentence}")
    except (Missing, Rejected) as error:
        return Check(False, f"Is GOVERN_OPENAI_BASE_URL right, with /v1 at its end? {error.sentence}")
    return Check(True, good)


def _generation(client: OpenAIClient) -> tuple[str | None, Check]:
    """Guess by an address that only the newer API knows."""
    if client.generation != "auto":
        return client.generation, Check(True, f"The settings say that OpenAI's API is of {client.generation}.")
    try:
        client.get(path("/organization/workload_identity_providers"), [("limit", "1")])
    except ProviderError as error:
        if isinstance(error, Missing | Rejected) and error.status == 404:
            said = "OpenAI's API is of 2026-08: keys get no expiry at OpenAI itself, so only we end them."
            return "2026-08", Check(True, said)
        return None, Check(None, "Which of its APIs OpenAI offers here could not be told; the newest is tried first.")
    return "2026-11", Check(True, "OpenAI's API is of 2026-11: keys get an expiry at OpenAI itself as well.")


def _clock(client: OpenAIClient, *, asked: bool) -> Check:
    seconds = client.skew.total_seconds()
    if not asked:
        return Check(None, "OpenAI did not tell the time.")
    if abs(client.skew) <= MOST_SKEW:
        return Check(True, "This machine's clock agrees with OpenAI's.")
    way = "behind" if seconds > 0 else "ahead of"
    return Check(False, f"This machine's clock is {abs(seconds):.0f} s {way} OpenAI's. Set it, by NTP for good.")
