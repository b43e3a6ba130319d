"""The bodies of answers that can also be streamed: chat chunks and response events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from govern.fakes.openai.tables import Json


def _words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")[:-1]] + text.split(" ")[-1:]


def chat_chunks(head: Json, answer: str, usage: Json | None) -> Iterator[Json | str]:
    """Chat completion chunks, the usage chunk where it was asked for, and the end mark."""
    head = head | {"object": "chat.completion.chunk"}

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return head | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for word in _words(answer):
        yield chunk({"content": word})
    yield chunk({}, "stop")
    if usage is not None:
        yield head | {"choices": [], "usage": usage}
    yield "[DONE]"


def response_object(head: Json, asked: Json, answer: str | None, tokens_in: int, tokens_out: int) -> Json:
    """A response; `answer` None while it is still in progress."""
    done = answer is not None
    return head | {
        "object": "response",
        "status": "completed" if done else "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "output": [_message(head, answer)] if answer is not None else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(tokens_in, tokens_out) if done else None,
    }


def response_events(head: Json, asked: Json, answer: str, tokens_in: int, tokens_out: int) -> Iterator[Json | str]:
    """The events of a streamed response, numbered."""
    number = -1

    def event(type: str, **members: Any) -> Json:
        nonlocal number
        number += 1
        return {"type": f"response.{type}", "sequence_number": number, **members}

    begun = response_object(head, asked, None, 0, 0)
    message = _message(head, answer)
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    yield event("created", response=begun)
    yield event("in_progress", response=begun)
    yield event("output_item.added", output_index=0, item=message | {"status": "in_progress", "content": []})
    yield event("content_part.added", **place, part={"type": "output_text", "text": "", "annotations": [], "logprobs": []})
    for word in _words(answer):
        yield event("output_text.delta", **place, delta=word, logprobs=[])
    yield event("output_text.done", **place, text=answer, logprobs=[])
    yield event("content_part.done", **place, part=message["content"][0])
    yield event("output_item.done", output_index=0, item=message)
    yield event("completed", response=response_object(head, asked, answer, tokens_in, tokens_out))


def _message(head: Json, answer: str) -> Json:
    return {
        "id": "msg_" + head["id"].removeprefix("resp_"),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": answer, "annotations": [], "logprobs": []}],
    }


def _usage(tokens_in: int, tokens_out: int) -> Json:
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }
