"""Policies at Invariant's paths: from a file, a header, a dataset; what is blocked is not shown, what is only logged is not told."""

import asyncio
import json

import pytest

from tests.plays.invariant_scene import (
    DATASET,
    DIALECTS,
    FILE_POLICY,
    ask,
    asking,
    called,
    key_lines,
    scene,
    served,
)
from tests.plays.scene import events, frames, whole
from tests.serving import END, answer, call, chunk, stream_head

STREAMS = [False, True]
CAPITAL = {"openai_chat": ("Spain", "Madrid"), "anthropic": ("Spain", "Madrid"), "gemini": ("Ireland", "Dublin")}
REQUEST, RESPONSE = "[Invariant] The request did not pass the guardrails", "[Invariant] The response did not pass the guardrails"

OGRE = 'raise "ogre detected in response" if:\n   (msg: Message)\n   (c: str) in text(msg.content)\n   "ogre" in c and msg.role == "assistant"'
FIONA = 'raise "Fiona detected in response" if:\n   (msg: Message)\n   (c: str) in text(msg.content)\n   "Fiona" in c'
PUN = 'raise "pun detected in user message" if:\n   (msg: Message)\n   (c: str) in text(msg.content)\n   "pun" in c and msg.role == "user"'


def told(dialect, got, *, stream):
    """What a blocked client is told: (message, words of the errors); in the shape of Invariant's gateway."""
    if not stream:
        assert got.status == 400, got.body
        document = got.json
        assert document is not None
        if dialect == "openai_chat":
            assert set(document) == {"error", "details"}
            return document["error"], words(document["details"])
        if dialect == "gemini":
            assert document["error"]["code"] == 400
            assert document["error"]["status"] == "INVARIANT_GUARDRAILS_VIOLATION"
            assert document["prompt_feedback"]["blockReason"] == "SAFETY"
            assert document["prompt_feedback"]["safetyRatings"][0]["blocked"] is True
        return document["error"]["message"], words(document["error"]["details"])
    assert got.status == 200
    assert got.headers["content-type"].startswith("text/event-stream")
    (event,) = events(got.body)
    if dialect == "anthropic":
        assert got.body.startswith(b"event: error\n")
    if dialect == "gemini":
        assert event["error"]["status"] == "INVARIANT_GUARDRAILS_VIOLATION"
        assert event["promptFeedback"]["blockReason"] == "SAFETY"
        assert event["candidates"][0]["content"]["parts"][0]["text"] == event["error"]["message"]
    return event["error"]["message"], words(event["error"]["details"])


def words(details):
    return [error["args"][0] for error in details["errors"]]


def text_of(message):
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def contents(annotations):
    return [annotation["content"] for annotation in annotations[0]]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("push", [True, False])
async def test_an_answer_that_the_file_forbids(tmp_path, dialect, stream, push):
    """None of it reaches the client; the trace has it, with the annotation."""
    country, capital = CAPITAL[dialect]
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served(dialect, f"The capital is {capital}.", stream=stream)]
        got = await ask(s, dialect, f"What is the capital of {country}?", dataset=DATASET if push else "", stream=stream)
        assert told(dialect, got, stream=stream) == (RESPONSE, [f"{capital} detected in the response"])
        assert f"The capital is {capital}".encode() not in got.body
        if push:
            trace = await s.explorer.trace()
            (said,) = trace["messages"]
            assert [message["role"] for message in said] == ["user", "assistant"]
            assert text_of(said[1]) == f"The capital is {capital}."
            (annotation,) = trace["annotations"][0]
            assert annotation["content"] == f"{capital} detected in the response"
            assert annotation["address"].startswith("messages.1.content")
            assert annotation["extra_metadata"]["source"] == "guardrails-error"
            assert annotation["extra_metadata"]["guardrail"]["action"] == "block"
            assert annotation["extra_metadata"]["guardrail"]["name"] == "default"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("push", [True, False])
