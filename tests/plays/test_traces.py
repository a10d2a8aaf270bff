"""Traces: what went over both legs is kept as it went, of every kind of exchange, and nobody is ever in its way."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from gatewright.record.trace_index import Indexer
from gatewright.stores.traces import open_traces
from tests.plays.kept_traces import kept
from tests.plays.scene import DIALECTS, ask, asking, frames, path_of, providers, send, whole
from tests.serving import END, KEY, answer, call, chunk, gateway, stream_head, upstream

TRACES = "traces: {enabled: true, index_share: 0}\n"
OTHER = "gw-opted-out-key"


@asynccontextmanager
async def traced(tmp_path, *, more: str = TRACES, keys: str = ""):
    """A gateway that keeps traces, before scripted upstreams; `kept()` gives what was written."""
    async with upstream() as up, gateway(providers(up.port) + more, tmp_path, keys=keys) as gw:
        gw.upstream = up
        gw.kept = lambda: kept(gw, tmp_path)
        try:
            yield gw
        finally:
            gw.house.current.tracing.close()


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_both_legs_are_kept_to_the_byte(tmp_path, client, target, stream):
    """Whatever dialects they are in, streamed or whole."""
    async with traced(tmp_path) as gw:
        if stream:
            gw.upstream.answers = [[stream_head(), *map(chunk, frames(target)), END]]
            told = b"".join(frames(target))
        else:
            told = json.dumps(whole(target)).encode()
            gw.upstream.answers = [[answer(told)]]
        got = await ask(gw, client, f"to-{target}", stream=stream)
        assert got.status == 200
        (trace,) = await gw.kept()
    assert trace.request.body == json.dumps(asking(client, f"to-{target}", stream=stream)).encode()
    assert trace.answer.body == got.body
    assert (trace.client_dialect, trace.upstream_dialect, trace.stream) == (client, target, stream)
    assert trace.status == 200
    assert trace.outcome == "ok"
    (leg,) = trace.upstream
    assert leg.request.body == gw.upstream.body()
    assert leg.answer.body == told
    assert leg.status == 200
    assert leg.target == f"{trace.provider}/m"
    assert trace.output == 5
    assert trace.key_id == "test"
    assert trace.id == got.headers["x-request-id"]
    assert trace.took_us > 0
    assert [one.cause for one in trace.tried] == [""]


ERROR = b'data: {"error":{"message":"out of sk-chat","type":"server_error"}}\n\n'


@pytest.mark.parametrize("ends", ["well", "with an error", "cut", "cut inside of an event"])
async def test_of_a_stream_that_passes_what_was_told_is_kept(tmp_path, ends):
    """Event by event; it is kept once, and what was changed on the way to the client beside it: usage that it never asked for goes."""
    *events, done = frames("openai_chat")
    told = {
        "well": [*events, done],
        "with an error": [events[0], ERROR],
        "cut": events[:1],
        "cut inside of an event": [events[0], events[1][:9]],
    }[ends]
    async with traced(tmp_path) as gw:
        steps = [step for event in told for step in (0.02, chunk(event))]
        gw.upstream.answers = [[stream_head(), *steps, None if ends.startswith("cut") else END]]
        got = await ask(gw, "openai_chat", "to-openai_chat", stream=True)
        (trace,) = await gw.kept()
    assert trace.answer.body == got.body
    assert trace.answer.size == len(got.body)
    came = b"".join(told)
    assert trace.upstream[0].answer.body == came.replace(b"sk-chat", b"[redacted:secret]")
    assert got.body != came
    assert b"sk-chat" not in got.body


async def test_what_fails_is_kept_with_every_attempt(tmp_path):
    """The head and a part of the body of what did not serve, and why."""
    async with traced(tmp_path) as gw:
        refusal = b'{"error":{"message":"no such thing sk-chat","type":"invalid_request_error"}}'
        gw.upstream.answers = [[answer(refusal, status=400)]]
        got = await ask(gw, "openai_chat", "to-openai_chat")
        assert got.status == 400
        (trace,) = await gw.kept()
    assert trace.outcome == "error"
    assert trace.status == 400
    assert trace.answer.body == got.body
    assert "no such thing" in trace.problem
    (leg,) = trace.upstream
    assert leg.status == 400
    assert leg.answer.body == refusal.replace(b"sk-chat", b"[redacted:secret]")
    assert [(one.status, one.cause) for one in trace.tried] == [(400, "client")]
    assert trace.cost_micros == 0


async def test_of_a_fallback_both_attempts_are_kept(tmp_path):
    """What went to a provider that is away, and what another answered."""
    async with upstream() as dead:
        port = dead.port  # nobody listens there from here on
    more = TRACES.replace("true,", "true, max_body_bytes: 100000,")
    async with traced(tmp_path, more=more) as gw:
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        text = (tmp_path / "gatewright.yaml").read_text()
    text = text.replace(
        "providers:\n", f"providers:\n  away: {{kind: openai, base_url: 'http://127.0.0.1:{port}/v1', dialects: [openai_chat]}}\n"
    )
    text = text.replace("models:\n", "models:\n  both: {targets: [away/m], fallback: [{targets: [talk/m]}]}\n").partition(
        "\nkeys:"
    )[0]
    async with upstream() as up:
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        async with gateway(text.replace(str(gw.upstream.port), str(up.port)), tmp_path) as gw:
            got = await ask(gw, "openai_chat", "both", "x" * 40_000)
            assert got.status == 200
            await asyncio.to_thread(gw.house.current.tracing.close)
    store = open_traces(tmp_path)
    (trace,) = store.iterate()
    store.close()
    assert [(one.target, one.cause) for one in trace.tried] == [("away/m", "unreachable"), ("talk/m", "")]
    first, second = trace.upstream
    assert (first.target, first.status, first.answer) == ("away/m", 0, None)
    assert (len(first.request.body), first.request.is_cut) == (16 << 10, True)
    assert (second.target, second.status) == ("talk/m", 200)
    assert len(second.request.body) > 40_000
    assert trace.served is second
    assert (trace.provider, trace.model) == ("talk", "m")


async def test_a_stream_that_its_client_leaves_is_kept_as_far_as_it_came(tmp_path):
    """With what had been told until then."""
    async with traced(tmp_path) as gw:
        begin, content, _ = frames("openai_chat")
        gw.upstream.answers = [[stream_head(), chunk(begin), chunk(content), 30.0]]
        body = json.dumps(asking("openai_chat", "to-openai_chat", stream=True)).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        while b"hello" not in await reader.read(65536):
            pass
        writer.close()
        await asyncio.wait_for(gw.upstream.closed.wait(), 10)
        while not gw.house.current.tracing.recording.taken:
            await asyncio.sleep(0.01)
        (trace,) = await gw.kept()
    assert trace.outcome == "left"
    assert trace.status == 499
    assert b"hello" in trace.answer.body
    assert trace.upstream[0].answer.body == begin + content


async def test_what_is_beyond_the_bound_is_cut_and_said_to_be(tmp_path):
    """Of each body by itself; the client gets all of it."""
    more = "traces: {enabled: true, index_share: 0, max_body_bytes: 1024}\n"
    async with traced(tmp_path, more=more) as gw:
        told = json.dumps(whole("openai_chat", "y" * 5000)).encode()
        gw.upstream.answers = [[answer(told)]]
        got = await ask(gw, "openai_chat", "to-openai_chat", "x" * 3000)
        (trace,) = await gw.kept()
    assert got.body == told
    assert len(trace.request.body) == 1024
    assert trace.request.size > 3000
    assert trace.request.is_cut
    assert trace.answer.body == told[:1024]
    assert trace.answer.size == len(told)
    assert trace.upstream[0].answer.is_cut


@pytest.mark.parametrize("where", ["key", "team", "organization", "user"])
async def test_who_opts_out_leaves_no_trace(tmp_path, where):
    """A key, or whoever it belongs to; what others ask is kept all the same."""
    groups = {
        "key": (f"{{name: out, key: {OTHER}, traces: false}}", ""),
        "team": (f"{{name: out, key: {OTHER}, team: quiet}}", "teams: {quiet: {traces: false}}\n"),
        "user": (f"{{name: out, key: {OTHER}, user: bob}}", "users: {bob: {traces: false}}\n"),
        "organization": (
            f"{{name: out, key: {OTHER}, team: quiet}}",
            "organizations: {acme: {traces: false}}\nteams: {quiet: {organization: acme}}\n",
        ),
    }
    key, more = groups[where]
    async with traced(tmp_path, more=TRACES + more, keys=key) as gw:
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        assert (await ask(gw, "openai_chat", "to-openai_chat", key=OTHER)).status == 200
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
        assert [trace.key_id for trace in await gw.kept()] == ["test"]


async def test_an_unknown_key_leaves_no_trace(tmp_path):
    """Nobody's bodies are written down for free."""
    async with traced(tmp_path) as gw:
        assert (await ask(gw, "openai_chat", "to-openai_chat", key="gw-unknown-key")).status == 401
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        await ask(gw, "openai_chat", "to-openai_chat")
        assert len(await gw.kept()) == 1


