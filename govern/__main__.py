"""`python -m govern` is the `govern` command."""

from __future__ import annotations

from govern.cli.main import main

main()
