"""How services of others are asked, and what they answer: ours, OPA's, Lakera's, Azure's.

One rule: an answer that does not say whether it may pass is no verdict, never a yes.
https://www.openpolicyagent.org/docs/rest-api
https://docs.lakera.ai/docs/api/guard
https://learn.microsoft.com/rest/api/contentsafety/text-operations
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from gatewright.guards.terms import Finding, Text
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.guard_failing import NoVerdict
from gatewright.wire.json import encode

AZURE_CHARS: Final = 10_000
"""Most characters of a text that Azure takes at once."""
AZURE_DOCUMENTS: Final = 5
MOST_CALLS: Final = 16
"""For one question. What would need more is not checked, and so has no verdict."""
_KIND: Final = re.compile(r"[^a-z0-9_.-]+")
T = TypeVar("T")


class Question(msgspec.Struct, frozen=True):
    """What is asked about, and what the settings say of it."""

    request: Request
    answer: Response | None
    texts: Sequence[Text]
    request_id: str
    severity: int = 4
    project: str = ""

    @property
    def direction(self) -> str:
        return "request" if self.answer is None else "answer"


class Form(msgspec.Struct, frozen=True):
    bodies: Callable[[Question], list[bytes]]
    """What is posted: none where there is nothing to ask about. Raises NoVerdict."""
    read: Callable[[object, Question], list[Finding]]
    """What one answer says. Raises NoVerdict."""


class _Said(msgspec.Struct):
    kind: str = "webhook"
    message: str = ""
    path: str = ""
    start: int = 0
    end: int = 0


class _Verdict(msgspec.Struct):
    allow: bool | msgspec.UnsetType = msgspec.UNSET
    message: str = ""
    findings: list[_Said] | msgspec.UnsetType = msgspec.UNSET


class _Opa(msgspec.Struct):
    result: bool | list[object] | dict[str, object] | msgspec.UnsetType = msgspec.UNSET


class _Detected(msgspec.Struct):
    detector_type: str = ""
    detected: bool = False


class _Lakera(msgspec.Struct):
    flagged: bool
    breakdown: list[_Detected] = []


class _Category(msgspec.Struct):
    category: str
    severity: int = 0


class _Blocked(msgspec.Struct):
    blocklistName: str = "blocklist"  # noqa: N815 - Azure's word


class _AzureText(msgspec.Struct):
    categoriesAnalysis: list[_Category]  # noqa: N815 - Azure's word
    blocklistsMatch: list[_Blocked] | None = None  # noqa: N815 - Azure's word


class _Attack(msgspec.Struct):
    attackDetected: bool  # noqa: N815 - Azure's word


class _Shield(msgspec.Struct):
    userPromptAnalysis: _Attack | None = None  # noqa: N815 - Azure's word
    documentsAnalysis: list[_Attack] | None = None  # noqa: N815 - Azure's word


def _as(form: type[T], said: object) -> T:
    try:
        return msgspec.convert(said, form)
    except msgspec.ValidationError:
        raise NoVerdict("its answer is not of the form that was asked in") from None


def _subject(question: Question) -> JsonObject:
    return {
        "request_id": question.request_id,
        "direction": question.direction,
        "model": question.request.model,
        "texts": [{"part": each.part, "path": each.path, "tool": each.tool, "text": each.text} for each in question.texts],
        "tools": [tool.name for tool in question.request.tools],
    }


def _read_ours(said: object, _: Question) -> list[Finding]:
    verdict = _as(_Verdict, said)
    if verdict.allow is msgspec.UNSET and verdict.findings is msgspec.UNSET:
        raise NoVerdict("its answer says neither `allow` nor `findings`")
    findings = [] if verdict.findings is msgspec.UNSET else verdict.findings
    found = [
        Finding(kind=_kind(each.kind), message=each.message[:300], path=each.path[:300], start=each.start, end=each.end)
        for each in findings
    ]
    if verdict.allow is False and not found:
        found.append(Finding(kind="webhook", message=verdict.message[:300]))
    return found


def _read_opa(said: object, _: Question) -> list[Finding]:
    result = _as(_Opa, said).result
    if isinstance(result, bool):
        return [] if result else [Finding(kind="opa")]
    if isinstance(result, list):
        return _violations(result)
    if isinstance(result, dict):
        allow = result.get("allow")
        listed = [result[name] for name in ("deny", "violations", "violation") if name in result]
        found = [each for one in listed for each in _violations(one if isinstance(one, list) else [one] if one else [])]
        if isinstance(allow, bool) or listed:
            return found if allow is not False or found else [Finding(kind="opa")]
    raise NoVerdict("the policy is undefined for this, or says neither `allow` nor `deny`")


def _violations(said: Sequence[object]) -> list[Finding]:
    found = []
    for each in said:
        message = each if isinstance(each, str) else each.get("msg", each.get("message", "")) if isinstance(each, dict) else ""
        found.append(Finding(kind="opa", message=str(message)[:300]))
    return found


_ROLES: Final = {
    "system": "system",
    "assistant": "assistant",
    "reasoning": "assistant",
    "tool_call": "assistant",
    "tool_result": "tool",
}


def _lakera(question: Question) -> list[bytes]:
    messages = [{"role": _ROLES.get(each.part, "user"), "content": each.text} for each in question.texts if each.text]
    body: JsonObject = {"messages": messages, "breakdown": True}  # type: ignore[dict-item] # lists are invariant
    if question.project:
        body["project_id"] = question.project
    return [encode(body)] if messages else []


def _read_lakera(said: object, _: Question) -> list[Finding]:
    verdict = _as(_Lakera, said)
    if not verdict.flagged:
        return []
    kinds = dict.fromkeys(_kind(each.detector_type) for each in verdict.breakdown if each.detected)
    return [Finding(kind=kind) for kind in kinds] or [Finding(kind="lakera")]


def _azure_text(question: Question) -> list[bytes]:
    return _within([encode({"text": part}) for each in question.texts for part in _parts(each.text)])


def _read_azure_text(said: object, question: Question) -> list[Finding]:
    verdict = _as(_AzureText, said)
    found = [
        Finding(kind=_kind(each.category), message=f"severity {each.severity}")
        for each in verdict.categoriesAnalysis
        if each.severity >= question.severity
    ]
    return [*found, *(Finding(kind=_kind(each.blocklistName)) for each in verdict.blocklistsMatch or ())]


def _azure_shield(question: Question) -> list[bytes]:
    prompts = [part for each in question.texts if each.part == "user" for part in _parts(each.text)]
    others = [part for each in question.texts if each.part in ("tool_result", "other", "tool") for part in _parts(each.text)]
    bodies = [encode({"userPrompt": prompt, "documents": []}) for prompt in prompts]
    batch: list[str] = []
    for text in others:  # together they may be as long as one
        if batch and (len(batch) == AZURE_DOCUMENTS or sum(map(len, batch)) + len(text) > AZURE_CHARS):
            bodies.append(encode({"userPrompt": "", "documents": batch}))
            batch = []
        batch.append(text)
    if batch:
        bodies.append(encode({"userPrompt": "", "documents": batch}))
    return _within(bodies)


def _read_azure_shield(said: object, _: Question) -> list[Finding]:
    verdict = _as(_Shield, said)
    if verdict.userPromptAnalysis is None and verdict.documentsAnalysis is None:
        raise NoVerdict("its answer holds no analysis")
    found = []
    if verdict.userPromptAnalysis is not None and verdict.userPromptAnalysis.attackDetected:
        found.append(Finding(kind="user_prompt_attack"))
    if any(each.attackDetected for each in verdict.documentsAnalysis or ()):
        found.append(Finding(kind="document_attack"))
    return found


def _parts(text: str) -> list[str]:
    """A long text in parts that overlap by a line: what lies across a cut is whole in one of them."""
    if len(text) <= AZURE_CHARS:
        return [text] if text.strip() else []
    step = AZURE_CHARS - 200
    return [text[at : at + AZURE_CHARS] for at in range(0, len(text) - 200, step)]


def _within(bodies: list[bytes]) -> list[bytes]:
    if len(bodies) > MOST_CALLS:
        raise NoVerdict(f"the texts are too long: {len(bodies)} calls, at most {MOST_CALLS} are made")
    return bodies


def _kind(said: str) -> str:
    """What a service calls it, as metrics and headers can carry it."""
    return _KIND.sub("_", said.lower())[:64] or "webhook"


FORMS: Final[dict[str, Form]] = {
    "gatewright": Form(lambda question: [encode(_subject(question))], _read_ours),
    "opa": Form(lambda question: [encode({"input": _subject(question)})], _read_opa),
    "lakera": Form(_lakera, _read_lakera),
    "azure_text": Form(_azure_text, _read_azure_text),
    "azure_shield": Form(_azure_shield, _read_azure_shield),
}
