"""How the studio says no: one form of answer for every error, with a sentence for a person in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from isotherm.errors import IsothermError, OptionError
from isotherm.studio.api.confess import Confess
from isotherm.studio.api.wording import encodable, plain_detail, problem
from isotherm.studio.desk.desk import Fault
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.unkept import why_unkept
from isotherm.studio.work.workroom import Busy, QueueFull

REASONS: Mapping[int, str] = {
    400: "The request is none that can be done, or its Host is not this studio's.",
    401: "Neither the cookie nor the key of this studio came with it.",
    403: "Another page asks, or the one-time address was used already.",
    404: "There is no such thing.",
    409: "It cannot be done now.",
    413: "It is too large.",
    415: "It is of a kind that cannot be read.",
    422: "An option or a value is not what is expected.",
    429: "The queue is full; Retry-After has the seconds until there is likely room.",
    503: "The studio cannot answer this just now.",
    507: "The studio's disk is full, or its folder is read-only or gone.",
}


class Refusal(BaseModel):
    """Why something was refused, for a person."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"error": "there is no run 0123…; it was removed"}]})

    error: str


class Refused(IsothermError):
    """A request that is answered with a status and a reason.

    Args:
        status: of HTTP.
        reason: what was given, what was expected, what to do.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of the errors that a route answers with, besides those that every route may."""
    return {
        status: {"model": Refusal, "description": REASONS[status]} for status in sorted({400, 401, 403, 507, *statuses})
    }


def answer_errors(app: FastAPI) -> None:
    """Answer every error of an application in the one form."""

    @app.exception_handler(IsothermError)
    def refuse(_: Request, error: IsothermError) -> JSONResponse:
        status = status_of(error)
        reason = (status == 507 and why_unkept(error)) or str(error)
        return _answer(status, reason, retry_s=error.retry_s if isinstance(error, QueueFull) else None)

    @app.exception_handler(HTTPException)
    def refuse_by_status(request: Request, error: HTTPException) -> JSONResponse:
        allowed = (error.headers or {}).get("Allow", "")
        path = request.url.path
        status, reason = plain_detail(
            error.status_code, str(error.detail), method=request.method, path=path, allowed=allowed
        )
        return JSONResponse({"error": encodable(reason)}, status, error.headers)

    @app.exception_handler(RequestValidationError)
    def refuse_values(_: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(422, "; ".join(problem(one) for one in error.errors()[:5]))

    app.add_middleware(Confess)


def status_of(error: IsothermError) -> int:
    """The status of HTTP that an error is answered with."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, QueueFull):
        return 429
    if why_unkept(error) is not None:
        return 507
    if isinstance(error, Busy | Fault):
        return 503 if isinstance(error, Busy) else 500
    return 404 if isinstance(error, NotThere) else 422 if isinstance(error, OptionError) else 400


def _answer(status: int, reason: str, *, retry_s: int | None = None) -> JSONResponse:
    return JSONResponse({"error": encodable(reason)}, status, {} if retry_s is None else {"retry-after": str(retry_s)})
