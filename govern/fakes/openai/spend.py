"""Spend limits (hard, enforced on the data plane) and spend alerts (mails, which block nothing), for the
organization and for projects.
"""

from __future__ import annotations

from govern.fakes.openai.paging import by_age, page
from govern.fakes.openai.problems import not_found
from govern.fakes.openai.tables import Json, SpendAlert
from govern.fakes.openai.wire import Body, Call, Handler, Routes, deleted

routes = Routes()


def _project_id(call: Call) -> str | None:
    id = call.path.get("project_id")
    return None if id is None else call.org.project(id).id


def _kind(call: Call) -> str:
    return "project" if "project_id" in call.path else "organization"


# -- limits: one for each scope, no id ------------------------------------------------------------------------------------


def _get_limit(call: Call) -> Json:
    id = _project_id(call)
    limit = call.org.tables.spend_limit if id is None else call.org.tables.projects[id].spend_limit
    if limit is None:
        raise not_found("spend limit", id or "organization")
    return {"object": f"{_kind(call)}.spend_limit", **limit, "enforcement": {"status": "enforcing"}}


def _put_limit(call: Call) -> Json:
    body, id = call.body(), _project_id(call)
    limit = {"threshold_amount": body.integer("threshold_amount", 1), **_month(body)}
    if id is None:
        call.org.tables.spend_limit = limit
    else:
        call.org.active_project(id).spend_limit = limit
    return _get_limit(call)


def _delete_limit(call: Call) -> Json:
    _get_limit(call)
    id = _project_id(call)
    if id is None:
        call.org.tables.spend_limit = None
    else:
        call.org.active_project(id).spend_limit = None
    return deleted(f"{_kind(call)}.spend_limit.deleted")


def _month(body: Body) -> Json:
    return {"currency": body.choice("currency", {"USD"}), "interval": body.choice("interval", {"month"})}


# -- alerts: any number, replaced whole ------------------------------------------------------------------------------------


def _view(alert: SpendAlert) -> Json:
    return {
        "id": alert.id,
        "object": f"{'project' if alert.project_id else 'organization'}.spend_alert",
        "threshold_amount": alert.threshold_amount,
        "currency": "USD",
        "interval": "month",
        "notification_channel": {"type": "email", "recipients": alert.recipients, "subject_prefix": alert.subject_prefix},
    }


def _list_alerts(call: Call) -> Json:
    id = _project_id(call)
    descending = call.query.choice("order", {"asc", "desc"}, "asc") == "desc"
    rows = [alert for alert in call.org.tables.alerts.values() if alert.project_id == id]
    return page(call, rows, _view, id_of=lambda a: a.id, place=by_age, descending=descending, low=0, backwards=True)


def _create_alert(call: Call) -> Json:
    org, id = call.org, _project_id(call)
    amount, recipients, prefix = _alert_body(call)
    alert = SpendAlert(org.new_id("alert"), id, amount, recipients, prefix, call.now)
    org.tables.alerts[alert.id] = alert
    return _view(alert)


def _retrieve_alert(call: Call) -> Json:
    return _view(_alert(call))


def _update_alert(call: Call) -> Json:
    alert = _alert(call)
    amount, alert.recipients, alert.subject_prefix = _alert_body(call)
    if amount != alert.threshold_amount:
        alert.threshold_amount, alert.mailed_months = amount, []
    return _view(alert)


def _delete_alert(call: Call) -> Json:
    alert = _alert(call)
    del call.org.tables.alerts[alert.id]
    return deleted(f"{_kind(call)}.spend_alert.deleted", alert.id)


def _alert_body(call: Call) -> tuple[int, list[str], str | None]:
    """All four members are needed each time."""
    body = call.body()
    amount = body.integer("threshold_amount", 0)
    _month(body)
    channel = body.object("notification_channel")
    channel.choice("type", {"email"})
    return amount, channel.texts("recipients", least=1), channel.maybe_text("subject_prefix")


def _alert(call: Call) -> SpendAlert:
    id, project_id = call.path["alert_id"], _project_id(call)
    found = call.org.tables.alerts.get(id)
    if found and found.project_id == project_id:
        return found
    raise not_found("spend alert", id)


_HANDLERS: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "spend_limit.retrieve", "/spend_limit", _get_limit),
    ("POST", "spend_limit.update", "/spend_limit", _put_limit),
    ("DELETE", "spend_limit.delete", "/spend_limit", _delete_limit),
    ("GET", "spend_alerts.list", "/spend_alerts", _list_alerts),
    ("POST", "spend_alerts.create", "/spend_alerts", _create_alert),
    ("GET", "spend_alerts.retrieve", "/spend_alerts/<alert_id>", _retrieve_alert),
    ("POST", "spend_alerts.update", "/spend_alerts/<alert_id>", _update_alert),
    ("DELETE", "spend_alerts.delete", "/spend_alerts/<alert_id>", _delete_alert),
)
for _prefix, _base in (("", "/organization"), ("projects.", "/organization/projects/<project_id>")):
    for _method, _name, _tail, _handler in _HANDLERS:
        _add = {"GET": routes.get, "POST": routes.post, "DELETE": routes.delete}[_method]
        _add(_prefix + _name, _base + _tail)(_handler)
