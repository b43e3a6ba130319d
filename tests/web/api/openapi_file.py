"""Write `openapi.json` anew: `python -m tests.web.api.openapi_file`. Its diff is what the API's users will notice."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from govern.bootstrap import build
from govern.core.crypto import Secret
from govern.settings import Sealing, Settings
from govern.web.app import create_app

FILE = Path(__file__).with_name("openapi.json")


def current() -> str:
    """The specification of the code as it is."""
    ring = Sealing(keys=Secret("test:" + base64.b64encode(bytes(32)).decode()))
    made = build(Settings(mode="test", database={"url": "sqlite://"}, sealing=ring))
    app = create_app(made)
    made.close()
    return json.dumps(app.extensions["openapi"](), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(current(), encoding="utf-8")
