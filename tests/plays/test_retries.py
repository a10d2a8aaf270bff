"""After a failure: the same target again, the next one, or the end; by its cause, within bounds, and as the upstream asks."""

import asyncio
import time

import pytest

from tests.plays.failing import causes, error, hosts, idle, records
from tests.plays.scene import DIALECTS, IN_STREAM_ERROR, ask, frames, message_of, path_of, send, served
from tests.serving import END, chunk, gateway, stream_head, upstream

ONE = "  m: {targets: [a/m]}"
TWO = "  m: {targets: [a/m], fallback: [b/m]}"
SILENT = "timeouts: {headers_s: 0.5, first_event_s: 60, idle_s: 0.5, connect_s: 60, total_s: 60}"

ONCE = {
    "500": ([error(500)], "broken"),
    "502": ([error(502)], "broken"),
    "503": ([error(503)], "overloaded"),
    "529": ([error(529)], "overloaded"),
    "429": ([error(429)], "throttled"),
    "408": ([error(408)], "conflict"),
    "409": ([error(409)], "conflict"),
    "504": ([error(504)], "silent"),
    "cut": ([None], "cut"),
    "silent": ([60.0], "silent"),
}
"""What may pass by itself: what the host does, and what that is called."""


@pytest.mark.parametrize("what", ONCE)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_what_may_pass_by_itself_is_tried_again_at_the_only_target(tmp_path, what, stream):
    """The client sees an answer and a number; the record says what came before it."""
    steps, cause = ONCE[what]
    async with hosts(tmp_path, "openai_chat", models=ONE, more=SILENT if what == "silent" else "") as gw:
        gw.a.answers = [steps, served("openai_chat", stream=stream)]
        got = await ask(gw, "openai_chat", "m", stream=stream)
        assert (got.status, got.headers["x-gatewright-attempts"]) == (200, "2")
        assert b"hello" in got.body
        assert causes(gw) == [("a/m", cause), ("a/m", None)]
        assert len(gw.a.requests) == sum(record.sent for record in records(gw)) == 2
        assert idle(gw)


@pytest.mark.parametrize("what", ONCE)
async def test_another_target_serves_what_one_does_not(tmp_path, what):
    """Whatever the first does, the answer comes; and each call that was made is recorded, no more and no fewer."""
    steps, _ = ONCE[what]
    async with hosts(tmp_path, "openai_chat", "anthropic", models=TWO, more=SILENT if what == "silent" else "") as gw:
        gw.a.answers = [steps]
        for _ in range(3):
            got = await ask(gw, "openai_chat", "m")
            assert (got.status, got.headers["x-gatewright-target"]) == (200, "b/m")
        assert len(gw.a.requests) + len(gw.b.requests) == sum(record.sent for record in records(gw))


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
async def test_what_the_client_must_mend_is_tried_once(tmp_path, status):
    """The same words would be refused again, here and elsewhere."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        gw.a.answers = [[error(status, "your fault", kind="invalid_request_error")]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.json["error"]["message"]) == (status, "your fault")
        assert "x-gatewright-attempts" not in got.headers
        assert (len(gw.a.requests), len(gw.b.requests)) == (1, 0)
        assert causes(gw) == [("a/m", "client")]


async def test_a_content_filter_is_an_answer(tmp_path):
    """Azure tells it as a 400; another host must not be asked what one forbids."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        gw.a.answers = [[error(400, "filtered", code="content_filter")]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, gw.b.requests, causes(gw)) == (400, [], [("a/m", "filtered")])


async def test_an_empty_account_is_not_asked_again(tmp_path):
    """No waiting helps: the next target at once, and with none the client hears it after one call."""
    poor = error(429, "no money", kind="insufficient_quota", code="insufficient_quota")
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO + "\n  lone: {targets: [a/n]}") as gw:
        gw.a.answers = [[poor]]
        got = await ask(gw, "openai_chat", "lone")
        assert (got.status, got.json["error"]["code"], len(gw.a.requests)) == (429, "insufficient_quota", 1)
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["x-gatewright-target"]) == (200, "b/m")


