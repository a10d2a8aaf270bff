"""Every rendering is a request that the provider takes: all cases, in every other dialect, before the strict upstream's rules.

And the rules are right: what the real providers took (recorded, where the recordings are at hand) they take too.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import GatewrightError
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Target
from gatewright.pipeline.replayed import settle
from gatewright.wire.json import encode
from tests.laws.cases import GENERATIONS, Case, files, load
from tests.upstreams import anthropic_rules, bedrock_rules, gemini_rules, openai_chat_rules, openai_responses_rules, seals
from tests.upstreams.answers import Refused

MODELS: Mapping[DialectName, tuple[str, ...]] = {
    "openai_chat": ("gpt-5.2", "gpt-4.1-mini", "gpt-5-mini"),
    "openai_responses": ("gpt-5.2", "gpt-4.1-mini", "gpt-5-mini"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-6", "claude-sonnet-5"),
    "gemini": ("gemini-2.5-pro", "gemini-3-pro-preview"),
    "bedrock_converse": GENERATIONS["bedrock_converse"],
}
"""For each dialect the generations that differ in what they take."""
OWN = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
}
"""The provider whose rules a dialect's strict upstream has."""
EXCEPT = {
    "'video_url'": "hosts of this dialect take videos so; OpenAI takes none and says it",
    "ends with a user role": "a prefilled answer: newer Gemini models go on from it",
    "Invalid 'messages': empty array": "a prompt kept by OpenAI: there is nothing to send",
    "unsupported image": "a media type that OpenAI names in its refusal",
    "context_management": "recorded without the beta header that was sent",
    "mcp_servers": "recorded without the beta header that was sent",
    "No tool call found": "the call was in the stored response that the request continues",
}
"""What may be refused, and why."""


class Everything(dict):  # type: ignore[type-arg]
    """Responses that are all stored, and empty."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: object) -> list:
        return []


@pytest.fixture(autouse=True)
def _real_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded seals were issued elsewhere, and the recorded models are older than the rules."""
    monkeypatch.setattr(seals, "genuine", lambda *_, **__: True)


def judge(dialect: DialectName, body: dict, headers: Mapping[str, str], model: str) -> str:
    """What the provider would say against it; empty when nothing."""
    try:
        match dialect:
            case "openai_chat":
                openai_chat_rules.understand(body)
            case "openai_responses":
                openai_responses_rules.understand(body, Everything(), Everything())
            case "anthropic":
                anthropic_rules.understand(body, dict(headers))
            case "gemini":
                gemini_rules.understand(body, model)
            case "bedrock_converse":
                bedrock_rules.understand(body, model)
    except Refused as refused:
        document = json.loads(str(refused))
        said = document["error"]["message"] if "error" in document else document["message"]
        return "" if any(word in said for word in EXCEPT) else said
    return ""


def asked() -> Iterator[Case]:
    for place, path in files():
        case = load(place, path)
        if case.call is not None and not case.failed:
            yield case


def rendered(case: Case, dialect: DialectName) -> Iterator[str]:
    """What is refused of the case in another dialect, for each of its models."""
    assert case.call is not None
    request = settle(BY_NAME[case.dialect].parse_request(case.call))
    for model in MODELS[dialect]:
        try:
            out = BY_NAME[dialect].render_request(request, Target(model=model, issuer="elsewhere"))
        except GatewrightError:
            continue  # refused by the gateway itself, in words: nothing is sent
        said = judge(dialect, json.loads(encode(out.body)), dict(out.headers), model)
        if said:
            yield f"{case.id} for {model}: {said[:200]}"


@pytest.mark.parametrize("dialect", MODELS)
def test_no_rendering_is_refused_by_its_provider(dialect: DialectName) -> None:
    """A translation that the provider answers with 400 is none."""
    refused = [said for case in asked() if case.dialect != dialect for said in rendered(case, dialect)]
    assert refused == []


@pytest.mark.parametrize("dialect", MODELS)
def test_the_rules_take_what_the_providers_took(dialect: DialectName, monkeypatch: pytest.MonkeyPatch) -> None:
    """An oracle stricter than life would have the gateway mend what is not broken. Own cases stand in where nothing is recorded."""
    for rules in (openai_chat_rules, openai_responses_rules):
        monkeypatch.setattr(rules, "KNOWN", re.compile(""))
    recorded = [
        case for case in asked() if case.dialect == dialect and case.provider == OWN[dialect] and case.place == "recordings"
    ]
    if not recorded:
        message = "NO RECORDED TRAFFIC: the rules were not held against what the providers took"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    assert len(recorded) > 50
    refused = [
        f"{case.id}: {said}"
        for case in recorded
        if case.request and (said := judge(dialect, case.request, case.call.headers if case.call else {}, model_of(case)))
    ]
    assert refused == []


def model_of(case: Case) -> str:
    assert case.call is not None
    if case.dialect == "bedrock_converse":
        return case.call.path.removeprefix("/model/").rpartition("/")[0]
    return Path(case.call.path).name.partition(":")[0]
