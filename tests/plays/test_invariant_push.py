"""Conversations of a dataset reach Explorer as Invariant's own gateway pushes them, and what it loses is there, too."""

import asyncio
import json

import pytest

from tests.plays.invariant_scene import (
    DATASET,
    DIALECTS,
    INV,
    ask,
    asking,
    called,
    calling,
    key_lines,
    scene,
    served,
)
from tests.plays.scene import frames, whole
from tests.serving import END, answer, call, chunk, stream_head

STREAMS = [False, True]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def text_of(message):
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def user_content(dialect, text):
    return [{"type": "text", "text": text}] if dialect == "gemini" else text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_a_conversation_is_pushed(tmp_path, dialect, stream):
    """Messages, metadata and the dataset of the path, with the client's Invariant key."""
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect, "I am fine", stream=stream)]
        got = await ask(s, dialect, "How are you?", stream=stream)
        assert got.status == 200
        pushed = await s.explorer.trace()
        assert pushed["dataset"] == DATASET
        (said,) = pushed["messages"]
        assert [message["role"] for message in said] == ["user", "assistant"]
        assert said[0]["content"] == user_content(dialect, "How are you?")
        assert said[1] == {"role": "assistant", "content": "I am fine"}
        assert not pushed["annotations"] or pushed["annotations"] == [[]]
        (metadata,) = pushed["metadata"]
        assert metadata["via_gateway"] is True
        assert not {"messages", "contents", "system", "systemInstruction"} & metadata.keys()
        figures = metadata["usage"]
        expected = {"openai_chat": "prompt_tokens", "anthropic": "input_tokens", "gemini": "promptTokenCount"}[dialect]
        assert figures[expected] == (6 if dialect == "anthropic" else 10)
        assert all(None not in message.values() for message in said)
        (asked,) = s.explorer.questions("push")
        assert asked.headers["authorization"] == f"Bearer {INV}"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_without_a_dataset_nothing_is_pushed_or_asked(tmp_path, dialect, stream):
    """Explorer does not hear of it."""
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect, stream=stream)]
        assert (await ask(s, dialect, dataset="", stream=stream)).status == 200
        await asyncio.sleep(0.05)
        assert not s.explorer.asked


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_a_call_of_a_tool_is_pushed_with_its_arguments(tmp_path, dialect, stream):
    """Though the agent may never come back with the result. In a stream they come in pieces."""
    async with scene(tmp_path) as s:
        s.up.answers = [called(dialect, "get_weather", {"city": "Zürich", "days": 3}, stream=stream)]
        got = await ask(s, dialect, "weather?", stream=stream)
        assert got.status == 200
        (said,) = (await s.explorer.trace())["messages"]
        (call,) = said[-1]["tool_calls"]
        assert call["function"]["name"] == "get_weather"
        arguments = call["function"]["arguments"]
        assert (json.loads(arguments) if isinstance(arguments, str) else arguments) == {"city": "Zürich", "days": 3}
        if dialect != "gemini":
            assert call["id"] == "call_1"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_reference_leaves_out_the_turns_that_invariants_gateway_does(tmp_path, dialect, stream):
    """OpenAI's that end in a call of a tool; the turn after it is pushed, with the call and its result in it."""
    async with scene(tmp_path, push="reference") as s:
        s.up.answers = [called(dialect, "get_weather", {"city": "Rome"}, stream=stream), served(dialect, "sunny", stream=stream)]
        assert (await ask(s, dialect, "weather?", stream=stream)).status == 200
        if dialect != "openai_chat":
            (said,) = (await s.explorer.trace())["messages"]
            assert said[-1]["tool_calls"]
            return
        made = calling(dialect, "get_weather", {"city": "Rome"})["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": "call_1", "content": "22 degrees"}
        document = asking(dialect, "weather?", stream=stream)
        document["messages"] += [made, result]
        assert (await ask(s, dialect, stream=stream, document=document)).status == 200
        (said,) = (await s.explorer.trace())["messages"]
        assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant"]
        assert said[2]["content"] == "22 degrees"
        assert len(s.explorer.traces) == 1


