"""Policies judged by Invariant's service: what it is asked, to the letter, and what follows when it does not say."""

import asyncio
import datetime as dt
import json

import pytest

from tests.plays.invariant_scene import DATASET, DIALECTS, INV, ask, key_lines, scene, served
from tests.plays.scene import events
from tests.plays.test_invariant_guardrails import REQUEST, RESPONSE, told

POLICY = 'raise "secret" if: ...'
"""What the stand-in objects to is the word in quotes; nobody here reads it."""


def checks(s):
    return [json.loads(asked.body) for asked in s.service.asked if asked.path == "/api/v1/policy/check/batch"]


async def test_what_the_service_is_asked(tmp_path):
    """Before the call about the request, after it about all; the last message says when."""
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.policy(POLICY)
        s.explorer.policy('raise "other" if: ...')
        s.up.answers = [served("openai_chat", "fine")]
        assert (await ask(s, "openai_chat", "hi")).status == 200
        first, second = checks(s)
        assert set(first) == {"messages", "policies", "parameters", "dataset_name"}
        assert first["policies"] == [POLICY, 'raise "other" if: ...']
        assert (first["dataset_name"], first["parameters"]) == (DATASET, {})
        stamp = first["messages"][-1].pop("timestamp")
        assert dt.datetime.fromisoformat(stamp)
        assert first["messages"] == [{"role": "user", "content": "hi"}]
        second["messages"][-1].pop("timestamp")
        assert second["messages"] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "fine"}]
        sessions = {asked.headers["x-session-id"] for asked in s.service.asked if "check" in asked.path}
        assert len(sessions) == 1
        assert all(asked.headers["authorization"] == f"Bearer {INV}" for asked in s.service.asked)


async def test_the_service_is_told_of_a_policy_once(tmp_path):
    """So that it has it ready: in an hour, not for each request."""
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.policy(POLICY)
        s.up.answers = [served("openai_chat", "fine")]
        for _ in range(3):
            await ask(s, "openai_chat", "hi")
        loads = [json.loads(asked.body) for asked in s.service.asked if asked.path == "/api/v1/policy/load"]
        assert loads == [{"policy": POLICY}]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_service_objects_to_is_blocked(tmp_path, dialect, stream):
    """Requests and answers, with its own words and places."""
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.policy(POLICY)
        s.up.answers = [served(dialect, "the secret is out", stream=stream)]
        got = await ask(s, dialect, "tell", stream=stream)
        assert told(dialect, got, stream=stream) == (RESPONSE, ["secret"])
        assert b"is out" not in got.body
        (annotation,) = (await s.explorer.trace())["annotations"][0]
        assert annotation["address"] == "messages.1.content"
        got = await ask(s, dialect, "my secret", stream=stream)
        assert told(dialect, got, stream=stream) == (REQUEST, ["secret"])