async def test_a_call_that_the_file_forbids(tmp_path, dialect, stream, push):
    """By its arguments, though they come in pieces."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [called(dialect, "get_capital", {"country_name": "Germany"}, stream=stream)]
        got = await ask(s, dialect, "capital of G.?", dataset=DATASET if push else "", stream=stream)
        assert told(dialect, got, stream=stream) == (RESPONSE, ["get_capital is called with Germany as argument"])
        if push:
            trace = await s.explorer.trace()
            assert trace["messages"][0][-1]["tool_calls"][0]["function"]["name"] == "get_capital"
            assert contents(trace["annotations"]) == ["get_capital is called with Germany as argument"]
        s.up.answers = [called(dialect, "get_capital", {"country_name": "France"}, stream=stream)]
        allowed = await ask(s, dialect, "capital of F.?", dataset="", stream=stream)
        assert allowed.status == 200
        assert b"France" in allowed.body


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("push", [True, False])
async def test_a_request_that_the_file_forbids(tmp_path, dialect, stream, push):
    """The trace has the request alone."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served(dialect, "rule one", stream=stream)]
        got = await ask(s, dialect, "Tell me more about Fight Club.", dataset=DATASET if push else "", stream=stream)
        assert told(dialect, got, stream=stream) == (REQUEST, ["Users must not mention the magic phrase 'Fight Club'"])
        assert b"rule one" not in got.body
        if push:
            trace = await s.explorer.trace()
            (said,) = trace["messages"]
            assert [text_of(message) for message in said] == ["Tell me more about Fight Club."]
            assert contents(trace["annotations"]) == ["Users must not mention the magic phrase 'Fight Club'"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_what_no_policy_forbids_goes_by_as_it_came(tmp_path, dialect, stream):
    """To the byte, whole or streamed, held back or not."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served(dialect, "Paris, of course", stream=stream)]
        got = await ask(s, dialect, "capital of France?", stream=stream)
        assert got.status == 200
        if not stream:
            assert got.body == s.up.answers[0][0].partition(b"\r\n\r\n")[2]
        else:
            assert b"Paris, of course" in got.body
            assert not got.broken


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("push", [True, False])
async def test_a_policy_in_the_header(tmp_path, dialect, stream, push):
    """Unicode-escaped, as Python's clients write it; it blocks."""
    policy = """
# For input guardrailing: „Prüfung"
raise "Users must not mention the magic phrase 'Abracadabra'" if:
    (msg: Message)
    (c: str) in text(msg.content)
    msg.role == "user"
    "Abracadabra" in c
"""
    headers = key_lines(dialect, **{"Invariant-Guardrails": policy.encode("unicode-escape").decode()})
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect, stream=stream)]
        dataset = DATASET if push else ""
        got = await ask(s, dialect, "Tell me more about Abracadabra.", dataset=dataset, stream=stream, headers=headers)
        assert told(dialect, got, stream=stream) == (REQUEST, ["Users must not mention the magic phrase 'Abracadabra'"])
        assert (await ask(s, dialect, "Tell me more.", dataset=dataset, stream=stream, headers=headers)).status == 200
        assert (await ask(s, dialect, "Abracadabra", dataset=dataset, stream=stream)).status == 200
        if push:
            await s.explorer.trace(3)
            (blocked,) = [trace for trace in s.explorer.traces if trace["annotations"] and trace["annotations"][0]]
            assert len(blocked["messages"][0]) == 1
            (annotation,) = blocked["annotations"][0]
            assert annotation["extra_metadata"]["guardrail"]["id"] == "guardrails-from-header"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_a_policy_that_is_none(tmp_path, dialect, stream):
    """Nothing goes on, and the words point at the line that is wrong."""
    policy = 'raise "x" if:\n    (msg: Message)\n    "A" in msg.content\n    illegal statement\n'
    headers = key_lines(dialect, **{"Invariant-Guardrails": policy.encode("unicode-escape").decode()})
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect, stream=stream)]
        message, (said,) = told(dialect, await ask(s, dialect, stream=stream, headers=headers), stream=stream)
        assert message == REQUEST
        assert said.startswith("Failed to create policy from policy source.")
        assert "illegal statement" in said
        assert "policy:4:" in said


