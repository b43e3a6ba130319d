"""Which grouping exists on which clock, and why not where not: what questions are held to, and `docs/reference.md` repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from govern.usage.models import Clock
from govern.usage.names import By


class Told(NamedTuple):
    """Whether a clock tells a group apart, and what to know of it; `remark` says why not where one does not."""

    estimated: bool = True
    billed: bool = True
    remark: str = ""


ON: Final[Mapping[By, Told]] = {
    By.HOUR: Told(billed=False, remark="A bill has days, not hours. Hours are shown of three days at most."),
    By.DAY: Told(remark="UTC days, on both."),
    By.WEEK: Told(remark="Named by its Monday."),
    By.MONTH: Told(remark="Calendar months in UTC."),
    By.PROJECT: Told(remark="OpenAI names it on both."),
    By.PERSON: Told(
        remark="By the key, else by the member. A bill of before OpenAI billed by key has no key and no member: only its project."
    ),
    By.TEAM: Told(remark="Where the person stood on that day."),
    By.COST_CENTRE: Told(remark="Where the person stood on that day."),
    By.KEY: Told(remark="Ours over all its versions, else OpenAI's. A bill names keys from the day on that OpenAI bills by key."),
    By.MODEL: Told(remark="A bill names it in its line items; the use of tools is billed without a model, and estimated so too."),
    By.ENDPOINT: Told(billed=False, remark="A bill names no endpoints."),
    By.LINE_ITEM: Told(estimated=False, remark="Only a bill has line items."),
    By.WHOSE: Told(remark="A person's, a project's own, or nobody's."),
    By.REASON: Told(remark="Why it has no person."),
}


def tells(clock: Clock, by: By) -> bool:
    """Whether the clock tells these groups apart."""
    return ON[by].billed if clock is Clock.BILLED else ON[by].estimated
