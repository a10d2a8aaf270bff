"""Every operation, in every dialect, whole and streamed, both ways, meets the rules; or docs/guards.md says why it does not."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from gatewright.exchange import Operation
from tests.plays.guarded import APIS, FORBIDDEN, behind, guards, rule
from tests.plays.same import CLIENTS, path_of, saying
from tests.plays.scene import frames, get, providers, send, whole
from tests.serving import END, KEY, answer, call, chunk, gateway, stream_head, upstream

ASKED, SAID = "SESAME", FORBIDDEN
RULES = rule("asked", ASKED, direction="request"), rule("said", SAID, direction="answer")
_ROW = re.compile(r"^\| `(\w+)` \| (request|answer|both) \| \S", re.MULTILINE)

MET: set[tuple[str, str]] = {
    ("generate", "request"),
    ("generate", "answer"),
    ("invoke", "request"),
    ("invoke", "answer"),
    ("count_tokens", "request"),
    ("count_input", "request"),
    ("forward", "request"),
    ("forward", "answer"),
    ("get_response", "answer"),
    ("cancel_response", "answer"),
}
"""What the plays here show. Calls at Invariant's paths, of `generate` too, are played in tests/plays/test_invariant_guardrails.py."""
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def test_whatever_does_not_pass_is_listed_with_its_reason():
    """A new operation fails here until it meets the rules or is listed."""
    page = (Path(__file__).parents[2] / "docs" / "guards.md").read_text(encoding="utf-8")
    listed = {
        (operation, way)
        for operation, said in _ROW.findall(page)
        for way in (("request", "answer") if said == "both" else (said,))
    }
    every = {(operation, way) for operation in get_args(Operation) for way in ("request", "answer")}
    assert listed | MET == every
    assert not listed & MET


# -- model calls -------------------------------------------------------------------------------------------------------------


def variants(client: str, model: str, text: str, *, stream: bool) -> list[tuple[str, dict]]:
    """The ways in which a dialect can be asked: beside the plain one, its other framings and further choices."""
    found = [(path_of(client, model, stream=stream), saying(client, model, text, stream=stream))]
    if client == "gemini" and stream:
        found.append((f"/v1beta/models/{model}:streamGenerateContent", saying(client, model, text)))
    return found


@WAYS
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("api", APIS)
async def test_generate(tmp_path, api, client, stream):
    async with behind(tmp_path, *RULES) as gw:
        for path, asked in variants(client, f"{api}-plain", f"open {ASKED}", stream=stream):
            got = await send(gw, path, asked)
            assert got.status == 400, path
            assert b"'asked'" in got.body
            assert gw.upstream.requests == []
        for path, asked in variants(client, f"{api}-plain", "speak", stream=stream):
            got = await send(gw, path, asked)
            assert b"Gr\xc3\xbc" not in got.body
            assert b"Gr\\u00fc" not in got.body
            assert b"'said'" in got.body


PLACES = ("system", "tools", "call", "result", "reasoning", "metadata")


def hidden(place: str) -> dict:
    """A Chat Completions request with the word in a place that is not the last message."""
    turn = {"role": "user", "content": "hi"}
    function = {"name": "f", "arguments": '{"a": "x"}'}
    assistant = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "done"}
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}
    request = {"model": "openai_chat-plain", "messages": [turn, assistant, result, turn], "tools": [tool]}
    match place:
        case "system":
            request["messages"].insert(0, {"role": "system", "content": ASKED})
        case "tools":
            tool["function"]["description"] = ASKED
        case "call":
            function["arguments"] = '{"a": "SES\\u0041ME"}'
        case "result":
            result["content"] = ASKED
        case "reasoning":
            assistant["reasoning_content"] = ASKED
        case _:
            request["metadata"] = {"note": ASKED}
    return request


@pytest.mark.parametrize("place", PLACES)
async def test_every_place_of_a_request_is_looked_at(tmp_path, place):
    async with behind(tmp_path, *RULES) as gw:
        got = await send(gw, "/v1/chat/completions", hidden(place))
        assert got.status == 400, got.body
        assert b"'asked'" in got.body
        assert gw.upstream.requests == []