@pytest.mark.parametrize("value", ["x" * 40_000, "\\ud800", "\\U99999999"])
async def test_a_hostile_header_is_refused(tmp_path, value):
    """Too long, or no text: told in the document of a 400; or the server takes no such head at all."""
    async with scene(tmp_path) as s:
        got = await ask(s, "openai_chat", headers=key_lines("openai_chat", **{"Invariant-Guardrails": value}))
        assert got.status in (400, 431)
        assert not s.up.requests


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_policies_of_a_dataset_block_and_log(tmp_path, dialect, stream):
    """What is only logged is in the trace and not in the answer; and the file counts for nothing beside them."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.explorer.policy(OGRE, "block")
        s.explorer.policy(FIONA, "log")
        s.explorer.policy('raise "never" if:\n    (msg: Message)\n', "block", enabled=False)
        country, capital = CAPITAL[dialect]
        s.up.answers = [served(dialect, capital, stream=stream)]
        free = await ask(s, dialect, f"capital of {country}?", stream=stream)
        assert free.status == 200
        assert capital.encode() in free.body
        s.up.answers = [served(dialect, "Shrek is an ogre; his wife is Fiona.", stream=stream)]
        got = await ask(s, dialect, "Who is Shrek?", stream=stream)
        assert told(dialect, got, stream=stream) == (RESPONSE, ["ogre detected in response"])
        assert b"Fiona" not in got.body
        await s.explorer.trace(2)
        (trace,) = [one for one in s.explorer.traces if "Shrek" in json.dumps(one)]
        about = {a["content"]: a["extra_metadata"]["guardrail"]["action"] for a in trace["annotations"][0]}
        assert about == {"ogre detected in response": "block", "Fiona detected in response": "log"}
        assert trace["annotations"][0][0]["content"] == "ogre detected in response"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_a_policy_that_logs_lets_everything_by(tmp_path, dialect, stream):
    """Nothing is held back for it, nothing told: bytes, headers, status are as without."""
    async with scene(tmp_path) as s:
        s.explorer.policy(PUN, "log")
        s.up.answers = [served(dialect, "ha", stream=stream)]
        got = await ask(s, dialect, "a pun please", stream=stream)
        without = await ask(s, dialect, "a pun please", dataset="", stream=stream)
        assert got.status == 200
        assert got.body == without.body
        assert b"pun detected" not in got.body
        assert set(got.headers) == set(without.headers)
        trace = await s.explorer.trace()
        assert len(trace["messages"][0]) == 2
        (annotation,) = trace["annotations"][0]
        assert (annotation["content"], annotation["extra_metadata"]["guardrail"]["action"]) == (
            "pun detected in user message",
            "log",
        )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
async def test_a_request_is_judged_beside_the_call_and_ends_it(tmp_path, dialect, stream):
    """The provider is asked at once; it never answers, the verdict comes all the same, and the call is hung up."""
    async with scene(tmp_path) as s:
        s.explorer.policy(PUN, "block")
        s.up.answers = [[60.0]]
        got = await asyncio.wait_for(ask(s, dialect, "a pun please", stream=stream), 10)
        assert told(dialect, got, stream=stream) == (REQUEST, ["pun detected in user message"])
        if s.up.requests:
            await asyncio.wait_for(s.up.closed.wait(), 5)
        trace = await s.explorer.trace()
        assert [message["role"] for message in trace["messages"][0]] == ["user"]


async def test_the_provider_works_while_the_service_judges(tmp_path):
    """The call is out before the verdict is there, and nothing of its answer goes on until then."""
    verdict = asyncio.Event()

    async def judging(asked):
        if "check" in asked.path:
            await verdict.wait()
        return 200, {"result": [{"errors": []}]}

    async with scene(tmp_path, policy="anything", guardrails="remote") as s:
        s.service.answer_with = judging
        s.up.answers = [served("openai_chat", "here it is")]
        asking = asyncio.ensure_future(ask(s, "openai_chat"))
        async with asyncio.timeout(5):
            while not (s.up.requests and s.service.asked):
                await asyncio.sleep(0.01)
        assert not asking.done()
        verdict.set()
        got = await asyncio.wait_for(asking, 5)
        assert b"here it is" in got.body


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_is_not_shown_before_it_was_judged(tmp_path, dialect):
    """Not its beginning either; whatever its text looks like, and wherever its events are cut."""
    lure = "message_stop data: [DONE] finishReason ogre"
    async with scene(tmp_path) as s:
        s.explorer.policy(OGRE)
        wire = b"".join(frames(dialect, lure))
        for size in (3, 50, len(wire)):
            s.up.answers = [[stream_head(), *(chunk(wire[i : i + size]) for i in range(0, len(wire), size)), END]]
            got = await ask(s, dialect, "Who?", stream=True)
            assert told(dialect, got, stream=True) == (RESPONSE, ["ogre detected in response"])
            assert b"[DONE]" not in got.body.replace(b"data: [DONE]\n\n", b"")


@pytest.mark.parametrize(("text", "message"), [("Fight Club", REQUEST), ("capital of Ireland?", RESPONSE)])
async def test_geminis_stream_may_be_one_array(tmp_path, text, message):
    """Without `alt=sse`: what is told is an array, too."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [[answer(json.dumps([whole("gemini", "Dublin")]).encode())]]
        path = f"/api/v1/gateway/{DATASET}/gemini/v1beta/models/m:streamGenerateContent"
        got = await call(s.port, path, json.dumps(asking("gemini", text)).encode(), headers=key_lines("gemini"))
        (chunk_,) = json.loads(got.body)
        assert chunk_["error"]["message"] == message


