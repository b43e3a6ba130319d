"""An event in the words of the Open Cybersecurity Schema Framework, for a SIEM: class Entity Management. Pure.

The mapping stands in `docs/reference.md`; a test holds each line to the published schema. The fields
that we use are the same in versions 1.4 to 1.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from govern import __version__
from govern.audit import rules
from govern.audit.chain import Link

VERSION: Final = "1.4.0"
CATEGORY: Final = 3  # Identity & Access Management
CLASS: Final = 3004  # Entity Management
OTHER: Final = 99

_CREATE, _READ, _UPDATE, _DELETE, _SUSPEND, _RESUME = 1, 2, 3, 4, 12, 13
_NAMES: Final = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete", _SUSPEND: "Suspend", _RESUME: "Resume"}
_WORDS: Final[Mapping[str, int]] = {
    "added": _CREATE, "created": _CREATE, "issued": _CREATE, "key_made": _CREATE, "raised": _CREATE, "started": _CREATE,
    "signed": _CREATE, "signed_in": _CREATE, "asked": _CREATE, "reported": _CREATE,
    "revealed": _READ,
    "changed": _UPDATE, "set": _UPDATE, "roles_changed": _UPDATE, "end_set": _UPDATE, "identity_linked": _UPDATE,
    "handed_over": _UPDATE, "imported": _UPDATE, "assigned": _UPDATE,
    "revoked": _DELETE, "removed": _DELETE, "retired": _DELETE, "ended": _DELETE, "left": _DELETE, "access_ended": _DELETE,
    "value_destroyed": _DELETE, "version_ended": _DELETE, "stray_deleted": _DELETE, "key_deleted": _DELETE,
    "token_revoked": _DELETE,
    "suspended": _SUSPEND, "frozen": _SUSPEND,
    "resumed": _RESUME, "thawed": _RESUME,
}  # fmt: skip
"""The second word of an action → what OCSF calls it. Everything else is Other, named by the action itself."""
_ENTITIES: Final = {"people": (2, "User"), "members": (2, "User"), "policies": (5, "Policy")}
_ACTORS: Final = {"person": (1, "User"), "job": (3, "System"), "effect": (3, "System")}


def event(link: Link) -> dict[str, Any]:
    """The event as an OCSF object. What OCSF has no field for is in `unmapped`."""
    area, _, word = link.action.partition(".")
    activity = _WORDS.get(word, OTHER)
    name = _NAMES.get(activity, link.action)
    done = rules.outcome(link.action) is not rules.Outcome.REFUSED
    told: dict[str, Any] = {
        "category_uid": CATEGORY, "category_name": "Identity & Access Management", "class_uid": CLASS,
        "class_name": "Entity Management", "activity_id": activity, "activity_name": name,
        "type_uid": CLASS * 100 + activity, "type_name": f"Entity Management: {name}",
        "time": int(datetime.fromisoformat(link.at).timestamp() * 1000), "severity_id": 1, "severity": "Informational",
        "status_id": 1 if done else 2, "status": "Success" if done else "Failure",
        "message": f"{link.action} {link.subject_id} by {link.actor_label}",
        "actor": {"user": _user(link)}, "entity": _entity(link),
        "metadata": {
            "version": VERSION, "product": {"name": "govern", "vendor_name": "govern", "version": __version__},
            "uid": link.id, "sequence": link.seq, "event_code": link.action, "log_name": "audit", "original_time": link.at,
        },
        "unmapped": {"area": area, "actor_kind": link.actor_kind, "digest": link.digest},
    }  # fmt: skip
    if link.reason is not None:
        told["comment"] = link.reason
    if link.ip is not None:
        told["src_endpoint"] = {"ip": link.ip}
    if link.request_id is not None:
        told["http_request"] = {"uid": link.request_id}
    if link.through is not None:
        told["unmapped"]["through"] = link.through
    return told


def line(link: Link) -> bytes:
    """The event as a line of JSON, with the line break."""
    return msgspec.json.encode(event(link)) + b"\n"


def _user(link: Link) -> dict[str, Any]:
    type_id, kind = _ACTORS.get(link.actor_kind, (OTHER, link.actor_kind))
    return {"uid": link.actor_id, "name": link.actor_label, "type_id": type_id, "type": kind}


def _entity(link: Link) -> dict[str, Any]:
    type_id, kind = _ENTITIES.get(link.subject_kind, (OTHER, link.subject_kind))
    return {"uid": link.subject_id, "type_id": type_id, "type": kind, "data": link.facts}
