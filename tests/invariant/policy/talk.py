"""Conversations in Invariant's form, written shortly, and detectors that need nothing."""

import re
from collections.abc import Sequence

from gatewright.invariant.policy import Detector, Hit, Policy, Violation, parse
from gatewright.invariant.policy.detectors import Options
from gatewright.jsontypes import JsonObject, JsonValue


def user(content: JsonValue) -> JsonObject:
    return {"role": "user", "content": content}


def said(content: JsonValue, *calls: JsonObject) -> JsonObject:
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}


def call(name: str, identity: str = "1", **arguments: JsonValue) -> JsonObject:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(content: JsonValue, identity: str = "1") -> JsonObject:
    return {"role": "tool", "tool_call_id": identity, "content": content}


def _mails(text: str, options: Options) -> Sequence[Hit]:
    wanted = options.get("entities")
    if isinstance(wanted, list) and "EMAIL_ADDRESS" not in wanted:
        return []
    return [Hit("EMAIL_ADDRESS", found.start(), found.end()) for found in re.finditer(r"[a-z]{1,20}@[a-z.]{1,20}", text)]


def _orders(text: str, _: Options) -> Sequence[Hit]:
    return [Hit("order", found.start(), found.end()) for found in re.finditer("ignore all", text.lower())]


DETECTORS = {
    "pii": Detector(
        gives="kinds", find=_mails, options=("entities",), listed="entities", kinds=frozenset(("EMAIL_ADDRESS", "CREDIT_CARD"))
    ),
    "prompt_injection": Detector(gives="flag", find=_orders, options=("threshold",)),
    "python_code": Detector(
        gives="record", record=lambda text, _: {"imports": re.findall(r"import (\w+)", text), "syntax_error": False}
    ),
}


def policy(text: str) -> Policy:
    return parse(text, DETECTORS)


def found(text: str, *messages: JsonObject, since: int = 0, **parameters: JsonValue) -> tuple[Violation, ...]:
    return policy(text).evaluate(messages, since=since, parameters=parameters)


def holds(text: str, *messages: JsonObject) -> bool:
    """Whether it says anything at all; what fails is not allowed to."""
    violations = found(text, *messages)
    assert not any(violation.failed for violation in violations), violations
    return bool(violations)


def condition(lines: str, *messages: JsonObject) -> bool:
    """Whether a rule of these lines holds."""
    body = "\n".join("    " + line for line in lines.strip("\n").split("\n"))
    return holds(f'raise "it holds" if:\n{body}\n', *messages)
