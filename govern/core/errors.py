"""One tree of errors; each door renders it in its own way and nothing here knows HTTP.

GovernError
├── InvalidInput(fields)      what was sent cannot be used; says what to change
├── NotAuthenticated          nobody is signed in, or the token is not good
├── NotAllowed                signed in, but not allowed
├── NotFound
├── Conflict                  the thing is not in a state in which this can be done
├── PolicyViolation(rule)     an admin's rule forbids it
├── Gone                      it was there once and will not be again (a secret already revealed)
└── ProviderError             OpenAI (or a mail server, a webhook…) did not do what was asked
    ├── Unavailable           no answer, or a broken one: the outcome is unknown; retried
    │   └── CredentialRefused it does not accept our own key or password: nothing was done; retried, for an admin will mend it
    ├── Throttled(retry_after)  too many requests: nothing happened; retried
    ├── Rejected              it understood and refused; not retried
    └── Missing               it does not know the thing
Anything else is a bug: logged with its request id, and nothing of it shown.
"""

from __future__ import annotations

from collections.abc import Mapping


class GovernError(Exception):
    """An error that people may read: a stable `code`, a sentence that says what to do, and facts without secrets."""

    code = "error"

    def __init__(self, sentence: str, **facts: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.facts = facts


class InvalidInput(GovernError):
    """Input that cannot be used. `fields` maps the field's name to sentences about it."""

    code = "invalid_input"

    def __init__(self, sentence: str, fields: Mapping[str, str] | None = None, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.fields = dict(fields or {})


class NotAuthenticated(GovernError):
    code = "not_authenticated"


class NotAllowed(GovernError):
    code = "not_allowed"


class NotFound(GovernError):
    code = "not_found"


class Conflict(GovernError):
    code = "conflict"


class Gone(GovernError):
    code = "gone"


class PolicyViolation(GovernError):
    """An admin's rule says no. `rule` is the rule's name, so that an interface can point at it."""

    code = "policy_violation"

    def __init__(self, sentence: str, rule: str, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.rule = rule


class ProviderError(GovernError):
    """Something outside did not do what was asked. `request_id` is the provider's, for its support."""

    code = "provider_error"

    def __init__(self, sentence: str, *, status: int | None = None, request_id: str | None = None, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.status = status
        self.request_id = request_id


class Unavailable(ProviderError):
    """No answer or a broken one. Whether a change was made is unknown."""

    code = "provider_unavailable"


class CredentialRefused(Unavailable):
    """Our own key or password is revoked, expired or lacks a scope. Nothing was done; what is owed stays owed until an admin
    has mended it, because giving up a revocation for our own fault would be wrong."""

    code = "provider_credential_refused"


class Throttled(ProviderError):
    """Too many requests; nothing was done. `retry_after` in seconds when the provider named it."""

    code = "provider_throttled"

    def __init__(
        self, sentence: str, *, retry_after: float | None = None, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(sentence, status=status, request_id=request_id)
        self.retry_after = retry_after


class Rejected(ProviderError):
    """It understood and refused: trying again changes nothing."""

    code = "provider_rejected"


class Missing(ProviderError):
    """It does not know the thing (404). For a deletion that is success."""

    code = "provider_missing"


RETRYABLE: tuple[type[ProviderError], ...] = (Unavailable, Throttled)
