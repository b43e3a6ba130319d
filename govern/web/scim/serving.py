"""One SCIM request: read it, let scim2-server answer it over our accounts, in one unit of work where it changes something."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flask import Response, json, request
from scim2_models import SCIMException
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from govern.core.errors import InvalidInput
from govern.web import access
from govern.web.access import govern
from govern.web.scim.shapes import provider
from govern.web.scim.storage import Accounts

PREFIX: Final = "/scim/v2"


@lru_cache(maxsize=1)
def _service() -> ScimService:
    return ScimService(provider())


def serve(*, changes: bool) -> Response:
    """The answer. Whatever is refused changes nothing."""
    asked = _request()
    try:
        if not changes:
            return _response(ScimHandler(_service(), Accounts(access.reads(), None)).handle(asked))
        access.release_reads()
        with govern().unit_of_work(access.current_actor()) as uow:
            answer = ScimHandler(_service(), Accounts(uow.session, uow)).handle(asked)
        return _response(answer)
    except SCIMException as error:
        return _response(_service().error_response(error))


def _request() -> ScimRequest:
    body = request.get_data(cache=False)
    if b"\x00" in body or b"\\u0000" in body:
        raise InvalidInput("The request holds a NUL character.")
    return ScimRequest(
        method=request.method,
        base_url=f"{govern().settings.web.url}{PREFIX}",
        path=request.path.removeprefix(PREFIX),
        query=request.args.to_dict(),
        headers=dict(request.headers.items()),
        body=body,
    )


def _response(answer: ScimResponse) -> Response:
    response = Response(status=answer.status.value, headers=answer.headers)
    if answer.body is not None:
        response.set_data(json.dumps(answer.body))
    return response
