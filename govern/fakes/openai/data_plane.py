"""A small data plane: enough for a real client to prove that a key lives or is dead, and for usage to come from calls.

Each call is metered at once. Before it is answered the key's scopes, the project's model permissions and rate
limits, and the spend limits are asked, in this order.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Response

from govern.fakes.openai import budget
from govern.fakes.openai.catalogue import MODELS, Model, find_model
from govern.fakes.openai.problems import invalid, refusal
from govern.fakes.openai.streams import chat_chunks, response_events, response_object
from govern.fakes.openai.tables import Json, Metered
from govern.fakes.openai.wire import Body, Call, Holder, Routes

routes = Routes("data")
REQUEST, WRITE, READ = "api.model.request", "api.responses.write", "api.model.read"


@routes.add("GET", "me.retrieve", "/me", "")
def me(call: Call) -> Json:
    holder = _holder(call)
    user = call.org.tables.users.get(holder.user_id or "")
    account = call.org.tables.service_accounts.get(holder.account_id or "")
    _used(call)
    return {
        "object": "user",
        "id": user.id if user else holder.account_id,
        "name": user.name if user else account.name if account else None,
        "email": user.email if user else None,
        "is_service_account": account is not None,
        "project_id": holder.project_id,
    }


@routes.add("GET", "models.list", "/models", READ)
def list_models(call: Call) -> Json:
    _check_scope(call, READ)
    names = [name for name in _names() if budget.model_allowed(call.org, _holder(call).project_id, name)]
    return {"object": "list", "data": [_model(name) for name in names]}


@routes.add("GET", "models.retrieve", "/models/<model>", READ)
def retrieve_model(call: Call) -> Json:
    _check_scope(call, READ)
    name = call.path["model"]
    if name not in _names() or not budget.model_allowed(call.org, _holder(call).project_id, name):
        raise refusal(
            404, f"The model '{name}' does not exist or you do not have access to it.", param="model", code="model_not_found"
        )
    return _model(name)


@routes.add("POST", "chat.completions.create", "/chat/completions", REQUEST)
def chat(call: Call) -> Json | Response:
    body = call.body()
    model = _admit(call, body, "completions", REQUEST)
    prompt = "\n".join(_text(message.members.get("content")) for message in body.objects("messages"))
    answer, tokens_in, tokens_out = _answer(prompt, body, "max_completion_tokens", "max_tokens")
    _meter(call, model, "completions", [tokens_in, 0, 0, tokens_out])
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    usage_details: Json = usage | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": call.now, "model": model.name, "service_tier": "default"}
    if body.flag("stream", False):
        with_usage = body.has("stream_options") and body.object("stream_options").flag("include_usage", False)
        return _stream(chat_chunks(head, answer, usage_details if with_usage else None))
    message: Json = {"role": "assistant", "content": answer, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return head | {"object": "chat.completion", "choices": [choice], "usage": usage_details}


@routes.add("POST", "responses.create", "/responses", WRITE)
def responses(call: Call) -> Json | Response:
    body = call.body()
    model = _admit(call, body, "completions", WRITE)
    answer, tokens_in, tokens_out = _answer(_text(body.members.get("input")), body, "max_output_tokens")
    _meter(call, model, "completions", [tokens_in, 0, 0, tokens_out])
    head = {"id": f"resp_{secrets.token_hex(16)}", "created_at": call.now, "model": model.name}
    if body.flag("stream", False):
        return _stream(response_events(head, body.members, answer, tokens_in, tokens_out))
    return response_object(head, body.members, answer, tokens_in, tokens_out)


@routes.add("POST", "embeddings.create", "/embeddings", REQUEST)
def embeddings(call: Call) -> Json:
    body = call.body()
    model = _admit(call, body, "embeddings", REQUEST)
    inputs = _inputs(body)
    tokens = sum(_count(text) for text in inputs)
    _meter(call, model, "embeddings", [tokens])
    data: list[Json] = [{"object": "embedding", "index": i, "embedding": _vector(text)} for i, text in enumerate(inputs)]
    if body.members.get("encoding_format") == "base64":
        for row in data:
            row["embedding"] = _packed(row["embedding"])
    return {"object": "list", "data": data, "model": model.name, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


@routes.add("POST", "moderations.create", "/moderations", REQUEST)
def moderations(call: Call) -> Json:
    body = call.body()
    body.members.setdefault("model", "omni-moderation-latest")
    model = _admit(call, body, "moderations", REQUEST)
    inputs = _inputs(body)
    _meter(call, model, "moderations", [sum(_count(text) for text in inputs)])
    results = [_verdict("attack" in text.lower()) for text in inputs]
    return {"id": f"modr-{secrets.token_hex(12)}", "model": model.name, "results": results}


def _holder(call: Call) -> Holder:
    assert call.holder is not None
    return call.holder


def _check_scope(call: Call, scope: str) -> None:
    """No scopes at all means every permission. `api.all.read` covers what only reads."""
    scopes = _holder(call).scopes
    accepted = (
        {scope, "api.all"} | ({REQUEST} if scope == WRITE else set()) | ({"api.all.read"} if scope.endswith(".read") else set())
    )
    if scopes and not accepted & set(scopes):
        message = f"You have insufficient permissions for this operation. Missing scopes: {scope}."
        raise refusal(403, message, code="missing_scope")


def _admit(call: Call, body: Body, endpoint: str, scope: str) -> Model:
    holder = _holder(call)
    _check_scope(call, scope)
    name = body.text("model")
    model = find_model(name)
    if model is None or model.endpoint != endpoint:
        raise refusal(
            404, f"The model '{name}' does not exist or you do not have access to it.", param="model", code="model_not_found"
        )
    if not budget.model_allowed(call.org, holder.project_id, name):
        raise refusal(
            403, f"Project '{holder.project_id}' does not have access to model '{name}'.", param="model", code="model_not_found"
        )
    budget.check_rate(call.org, holder.project_id, model)
    budget.check_spend(call.org, holder.project_id)
    return model


def _meter(call: Call, model: Model, endpoint: str, measures: list[int]) -> None:
    holder = _holder(call)
    row = Metered(
        call.now, endpoint, holder.project_id, holder.user_id, holder.key.id if holder.key else None, model.name, measures
    )
    call.org.tables.metered.append(row)
    _used(call)
    budget.mail_alerts(call.org)
    call.org.changed()


def _used(call: Call) -> None:
    if key := _holder(call).key:
        key.last_used_at = call.now


def _answer(prompt: str, body: Body, *limits: str) -> tuple[str, int, int]:
    """What it says, and the tokens in and out. It says back what it was told, which is enough to see that it listened."""
    longest = next((found for name in limits if (found := body.maybe_integer(name, 1)) is not None), 4_096)
    said = f"You said: {prompt.strip() or 'nothing'}"[: longest * 4]
    return said, _count(prompt), min(longest, _count(said))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(_text(part.get("text") or part.get("content")) for part in content if isinstance(part, dict))
    return ""


def _inputs(body: Body) -> list[str]:
    given = body.members.get("input")
    if isinstance(given, str) and given:
        return [given]
    if isinstance(given, list) and given:
        return [item if isinstance(item, str) else _text([item]) if isinstance(item, dict) else str(item) for item in given]
    raise invalid("Missing or invalid value for 'input'", "input", "invalid_value")


def _count(text: str) -> int:
    return max(1, (len(text) + 3) // 4)


def _names() -> list[str]:
    return [name for model in MODELS.values() for name in (model.name, model.alias) if name]


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "system"}


def _vector(text: str) -> list[float]:
    numbers = [(hash_byte * 37 + 11) % 256 for hash_byte in (text.encode() * 16)[:16]]
    return [round(number / 256 - 0.5, 6) for number in numbers]


def _packed(vector: list[float]) -> str:
    import base64
    import struct

    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


_CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


def _verdict(flagged: bool) -> Json:
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == "violence" for name in _CATEGORIES},
        "category_scores": {name: 0.93 if flagged and name == "violence" else 0.0001 for name in _CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


def _stream(events: Iterator[Json | str]) -> Response:
    def lines() -> Iterator[bytes]:
        for event in events:
            if isinstance(event, str):
                yield f"data: {event}\n\n".encode()
            else:
                name = f"event: {event['type']}\n" if "type" in event else ""
                yield f"{name}data: {json.dumps(event)}\n\n".encode()

    return Response(lines(), mimetype="text/event-stream", headers={"Cache-Control": "no-cache"})
