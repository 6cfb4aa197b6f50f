"""Every error answer is an RFC 9457 problem; inputs are never echoed."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from analysis.contract import Problem


class ProblemError(Exception):
    """Ends a request with a problem answer."""

    def __init__(self, status: int, title: str, detail: str = "", **extra: Any) -> None:
        super().__init__(title)
        self.problem = Problem(title=title, status=status, detail=detail, extra=extra)


def problem_response(problem: Problem) -> JSONResponse:
    """The answer for a problem."""
    headers = {401: {"WWW-Authenticate": 'Bearer realm="iirp"'}, 503: {"Retry-After": "2"}}.get(problem.status)
    return JSONResponse(
        problem.model_dump(mode="json"), problem.status, headers=headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ProblemError)
    async def _problem(_: Request, error: ProblemError) -> JSONResponse:
        return problem_response(error.problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        where = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        return problem_response(
            Problem(title="The request does not match the contract", status=422, detail=where[:1000])
        )

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(Problem(title=str(error.detail), status=error.status_code))

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> JSONResponse:
        # the exception itself is logged by the server; a caller learns its kind only
        return problem_response(Problem(title="Internal error", status=500, detail=type(error).__name__))