@WAYS
async def test_further_choices_are_looked_at(tmp_path, stream):
    """What only its own dialect can say passes the rules too, though it comes in pieces."""
    async with upstream() as up, gateway(providers(up.port) + guards(*RULES), tmp_path) as gw:
        document = whole("openai_chat", "fine")
        document["choices"].append({"index": 1, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"})
        begun, content, end = frames("openai_chat", "fine")
        pieces = [
            b"data: "
            + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}).encode()
            + b"\n\n"
            for choice in (
                {"index": 1, "delta": {"content": part}, "finish_reason": None} for part in ("well ", SAID[:3], SAID[3:])
            )
        ]
        streamed = [stream_head(), *map(chunk, (begun, content, *pieces, end)), END]
        up.answers = [streamed if stream else [answer(json.dumps(document).encode())]]
        asked = {"model": "to-openai_chat", "n": 2, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        got = await send(gw, "/v1/chat/completions", asked)
        assert b"'said'" in got.body
        assert b"Gr\\u00fc" not in got.body
        assert SAID[:3].encode() not in got.body
        assert (b"well " in got.body) is stream


@WAYS
async def test_invoke(tmp_path, stream):
    action = "invoke-with-response-stream" if stream else "invoke"
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100}
    async with behind(tmp_path, *RULES) as gw:
        for text in (ASKED, "speak"):
            got = await send(gw, f"/model/anthropic-plain/{action}", {**asked, "messages": [{"role": "user", "content": text}]})
            assert (b"'asked'" if text == ASKED else b"'said'") in got.body
            assert b"Gr\xc3\xbc" not in got.body


COUNTED = {
    "openai_responses": ("/v1/responses/input_tokens", {"model": "openai_responses-plain", "input": ASKED}),
    "anthropic": (
        "/v1/messages/count_tokens",
        {"model": "anthropic-plain", "messages": [{"role": "user", "content": ASKED}]},
    ),
    "gemini": ("/v1beta/models/gemini-plain:countTokens", {"contents": [{"role": "user", "parts": [{"text": ASKED}]}]}),
    "bedrock_converse": (
        "/model/anthropic-plain/count-tokens",
        {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": ASKED}]}]}}},
    ),
}


@pytest.mark.parametrize("client", COUNTED)
async def test_counting(tmp_path, client):
    """Counting sends the whole request to the provider."""
    path, asked = COUNTED[client]
    async with behind(tmp_path, *RULES) as gw:
        got = await send(gw, path, asked)
        assert (got.status, b"'asked'" in got.body) == (400, True), got.body
        assert gw.upstream.requests == []


# -- kept responses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["get", "get streamed", "cancel"])
async def test_responses_that_are_asked_for_by_their_id(tmp_path, way):
    """A background response is told when it is asked for: what is forbidden is not, and is not kept either."""
    forbidden = whole("openai_responses", SAID, id="resp_bg", background=True)
    begun, content, end = frames("openai_responses", SAID)
    streamed = [stream_head(), chunk(begun + content + end), END]
    told = [answer(json.dumps(forbidden).encode())]
    async with upstream() as up, gateway(providers(up.port) + guards(*RULES), tmp_path) as gw:
        queued = whole("openai_responses", id="resp_bg", status="queued", output=[], background=True)
        up.answers = [
            [answer(json.dumps(queued).encode())],
            streamed if way == "get streamed" else told,
            [answer(b"{}", status=404)],
        ]
        made = await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x", "background": True})
        assert made.json["status"] == "queued"
        path = "/v1/responses/resp_bg" + {"get": "", "get streamed": "?stream=true", "cancel": "/cancel"}[way]
        got = await (send(gw, path) if way == "cancel" else get(gw, path))
        assert b"'said'" in got.body
        assert b"Gr\\u00fc" not in got.body
        kept = await get(gw, "/v1/responses/resp_bg")
        assert kept.status == 200
        assert b"Gr\\u00fc" not in kept.body


async def test_a_resumed_background_stream_is_told_from_its_beginning(tmp_path):
    """What was held back of the piece before must not follow as if it was nothing."""
    begun, content, end = frames("openai_responses", SAID)
    async with upstream() as up, gateway(providers(up.port) + guards(*RULES), tmp_path) as gw:
        queued = whole("openai_responses", id="resp_bg", status="queued", output=[], background=True)
        up.answers = [[answer(json.dumps(queued).encode())], [stream_head(), chunk(begun + content + end), END]]
        await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x", "background": True})
        got = await get(gw, "/v1/responses/resp_bg?stream=true&starting_after=3")
        assert got.status == 400
        assert b"starting_after" in got.body


# -- forwarded -----------------------------------------------------------------------------------------------------------------


def forwarding(port: int) -> str:
    base = f"http://127.0.0.1:{port}"
    return f"""
providers:
  up: {{kind: openai, base_url: "{base}/v1", api_key: sk-up, forward: [embeddings, images, audio, moderations, rerank, completions, files, batches, any]}}
  claude: {{kind: anthropic, base_url: "{base}", api_key: sk-ant}}
  google: {{kind: gemini, base_url: "{base}", api_key: AIza}}
""" + guards(*RULES)


FORWARDED = {
    "embeddings": ("/v1/embeddings", {"model": "up/m", "input": [ASKED]}),
    "images": ("/v1/images/generations", {"model": "up/m", "prompt": ASKED}),
    "moderations": ("/v1/moderations", {"model": "up/m", "input": ASKED}),
    "rerank": ("/v1/rerank", {"model": "up/m", "query": "q", "documents": [{"text": ASKED}]}),
    "completions": ("/v1/completions", {"model": "up/m", "prompt": ASKED}),
    "speech": ("/v1/audio/speech", {"model": "up/m", "input": ASKED}),
    "unheard of": ("/v1/brand/new", {"model": "up/m", "a": {"b": [ASKED]}}),
    "batches": ("/claude/v1/messages/batches", {"requests": [{"custom_id": "1", "params": {"system": ASKED}}]}),
    "gemini embeddings": ("/v1beta/models/google/m:embedContent", {"content": {"parts": [{"text": ASKED}]}}),
    "gemini files": ("/google/v1beta/corpora", {"displayName": ASKED}),
    "query": (f"/up/v1/files?purpose={ASKED}", {"model": "up/m"}),
}


@pytest.mark.parametrize("kind", FORWARDED)
async def test_forwarded_requests(tmp_path, kind):
    path, asked = FORWARDED[kind]
    async with upstream() as up, gateway(forwarding(up.port), tmp_path) as gw:
        got = await send(gw, path, asked)
        assert (got.status, b"'asked'" in got.body) == (400, True), got.body
        assert up.requests == []


@pytest.mark.parametrize("kind", ["field", "file"])
async def test_forms(tmp_path, kind):
    """Fields, and files that are text: a batch's requests come in one."""
    words = ASKED.encode()
    field = words if kind == "field" else b"batch"
    file = words if kind == "file" else b"\x89PNG\0" + words
    form = b"".join(
        (
            b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n' + field + b"\r\n",
            b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"a": "' + file + b'"}\r\n',
            b"--b--\r\n",
        )
    )
    async with upstream() as up, gateway(forwarding(up.port), tmp_path) as gw:
        headers = f"authorization: Bearer {KEY}\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        got = await call(gw.port, "/up/v1/files", form, headers=headers)
        assert (got.status, b"'asked'" in got.body) == (400, True), got.body
        assert up.requests == []


