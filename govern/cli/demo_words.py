"""What the demo says when it is ready."""

from __future__ import annotations

import json
from pathlib import Path

from govern.cli.demo_folder import DOMAIN, Made
from govern.cli.demo_peers import CAST


def ready(made: Made, token: str, someone: tuple[str, str, str] | None, settings: Path, alerting: str | None) -> str:
    """Where to go, who can sign in, and lines to paste. Each line works alone, in any folder."""
    lines = [
        "",
        f"  Dashboard   {made.url('web')}",
        f"  API         {made.url('web')}/api/docs",
        f"  Mailbox     {made.url('mailbox')}" + (f"   (the budget of {alerting} has used more than 80 %)" if alerting else ""),
        f"  OpenAI      {made.url('openai')}/v1   (an invented organization of {made.people} people)",
        "",
        "  Who can sign in (no password, choose on the page):",
        *(f"    {person.name:<14} {person.email:<20} {role}" for person, role in CAST),
        "",
    ]
    if someone is not None:
        email, project, name = someone
        lines += [
            f"  Lines to paste (API token with the admin role; project {name}):",
            "",
            "  # invite",
            _post(
                made,
                token,
                "/invites",
                {"email": f"nia@{DOMAIN}", "role": "reader", "projects": [{"id": project, "role": "member"}]},
            ),
            "",
            "  # issue a key",
            "  KEY=$("
            + _post(
                made, token, "/keys", {"person": email, "project": project, "name": "notebook", "expires_in_days": 30}
            ).strip()
            + " | tee /dev/stderr | grep -o 'key_[0-9a-z]*' | head -1)",
            "",
            "  # show its value, once",
            _post(made, token, '/keys/"$KEY"/reveal', None),
            "",
            "  # revoke the member: keys, invites, places in projects, seat",
            _post(made, token, f"/members/{email}/revoke", {"reason": "left the company"}),
            "",
        ]
    lines += [
        f"  The command line: GOVERN_CONFIG={settings} {_command()} members list",
        "  Ctrl-C stops everything; the next start goes on from here (--fresh begins anew).",
        "",
    ]
    return "\n".join(lines)


def _post(made: Made, token: str, path: str, body: object) -> str:
    data = f" -H 'Content-Type: application/json' -d '{json.dumps(body)}'" if body is not None else ""
    return f"  curl -sS -X POST {made.url('web')}/api/v1{path} -H 'Authorization: Bearer {token}'{data}"


def _command() -> str:
    return ".venv/bin/govern" if Path(".venv/bin/govern").exists() else ".venv/bin/python -m govern"
