"""Ordinary traffic for Explorer: each conversation once, from a thread that nobody waits for."""

import asyncio
import json
import time

from tests.identity import serving
from tests.plays.scene import asking, frames, whole
from tests.record.tracing import batch

from gatewright.guards.terms import Finding
from gatewright.record.explorer import IN_A_ROW
from gatewright.record.explorer_sink import ExplorerSink, PushRule, annotations, body_of
from gatewright.record.export_meaning import both
from gatewright.record.traces import Message, Trace


def trace(dialect="openai_chat", *, stream=False, name="req_1", **more):
    request = json.dumps(asking(dialect, "m", "hi", stream=stream)).encode()
    answer = b"".join(frames(dialect, "hello")) if stream else json.dumps(whole(dialect, "hello")).encode()
    kind = "text/event-stream" if stream else "application/json"
    paths = {"openai_chat": "/v1/chat/completions", "anthropic": "/v1/messages", "openai_responses": "/v1/responses"}
    told = {
        "id": name, "at": 1, "operation": "generate", "path": paths.get(dialect, "/v1beta/models/m:generateContent"),
        "client_dialect": dialect, "status": 200, "request": Message(body=request, size=len(request)),
        "answer": Message(headers=(("content-type", kind),), body=answer, size=len(answer)),
    }  # fmt: skip
    return Trace(**(told | more))


async def pushed(traces, answer, **more):
    """What a sink pushed of these, by a server that answers so."""
    async with serving(answer) as port:
        rule = PushRule(url=f"http://127.0.0.1:{port}", key="inv-1", dataset="all", **more)
        sink = ExplorerSink(rule, both, {})
        sink.take(batch(*traces))
        async with asyncio.timeout(10):
            while sink.counts.pushed + sink.counts.failed + sink.counts.dropped < len(traces):
                await asyncio.sleep(0.01)
        await asyncio.to_thread(sink.close)
        return sink


async def test_each_conversation_is_pushed_over_one_connection():
    """In the form of the push, to the dataset of the configuration, with the trace's own id."""
    seen = []

    def answer(asked):
        seen.append(asked)
        return 200, {"id": ["1"]}

    sink = await pushed([trace(name="a"), trace("anthropic", stream=True, name="b", session="s1")], answer)
    assert sink.counts.pushed == 2
    assert {asked.path for asked in seen} == {"/api/v1/push/trace"}
    assert {asked.headers["authorization"] for asked in seen} == {"Bearer inv-1"}
    first, second = (json.loads(asked.body) for asked in seen)
    assert first["dataset"] == "all"
    assert first["messages"] == [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]]
    assert first["metadata"][0]["gatewright_trace"] == "a"
    assert second["messages"][0][-1] == {"role": "assistant", "content": "hello"}
    assert second["metadata"][0]["gatewright_session"] == "s1"


async def test_what_does_not_fit_is_dropped_and_counted():
    """The recording thread waits for nobody."""
    began = time.monotonic()
    async with serving(lambda asked: None) as port:
        sink = ExplorerSink(PushRule(url=f"http://127.0.0.1:{port}", key="k", dataset="d", queue=2, deadline_s=0.2), both, {})
        sink.take(batch(*(trace() for _ in range(50))))
        assert time.monotonic() - began < 5
        assert sink.counts.dropped >= 40
        await asyncio.to_thread(sink.close)


async def test_a_failing_explorer_is_left_alone(caplog):
    """After several failures in a row what comes is dropped for a while; the log has one line, and no key."""
    sink = await pushed([trace() for _ in range(IN_A_ROW + 3)], lambda asked: (500, {}))
    assert (sink.counts.failed, sink.counts.dropped) == (IN_A_ROW, 3)
    assert caplog.text.count("explorer:") == 1
    assert "inv-1" not in caplog.text
    assert "inv-1" not in repr(sink.rule)


def test_openais_answer_is_told_to_the_last_field():
    """Also what the neutral form has once: reasoning of another dialect, shown in both spellings that clients know."""
    sealed = {"type": "reasoning.text", "text": "Hm", "signature": "gw1.e30=", "index": 0}
    message = {"role": "assistant", "content": "hello", "reasoning_content": "Hm", "reasoning_details": [sealed], "x_house": None}
    answer = whole("openai_chat", "hello")
    answer["choices"][0]["message"] = message
    body = json.dumps(answer).encode()
    told = trace(answer=Message(headers=(("content-type", "application/json"),), body=body, size=len(body)))
    [said] = json.loads(body_of(told, *both(told), dataset="d"))["messages"]
    assert said[-1] == {key: value for key, value in message.items() if value is not None}


def test_what_is_no_conversation_is_not_pushed():
    """An error without a finding, a request that cannot be read, an answer that never came."""
    refused = trace(status=400, answer=Message(body=b"{}", size=2))
    assert body_of(refused, *both(refused), dataset="d") is None
    cut = trace(request=Message(body=b'{"mod', size=500))
    assert body_of(cut, *both(cut), dataset="d") is None
    blocked = trace(status=400, answer=Message(), found=(Finding(kind="email", rule="no-mail", action="block"),))
    said = json.loads(body_of(blocked, *both(blocked), dataset="d"))
    assert said["messages"] == [[{"role": "user", "content": "hi"}]]


def test_what_the_guards_found_becomes_annotations():
    """With their places where these are places in messages; rules that only try out say nothing."""
    told = annotations(
        [
            Finding(kind="policy_violation", rule="p", action="log", message="ogre", path="messages.1.content", start=2, end=6),
            Finding(kind="email", rule="mail", action="redact", path="messages[0].content", start=1, end=3),
            Finding(kind="email", rule="mail", action="redact", dry=True),
        ]
    )
    assert [(one["content"], one["address"]) for one in told] == [
        ("ogre", "messages.1.content:2-6"),
        ("mail: email", "messages.0"),
    ]
    assert told[0]["extra_metadata"]["guardrail"]["action"] == "log"
