"""The ledger: whatever becomes of a request, it is written down once, with its attempts, and before its last byte is out."""

import asyncio
import json

import pytest

from tests.plays.books import books, tokens
from tests.plays.failing import error, hosts, soon
from tests.plays.scene import DIALECTS, IN_STREAM_ERROR, ask, asking, frames, path_of, providers, send, served, whole
from tests.serving import END, KEY, answer, chunk, gateway, stream_head, upstream

REPORTED = (6, 4, 5, "reported", "reported")


async def leave(gw, client: str, model: str, *, after: bytes) -> None:
    """Ask for a stream, and go when this has come."""
    body = json.dumps(asking(client, model, stream=True)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
    path = path_of(client, model, stream=True)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    seen = b""
    while after not in seen:
        seen += await reader.read(65536)
    writer.transport.abort()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_is_one_row_whoever_asked_whom(tmp_path, dialect, client, stream):
    """Whether its bytes passed or not: the provider's own figures, one attempt, who and where."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served(dialect, stream=stream)]
        got = await ask(gw, client, f"to-{dialect}", stream=stream)
        found = books(gw)
        row = found.only
        assert tokens(row) == REPORTED
        assert (row.id, row.key_id, row.asked, row.route) == (
            got.headers["x-request-id"],
            "test",
            f"to-{dialect}",
            f"to-{dialect}",
        )
        assert f"{row.provider}/{row.model}" == got.headers["x-gatewright-target"]
        assert (row.client_dialect, row.upstream_dialect, row.stream) == (client, dialect, int(stream))
        assert (row.status, row.outcome, row.error, row.attempts) == (200, "ok", "", 1)
        assert row.took_us >= row.ttft_us > 0
        (attempt,) = found.of(row)
        assert tokens(attempt) == REPORTED
        assert (attempt.status, attempt.cause, attempt.sent) == (200, "", 1)
        assert found.in_flight == []


async def test_the_row_is_in_the_journal_before_the_client_has_its_last_byte(tmp_path):
    """Whoever is killed the moment after: what a client saw whole can be found."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        for stream in (False, True):
            up.answers = [served("openai_chat", stream=stream)]
            before = gw.house.current.books.usage.journal.written
            await ask(gw, "openai_chat", "to-openai_chat", stream=stream)
            assert gw.house.current.books.usage.journal.written > before
        assert len(books(gw).requests) == 2


async def test_what_runs_can_be_seen(tmp_path):
    """It stands in the tables as in flight while it runs, and as a request when it has ended."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[0.5, answer(json.dumps(whole("openai_chat")).encode())]]
        asked = asyncio.create_task(ask(gw, "openai_chat", "to-openai_chat"))
        while not up.requests:
            await asyncio.sleep(0.01)
        found = books(gw)
        (running,) = found.in_flight
        assert (running.key_id, running.asked, running.provider, running.model) == ("test", "to-openai_chat", "talk", "m")
        assert found.requests == []
        await asked
        found = books(gw)
        assert (found.only.id, found.in_flight) == (running.id, [])


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_refusal_is_written_down_and_costs_nothing(tmp_path, client):
    """A provider's 400, a model that nobody has, a key that nobody knows: the last is nobody's request."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"error": {"message": "no", "type": "invalid_request_error"}}', status=400)]]
        await ask(gw, client, "to-openai_chat")
        await ask(gw, client, "nobody-has-this")
        await ask(gw, client, "to-openai_chat", key="gw-stranger")
        refused, unknown = books(gw).requests
        assert (refused.status, refused.outcome, refused.attempts, refused.cost_micros) == (400, "error", 1, 0)
        assert (unknown.status, unknown.outcome, unknown.attempts, unknown.cost_micros) == (404, "error", 0, 0)
        assert tokens(refused)[:3] == tokens(unknown)[:3] == (None, None, None)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_missing_usage_is_an_estimate_and_never_nothing(tmp_path, dialect):
    """A provider that tells no usage is no provider that gives its tokens away."""
    document = {k: v for k, v in whole(dialect, "word " * 100).items() if k not in ("usage", "usageMetadata")}
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(document).encode())]]
        await ask(gw, dialect, f"to-{dialect}", "x" * 400)
        row = books(gw).only
        assert (row.input_source, row.output_source) == ("estimated", "estimated")
        assert 100 <= row.input <= 200
        assert 100 <= row.output <= 400


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_leaves_is_billed_for_what_was_told(tmp_path, dialect, client):
    """The provider bills it: the last usage that was told, or what was seen of the answer if that is more."""
    beginning, content, _ = frames(dialect, "hello " * 50)
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(beginning + content), 30.0]]
        await leave(gw, client, f"to-{dialect}", after=b"hello")
        await asyncio.wait_for(up.closed.wait(), 5)
        await asyncio.sleep(0)
        found = books(gw)
        row = found.only
        assert (row.outcome, row.output_source) == ("left", "estimated")
        assert 40 <= row.output <= 150
        assert row.input
        assert [attempt.cause for attempt in found.attempts] == ["cancelled"]
        assert found.in_flight == []