async def test_the_operators_wrong_key_is_no_clients_fault(tmp_path):
    """401 to our key moves on; the client can do nothing about it."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        gw.a.answers = [[error(401, "bad key")]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["x-gatewright-target"]) == (200, "b/m")
        assert causes(gw)[0] == ("a/m", "our_credential")
        await ask(gw, "openai_chat", "m")
        assert len(gw.a.requests) == 1, "whoever refused our key is asked last for a while"


async def test_an_upstream_that_wants_no_repetition_gets_none(tmp_path):
    """OpenAI and Anthropic say so with `x-should-retry: false`; elsewhere it may be asked all the same."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO + "\n  lone: {targets: [a/m]}") as gw:
        gw.a.answers = [[error(500, headers="x-should-retry: false\r\n")]]
        got = await ask(gw, "openai_chat", "lone")
        assert (got.status, len(gw.a.requests)) == (500, 1)
        assert (await ask(gw, "openai_chat", "m")).status == 200


@pytest.mark.parametrize(
    "told", ["retry-after-ms: 400", "x-ratelimit-reset-requests: 400ms\r\nx-ratelimit-remaining-requests: 0"]
)
async def test_the_upstream_says_when_to_come_back(tmp_path, told):
    """It is waited for in full, in whatever form it was told."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [[error(429, headers=told + "\r\n")], served("openai_chat")]
        began = time.monotonic()
        assert (await ask(gw, "openai_chat", "m")).status == 200
        assert time.monotonic() - began >= 0.4
        assert records(gw)[1].waited_s >= 0.4


async def test_who_asks_for_too_much_patience_is_not_waited_for(tmp_path):
    """The client is told at once, with the seconds."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [[error(429, headers="retry-after: 20\r\n")]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["retry-after"], len(gw.a.requests)) == (429, "20", 1)