async def test_policies_of_clients_make_nobody_else_wait(tmp_path):
    """One that is as much work as it may be ends soon, is told so, and requests beside it are answered meanwhile."""
    costly = 'raise "x" if:\n    (a: Message) -> (b: Message)\n    (b: Message) -> (c: Message)\n    "zz" in a.content + b.content + c.content\n'
    headers = key_lines("openai_chat", **{"Invariant-Guardrails": costly.encode("unicode-escape").decode()})
    document = asking("openai_chat")
    document["messages"] = [{"role": "user", "content": "a " * 50}] * 200
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served("openai_chat")]
        hostile = [asyncio.ensure_future(ask(s, "openai_chat", document=document, headers=headers)) for _ in range(4)]
        for _ in range(5):
            got = await asyncio.wait_for(ask(s, "openai_chat", dataset=""), 5)
            assert got.status == 200
        for got in await asyncio.gather(*hostile):
            assert got.status == 400
            (error,) = got.json["details"]["errors"]
            assert "too much work" in error["args"][0] or "no verdict within" in error["args"][0]


@pytest.mark.parametrize("stream", STREAMS)
async def test_every_choice_is_judged(tmp_path, stream):
    """Not the first alone."""
    async with scene(tmp_path) as s:
        s.explorer.policy(OGRE)
        base = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        if stream:
            parts = [(0, {"role": "assistant", "content": "a prince"}, None), (1, {"role": "assistant", "content": "an o"}, None),
                     (1, {"content": "gre"}, None), (0, {}, "stop"), (1, {}, "stop")]  # fmt: skip
            wire = [
                b"data: "
                + json.dumps(
                    {**base, "object": "chat.completion.chunk", "choices": [{"index": i, "delta": d, "finish_reason": f}]}
                ).encode()
                + b"\n\n"
                for i, d, f in parts
            ]
            s.up.answers = [[stream_head(), *map(chunk, wire), chunk(b"data: [DONE]\n\n"), END]]
        else:
            choices = [
                {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                for i, text in enumerate(("a prince", "an ogre"))
            ]
            s.up.answers = [[answer(json.dumps({**base, "choices": choices}).encode())]]
        got = await ask(s, "openai_chat", "Who?", stream=stream, n=2)
        assert told("openai_chat", got, stream=stream) == (RESPONSE, ["ogre detected in response"])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("ending", ["error", "refusal"])
async def test_the_operators_own_guards_hold_here_too(tmp_path, dialect, stream, ending):
    """The one choke point is in these paths as in all others; it ends what it stops in an error, whatever it does elsewhere."""
    rules = "[{name: no-word, kind: patterns, patterns: [swordfish], action: block}]"
    async with scene(tmp_path, more=f"guards: {{rules: {rules}, ends_as: {ending}}}") as s:
        s.up.answers = [served(dialect, "the word is swordfish", stream=stream)]
        for text in ("say swordfish", "say it"):
            got = await ask(s, dialect, text, dataset="", stream=stream)
            assert b"no-word" in got.body
            assert b"swordfish" not in got.body
            assert b"error" in got.body
        assert len(s.up.requests) == 1
