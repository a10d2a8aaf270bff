"""A word that is split over parts of a message, or blocks of an answer, is still that word, in any dialect."""

import json
import re

import pytest

from tests.plays.guarded import behind, error_of, guards, rule, text_of
from tests.plays.same import CLIENTS, ask, path_of, said, understood
from tests.plays.scene import PATHS, providers, send, whole
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
ASKING = pytest.mark.parametrize("client", PATHS)
PIECES = "the sec", "ret pl", "an is this"
FORBIDS = rule("no-plans", "secret plan")
REDACTS = rule("plans", "secret plan", action="redact", direction="answer")


def asking(client: str, *pieces: str, system: bool = False) -> dict:
    """A request of which the user, or the system prompt, is in parts."""
    match client:
        case "openai_chat":
            parts = [{"type": "text", "text": piece} for piece in pieces]
            before = [{"role": "system", "content": parts}] if system else []
            return {"messages": [*before, {"role": "user", "content": "go on" if system else parts}]}
        case "openai_responses":
            parts = [{"type": "input_text", "text": piece} for piece in pieces]
            before = [{"type": "message", "role": "system", "content": parts}] if system else []
            return {"input": [*before, {"type": "message", "role": "user", "content": "go on" if system else parts}]}
        case "anthropic":
            parts = [{"type": "text", "text": piece} for piece in pieces]
            before = {"system": parts} if system else {}
            return {"max_tokens": 100, **before, "messages": [{"role": "user", "content": "go on" if system else parts}]}
        case _:
            parts = [{"text": piece} for piece in pieces]
            before = {"systemInstruction": {"parts": parts}} if system else {}
            return {**before, "contents": [{"role": "user", "parts": [{"text": "go on"}] if system else parts}]}


@ASKING
@pytest.mark.parametrize("system", [False, True], ids=["user", "system"])
async def test_a_request_that_splits_a_word_over_parts_reaches_nobody(tmp_path, client, system):
    async with behind(tmp_path, FORBIDS) as gw:
        path = path_of(client, "anthropic-plain")
        got = await send(gw, path, {"model": "anthropic-plain", **asking(client, *PIECES, system=system)})
        assert got.status == 400
        assert b"no-plans" in got.body
        assert gw.upstream.requests == []
        fine = await send(gw, path, {"model": "anthropic-plain", **asking(client, "the sec", "ond pl", "an", system=system)})
        assert fine.status == 200


@ASKING
@pytest.mark.parametrize("api", ["anthropic", "openai_chat", "openai_responses", "gemini"])
async def test_each_piece_is_redacted_and_comes_back(tmp_path, api, client):
    """The provider accepts what is left of the parts, and the client has its own words where the answer says them."""
    rules = rule("names", "Alice Cooper", action="redact", direction="request", reversible="true")
    async with behind(tmp_path, rules) as gw:
        model = f"{api}-plain"
        got = await send(gw, path_of(client, model), {"model": model, **asking(client, "greet Al", "ice C", "ooper today")})
        (sent,) = gw.upstream.requests
        for piece in b"Al", b"ice C", b"ooper":
            assert piece not in sent.body
        assert b"pattern_1" in sent.body
        assert b" today" in sent.body
        assert "Alice Cooper" in said(understood(client, got))[0].replace("\n", "")  # that is how the upstream joins parts


def saying(api: str, *pieces: str, stream: bool) -> list[bytes]:
    """An answer in several blocks of text, piece by piece."""

    def sse(document: dict) -> bytes:
        return chunk(b"event: %b\ndata: %b\n\n" % (document["type"].encode(), json.dumps(document).encode()))

    document = whole(api)
    if api == "anthropic":
        document["content"] = [{"type": "text", "text": piece} for piece in pieces]
        if not stream:
            return [answer(json.dumps(document).encode())]
        out = [stream_head(), sse({"type": "message_start", "message": {**document, "content": [], "stop_reason": None}})]
        for i, piece in enumerate(pieces):
            out += (
                sse({"type": "content_block_start", "index": i, "content_block": {"type": "text", "text": ""}}),
                sse({"type": "content_block_delta", "index": i, "delta": {"type": "text_delta", "text": piece}}),
                sse({"type": "content_block_stop", "index": i}),
            )
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        return [
            *out,
            sse({"type": "message_delta", "delta": end, "usage": document["usage"]}),
            sse({"type": "message_stop"}),
            END,
        ]
    parts = [{"type": "output_text", "text": piece, "annotations": []} for piece in pieces]
    item = {**document["output"][0], "content": parts}
    document["output"] = [item]
    if not stream:
        return [answer(json.dumps(document).encode())]
    begun = {**document, "status": "in_progress", "output": [], "usage": None}
    told: list[dict] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": [], "status": "in_progress"}},
    ]
    for i, part in enumerate(parts):
        place = {"output_index": 0, "item_id": item["id"], "content_index": i}
        told += (
            {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", **place, "delta": part["text"]},
            {"type": "response.output_text.done", **place, "text": part["text"]},
            {"type": "response.content_part.done", **place, "part": part},
        )
    told += (
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": document},
    )
    return [stream_head(), *(sse({**event, "sequence_number": n}) for n, event in enumerate(told)), END]


@WAYS
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("api", ["anthropic", "openai_responses"])
async def test_nothing_of_a_word_that_an_answer_splits_over_blocks_arrives(tmp_path, api, client, stream):
    """A stream tells what stands before it; and where it is redacted, all around it arrives."""
    async with upstream() as up, gateway(providers(up.port) + guards(FORBIDS), tmp_path) as gw:
        up.answers = [saying(api, *PIECES, stream=stream)]
        got = await ask(gw, client, f"to-{api}", stream=stream)
        assert b"no-plans" in got.body
        assert b"sec" not in got.body
        if stream:
            assert text_of(client, got.body) == "the "
            assert "no-plans" in error_of(client, got.body)
        else:
            assert got.status == 400
        up.answers = [saying(api, "the sec", "ond pl", "an", stream=stream)]
        fine = await ask(gw, client, f"to-{api}", stream=stream)
        assert said(understood(client, fine, stream=stream))[0] == "the second plan"
    async with upstream() as up, gateway(providers(up.port) + guards(REDACTS), tmp_path) as gw:
        up.answers = [saying(api, *PIECES, stream=stream)]
        got = await ask(gw, client, f"to-{api}", stream=stream)
        text, _, _ = said(understood(client, got, stream=stream))
        assert re.fullmatch(r"the (<pattern_\d>){1,3} is this", text)
        assert b"ret pl" not in got.body
