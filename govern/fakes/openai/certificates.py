"""Certificates for mutual TLS. Kept and switched on and off; nothing here speaks TLS."""

from __future__ import annotations

from cryptography import x509

from govern.fakes.openai.audit_log import record
from govern.fakes.openai.paging import by_age, page
from govern.fakes.openai.problems import invalid, not_found
from govern.fakes.openai.tables import Certificate, Json
from govern.fakes.openai.wire import Call, Handler, Routes

routes = Routes()
_ALL, _ITEM = "/organization/certificates", "/organization/certificates/<certificate_id>"
MOST = 50


def _view(certificate: Certificate, object: str, active: bool | None = None, *, content: bool = False) -> Json:
    details: Json = {"valid_at": certificate.valid_at, "expires_at": certificate.expires_at}
    if content:
        details["content"] = certificate.content
    view: Json = {
        "object": object,
        "id": certificate.id,
        "name": certificate.name,
        "created_at": certificate.created_at,
        "certificate_details": details,
    }
    return view if active is None else view | {"active": active}


def _listed(call: Call, certificate: Certificate) -> Json:
    project_id = call.path.get("project_id")
    if project_id is None:
        return _view(certificate, "organization.certificate", certificate.active)
    return _view(certificate, "organization.project.certificate", project_id in certificate.active_projects)


def _list(call: Call) -> Json:
    if "project_id" in call.path:
        call.org.active_project(call.path["project_id"])
    descending = call.query.choice("order", {"asc", "desc"}, "desc") == "desc"
    rows = call.org.tables.certificates.values()
    return page(call, rows, lambda c: _listed(call, c), id_of=lambda c: c.id, place=by_age, descending=descending)


def _switch(on: bool) -> Handler:
    def switch(call: Call) -> Json:
        """All of them or none."""
        tables, ids, project_id = call.org.tables, call.body().texts("certificate_ids", least=1), call.path.get("project_id")
        if len(ids) > 10:
            raise invalid("At most 10 certificates at once", "certificate_ids", "invalid_value")
        if project_id is not None:
            call.org.active_project(project_id)
        found = [tables.certificates.get(id) or _missing(id) for id in ids]
        for certificate in found:
            if project_id is None:
                certificate.active = on
            else:
                others = [id for id in certificate.active_projects if id != project_id]
                certificate.active_projects = [*others, project_id] if on else others
        word = "activation" if on else "deactivation"
        changed = [{"id": c.id, "name": c.name} for c in found]
        record(call, f"certificates.{'activated' if on else 'deactivated'}", None, certificates=changed)
        scope = "organization" if project_id is None else "organization.project"
        return {"object": f"{scope}.certificate.{word}", "data": [_listed(call, c) for c in found]}

    return switch


for _name, _path in (("certificates", _ALL), ("projects.certificates", "/organization/projects/<project_id>/certificates")):
    routes.get(f"{_name}.list", _path)(_list)
    routes.post(f"{_name}.activate", f"{_path}/activate")(_switch(True))
    routes.post(f"{_name}.deactivate", f"{_path}/deactivate")(_switch(False))


@routes.post("certificates.create", _ALL)
def create_certificate(call: Call) -> Json:
    org, body = call.org, call.body()
    content = body.text("certificate", longest=100_000)
    if len(org.tables.certificates) >= MOST:
        raise invalid(f"An organization can have at most {MOST} certificates", code="limit_exceeded")
    try:
        parsed = x509.load_pem_x509_certificate(content.encode())
    except ValueError:
        raise invalid("The certificate is not valid PEM", "certificate", "invalid_value") from None
    valid_at, expires_at = int(parsed.not_valid_before_utc.timestamp()), int(parsed.not_valid_after_utc.timestamp())
    certificate = Certificate(org.new_id("certificate"), body.maybe_text("name"), content, call.now, valid_at, expires_at)
    org.tables.certificates[certificate.id] = certificate
    record(call, "certificate.created", certificate.id, name=certificate.name)
    return _view(certificate, "certificate")


@routes.get("certificates.retrieve", _ITEM)
def retrieve_certificate(call: Call) -> Json:
    return _view(_certificate(call), "certificate", content="content" in call.query.choices("include", {"content"}))


@routes.post("certificates.update", _ITEM)
def update_certificate(call: Call) -> Json:
    certificate = _certificate(call)
    certificate.name = call.body().maybe_text("name") or certificate.name
    record(call, "certificate.updated", certificate.id, name=certificate.name)
    return _view(certificate, "certificate")


@routes.delete("certificates.delete", _ITEM)
def delete_certificate(call: Call) -> Json:
    """Only one that is switched off everywhere; the answer has no `deleted`."""
    certificate = _certificate(call)
    if certificate.active or certificate.active_projects:
        raise invalid("The certificate is active", code="certificate_active")
    del call.org.tables.certificates[certificate.id]
    record(call, "certificate.deleted", certificate.id, name=certificate.name, certificate=certificate.content)
    return {"object": "certificate.deleted", "id": certificate.id}


def _certificate(call: Call) -> Certificate:
    id = call.path["certificate_id"]
    return call.org.tables.certificates.get(id) or _missing(id)


def _missing(id: str) -> Certificate:
    raise not_found("certificate", id)
