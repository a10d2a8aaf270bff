"""Errors of the admin API: RFC 9457, one document for all of them.

One rule: what went wrong is told by a code for programs and a sentence for people; a bug tells nothing but where its log is.
https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from gatewright.errors import Problem
from gatewright.jsontypes import JsonObject

CONTENT_TYPE: Final = "application/problem+json"


def document(status: int, code: str, detail: str, request_id: str, errors: Sequence[Mapping[str, str]] = ()) -> bytes:
    """`errors`: each with a `pointer` into what was sent (RFC 6901) and a `detail`."""
    told: JsonObject = {
        "type": f"urn:gatewright:problem:{code}",
        "title": _title(status),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    if errors:
        told["errors"] = [dict(error) for error in errors]
    return msgspec.json.encode(told)


def of_problem(problem: Problem, request_id: str) -> bytes:
    return document(problem.http_status, problem.code or problem.kind, problem.message, request_id)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