@pytest.mark.parametrize("when", ["at once", "after the beginning"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_error_in_a_stream_before_content_is_tried_again_at_the_only_target(tmp_path, dialect, client, when):
    """A 200 says nothing; and the client has seen nothing yet."""
    begun = [chunk(frames(dialect)[0]), 0.03] if when != "at once" else []
    async with hosts(tmp_path, dialect, models=ONE) as gw:
        gw.a.answers = [[stream_head(), *begun, chunk(IN_STREAM_ERROR[dialect]), END], served(dialect, stream=True)]
        got = await ask(gw, client, "m", stream=True)
        assert (got.status, got.headers["x-gatewright-attempts"]) == (200, "2")
        assert b"hello" in got.body
        assert b"try later" not in got.body
        assert [record.stage for record in records(gw)] == ["streaming", "content"]


async def test_a_stream_that_never_gets_to_its_content_is_left(tmp_path):
    """A good head and nothing more is a failure like another."""
    async with hosts(tmp_path, "openai_chat", models=ONE, more=SILENT) as gw:
        gw.a.answers = [[stream_head(), chunk(frames("openai_chat")[0]), 60.0], served("openai_chat", stream=True)]
        got = await ask(gw, "openai_chat", "m", stream=True)
        assert (got.status, got.headers["x-gatewright-attempts"]) == (200, "2")
        assert causes(gw) == [("a/m", "stalled"), ("a/m", None)]


async def test_a_client_that_waits_hears_a_sign_of_life_meanwhile(tmp_path):
    """While attempts fail and are waited for, keep-alives go out; the answer follows in the same stream."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.gateway.keepalive_s = 0.5
        gw.a.answers = [[2.5, error(503)], served("openai_chat", stream=True)]
        got = await ask(gw, "openai_chat", "m", stream=True)
        assert got.status == 200
        assert got.body.startswith(b": keep-alive")
        assert b"hello" in got.body
        assert causes(gw) == [("a/m", "overloaded"), ("a/m", None)]


async def test_nothing_begins_after_the_deadline(tmp_path):
    """The wait would end too late, so the failure is told now."""
    slow = "retry: {base_s: 0.01, patience_s: 60}, deadline_s: 30"
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=slow) as gw:
        gw.a.answers = [[error(503, headers="retry-after: 50\r\n")]]
        began = time.monotonic()
        assert (await ask(gw, "openai_chat", "m")).status == 503
        assert time.monotonic() - began < 30
        assert len(gw.a.requests) == 1


async def test_attempts_at_one_target_and_at_all_are_bounded(tmp_path):
    """`tries_each` and `tries_all`."""
    models = "  m: {targets: [a/m], fallback: [b/m, c/m]}"
    routing = "retry: {base_s: 0.001, tries_each: 3, tries_all: 4}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", "openai_chat", models=models, routing=routing) as gw:
        for up in (gw.a, gw.b, gw.c):
            up.answers = [[error(500)]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["x-gatewright-attempts"]) == (500, "4")
        assert [len(up.requests) for up in (gw.a, gw.b, gw.c)] == [3, 1, 0]
        assert "a/m 500 ×3" in got.json["error"]["message"]
        assert "b/m 500" in got.json["error"]["message"]


@pytest.mark.parametrize("client", DIALECTS)
async def test_the_last_word_names_every_attempt(tmp_path, client):
    """What passes by itself leads; each target says its own, repetitions counted."""
    async with hosts(tmp_path, "openai_chat", "anthropic", models=TWO) as gw:
        gw.a.answers = [[error(503, "full house")]]
        gw.b.answers = [[error(500, "broken")]]
        got = await ask(gw, client, "m")
        message = message_of(client, got.json)
        assert got.status in (503, 529)
        for words in ("a/m 503 ×2 (full house", "b/m 500 ×4 ("):
            assert words in message


async def test_one_targets_own_words_come_through(tmp_path):
    """Where nobody else was asked, the client sees the provider's error as it is."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [[error(503, "full house", code="odd_code")]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.json["error"]["code"]) == (503, "odd_code")
        assert got.headers["x-gatewright-attempts"] == "2"


@pytest.mark.parametrize(("steps", "calls"), [([None], 1), ([error(503)], 2)], ids=["cut", "refused"])
async def test_work_in_the_background_is_not_begun_twice(tmp_path, steps, calls):
    """Cut off, nobody knows whether it runs; refused, it does not."""
    async with hosts(tmp_path, "openai_responses", "openai_responses", models=ONE) as gw:
        gw.a.answers = [steps, served("openai_responses")]
        body = {"model": "m", "input": "hi", "background": True}
        got = await send(gw, path_of("openai_responses", "m"), body)
        assert (got.status == 200, len(gw.a.requests)) == (calls == 2, calls)


async def test_a_moved_on_request_is_counted_by_the_calls_it_made(tmp_path):
    """The answer counts once, and each call at the target that got it."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        gw.a.answers = [[error(503)]]
        await ask(gw, "openai_chat", "m")
        calls = gw.house.current.books.usage.calls
        assert (calls["test", "a/m"].sent, calls["test", "a/m"].failed) == (1, 1)
        assert (calls["test", "b/m"].sent, calls["test", "b/m"].failed) == (1, 0)


async def test_many_at_once_are_each_answered_once(tmp_path):
    """Every second call fails; everybody is answered, and the calls recorded are the calls made."""
    models = "  m: {targets: [a/m, b/m]}"
    routing = "breaker: false, retry: {base_s: 0.01, tries_all: 40}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models, routing=routing) as gw:
        for up in (gw.a, gw.b):
            up.serve_with(flapping(up))
        got = await asyncio.gather(*(ask(gw, "openai_chat", "m") for _ in range(60)))
        assert {one.status for one in got} == {200}
        assert len(gw.a.requests) + len(gw.b.requests) == sum(record.sent for record in records(gw))
        assert idle(gw)


def flapping(up):
    """Every second request of all is refused."""

    async def play(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length"))
                up.requests.append(head + await reader.readexactly(length))
                writer.write(error(503) if len(up.requests) % 2 else served("openai_chat")[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return play


async def test_a_call_with_another_key_is_a_call_of_its_own(tmp_path):
    """The provider was asked twice, so two calls are counted, and the client hears of two attempts."""
    async with upstream() as up:
        up.answers = [[error(429, headers="retry-after: 9\r\n")], served("openai_chat")]
        provider = f"{{kind: custom, base_url: 'http://127.0.0.1:{up.port}/v1', api_keys: [sk-one, sk-two]}}"
        async with gateway(f"providers: {{many: {provider}}}", tmp_path) as gw:
            got = await ask(gw, "openai_chat", "many/m")
            assert (got.status, got.headers["x-gatewright-attempts"]) == (200, "2")
            calls = gw.house.current.books.usage.calls["test", "many/m"]
            assert (calls.sent, calls.failed, len(up.requests)) == (2, 1, 2)


async def test_a_call_repeated_because_its_connection_had_ended_is_counted_twice(tmp_path):
    """The host may have seen the first one: who reads the counts must find both."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [served("openai_chat"), [None], served("openai_chat")]
        for _ in range(2):
            got = await ask(gw, "openai_chat", "m")
            assert got.status == 200
        assert causes(gw) == [("a/m", None), ("a/m", "cut"), ("a/m", None)]
        assert len(gw.a.requests) == sum(record.sent for record in records(gw)) == 3
