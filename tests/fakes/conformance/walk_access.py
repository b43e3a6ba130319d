"""The walk, continued: roles, groups, policies, limits, certificates, federation, and the audit log of all of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.fakes.conformance.walk import Walker, refused


def roles(walk: Walker) -> None:
    project = walk.project()
    for roles_, where in ((walk.org.roles, ()), (walk.org.projects.roles, (project,))):
        made = roles_.create(*where, role_name="walker", permissions=["api.usage.read"], description="Walks")
        refused(400, lambda api=roles_, at=where: api.create(*at, role_name="walker", permissions=[]))
        named: dict[str, Any] = {"project_id": project} if where else {}
        assert roles_.update(made.id, role_name="runner", **named).name == "runner"
        assert roles_.retrieve(made.id, **named).permissions == ["api.usage.read"]
        predefined = next(row for row in walk.all(roles_.list, *where, limit=1) if row.predefined_role)
        refused(400, lambda api=roles_, id=predefined.id, by=named: api.update(id, role_name="mine", **by))
        refused(400, lambda api=roles_, id=predefined.id, by=named: api.delete(id, **by))
        assert roles_.delete(made.id, **named).deleted


def groups(walk: Walker) -> None:
    group = walk.org.groups.create(name="Walkers")
    assert walk.org.groups.update(group.id, name="Runners").name == "Runners"
    assert walk.org.groups.retrieve(group.id).group_type == "group"
    assert group.id in {row.id for row in walk.all(walk.org.groups.list, limit=1)}
    people = [row.id for row in walk.fake.oracle().members()][:3]
    for id in people:
        assert walk.org.groups.users.create(group.id, user_id=id).group_id == group.id
    assert {row.id for row in walk.all(walk.org.groups.users.list, group.id, limit=1)} == set(people)
    assert walk.org.groups.users.retrieve(people[0], group_id=group.id).user_type == "user"
    assert walk.org.groups.users.delete(people[0], group_id=group.id).deleted
    project = walk.org.projects.create(name="For a group").id
    member = next(row.id for row in walk.org.projects.roles.list(project) if row.name == "member")
    links = walk.org.projects.groups
    assert links.create(project, group_id=group.id, role=member).group_name == "Runners"
    assert [row.group_id for row in links.list(project, limit=1)] == [group.id]
    assert links.retrieve(group.id, project_id=project, group_type="group").project_id == project
    refused(404, lambda: links.retrieve(group.id, project_id=project, group_type="tenant_group"))
    assignments(walk, project, group.id, people[1])
    assert links.delete(group.id, project_id=project).deleted
    assert walk.org.groups.delete(group.id).deleted


def assignments(walk: Walker, project: str, group: str, user: str) -> None:
    org_role = walk.org.roles.create(role_name="assigned", permissions=["api.usage.read"]).id
    project_role = walk.org.projects.roles.create(project, role_name="assigned", permissions=["api.files.read"]).id
    for api, id, role, more in (
        (walk.org.users.roles, user, org_role, {}),
        (walk.org.groups.roles, group, org_role, {}),
        (walk.org.projects.users.roles, user, project_role, {"project_id": project}),
        (walk.org.projects.groups.roles, group, project_role, {"project_id": project}),
    ):
        principal = "group_id" if id == group else "user_id"
        assert api.create(id, role_id=role, **more).role.id == role
        assert role in {row.id for row in walk.all(api.list, id, limit=1, **more)}
        assert api.retrieve(role, **{principal: id}, **more).id == role
        assert api.delete(role, **{principal: id}, **more).deleted
        refused(404, lambda api=api, role=role, by={principal: id} | more: api.delete(role, **by))
    walk.org.groups.roles.create(group, role_id=org_role)
    inherited = next(row for row in walk.org.users.roles.list(user) if row.id == org_role)
    assert inherited.assignment_sources is not None
    assert inherited.assignment_sources[0].principal_id == group


def spend(walk: Walker) -> None:
    project = walk.org.projects.create(name="With limits").id
    for limits, alerts, where, named in (
        (walk.org.spend_limit, walk.org.spend_alerts, (), {}),
        (walk.org.projects.spend_limit, walk.org.projects.spend_alerts, (project,), {"project_id": project}),
    ):
        month: dict[str, Any] = {"currency": "USD", "interval": "month"}
        refused(404, lambda api=limits, at=where: api.retrieve(*at))
        assert limits.update(*where, threshold_amount=99_000_000, **month).threshold_amount == 99_000_000
        assert limits.retrieve(*where).enforcement.status == "enforcing"
        assert limits.delete(*where).deleted
        refused(404, lambda api=limits, at=where: api.delete(*at))
        channel: dict[str, Any] = {"type": "email", "recipients": ["finance@acme.example"], "subject_prefix": "[spend]"}
        for cents in (100, 200, 300):
            made = alerts.create(*where, threshold_amount=cents, notification_channel=channel, **month)
        rows = walk.all(alerts.list, *where, limit=1)
        assert sorted(row.threshold_amount for row in rows) == [100, 200, 300]
        assert [row.id for row in alerts.list(*where, before=rows[2].id, limit=1).data] == [rows[1].id]
        assert alerts.update(made.id, threshold_amount=0, notification_channel=channel, **month, **named).threshold_amount == 0
        assert alerts.retrieve(made.id, **named).notification_channel.recipients == ["finance@acme.example"]
        assert alerts.delete(made.id, **named).deleted


def policies(walk: Walker) -> None:
    project = walk.project("Support bot")
    limits = walk.org.projects.rate_limits
    rows = walk.all(limits.list_rate_limits, project, limit=2)
    assert limits.update_rate_limit(rows[0].id, project_id=project, max_requests_per_1_minute=7).max_requests_per_1_minute == 7
    refused(400, lambda: limits.update_rate_limit(rows[0].id, project_id=project, max_requests_per_1_minute=10**9))
    refused(404, lambda: limits.list_rate_limits("proj_nowhere"))
    models = walk.org.projects.model_permissions
    refused(404, lambda: models.retrieve(project))
    assert models.update(project, mode="allow_list", model_ids=["gpt-4o"]).mode == "allow_list"
    assert models.retrieve(project).api_model_ids == ["gpt-4o"]
    assert models.delete(project).deleted
    tools = walk.org.projects.hosted_tool_permissions
    assert not tools.update(project, web_search={"enabled": False}).web_search.enabled
    assert tools.retrieve(project).mcp.enabled
    assert walk.org.data_retention.update(retention_type="zero_data_retention").type == walk.org.data_retention.retrieve().type
    retention = walk.org.projects.data_retention
    assert retention.update(project, retention_type="none").type == retention.retrieve(project).type == "none"
    if walk.newer:
        tiers = walk.org.projects.service_tier_settings
        assert tiers.update(project, default="fast", enabled_tiers=["flex"]).enabled_tiers == ["flex"]
        assert tiers.update(project, enabled_tiers="all").default == "fast"
        assert tiers.retrieve(project).enabled_tiers == "all"


def certificates(walk: Walker) -> None:
    project, certificates_ = walk.project("Support bot"), walk.org.certificates
    made = [certificates_.create(certificate=_certificate(), name=f"walked {n}") for n in range(2)]
    ids = [row.id for row in made]
    assert certificates_.update(ids[0], name="renamed").name == "renamed"
    assert "BEGIN CERTIFICATE" in (certificates_.retrieve(ids[0], include=["content"]).certificate_details.content or "")
    assert [row.active for row in certificates_.activate(certificate_ids=ids).data] == [True, True]
    refused(400, lambda: certificates_.delete(ids[0]))
    assert {row.id for row in walk.all(certificates_.list, limit=1)} == set(ids)
    assert [row.active for row in certificates_.deactivate(certificate_ids=ids).data] == [False, False]
    own = walk.org.projects.certificates
    assert own.activate(project, certificate_ids=ids).data[0].active
    assert len(walk.all(own.list, project, limit=1)) == 2
    assert not own.deactivate(project, certificate_ids=ids).data[0].active
    assert certificates_.delete(ids[0]).id == ids[0]


def federation(walk: Walker) -> None:
    if not walk.newer:
        refused(404, lambda: walk.org.workload_identity_providers.list())
        return
    providers, project = walk.org.workload_identity_providers, walk.project("Support bot")
    key = ECKey.generate_key("P-256", {"kid": "walk", "use": "sig", "alg": "ES256"})
    jwks: dict[str, Any] = {"type": "uploaded_jwks", "jwks": KeySet([key]).as_dict(private=False)}
    made = providers.create(
        name="Walk", issuer="https://idp.acme.example", audience="openai", type="oidc", verification=jwks,
        attribute_transformations=[{"attribute": "mail", "expression": "claims.email"}],
    )  # fmt: skip
    other = providers.create(name="Other", issuer="https://other.example", audience="x", type="oidc")
    assert {row.id for row in walk.all(providers.list, limit=1)} == {made.id, other.id}
    assert providers.update(other.id, enabled=False, description=None).enabled is False
    assert providers.retrieve(made.id).attribute_transformations[0].attribute == "mail"
    account = walk.org.projects.service_accounts.create(project, name="federated", create_service_account_only=True)
    rules = providers.federation_rules
    rule = rules.create(
        made.id, project_id=project, service_account_id=account.id, attribute_matchers={"mail": "eve@acme.example"}, name="Eve"
    )
    restricted = rules.create(
        made.id, project_id=project, service_account_id=account.id, attribute_matchers={"sub": "robot"},
        permissions={"type": "restricted", "scopes": ["api.all.read"]},
    )  # fmt: skip
    assert {row.id for row in walk.all(rules.list, made.id, limit=1)} == {rule.id, restricted.id}
    assert list(rules.list(made.id, service_account_id="svc_acct_other")) == []
    assert rules.retrieve(rule.id, workload_identity_provider_id=made.id).name == "Eve"
    assert rules.update(rule.id, workload_identity_provider_id=made.id, description="Eve's own").description == "Eve's own"
    _exchange(walk, key, made.id, account.id)
    refused(400, lambda: providers.delete(made.id))
    for id in (rule.id, restricted.id):
        assert rules.delete(id, workload_identity_provider_id=made.id).deleted
    assert providers.delete(made.id).deleted


def _exchange(walk: Walker, key: ECKey, provider: str, account: str) -> None:
    """The SDK itself exchanges a JWT and calls the data plane with what it gets."""

    def token(email: str) -> str:
        claims = {"iss": "https://idp.acme.example", "aud": "openai", "sub": email, "email": email}
        claims |= {"iat": walk.now, "exp": walk.now + 900}  # type: ignore[dict-item]
        return jwt.encode({"alg": "ES256", "kid": "walk"}, claims, key)

    identity: Any = {
        "identity_provider_id": provider,
        "service_account_id": account,
        "provider": {"token_type": "jwt", "get_token": lambda: token("eve@acme.example")},
    }
    import openai

    client = openai.OpenAI(workload_identity=identity, base_url=f"{walk.url}/v1", max_retries=0, _strict_response_validation=True)
    assert client._workload_identity_auth is not None
    client._workload_identity_auth.token_exchange_url = f"{walk.url}/oauth/token"
    assert client.chat.completions.create(model="gpt-5.4-mini", messages=[{"role": "user", "content": "hello"}]).usage is not None
    stranger = httpx.post(
        f"{walk.url}/oauth/token",
        json={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "subject_token": token("stranger@acme.example"),
            "identity_provider_id": provider,
            "service_account_id": account,
        },
    )
    assert (stranger.status_code, stranger.json()["error"]) == (403, "invalid_grant")


def audit_log(walk: Walker) -> None:
    logs = walk.org.audit_logs
    rows = list(logs.list(limit=100, effective_at={"gte": walk.now - 3_600}))
    assert len(rows) > 30
    assert [row.effective_at for row in rows] == sorted((row.effective_at for row in rows), reverse=True)
    few = list(logs.list(limit=2, event_types=["service_account.created"], effective_at={"gte": walk.now - 3_600}))
    assert few == [row for row in rows if row.type == "service_account.created"]
    assert few[0].service_account_created is not None
    assert few[0].project is not None
    assert few[0].project.id == walk.project("Default project")
    about = logs.list(resource_ids=[few[0].service_account_created.id or ""])
    assert few[0].id in {row.id for row in about.data}
    ada = next(row for row in walk.fake.oracle().members() if row.email == "ada@acme.example")
    assert logs.list(actor_ids=[ada.id], limit=1).data
    assert logs.list(actor_emails=["ada@acme.example"], limit=1).data
    assert [row.id for row in logs.list(before=rows[5].id, limit=2).data] == [rows[3].id, rows[4].id]
    assert logs.list(tenant_only=True).data == []
    refused(400, lambda: logs.list(event_types=["role.bound_to_resource"]))


def _certificate() -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "walk")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), begin, begin + timedelta(days=900)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
