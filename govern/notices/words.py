"""How a message is put together: the same text and page for every attempt, made from what was stored."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from govern.ports import Message


@dataclass(frozen=True)
class Words:
    """The pieces of a message. `link` is a whole address."""

    headline: str
    lead: str
    details: Sequence[str]
    link: str
    link_label: str


def message(words: Words, message_id: str, facts: dict[str, object]) -> Message:
    """The message as text and as a page. `message_id` stays the same over retries; `facts` are for programs."""
    text = "\n\n".join([words.lead, *words.details, f"{words.link_label}: {words.link}"]) + "\n"
    return Message(message_id, words.headline, text, _page(words), facts)


def one_line(text: str) -> str:
    """Names come from outside: no line breaks or control characters in a subject."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _page(words: Words) -> str:
    paragraphs = "".join(f'<p style="margin:0 0 12px">{html.escape(detail)}</p>' for detail in words.details)
    link = html.escape(words.link, quote=True)
    return (
        '<!doctype html><html lang="en">'
        '<body style="font-family:system-ui,sans-serif;font-size:15px;line-height:1.5;color:#182433">'
        f'<h1 style="font-size:18px;margin:0 0 12px">{html.escape(words.headline)}</h1>'
        f'<p style="margin:0 0 12px">{html.escape(words.lead)}</p>{paragraphs}'
        f'<p style="margin:0"><a href="{link}">{html.escape(words.link_label)}</a></p></body></html>'
    )
