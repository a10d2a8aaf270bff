"""What an answer becomes in the next request: every answer, shown to every client, sent back as clients do, before every provider.

One rule: the client replays what it was given; what the gateway then sends must be what the provider takes.
"""

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import GatewrightError
from gatewright.ir.blocks import DialectName
from gatewright.ir.fold import Folder
from gatewright.ir.request import Asked, Target
from gatewright.ir.response import Response
from gatewright.pipeline.replayed import mark, settle, unmark
from gatewright.pipeline.seals import name_calls
from gatewright.wire.json import encode
from tests.laws.cases import IN_PATH, Case, call_of, files, load
from tests.upstreams import openai_chat_rules, openai_responses_rules, seals
from tests.upstreams.test_renderings import judge

MODELS: Mapping[DialectName, tuple[str, ...]] = {
    "openai_chat": ("gpt-5.2",),
    "openai_responses": ("gpt-5.2",),
    "anthropic": ("claude-haiku-4-5",),
    "gemini": ("gemini-2.5-pro", "gemini-3-pro-preview"),
    "bedrock_converse": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-2-lite-v1:0"),
}
FIRST: Mapping[DialectName, tuple[str, dict]] = {
    "openai_chat": ("/v1/chat/completions", {"model": "x", "messages": [{"role": "user", "content": "q"}]}),
    "openai_responses": ("/v1/responses", {"model": "x", "input": [{"role": "user", "content": "q"}], "store": False}),
    "anthropic": ("/v1/messages", {"model": "x", "max_tokens": 5000, "messages": [{"role": "user", "content": "q"}]}),
    "gemini": ("/v1beta/models/x:generateContent", {"contents": [{"role": "user", "parts": [{"text": "q"}]}]}),
    "bedrock_converse": ("/model/x/converse", {"messages": [{"role": "user", "content": [{"text": "q"}]}]}),
}
"""Path and body of the request that was answered."""
EXCEPT = (
    "all messages must have non-empty content",  # an answer of nothing: Anthropic gives such itself, and refuses them back
    "is empty. Add a ContentBlock object",  # the same from Bedrock
    "is blank. Add text to the text field",  # white space before a call, which other hosts give and Bedrock refuses
    "text content blocks must be non-empty",  # a seal on an empty text, carried beside it
    "string too long",  # ids of a host that gives longer ones than OpenAI takes
    "String should match pattern",  # ids of a host that gives others than Anthropic takes
    "messages[1].images",  # an answer with pictures, which only some Chat hosts give
    "No tool output found",  # legacy functions, which are answered by name
)
"""What passes between one client and its own API as it is, and is refused there as it would be without a gateway."""


@pytest.fixture(autouse=True)
def _seals_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded seals were issued elsewhere; packed ones are nobody's."""
    monkeypatch.setattr(seals, "genuine", lambda _api, _text, seal, **_: bool(seal) and not seal.startswith(("gw1", "Z3cx")))
    for rules in (openai_chat_rules, openai_responses_rules):
        monkeypatch.setattr(rules, "KNOWN", re.compile(""))


def answers() -> Iterator[tuple[Case, Response]]:
    for place, path in files():
        case = load(place, path)
        dialect = BY_NAME[case.dialect]
        if case.failed:
            continue
        try:
            if case.text is None:
                yield case, name_calls(dialect.parse_response(case.body, Asked(issuer="here")), "req_0123456789abcdef")
                continue
        except GatewrightError:
            continue
        parser, folder = dialect.stream_parser(Asked(issuer="here")), Folder()
        for event in (*parser.feed(case.body), *parser.close()):
            folder.add(event)
        if folder.problem is None:
            yield case, name_calls(folder.response, "req_0123456789abcdef")


def next_request(client: DialectName, answer: dict) -> dict:
    """The conversation goes on: the answer as it was given, a result for each call, and a word of the user."""
    body = json.loads(json.dumps(FIRST[client][1]))
    match client:
        case "openai_chat":
            message = answer["choices"][0]["message"]
            results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in message.get("tool_calls") or ()]
            body["messages"] += [message, *results, {"role": "user", "content": "go on"}]
        case "openai_responses":
            calls = [item for item in answer["output"] if item["type"] in {"function_call", "custom_tool_call"}]
            results = [{"type": f"{call['type']}_output", "call_id": call["call_id"], "output": "r"} for call in calls]
            body["input"] += [*answer["output"], *results, {"role": "user", "content": "go on"}]
        case "anthropic":
            uses = [block for block in answer["content"] if block["type"] == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": use["id"], "content": "r"} for use in uses]
            body["messages"].append({"role": "assistant", "content": answer["content"]})
            body["messages"].append({"role": "user", "content": [*results, {"type": "text", "text": "go on"}]})
        case "gemini":
            content = answer["candidates"][0].get("content") if answer.get("candidates") else None
            if content and content.get("parts"):
                calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
                given = [
                    {key: call[key] for key in ("id", "name") if key in call} | {"response": {"result": "r"}} for call in calls
                ]
                body["contents"].append(content)
                if given:
                    body["contents"].append({"role": "user", "parts": [{"functionResponse": one} for one in given]})
            body["contents"].append({"role": "user", "parts": [{"text": "go on"}]})
        case "bedrock_converse":
            message = answer["output"]["message"]
            uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
            results = [
                {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "r"}]}} for use in uses if "type" not in use
            ]
            body["messages"] += [message, {"role": "user", "content": [*results, {"text": "go on"}]}]
            if results:
                spec = {"name": "known", "inputSchema": {"json": {"type": "object"}}}
                body["toolConfig"] = {"tools": [{"toolSpec": spec}]}
    return body


def sent(case: Case, client: DialectName, body: dict, upstream: DialectName, model: str) -> tuple[dict, dict] | None:
    """Body and headers for the upstream; None where the case goes home by itself."""
    raw = json.dumps(body)
    if upstream == client and "gw1." not in raw and '"Z3cx' not in raw:
        return None if case.dialect == client else (body | ({} if upstream in IN_PATH else {"model": model}), {})
    request = unmark(BY_NAME[client].parse_request(call_of(client, body, path=FIRST[client][0], headers={})), upstream)
    issuer = "here" if upstream == case.dialect else "elsewhere"
    rendered = BY_NAME[upstream].render_request(
        request if upstream == client else settle(request), Target(model=model, issuer=issuer)
    )
    return json.loads(encode(rendered.body)), dict(rendered.headers)


@pytest.mark.parametrize("client", FIRST)
def test_an_answer_sent_back_is_taken_by_every_provider(client: DialectName) -> None:
    """A conversation that began anywhere goes on anywhere."""
    path, first = FIRST[client]
    asked = BY_NAME[client].parse_request(call_of(client, first, path=path, headers={}))
    refused, count = [], 0
    for case, response in answers():
        shown = response if case.dialect == client else mark(response, client, "here")
        body = next_request(client, json.loads(encode(BY_NAME[client].render_response(shown, asked).body)))
        for upstream, models in MODELS.items():
            if upstream == case.dialect == "openai_chat":
                continue  # a Chat host's own reasoning goes back to it in its own fields, which OpenAI has not
            for model in models:
                if (request := sent(case, client, body, upstream, model)) is None:
                    continue
                count += 1
                said = judge(upstream, *request, model)
                if said and not any(word in said for word in EXCEPT):
                    refused.append(f"{case.id} to {model}: {said[:200]}")
    assert count > 100
    assert refused == []
