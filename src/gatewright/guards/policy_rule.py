"""Kind `invariant`: a policy in Invariant's language, over the whole conversation.

    - name: no-leaks
      kind: invariant
      policy: |
        raise "leak" if:
            (out: ToolOutput) -> (call: ToolCall)
            any(pii(out.content))
            call is tool:send_email

One rule: a policy that cannot be evaluated to its end is a finding of its own (`policy_failed`), never silence.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/rules.md
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from gatewright.guards.detect import injection, pii, presidio, secrets
from gatewright.guards.rules import Compiled
from gatewright.guards.terms import Detector as TextDetector
from gatewright.guards.terms import Finding
from gatewright.invariant.detectors import characters, licences, tokens
from gatewright.invariant.detectors.python_code import python_code
from gatewright.invariant.messages import answered, messages_of, without_nulls
from gatewright.invariant.policy import Detector, Detectors, Hit, Policy, PolicyError, Violation, parse
from gatewright.invariant.policy.detectors import Options
from gatewright.invariant.ranges import most_specific, split_range
from gatewright.ir.request import Request, Tool
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue

KIND: Final = "policy_violation"
FAILED: Final = "policy_failed"
PII_NAMES: Final[dict[str, str]] = {
    "card": "CREDIT_CARD",
    "email": "EMAIL_ADDRESS",
    "es_dni": "ES_NIF",
    "iban": "IBAN_CODE",
    "it_codice_fiscale": "IT_FISCAL_CODE",
    "phone": "PHONE_NUMBER",
    "sg_nric": "SG_NRIC_FIN",
}
"""Our kind → the entity as Presidio, and so Invariant, calls it; a kind that is not here is its own name in capitals."""
SECRET_NAMES: Final[dict[str, str]] = {
    "github_token": "GITHUB_TOKEN",
    "github_fine_grained_token": "GITHUB_TOKEN",
    "aws_access_key_id": "AWS_ACCESS_KEY",
    "azure_storage_key": "AZURE_STORAGE_KEY",
    "slack_token": "SLACK_TOKEN",
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    policy: str
    """Rules in Invariant's language."""
    parameters: dict[str, JsonValue] = {}
    """What the policy reads as `input.…`."""
    names: JsonObject | None = None
    """Settings of kind `presidio`: with them `pii` finds names and places, too (`PERSON`, `LOCATION`)."""


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError, with the line and column in the policy."""
    try:
        said = msgspec.convert(settings, Settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    try:
        policy = parse(said.policy, bound() if said.names is None else _named(said.names))
    except PolicyError as error:
        raise ValueError(f"{error} - at `$.policy`") from None
    return Compiled(judge=PolicyJudge(policy, said.parameters))


class PolicyJudge:
    """One policy over conversations. The same for every request."""

    __slots__ = ("parameters", "policy")

    def __init__(self, policy: Policy, parameters: JsonObject) -> None:
        self.policy = policy
        self.parameters = parameters

    def judge(self, request: Request, answer: Response | None) -> Sequence[Finding]:
        """As `terms.Judge` says. The rules see the whole conversation; once there is an answer, told is what it brings about."""
        messages = messages_of(request)
        asked = 0
        if answer is not None:
            asked = len(messages)
            messages += without_nulls(answered(answer, request.origin))
        tools = [_tool(tool) for tool in request.tools]
        found = self.policy.evaluate(messages, since=asked, parameters=self.parameters, tools=tools)
        return [finding for violation in found for finding in findings_of(violation)]


def findings_of(violation: Violation) -> list[Finding]:
    """A finding for each of the places, or one for the whole conversation. What was found is not in it."""
    if violation.failed:
        return [Finding(kind=FAILED, message=f"the policy could not be evaluated: {violation.message}")]
    places = [split_range(place) for place in most_specific(violation.ranges)]
    return [
        Finding(kind=KIND, message=violation.message, path=path, start=start, end=end)
        for path, start, end in places or [("", 0, 0)]
    ]


def _tool(tool: Tool) -> JsonObject:
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.parameters}


@lru_cache(maxsize=1)
def bound() -> Detectors:
    """What policies may ask here: Invariant's names, our detectors."""
    return {
        "secrets": _secrets(),
        "unicode": Detector(
            gives="kinds", find=_characters, options=("categories",), kinds=characters.CATEGORIES, listed="categories"
        ),
        "copyright": Detector(gives="kinds", find=_licences, options=("threshold",), kinds=licences.KINDS),
        "python_code": Detector(gives="record", record=_python, options=("ipython_mode",)),
        "pii": _pii(),
        "prompt_injection": _injection(),
    }


def _named(settings: JsonObject) -> Detectors:
    """Raises ValueError where the extra or its model is not installed."""
    entities = settings.get("entities", ["PERSON", "LOCATION"])
    detector = presidio.compiled(settings).detector
    return with_names(detector, [word for word in entities if isinstance(word, str)] if isinstance(entities, list) else ())


def with_names(names: TextDetector | None, kinds: Sequence[str]) -> Detectors:
    """`bound`, with somebody beside it who finds names and places."""
    return {**bound(), "pii": _pii(names, kinds)}


def _of_guards(compile_kind: Callable[[JsonObject], Compiled]) -> TextDetector:
    """A detector of guards, with all that it finds."""
    detector = compile_kind({}).detector
    assert detector is not None
    return detector


def _secrets() -> Detector:
    detector = _of_guards(secrets.compiled)

    def find(text: str, _: Options) -> Sequence[Hit]:
        hits = {(start, end, kind) for kind, start, end in tokens.find_tokens(text)}
        hits |= {(span.start, span.end, SECRET_NAMES.get(span.kind, span.kind.upper())) for span in detector.find(text)}
        return [Hit(kind, start, end) for start, end, kind in sorted(hits)]

    return Detector(gives="kinds", find=find)


def _pii(names: TextDetector | None = None, more: Sequence[str] = ()) -> Detector:
    detectors = [_of_guards(pii.compiled), *([names] if names is not None else ())]

    def find(text: str, options: Options) -> Sequence[Hit]:
        wanted = options.get("entities")
        spans = [span for detector in detectors for span in detector.find(text)]
        hits = [Hit(PII_NAMES.get(span.kind, span.kind.upper()), span.start, span.end) for span in spans]
        return [hit for hit in hits if hit.kind in wanted] if isinstance(wanted, list) else hits

    kinds = frozenset(PII_NAMES.get(kind, kind.upper()) for kind in pii.KINDS) | frozenset(more)
    return Detector(gives="kinds", find=find, options=("entities",), listed="entities", kinds=kinds)


def _injection() -> Detector:
    detector = _of_guards(injection.compiled)

    def find(text: str, _: Options) -> Sequence[Hit]:
        return [Hit(span.kind, span.start, span.end) for span in detector.find(text)]

    return Detector(gives="flag", find=find, options=("config", "entities", "model", "threshold"))


def _characters(text: str, options: Options) -> Sequence[Hit]:
    wanted = options.get("categories")
    words = [word for word in wanted if isinstance(word, str)] if isinstance(wanted, list) else []
    return [Hit(kind, start, end) for kind, start, end in characters.find_categories(text, words)]


def _licences(text: str, _: Options) -> Sequence[Hit]:
    return [Hit(kind, start, end) for kind, start, end in licences.find_licences(text)]


def _python(text: str, options: Options) -> JsonObject:
    return python_code(text, ipython=options.get("ipython_mode") is True)