@pytest.mark.parametrize("place", range(0, 600, 40))
async def test_leaving_at_any_byte_is_one_row(tmp_path, place):
    """Before the head, in it, within an event, behind the last: once, and never twice."""
    beginning, content, end = frames("openai_chat")
    wire = b"".join((stream_head(), chunk(beginning), chunk(content), chunk(end), END))
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[step for i in range(0, len(wire), 20) for step in (wire[i : i + 20], 0.002)]]
        body = json.dumps(asking("openai_chat", "to-openai_chat", stream=True)).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        while not up.requests:
            await asyncio.sleep(0.001)
        if place:
            await reader.readexactly(place)
        writer.transport.abort()
        await soon(lambda: not gw.gateway.active)
        row = books(gw).only
        assert row.outcome in ("left", "ok")
        assert row.input


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_stream_that_breaks_is_an_error_with_what_it_cost(tmp_path, client):
    """The upstream's own error event, and a cut: both have told something, and are billed for it."""
    async with upstream() as up, gateway(providers(up.port) + "routing: {retry: {tries_each: 1}}\n", tmp_path) as gw:
        beginning, content, _ = frames("anthropic")
        up.answers = [
            [stream_head(), chunk(beginning + content), chunk(IN_STREAM_ERROR["anthropic"]), END],
            [stream_head(), chunk(beginning + content), None],
        ]
        for _ in range(2):
            await ask(gw, client, "to-anthropic", stream=True)
        for row in books(gw).requests:
            assert (row.outcome, row.attempts) == ("error", 1)
            assert tokens(row)[:2] + tokens(row)[3:] == (6, 4, "reported", "estimated")
            assert 1 <= row.output <= 5


async def test_every_try_is_an_attempt_and_all_of_them_are_one_request(tmp_path):
    """Two failures and an answer by another: three rows beneath one, and only the last has tokens."""
    models = "  m: {targets: [a/m], fallback: [b/m], retry: {tries_each: 2, base_s: 0.01}}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models) as gw:
        gw.a.answers = [[error(500)]]
        await ask(gw, "openai_chat", "m")
        found = books(gw)
        row = found.only
        assert (row.status, row.attempts, row.provider) == (200, 3, "b")
        assert [(a.number, a.provider, a.status, a.cause != "", a.cost_micros) for a in found.attempts[:2]] == [
            (1, "a", 500, True, 0),
            (2, "a", 500, True, 0),
        ]
        assert tokens(row) == tokens(found.attempts[2]) == REPORTED


async def test_a_hedge_that_loses_is_billed_too(tmp_path):
    """It was sent, and given up: what was asked of it has been read."""
    models = "  m: {targets: [a/m], fallback: [b/m], hedge: {share: 1, least_s: 0.1, unknown_s: 0.1}}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models) as gw:
        gw.a.answers = [[5.0, *served("openai_chat", text="late")]]
        await ask(gw, "openai_chat", "m", "x" * 400)
        found = books(gw)
        late, quick = found.attempts
        assert (late.provider, late.cause, late.hedge, late.input_source) == ("a", "cancelled", 0, "estimated")
        assert late.input > 100
        assert (quick.provider, quick.hedge, tokens(quick)) == ("b", 1, REPORTED)
        assert found.only.input == late.input + quick.input


async def test_a_stream_that_was_resumed_has_the_tokens_of_both(tmp_path):
    """What the first told before it broke is estimated, what the second told is reported."""
    models = "  m: {targets: [a/m], fallback: [b/m], on_cut: resume, retry: {tries_each: 1}}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models) as gw:
        beginning, content, _ = frames("openai_chat", "once upon a time there was ")
        gw.a.answers = [[stream_head(), chunk(beginning), chunk(content), None]]
        gw.b.answers = [served("openai_chat", stream=True)]
        got = await ask(gw, "openai_chat", "m", stream=True)
        assert b"[DONE]" in got.body
        found = books(gw)
        first, second = found.attempts
        assert (first.provider, first.output_source, first.resumed) == ("a", "estimated", 0)
        assert first.output >= 5
        assert (second.provider, second.output_source, second.resumed) == ("b", "reported", 1)
        assert (found.only.output, found.only.outcome) == (first.output + second.output, "ok")


