"""Guards and what is kept: answers that are given again, responses that are stored, and the books."""

import asyncio
import json

import pytest

from tests.plays.guarded import FORBIDDEN, behind, guards, rule
from tests.plays.same import CLIENTS, ask, said, understood
from tests.plays.scene import MODELS, PROVIDER, frames, get, only_tally, providers, send, served
from tests.serving import END, chunk, gateway, stream_head, upstream

KEPT = f"  kept: {{targets: [{PROVIDER['anthropic']}/{MODELS['anthropic']['plain']}], cache: {{ttl_s: 600}}}}"
NAMES = rule("names", "[A-Z][a-z]+ Cooper", action="redact", direction="request", reversible="true")
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@WAYS
@pytest.mark.parametrize("client", CLIENTS)
async def test_an_answer_that_is_given_again_is_looked_at_again(tmp_path, client, stream):
    """The cache keeps what the provider said, and a rule stops it each time."""
    async with behind(tmp_path, rule("said", FORBIDDEN, direction="answer"), models=KEPT) as gw:
        for _ in range(2):
            got = await ask(gw, client, "kept", "speak", stream=stream)
            assert b"Gr\xc3\xbc" not in got.body
            assert b"'said'" in got.body
        assert len(gw.upstream.requests) <= 2


@WAYS
async def test_questions_that_differ_in_what_is_redacted_are_one_question(tmp_path, stream):
    """The provider sees the same words; each client gets its own back."""
    async with behind(tmp_path, NAMES, models=KEPT) as gw:
        for name, use in (("Alice", "miss"), ("Vincent", "hit")):
            got = await ask(gw, "openai_chat", "kept", f"greet {name} Cooper", stream=stream)
            assert got.headers["x-gatewright-cache"] == use
            assert f"heard: greet {name} Cooper" in said(understood("openai_chat", got, stream=stream))[0]
        assert len(gw.upstream.requests) == 1


@WAYS
async def test_what_is_kept_of_a_response_is_what_was_let_through(tmp_path, stream):
    """By its id a client gets what it got before; and a conversation that goes on by it holds no more."""
    async with behind(tmp_path, rule("said", FORBIDDEN, action="redact", direction="answer")) as gw:
        got = await ask(gw, "openai_responses", "anthropic-plain", "speak", stream=stream)
        told = understood("openai_responses", got, stream=stream)
        kept = await get(gw, f"/v1/responses/{told.id}")
        assert FORBIDDEN not in kept.body.decode()
        assert "<pattern_1>" in kept.json["output"][0]["content"][0]["text"]
        await ask(gw, "openai_responses", "anthropic-plain", "and on", previous=told.id)
        assert FORBIDDEN.encode() not in gw.upstream.requests[-1].body
        assert b"pattern_1" in gw.upstream.requests[-1].body


async def test_what_a_client_said_is_looked_at_again_when_its_conversation_goes_on(tmp_path):
    """Kept as it was said, redacted anew for whoever is asked next."""
    async with behind(tmp_path, NAMES) as gw:
        first = await ask(gw, "openai_responses", "anthropic-plain", "I am Alice Cooper")
        told = understood("openai_responses", first)
        await ask(gw, "openai_responses", "anthropic-plain", "who am I?", previous=told.id)
        sent = gw.upstream.requests[-1].body
        assert b"Alice" not in sent
        assert sent.count(b"<pattern_1>") == 2
        items = await get(gw, f"/v1/responses/{told.id}/input_items")
        assert "Alice Cooper" in items.body.decode()


@WAYS
async def test_what_a_rule_ends_is_settled_once(tmp_path, stream):
    """The tokens that the provider told are in the books, with the code of the rule's refusal."""
    async with behind(tmp_path, rule("said", FORBIDDEN, direction="answer")) as gw:
        await ask(gw, "anthropic", "anthropic-plain", "speak", stream=stream)
        tally = only_tally(gw)
        assert (tally.requests, tally.errors) == (1, 1)
        assert tally.input_tokens >= 100


async def test_a_stream_that_is_ended_is_ended_upstream(tmp_path):
    """The provider would have gone on for long."""
    frames = served("openai_chat", stream=True, text="well, SESAME!")
    async with upstream() as up, gateway(providers(up.port) + guards(rule("said", "SESAME", direction="answer")), tmp_path) as gw:
        up.answers = [[*frames[:3], 30.0, chunk(b""), END]]
        got = await send(
            gw,
            "/v1/chat/completions",
            {"model": "to-openai_chat", "stream": True, "messages": [{"role": "user", "content": "x"}]},
        )
        assert b"'said'" in got.body
        await asyncio.wait_for(up.closed.wait(), 10)


async def test_bytes_pass_where_no_rule_looks(tmp_path):
    """A rule for others costs a request nothing: its answer is the provider's, byte for byte, and so is its stream."""
    raw = b'{"id":  "chatcmpl-1", "object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":null}'
    wire = b'data: {"id":  "c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    elsewhere = rule("said", "hello", scope="{models: [elsewhere]}")
    async with upstream() as up, gateway(providers(up.port) + guards(elsewhere), tmp_path) as gw:
        up.answers = [
            [f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw],
            [stream_head(), chunk(wire), END],
        ]
        asked = {"model": "to-openai_chat", "messages": [{"role": "user", "content": "x"}]}
        assert (await send(gw, "/v1/chat/completions", asked)).body == raw
        assert (await send(gw, "/v1/chat/completions", {**asked, "stream": True})).body == wire


async def test_a_whole_answer_in_which_nothing_is_replaced_goes_on_byte_for_byte(tmp_path):
    raw = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
            "odd": [1.0, {}],
        },
        indent=3,
    ).encode()
    async with upstream() as up, gateway(providers(up.port) + guards(rule("said", "hello", action="flag")), tmp_path) as gw:
        up.answers = [[f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw]]
        got = await send(gw, "/v1/chat/completions", {"model": "to-openai_chat", "messages": [{"role": "user", "content": "x"}]})
        assert got.headers["x-gatewright-guard"] == "said;pattern"
        assert got.body == raw


async def test_how_long_a_stream_was_held_is_measured(tmp_path):
    """The beginning of a word waits while the provider is silent; the metrics say for how long."""
    begun, _, end = frames("openai_chat")
    first, second = (frames("openai_chat", text)[1] for text in ("well, SES", "ame street"))
    scene = providers, guards(rule("said", "SESAME", direction="answer"))
    async with upstream() as up, gateway(scene[0](up.port) + scene[1] + "metrics: {public: true}\n", tmp_path) as gw:
        up.answers = [[stream_head(), chunk(begun), chunk(first), 0.3, chunk(second + end), END]]
        got = await ask(gw, "openai_chat", "to-openai_chat", stream=True)
        assert said(understood("openai_chat", got, stream=True))[0] == "well, SESame street"
        told = (await get(gw, "/metrics")).body.decode()
    total = next(line for line in told.splitlines() if line.startswith("gatewright_guard_delay_seconds_sum"))
    assert 0.25 < float(total.split()[-1]) < 5