@pytest.mark.parametrize(("finish", "times"), [("stop", 1), ("length", 1), ("content_filter", 1), ("tool_calls", 0)])
async def test_when_reference_pushes(tmp_path, finish, times):
    """By the finish of the first choice."""
    async with scene(tmp_path, push="reference") as s:
        document = whole("openai_chat")
        document["choices"][0]["finish_reason"] = finish
        s.up.answers = [[answer(json.dumps(document).encode())], served("openai_chat", "marker")]
        assert (await ask(s, "openai_chat")).status == 200
        assert (await ask(s, "openai_chat")).status == 200
        await s.explorer.trace(times + 1)
        assert sum("marker" in json.dumps(trace) for trace in s.explorer.traces) == 1
        assert len(s.explorer.traces) == times + 1


@pytest.mark.parametrize("stream", STREAMS)
async def test_all_choices_are_pushed(tmp_path, stream):
    """And the first one does not decide for the others whether there is a trace."""
    async with scene(tmp_path) as s:
        if stream:
            base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            parts = [(0, {"role": "assistant", "content": "one"}, None), (1, {"role": "assistant", "content": "two"}, None),
                     (0, {}, "tool_calls"), (1, {}, "stop")]  # fmt: skip
            wire = [
                b"data: " + json.dumps({**base, "choices": [{"index": i, "delta": d, "finish_reason": f}]}).encode() + b"\n\n"
                for i, d, f in parts
            ]
            s.up.answers = [[stream_head(), *map(chunk, wire), chunk(b"data: [DONE]\n\n"), END]]
        else:
            document = whole("openai_chat", "one")
            document["choices"][0]["finish_reason"] = "tool_calls"
            document["choices"].append({"index": 1, "message": {"role": "assistant", "content": "two"}, "finish_reason": "stop"})
            s.up.answers = [[answer(json.dumps(document).encode())]]
        assert (await ask(s, "openai_chat", stream=stream, n=2)).status == 200
        (said,) = (await s.explorer.trace())["messages"]
        assert [text_of(message) for message in said[1:]] == ["one", "two"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_image_is_pushed_as_a_data_uri(tmp_path, dialect):
    """Of Gemini's in the standard alphabet, whatever the client wrote."""
    match dialect:
        case "openai_chat":
            part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
            document = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, part]}]}
        case "anthropic":
            part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
            content = [{"type": "text", "text": "what is it?"}, part]
            document = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
        case _:
            part = {"inlineData": {"mimeType": "image/png", "data": PIXEL.replace("+", "-").replace("/", "_")}}
            document = {"contents": [{"role": "user", "parts": [{"text": "what is it?"}, part]}]}
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect, "a pixel")]
        assert (await ask(s, dialect, document=document)).status == 200
        (said,) = (await s.explorer.trace())["messages"]
        assert said[0]["content"][1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_events_may_be_cut_anywhere(tmp_path, dialect):
    """Within an event, within a character, within the words that end a stream: nothing of the text is lost or changed."""
    text = 'naïve “quotes” 🙂 data: [DONE] "message_stop" finishReason\n\ndata: x'
    async with scene(tmp_path) as s:
        wire = b"".join(frames(dialect, text))
        for size in (1, 7, 64):
            s.up.answers = [[stream_head(), *(chunk(wire[i : i + size]) for i in range(0, len(wire), size)), END]]
            got = await ask(s, dialect, stream=True)
            assert got.body == wire
        await s.explorer.trace(3)
        for trace in s.explorer.traces:
            assert text_of(trace["messages"][0][-1]) == text


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
async def test_lines_may_end_in_both_ways(tmp_path, dialect):
    """Some servers write CRLF."""
    async with scene(tmp_path) as s:
        wire = b"".join(frames(dialect, "hello")).replace(b"\n", b"\r\n")
        s.up.answers = [[stream_head(), chunk(wire), END]]
        assert (await ask(s, dialect, stream=True)).body == wire
        (said,) = (await s.explorer.trace())["messages"]
        assert text_of(said[-1]) == "hello"


@pytest.mark.parametrize("way", ["skip", "push", "whatever"])
async def test_a_client_may_keep_a_conversation_from_being_pushed(tmp_path, way):
    """`Invariant-Push: skip`; every other word is as if it was not there."""
    async with scene(tmp_path) as s:
        s.up.answers = [served("openai_chat")]
        headers = key_lines("openai_chat", **{"Invariant-Push": way})
        assert (await ask(s, "openai_chat", "first", headers=headers)).status == 200
        assert (await ask(s, "openai_chat", "second")).status == 200
        await s.explorer.trace(1 if way == "skip" else 2)
        texts = [text_of(trace["messages"][0][0]) for trace in s.explorer.traces]
        assert sorted(texts) == (["second"] if way == "skip" else ["first", "second"])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_what_the_provider_refused_is_not_pushed(tmp_path, dialect, stream):
    """There was no conversation."""
    async with scene(tmp_path) as s:
        s.up.answers = [[answer(b'{"error":{"message":"no"}}', status=404)], served(dialect, stream=stream)]
        assert (await ask(s, dialect, "refused", stream=stream)).status == 404
        assert (await ask(s, dialect, "answered", stream=stream)).status == 200
        trace = await s.explorer.trace()
        assert "refused" not in json.dumps(trace)


@pytest.mark.parametrize("push", ["always", "reference"])
async def test_a_stream_that_broke_is_pushed_as_far_as_it_came(tmp_path, push):
    """The agent may stop there. Invariant's gateway pushes none."""
    async with scene(tmp_path, push=push) as s:
        begun = frames("anthropic", "half of")[:2]
        s.up.answers = [[stream_head(), *map(chunk, begun), None], served("anthropic", "all of it")]
        got = await ask(s, "anthropic", "one", stream=True)
        assert b"half of" in got.body
        assert (await ask(s, "anthropic", "two")).status == 200
        await s.explorer.trace(2 if push == "always" else 1)
        answers = [text_of(trace["messages"][0][-1]) for trace in s.explorer.traces]
        assert sorted(answers) == (["all of it", "half of"] if push == "always" else ["all of it"])


@pytest.mark.parametrize("trouble", ["silent", "failing", "refusing", "nonsense"])
async def test_an_explorer_in_trouble_costs_no_request(tmp_path, trouble):
    """What it does with traces is nobody's business but the log's."""

    async def answer_with(asked):
        if "push" not in asked.path:
            return "as ever"
        match trouble:
            case "silent":
                return None
            case "failing":
                return 500, {}
            case "refusing":
                return 403, {"detail": "no"}
            case _:
                return 200, "<html>"

    async with scene(tmp_path) as s:
        s.explorer.answer_with = answer_with
        s.up.answers = [served("openai_chat")]
        for _ in range(3):
            got = await asyncio.wait_for(ask(s, "openai_chat"), 5)
            assert got.status == 200
        assert s.gw.house.current.exploring.explorer.counts.dropped == 0


async def test_a_full_queue_drops_and_counts(tmp_path):
    """Requests go on as ever."""
    async with scene(tmp_path, queue=1) as s:

        async def answer_with(asked):
            return None if "push" in asked.path else "as ever"

        s.explorer.answer_with = answer_with
        s.up.answers = [served("openai_chat")]
        for _ in range(14):
            assert (await ask(s, "openai_chat")).status == 200
        counts = s.gw.house.current.exploring.explorer.counts
        assert counts.dropped >= 1
        assert counts.pushed == 0


async def test_the_variables_of_invariants_gateway_are_honoured(tmp_path):
    """INVARIANT_API_URL, INVARIANT_API_KEY: where nothing else is said."""
    async with scene(tmp_path) as other:
        url = other.gw.house.current.config.invariant.explorer_url
        second = tmp_path / "second"
        second.mkdir()
        environ = {"INVARIANT_API_URL": f"{url}/", "INVARIANT_API_KEY": INV}
        async with scene(second, environ=environ, explorer_url=None) as s:
            section = s.gw.house.current.config.invariant
            assert section.explorer_url == url
            assert section.key.reveal() == INV
            s.up.answers = [served("openai_chat")]
            assert (await ask(s, "openai_chat")).status == 200
            await other.explorer.trace()
            assert not s.explorer.asked


async def test_what_becomes_of_pushes_is_in_the_metrics(tmp_path):
    """Pushed, dropped, failed: for who watches the gateway."""
    async with scene(tmp_path, more="metrics: {public: true}") as s:
        s.up.answers = [served("openai_chat")]
        assert (await ask(s, "openai_chat")).status == 200
        await s.explorer.trace()
        counts = s.gw.house.current.exploring.explorer.counts
        async with asyncio.timeout(5):
            while not counts.pushed:
                await asyncio.sleep(0.01)
        told = (await call(s.port, "/metrics", b"", method="GET", headers="")).body.decode()
        assert 'gatewright_explorer_pushes_total{outcome="pushed"} 1' in told
        assert 'gatewright_explorer_pushes_total{outcome="dropped"} 0' in told