async def test_a_kept_answer_is_counted_and_costs_nothing(tmp_path):
    """And so is one that came along with another's: one call was made, and one request has it."""
    config = "  kept: {targets: [talk/m], cache: {ttl_s: 60}}"
    async with upstream() as up, gateway(providers(up.port) + config, tmp_path) as gw:
        up.answers = [[0.2, *served("openai_chat")]]
        await asyncio.gather(*(ask(gw, "openai_chat", "kept") for _ in range(3)))
        await ask(gw, "openai_chat", "kept", stream=True)
        assert len(up.requests) == 1
        found = books(gw)
        assert sorted(row.cache for row in found.requests) == ["coalesced", "coalesced", "hit", "miss"]
        for row in found.requests:
            assert (row.status, row.outcome) == (200, "ok")
            if row.cache == "miss":
                assert tokens(row) == REPORTED
            else:
                assert (row.attempts, row.cost_micros, row.input, row.provider) == (0, 0, None, "talk")


async def test_forwarded_calls_are_written_down(tmp_path):
    """With what their answers tell; of sound and pictures nobody guesses tokens by their bytes, and the cost is not known."""
    config = """
providers:
  up: {kind: openai, base_url: "http://127.0.0.1:%d/v1", api_key: sk, forward: [embeddings, audio, files]}
"""
    async with upstream() as up, gateway(config % up.port, tmp_path) as gw:
        up.answers = [
            [answer(b'{"object": "list", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}')],
            [answer(b"RIFF" * 1000, content_type="audio/wav")],
            [answer(b'{"object": "list", "data": []}')],
        ]
        await send(gw, "/v1/embeddings", {"model": "up/embed", "input": "x"})
        await send(gw, "/v1/audio/speech", {"model": "up/tts", "input": "x", "voice": "v"})
        await send(gw, "/v1/files", method="GET")
        vectors, sound, files = books(gw).requests
        assert (vectors.operation, vectors.input, vectors.output, vectors.input_source) == ("forward", 8, None, "reported")
        assert (sound.input, sound.cost_micros, sound.outcome) == (None, None, "ok")
        assert (files.input, files.cost_micros, files.asked) == (None, 0, "")


async def test_counting_tokens_is_a_request_without_a_bill(tmp_path):
    """Providers count for nothing."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"input_tokens": 12}')]]
        assert (await send(gw, "/v1/messages/count_tokens", asking("anthropic", "to-anthropic"))).json == {"input_tokens": 12}
        row = books(gw).only
        assert (row.operation, row.status, row.cost_micros, row.attempts) == ("count_tokens", 200, 0, 0)


async def test_lists_and_the_like_are_no_requests_of_the_ledger(tmp_path):
    """They cost nobody anything, and are asked for by every client that starts."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        await send(gw, "/v1/models", method="GET")
        assert books(gw).requests == []


async def test_losses_are_told_in_the_row(tmp_path):
    """What the target's dialect could not say."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        await ask(gw, "anthropic", "to-openai_chat", top_k=5)
        row = books(gw).only
        assert row.losses >= 1
        assert "top_k" in row.lost


async def test_a_request_that_cannot_be_written_down_is_not_served(tmp_path):
    """Nobody is called for it: 503, and the next is served once there is room again."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        ledger = gw.house.current.books.usage
        ledger.journal.max_bytes = 0
        got = await ask(gw, "openai_chat", "to-openai_chat")
        assert (got.status, got.json["error"]["code"]) == (503, "ledger_unavailable")
        assert up.requests == []
        ledger.journal.max_bytes = 64 << 20
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200


async def test_an_operator_may_prefer_an_answer_without_a_row(tmp_path):
    """`on_failure: serve`: it is answered, and counted as lost."""
    async with upstream() as up, gateway(providers(up.port) + "ledger: {on_failure: serve}\n", tmp_path) as gw:
        up.answers = [served("openai_chat")]
        ledger = gw.house.current.books.usage
        ledger.journal.max_bytes = 0
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
        assert ledger.lost == 1


async def test_without_a_ledger_nothing_is_written(tmp_path):
    """`enabled: false` costs no file."""
    async with upstream() as up, gateway(providers(up.port) + "ledger: {enabled: false}\n", tmp_path) as gw:
        up.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
        assert gw.house.current.books.ingest is None
        assert not (tmp_path / "journal").exists()


async def test_a_state_folder_that_cannot_be_written_to_is_told_of_at_the_start(tmp_path, caplog):
    """And not when the first client has been refused."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        (tmp_path / "journal").write_text("in the way")
        gw.house.current.books.start()
        assert "nothing can be written to the ledger, so requests are refused" in caplog.text
        up.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 503
        (tmp_path / "journal").unlink()
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