def _said(**more: object) -> bytes:
    return json.dumps({"a": [{"text": f"well, {SAID}"}], **more}).encode()


def _events(*texts: str) -> list[bytes]:
    told = (json.dumps({"choices": [{"index": 0, "text": text, "finish_reason": None}]}).encode() for text in texts)
    return [stream_head(), *(chunk(b"data: " + one + b"\n\n") for one in told), chunk(b"data: [DONE]\n\n"), END]


ANSWERS = {
    "whole": [answer(_said())],
    "escaped": [answer(_said().replace(b"\\u00fc", b"\xc3\xbc"))],
    "events": _events("well, ", "G", "rü", "ße", " and more"),
    "text": [answer(f"well, {SAID}".encode(), content_type="text/plain")],
    "lines": [answer(b'{"a": "well, Gr\xc3\xbc\xc3\x9fe"}\n{}\n', content_type="application/octet-stream")],
}


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/images/generations", "/v1/audio/transcriptions"])
@pytest.mark.parametrize("form", ANSWERS)
async def test_forwarded_answers(tmp_path, form, path):
    """However they come, nothing of the word does."""
    async with upstream() as up, gateway(forwarding(up.port), tmp_path) as gw:
        up.answers = [ANSWERS[form]]
        got = await send(gw, path, {"model": "up/m", "prompt": "speak", "stream": form == "events"})
        for one in (b"Gr", b"\xc3\xbc", b"\\u00fc"):
            assert one not in got.body
        if form in ("whole", "escaped"):
            assert (got.status, b"'said'" in got.body) == (400, True)
        else:
            assert b"well, " in got.body
            assert b"'said'" in got.body if form == "events" else got.broken


async def test_bytes_that_are_no_text_pass(tmp_path):
    """A picture with the word's bytes in it is none of our business: the page says so."""
    picture = b"\x89PNG\r\n\x1a\n\0\xff\xfe" + SAID.encode()
    async with upstream() as up, gateway(forwarding(up.port), tmp_path) as gw:
        up.answers = [[answer(picture, content_type="image/png")]]
        got = await send(gw, "/v1/images/generations", {"model": "up/m", "prompt": "draw"})
        assert got.body == picture