async def test_of_a_sample_errors_are_always_kept(tmp_path):
    """What goes well is not, where the share is nothing."""
    async with traced(tmp_path, more="traces: {enabled: true, index_share: 0, sample: 0.0}\n") as gw:
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())], [answer(b"{}", status=400)]]
        await ask(gw, "openai_chat", "to-openai_chat")
        await ask(gw, "openai_chat", "to-openai_chat")
        recording = gw.house.current.tracing.recording
        while recording.waiting or recording.taken < 2 or not recording.written:
            await asyncio.sleep(0.02)
        store = open_traces(tmp_path)
        assert [trace.status for trace in store.iterate()] == [400]
        store.close()


async def test_a_full_queue_drops_traces_and_no_request(tmp_path):
    """They are counted."""
    async with traced(tmp_path, more="traces: {enabled: true, index_share: 0, queue_size: 1}\n") as gw:
        recording = gw.house.current.tracing.recording
        recording.start = lambda: None  # its thread is late
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        for _ in range(3):
            assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
        assert (recording.taken, recording.dropped, recording.waiting) == (3, 2, 1)


async def test_forwarded_calls_are_kept_too(tmp_path):
    """Whatever is asked of a provider."""
    async with traced(tmp_path) as gw:
        told = b'{"object":"list","data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":2,"total_tokens":2}}'
        gw.upstream.answers = [[answer(told)]]
        got = await send(gw, "/v1/embeddings", {"model": "to-openai_chat", "input": "two words"})
        assert got.status == 200, got.body
        (trace,) = await gw.kept()
    assert trace.operation == "forward"
    assert trace.answer.body == told
    assert trace.upstream[0].answer.body == told