async def test_another_key_for_the_service(tmp_path):
    """`Invariant-Guardrails-Authorization`: for it alone; Explorer is asked with the other one."""
    headers = key_lines("openai_chat", invariant="inv-explorers", **{"Invariant-Guardrails-Authorization": f"Bearer {INV}"})
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.answer_with = lambda asked: (200, {"username": "developer", "policies": [
            {"id": "1", "name": "n", "content": POLICY, "action": "block", "enabled": True}]})  # fmt: skip
        s.up.answers = [served("openai_chat", "fine")]
        assert (await ask(s, "openai_chat", headers=headers)).status == 200
        assert {asked.headers["authorization"] for asked in s.service.asked} == {f"Bearer {INV}"}
        assert {asked.headers["authorization"] for asked in s.explorer.asked} == {"Bearer inv-explorers"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_that_the_service_does_not_know(tmp_path, dialect, stream):
    """401, with the hint that Invariant's gateway gives."""
    headers = key_lines(dialect, **{"Invariant-Guardrails-Authorization": "Bearer wrong"})
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.policy(POLICY)
        s.up.answers = [served(dialect, stream=stream)]
        got = await ask(s, dialect, stream=stream, headers=headers)
        assert got.status == 401
        assert got.json["detail"].startswith("The provided Invariant API key is not valid for guardrail checking.")
        assert "invariant-guardrails-authorization" in got.json["detail"]


async def test_a_policy_that_the_service_cannot_read(tmp_path):
    """Its words are the client's."""
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.policy(POLICY)
        words = "Failed to create policy from policy source. line 4: illegal statement"
        s.service.answer_with = lambda asked: (200, {"result": [{"errors": [], "error_message": words}]})
        s.up.answers = [served("openai_chat")]
        got = await ask(s, "openai_chat")
        assert told("openai_chat", got, stream=False) == (REQUEST, [words])


@pytest.mark.parametrize(("way", "status"), [("block", 400), ("pass", 200)])
@pytest.mark.parametrize("trouble", [(500, {}), (200, "<html>"), (200, {"result": []}), (200, {"result": [{"errors": 7}]}), None])
async def test_a_service_that_does_not_judge(tmp_path, way, status, trouble):
    """Blocks, as with Invariant's gateway, unless the operator says otherwise; in bounded time."""
    async with scene(tmp_path, guardrails="remote", on_failure=way, deadline_s=0.3) as s:
        s.explorer.policy(POLICY)
        s.service.answer_with = lambda asked: trouble
        s.up.answers = [served("openai_chat", "fine")]
        got = await asyncio.wait_for(ask(s, "openai_chat"), 5)
        assert got.status == status
        if status == 400:
            (error,) = got.json["details"]["errors"]
            assert error["args"][0].startswith("Gateway: ")
            assert error["ranges"] == ["messages[0].content:L0"]


async def test_the_policy_of_the_file_is_judged_with_the_operators_key(tmp_path):
    """Where the request brings none."""
    async with scene(tmp_path, guardrails="remote", policy=POLICY, key=INV) as s:
        s.up.answers = [served("openai_chat", "fine")]
        headers = key_lines("openai_chat", invariant="")
        assert (await ask(s, "openai_chat", dataset="", headers=headers)).status == 200
        assert checks(s)[0]["dataset_name"] is None


async def test_policies_that_log_are_judged_when_the_trace_is_pushed(tmp_path):
    """Not before; the client waits for nothing."""
    async with scene(tmp_path, guardrails="remote") as s:
        s.explorer.policy(POLICY, "log")
        s.up.answers = [served("openai_chat", "the secret is out")]
        got = await ask(s, "openai_chat", "tell")
        assert b"the secret is out" in got.body
        trace = await s.explorer.trace()
        assert trace["annotations"][0][0]["extra_metadata"]["guardrail"]["action"] == "log"
        (check,) = checks(s)
        assert len(check["messages"]) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", ["my secret", "tell"])
async def test_a_slow_verdict_on_a_stream_that_has_begun(tmp_path, dialect, text):
    """The client is kept from hanging up by keep-alives; what then comes is the error event alone."""

    async def slow(asked):
        if "check" in asked.path:
            await asyncio.sleep(1.5)
            word = "secret"
            found = word in json.dumps(json.loads(asked.body)["messages"])
            return 200, {"result": [{"errors": [{"args": [word], "kwargs": {}, "ranges": []}] if found else []}]}
        return 200, {}

    async with scene(tmp_path, guardrails="remote") as s:
        s.gw.gateway.keepalive_s = 0.3
        s.explorer.policy(POLICY)
        s.service.answer_with = slow
        s.up.answers = [served(dialect, "the secret is out", stream=True)]
        got = await ask(s, dialect, text, stream=True)
        assert got.status == 200
        assert not got.broken
        assert b"is out" not in got.body
        told_events = [event for event in events(got.body) if "error" in event]
        assert len(told_events) == 1
        assert told_events[0]["error"]["message"] == (REQUEST if "my" in text else RESPONSE)
        assert got.body.startswith((b":", b"event: ping", b"\r\n"))
