"""Whatever acts on the outside is drilled: its handler has crash points around the call, and a flow that brings it about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx

from govern.bootstrap import build
from govern.core.crypto import Secret
from govern.core.outbox import Handler
from govern.notices.effects import Courier
from govern.settings import Mail, OpenAI, Sealing, Settings
from tests.conftest import SEALING_KEYS
from tests.drill.flows import FLOWS
from tests.drill.points import MONEY_FLOWS, flow_of, points


def handlers(folder: Path) -> Mapping[str, Handler]:
    settings = Settings(
        mode="test",
        database={"url": f"sqlite:///{folder}/x.db"},
        sealing=Sealing(keys=Secret(SEALING_KEYS)),
        openai=OpenAI(admin_key=Secret("sk-admin-none"), base_url="http://openai.test/v1"),
        mail=Mail(host="127.0.0.1", sender="govern@acme.example"),
    )
    govern = build(settings, outside=True, transport=httpx.MockTransport(lambda request: httpx.Response(500)))
    govern.close()
    return govern.need_outside().effects


def is_outside(part: Any) -> bool:
    """Whether it is an adapter, or a table of them."""
    if isinstance(part, Mapping):
        return any(is_outside(inner) for inner in part.values())
    return type(part).__module__.startswith(("govern.openai", "govern.notify"))


def acting(folder: Path) -> dict[str, str]:
    """The kinds of effect whose handler holds an adapter, and the flow that each is drilled in: couriers share one."""
    found = handlers(folder).items()
    return {
        kind: "delivery" if isinstance(handler, Courier) else kind.removesuffix(".run")
        for kind, handler in found
        if any(is_outside(getattr(handler, field.name)) for field in fields(handler))  # type: ignore[arg-type]
    }


def test_every_effect_that_acts_outside_has_crash_points_around_the_call(tmp_path: Path) -> None:
    around = Counter(flow_of(point) for point in points())
    bare = {kind for kind, flow in acting(tmp_path).items() if around[flow] < 3}
    assert bare == set(), "put crashpoint(…) before the call, after it, and before the commit"


def test_every_effect_that_acts_outside_has_a_flow(tmp_path: Path) -> None:
    drilled = {*FLOWS, *MONEY_FLOWS}
    assert {kind for kind, flow in acting(tmp_path).items() if flow not in drilled} == set()


def test_the_guards_see_adapters(tmp_path: Path) -> None:
    kinds = acting(tmp_path)
    assert {"key.issue", "leak.probe", "alert.deliver"} <= kinds.keys()
    assert "alert.announce" not in kinds