async def test_the_reader_finds_words_and_sessions(tmp_path):
    """A conversation that goes on is one session, and what is new in it is found."""
    async with traced(tmp_path) as gw:
        first = json.dumps(whole("openai_chat", "The capital is Lisbon.")).encode()
        gw.upstream.answers = [[answer(first)], [answer(json.dumps(whole("openai_chat", "By train.")).encode())]]
        await ask(gw, "openai_chat", "to-openai_chat", "Which capital has trams?")
        talk = [
            {"role": "user", "content": "Which capital has trams?"},
            {"role": "assistant", "content": "The capital is Lisbon."},
            {"role": "user", "content": "How do I get there?"},
        ]
        await send(gw, path_of("openai_chat", ""), {"model": "to-openai_chat", "messages": talk})
        await gw.kept()
        store = open_traces(tmp_path)
        indexer = Indexer(store)
        while indexer.some():
            pass
        one, two = store.iterate()
        assert one.session == one.id == two.session == two.parent
        assert (one.link, two.link) == ("", "prefix")
        assert [one.title, two.title] == ["Which capital has trams?", "How do I get there?"]
        assert [hit.summary.id for hit in store.search("lisbon").items] == [one.id]
        assert [hit.summary.id for hit in store.search("train").items] == [two.id]
        assert [summary.id for summary in store.session(one.id)] == [one.id, two.id]
        store.close()


async def test_nothing_is_in_the_stack_where_nothing_is_traced(tmp_path):
    """And nothing is made in the state folder."""
    async with traced(tmp_path, more="") as gw:
        current = gw.house.current
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
        assert current.tracing.recording is None
        assert type(current.gateway.stacks.by_operation["generate"].func).__name__ == "Settle"
        assert not (tmp_path / "traces.db").exists()


async def test_the_admin_api_tells_traces_each_team_its_own(tmp_path):
    """A page, one of them, and the bytes of its legs; what is another team's is not there."""
    keys = (
        "{name: boss, key: gw-boss-key-0000, role: admin}, {name: red, key: gw-red-key-00000, team: red},"
        "{name: lead, key: gw-lead-key-0000, team: red, role: team_admin}"
    )
    async with traced(tmp_path, more=TRACES + "teams: {red: {}}\n", keys=keys) as gw:
        gw.upstream.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        ids = []
        for key in (KEY, "gw-red-key-00000"):
            got = await ask(gw, "openai_chat", "to-openai_chat", f"said by {key[:6]}", key=key)
            ids.append(got.headers["x-request-id"])
        await gw.kept()

        async def seen(path, key):
            return await call(gw.port, f"/admin/v1{path}", b"", method="GET", headers=f"authorization: Bearer {key}\r\n")

        everything = json.loads((await seen("/traces", "gw-boss-key-0000")).body)
        assert [one["id"] for one in everything["data"]] == ids[::-1]
        own = json.loads((await seen("/traces?since=1h", "gw-lead-key-0000")).body)
        assert [one["id"] for one in own["data"]] == ids[1:]
        assert (await seen(f"/traces/{ids[0]}", "gw-lead-key-0000")).status == 404
        assert (await seen(f"/traces/{ids[0]}/body/client-request", "gw-lead-key-0000")).status == 404
        assert (await seen("/traces", KEY)).status == 403
        assert (await seen("/traces?since=nonsense", "gw-boss-key-0000")).status == 422
        assert (await seen("/traces?cursor=nonsense", "gw-boss-key-0000")).status == 422
        one = json.loads((await seen(f"/traces/{ids[1]}", "gw-lead-key-0000")).body)
        assert one["conversation"]["request"]["messages"][0]["blocks"][0]["text"] == "said by gw-red"
        assert one["legs"]["upstream-answer"]["kept"] > 0
        body = await seen(f"/traces/{ids[1]}/body/upstream-answer", "gw-lead-key-0000")
        assert body.body == json.dumps(whole("openai_chat")).encode()
        assert body.headers["content-type"] == "application/octet-stream"
        assert (await seen(f"/traces/{ids[1]}/body/other", "gw-lead-key-0000")).status == 422
