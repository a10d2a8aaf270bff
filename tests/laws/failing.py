"""Law E: an error keeps status, message and retry-after in every dialect, and the SDKs raise it as what it is."""

from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonValue
from gatewright.wire import json as wire_json
from tests.laws import sdk_readers
from tests.laws.dialects import DIALECTS
from tests.laws.finder import Finder, Violation, crash
from tests.laws.seen import Seen, differences

STATUS_ABROAD: dict[tuple[int, DialectName], int] = {
    (529, "openai_chat"): 503,
    (529, "openai_responses"): 503,
    (529, "gemini"): 503,
    (503, "anthropic"): 529,
}
"""Statuses that may be spelt otherwise in another dialect: only Anthropic has a status of its own for `overloaded`."""


def law_errors(seen: Seen) -> list[Violation]:
    """An error keeps status, message and retry-after in every dialect, and the SDKs raise it as what it is."""
    law, case = Finder("E", seen), seen.case
    if not case.failed:
        if seen.problem is not None and case.text is None:
            for name in DIALECTS:
                _judge_error(law, seen.problem, name, seen.problem.http_status)
        return law.found
    if seen.answer_error is not None or seen.problem is None:
        law.add(f"the error is not parsed: {crash(seen.answer_error) if seen.answer_error else 'no problem'}")
        return law.found
    problem = seen.dialect.parse_error(case.status, {**case.headers, "retry-after": "7"}, case.body)
    said = _said(case.document)
    if said and said not in problem.message:
        law.add(f"the message {said[:80]!r} became {problem.message[:80]!r}")
    if problem.retry_after_s is None:
        law.add("retry-after is not read")
    if problem.http_status != case.status:
        law.add(f"status {case.status} became {problem.http_status}")
    for name in DIALECTS:
        _judge_error(law, problem, name, case.status)
    if case.text is not None:
        return law.found  # not JSON: a proxy's page, not the provider's document
    home = seen.dialect.render_error(problem, "req_1")
    law.all(differences(case.document, wire_json.decode(home.body)), about="error at home ")
    return law.found


def _said(document: JsonValue) -> str:
    """The error's words, wherever this host puts them."""
    if isinstance(document, list):
        document = document[0] if document else None
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        return ""
    inner = document.get("error")
    for holder in (inner if isinstance(inner, dict) else {}, document):
        for key in ("message", "detail", "error"):
            if isinstance(word := holder.get(key), str):
                return word
    return ""


def _judge_error(law: Finder, problem: Problem, name: DialectName, status: int) -> None:
    try:
        answered = DIALECTS[name].render_error(problem, "req_1")
    except Exception as error:
        law.add(f"error: {crash(error)}", name)
        return
    home = name == law.seen.case.dialect
    if answered.status != status and (home or answered.status != STATUS_ABROAD.get((status, name))):
        law.add(f"error: status {status} became {answered.status}", name)
    headers = {key.lower(): value for key, value in answered.headers}
    if problem.retry_after_s is not None and "retry-after" not in headers:
        law.add("error: retry-after is lost", name)
    if not ({"x-request-id", "request-id", "x-amzn-requestid"} & headers.keys()) and name != "gemini":
        law.add("error: no request id header", name)
    read = sdk_readers.read_error(name, answered.status, answered.headers, answered.body)
    if read is None:
        law.add("error: the SDK raised no API error", name)
    elif read.status != answered.status:
        law.add(f"error: the SDK read status {read.status}, not {answered.status}", name)
    elif not home and problem.message not in read.message:
        law.add(f"error: the SDK read {read.message[:80]!r}, not {problem.message[:80]!r}", name)
