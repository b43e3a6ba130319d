"""What `/budgets` takes and gives."""

from __future__ import annotations

import marshmallow as ma

from govern.budgets.models import Scope
from govern.budgets.plan import StepKind
from govern.budgets.windows import Period
from govern.web.api.shapes import MONEY_IN, Flag, PageQuery, Schema, Text, Usd, instant, maybe_instant, maybe_text

_THRESHOLDS = ma.fields.Integer(strict=True, validate=ma.validate.Range(1, 1000))


class BudgetChange(Schema):
    """What to change; the rest stays."""

    dry_run = Flag(metadata={"description": "Only say what it would mean."})
    name = Text(1, 200)
    amount_usd = Usd(metadata=MONEY_IN | {"description": "For each window."})
    thresholds = ma.fields.List(_THRESHOLDS, validate=ma.validate.Length(max=20), metadata={"description": "Whole per cent."})
    thresholds_usd = ma.fields.List(
        Usd(metadata=MONEY_IN), validate=ma.validate.Length(max=20),
        metadata={"description": "US dollars. There is at least one threshold of either kind."},
    )  # fmt: skip
    thresholds_forecast = ma.fields.List(
        _THRESHOLDS, validate=ma.validate.Length(max=20),
        metadata={"description": "Whole per cent that the forecast of the window's end may reach."},
    )  # fmt: skip
    notify = ma.fields.List(Text(3, 320), validate=ma.validate.Length(max=50), metadata={"description": "Addresses."})
    zone = Text(1, 64, metadata={"description": "The time zone whose days count.", "example": "Europe/Berlin"})
    period = ma.fields.Enum(Period, by_value=True, metadata={"description": "How long a window is; weeks begin on Monday."})
    year_starts = ma.fields.Integer(
        strict=True, validate=ma.validate.Range(1, 12),
        metadata={"description": "Quarters and years: the first month of the fiscal year."},
    )  # fmt: skip
    days = ma.fields.Integer(
        strict=True, validate=ma.validate.Range(1, 366), metadata={"description": 'How many; only of the period "days".'}
    )
    anchor = ma.fields.Date(metadata={"description": 'The first day of one of the windows; only of the period "days".'})


class ConcernedOut(Schema):
    """Whom it concerns: somebody who would be told of, or over."""

    person = ma.fields.String(allow_none=True)
    name = ma.fields.String(required=True)
    spent_usd = Usd(required=True)
    percent = ma.fields.Integer(required=True)
    reached = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Thresholds that would tell at once."})


class BudgetPreviewOut(Schema):
    """What it would mean today: how many would be over the limit, how many are now, and how many alerts would be sent at once.

    `affected` names at most 20, who spent most first.
    """

    sentence = ma.fields.String(required=True)
    over = ma.fields.Integer(required=True)
    before = ma.fields.Integer(required=True)
    alerts = ma.fields.Integer(required=True)
    affected = ma.fields.List(ma.fields.Nested(ConcernedOut), required=True)


class BudgetIn(BudgetChange):
    """A limit per window: a month in UTC, unless something else is said."""

    name = Text(1, 200, required=True)
    scope = ma.fields.Enum(Scope, by_value=True, required=True)
    scope_id = Text(
        1, 320,
        metadata={"description": "Of a project or a key the id, of a person the id or address, else the name."},
    )  # fmt: skip
    per_person = Flag(metadata={"description": "Each person of the organization, team or cost centre by themselves."})
    amount_usd = Usd(required=True, metadata=MONEY_IN | {"description": "For each window."})


class RaiseIn(Schema):
    """More for a while, from now on."""

    by_usd = Usd(required=True, metadata=MONEY_IN | {"description": "On top of the amount, for each window; raises add up."})
    until = ma.fields.Date(required=True, metadata={"description": "The last day of it, in the budget's zone."})
    reason = Text(1, 500)


class RaiseOut(Schema):
    """A raise."""

    id = ma.fields.String(required=True)
    by_usd = Usd(required=True)
    starts_at = instant(required=True)
    ends_at = instant(required=True)
    reason = maybe_text()


