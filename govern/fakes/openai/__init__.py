"""A fake OpenAI organization: the admin API, a small data plane and the token exchange, over one seeded world.

    fake = FakeOpenAI(WorldSpec(people=12, projects=3, months=2, seed=7))
    with serve(fake.app) as server:            # or in process: httpx.WSGITransport(app=fake.app)
        ...

It knows nothing of govern. The official SDK and OpenAI's specification judge it.
"""

from __future__ import annotations

from govern.fakes.openai.facade import FakeOpenAI
from govern.fakes.openai.spec import WorldSpec

__all__ = ["FakeOpenAI", "WorldSpec"]