class ForecastOut(Schema):
    """What the window will have at its end. The three are null where nothing can be said, and `why` says why."""

    low_usd = Usd(required=True, allow_none=True, metadata={"description": "The lower end of the 80 % band."})
    likely_usd = Usd(required=True, allow_none=True)
    high_usd = Usd(required=True, allow_none=True)
    why = maybe_text()
    tested = ma.fields.Integer(required=True, metadata={"description": "Forecasts of windows that are over, back-tested."})
    held_percent = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "How often the band held; null without a test."}
    )


class BudgetOut(Schema):
    """A budget, and how it stands in its window of now."""

    slug = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "What it is called in the file that it is kept in."}
    )

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    scope = ma.fields.Enum(Scope, by_value=True, required=True)
    scope_id = ma.fields.String(required=True)
    scope_name = ma.fields.String(required=True)
    per_person = ma.fields.Boolean(
        required=True, metadata={"description": "It is for each person; the figures are those of who spent most."}
    )
    amount_usd = Usd(required=True)
    thresholds = ma.fields.List(ma.fields.Integer(), required=True)
    thresholds_usd = ma.fields.List(Usd(), required=True)
    thresholds_forecast = ma.fields.List(ma.fields.Integer(), required=True)
    notify = ma.fields.List(ma.fields.String(), required=True)
    zone = ma.fields.String(required=True)
    period = ma.fields.Enum(Period, by_value=True, required=True)
    year_starts = ma.fields.Integer(required=True)
    days = ma.fields.Integer(allow_none=True)
    anchor = ma.fields.Date(allow_none=True)
    created_at = instant(required=True)
    retired_at = maybe_instant()
    window = ma.fields.String(
        required=True,
        metadata={
            "description": "The window of now: `2026-03-10` a day, `2026-W11` a week, `2026-03` a month, "
            "`2026-01/2026-03` more of them, `2026-03-10/14d` other days.",
            "example": "2026-03",
        },
    )
    window_starts_at = instant(required=True)
    window_ends_at = instant(required=True)
    spent_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    percent = ma.fields.Integer(required=True)
    limit_usd = Usd(required=True, metadata={"description": "The amount with the raises of now; `percent` is of this."})
    forecast = ma.fields.Nested(
        ForecastOut, required=True, allow_none=True, metadata={"description": "null for a retired budget."}
    )
    preview = ma.fields.Nested(
        BudgetPreviewOut, allow_none=True, metadata={"description": "Of a dry run; nothing is stored then."}
    )
    raises = ma.fields.List(ma.fields.Nested(RaiseOut), required=True, metadata={"description": "Those that hold now."})


class SpenderOut(Schema):
    """How a budget stands for one person."""

    person = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    limit_usd = Usd(required=True)
    spent_usd = Usd(required=True)
    billed_usd = Usd(required=True)
    estimated_usd = Usd(required=True)
    percent = ma.fields.Integer(required=True)


class BudgetFileIn(Schema):
    """What a file of budgets says, as JSON; `config/budgets.example.toml` explains it."""

    defaults = ma.fields.Dict(keys=ma.fields.String(), load_default=dict, metadata={"description": "For all of them."})
    budgets = ma.fields.Dict(keys=ma.fields.String(), required=True, metadata={"description": "Slug → a budget."})


class BudgetDifferenceOut(Schema):
    """A field that is to be something else, in words."""

    field = ma.fields.String(required=True)
    before = ma.fields.String(required=True)
    after = ma.fields.String(required=True)


class BudgetStepOut(Schema):
    """One change: `words` say it on a line."""

    kind = ma.fields.Enum(StepKind, by_value=True, required=True)
    slug = ma.fields.String(required=True)
    of = ma.fields.String(required=True)
    budget = ma.fields.String(allow_none=True, required=True)
    differences = ma.fields.List(ma.fields.Nested(BudgetDifferenceOut), required=True)
    alerts = ma.fields.Integer(required=True, metadata={"description": "How many would be sent at once."})
    words = ma.fields.String(required=True)


class BudgetPlanOut(Schema):
    """What is to be done, or was done, for the file to hold."""

    steps = ma.fields.List(ma.fields.Nested(BudgetStepOut), required=True)
    unchanged = ma.fields.Integer(required=True)
    sentence = ma.fields.String(required=True)


class BudgetsQuery(PageQuery):
    """What to list."""

    scope = ma.fields.Enum(Scope, by_value=True)
    retired = ma.fields.Boolean(load_default=False, metadata={"description": "Also retired ones."})


class RetireIn(Schema):
    """Why."""

    reason = Text(1, 500)
