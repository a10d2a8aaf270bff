"""Upstreams and clients that break off, stall, lie and flood, over real sockets: every client dialect against every upstream's.

One rule: whatever the other side does, the client reads its own dialect's error, never a clean stop; the gateway serves on.
"""

import asyncio
import json
from urllib.parse import quote

import pytest

from gatewright.ir.blocks import DialectName
from gatewright.server import lane
from tests.plays import wires
from tests.plays.wires import CONTENT_AT, DIALECTS, STREAM, TEXT, WHOLE
from tests.serving import END, KEY, answer, call, chunk, gateway, stream_head, upstream

PATIENT = "timeouts: {connect_s: 60, headers_s: 60, first_event_s: 60, idle_s: 60, total_s: 60}"
"""Longer than any test lasts: the one limit that is to run out is made short, and no slow machine has another run out first."""
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


def config(port: int, more: str = "") -> str:
    return f"""
providers:
  openai_chat: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream-key}}
  openai_responses: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_responses], api_key: sk-upstream-key}}
  anthropic: {{base_url: "http://127.0.0.1:{port}", api_key: sk-upstream-key}}
  gemini: {{base_url: "http://127.0.0.1:{port}", api_key: sk-upstream-key}}
models:
  m-openai_chat: {{targets: [openai_chat/m]}}
  m-openai_responses: {{targets: [openai_responses/m]}}
  m-anthropic: {{targets: [anthropic/m]}}
  m-gemini: {{targets: [gemini/m]}}
{more}
"""


def sent(client: DialectName, up: DialectName, *, stream: bool = True) -> tuple[str, bytes]:
    path, body = wires.request(client, f"m-{up}", stream=stream)
    return path, wires.dump(body)


def ask(client: DialectName, up: DialectName) -> bytes:
    path, body = sent(client, up)
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )


def content(up: DialectName) -> bytes:
    """The stream up to its first piece of content."""
    return b"".join(STREAM[up][: CONTENT_AT[up]])


def must_be_an_error(client: DialectName, got, about: object, *, passing: bool = False) -> None:
    """An HTTP error or an error event in the client's own dialect."""
    if got.status >= 400:
        wires.error_of(client, got.body)
        return
    assert not got.broken, f"{about}: the body broke off"
    end, _ = wires.told(client, got.body, passing=passing)
    assert end == "error", f"{about}: the client reads the end as {end!r}: {got.body[-300:]!r}"


clients = pytest.mark.parametrize("client", DIALECTS)


@clients
async def test_a_healthy_stream_arrives(tmp_path, client):
    """What the rest of this file breaks does work."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[stream_head(), *(chunk(event) for event in STREAM[dialect]), END]]
            got = await call(gw.port, *sent(client, dialect))
            assert (got.status, got.broken) == (200, False), (dialect, got.body)
            assert wires.told(client, got.body) == ("stop", TEXT), dialect


@clients
async def test_a_client_that_leaves_cancels_the_upstream(tmp_path, client):
    """At once, whether nothing, a head or some content has come: providers bill what nobody reads."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            for before in ([], [stream_head()], [stream_head(), chunk(content(dialect))]):
                up.closed.clear()
                asked = len(up.requests)
                up.answers = [[*before, 30.0]]
                reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
                writer.write(ask(client, dialect))
                if len(before) == 2:
                    await reader.readuntil(b"hello")
                else:
                    while len(up.requests) == asked:
                        await asyncio.sleep(0.005)
                writer.transport.abort()
                await asyncio.wait_for(up.closed.wait(), 20)


CUTS = {
    "before the head": lambda d: [0.01, None],
    "inside the head": lambda d: [b"HTTP/1.1 200 OK\r\ncontent-ty", 0.01, None],
    "after the head": lambda d: [stream_head(), 0.01, None],
    "after the head, cleanly": lambda d: [stream_head(), END],
    "inside the first event": lambda d: [stream_head(), chunk(STREAM[d][0][:40]), 0.01, None],
    "after some content": lambda d: [stream_head(), chunk(content(d)), 0.01, None],
    "after some content, cleanly": lambda d: [stream_head(), chunk(content(d)), END],
    "inside an event": lambda d: [stream_head(), chunk(content(d)), chunk(STREAM[d][CONTENT_AT[d]][:-20]), 0.01, None],
    "inside an event, cleanly": lambda d: [stream_head(), chunk(content(d) + STREAM[d][CONTENT_AT[d]][:-20]), END],
    "before its last event": lambda d: [stream_head(), chunk(b"".join(STREAM[d][:-1])), 0.01, None],
    "before its last event, cleanly": lambda d: [stream_head(), chunk(b"".join(STREAM[d][:-1])), END],
    "with a broken chunk": lambda d: [stream_head(), chunk(content(d)), b"zz\r\n", 0.01, None],
}


@clients
@pytest.mark.parametrize("where", CUTS)
async def test_a_cut_upstream_is_an_error_never_a_clean_stop(tmp_path, client, where):
    """A truncated answer must not look like a short one, and the error must be readable after half an event."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [CUTS[where](dialect)]
            got = await call(gw.port, *sent(client, dialect))
            must_be_an_error(client, got, dialect)
            if "content" in where:
                assert wires.told(client, got.body)[1] == "hello", dialect


@clients
async def test_a_whole_answer_that_is_cut_is_an_error(tmp_path, client):
    """Also where nothing is streamed."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            whole = answer(wires.dump(WHOLE[dialect]))
            for script in ([whole[:-30], 0.01, None], [whole[:60], 0.01, None], [0.01, None]):
                up.answers = [script]
                got = await call(gw.port, *sent(client, dialect, stream=False))
                assert got.status == 502, (dialect, got.body)
                wires.error_of(client, got.body)


STALLS = {
    "before the head": ("headers_s", lambda d: [60.0]),
    "before the first event": ("first_event_s", lambda d: [stream_head(), 60.0]),
    "after some content": ("idle_s", lambda d: [stream_head(), chunk(content(d)), 60.0]),
    "inside an event": ("idle_s", lambda d: [stream_head(), chunk(content(d) + b"data: {"), 60.0]),
}


@clients
@pytest.mark.parametrize("where", STALLS)
async def test_a_stalled_upstream_is_a_timeout(tmp_path, client, where):
    """Each phase has its own limit; its end is told in the client's dialect, and the upstream is let go."""
    limit, script = STALLS[where]
    async with upstream() as up, gateway(config(up.port, PATIENT.replace(f"{limit}: 60", f"{limit}: 0.3")), tmp_path) as gw:
        for dialect in DIALECTS:
            up.closed.clear()
            up.answers = [script(dialect)]
            got = await call(gw.port, *sent(client, dialect))
            must_be_an_error(client, got, dialect)
            if "head" in where or "first" in where:
                assert got.status == 504, (dialect, got.status)
            assert b"within 0.3 s" in got.body, (dialect, got.body[-300:])
            await asyncio.wait_for(up.closed.wait(), 20)


@clients
async def test_an_upstream_that_drips_for_ever_ends_at_the_total(tmp_path, client):
    """Signs of life do not extend the whole call."""
    quick = PATIENT.replace("total_s: 60", "total_s: 0.5")
    async with upstream() as up, gateway(config(up.port, quick), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[stream_head(), chunk(content(dialect)), *([0.1, chunk(b": still here\n\n")] * 40)]]
            got = await call(gw.port, *sent(client, dialect))
            must_be_an_error(client, got, dialect)
            assert b"within 0.5 s" in got.body


NONSENSE = {
    "an HTML page": lambda d: answer(HTML, content_type="text/html"),
    "an empty body": lambda d: answer(b""),
    "an empty object": lambda d: answer(b"{}"),
    "an array": lambda d: answer(b"[]"),
    "an error with status 200": lambda d: answer(wires.ERROR_AS_ANSWER[d]),
    "half a document": lambda d: answer(wires.dump(WHOLE[d])[:-25]),
    "invalid UTF-8": lambda d: answer(wires.dump(WHOLE[d])[:-25] + b"\xff\xfe"),
    "an HTML page as events": lambda d: answer(HTML, content_type="text/event-stream"),
    "no event": lambda d: answer(b"", content_type="text/event-stream"),
    "an error event": lambda d: answer(wires.ERROR_INSIDE[d], content_type="text/event-stream"),
    "an error event after content": lambda d: answer(content(d) + wires.ERROR_INSIDE[d], content_type="text/event-stream"),
    "invalid UTF-8 in an event": lambda d: answer(content(d) + b'data: {"a": "\xff"}\n\n', content_type="text/event-stream"),
    "nested without end": lambda d: answer(content(d) + b"data: " + b"[" * 100_000 + b"\n\n", content_type="text/event-stream"),
}


@clients
@pytest.mark.parametrize("what", NONSENSE)
async def test_nonsense_with_status_200_is_an_error(tmp_path, client, what):
    """Pages of proxies, empty bodies, errors in disguise: said in the client's dialect, streamed or not."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[NONSENSE[what](dialect)]]
            for stream in (True, False):
                got = await call(gw.port, *sent(client, dialect, stream=stream))
                must_be_an_error(client, got, (dialect, stream), passing=client == dialect)
                if not stream:
                    assert got.status >= 500, (dialect, got.status, got.body)


@clients
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream"])
async def test_a_stream_under_another_content_type_is_a_stream(tmp_path, client, content_type):
    """Some hosts forget to say that they stream."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[answer(b"".join(STREAM[dialect]), content_type=content_type)]]
            got = await call(gw.port, *sent(client, dialect))
            assert got.status == 200, (dialect, got.body)
            assert wires.told(client, got.body) == ("stop", TEXT), dialect


@clients
async def test_a_whole_answer_where_a_stream_was_asked_for_is_told_as_one(tmp_path, client):
    """Some hosts do not stream what they cannot."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[answer(wires.dump(WHOLE[dialect]))]]
            got = await call(gw.port, *sent(client, dialect))
            assert got.status == 200, (dialect, got.body)
            assert wires.told(client, got.body) == ("stop", TEXT), dialect


@clients
async def test_a_stream_where_a_whole_answer_was_asked_for_is_told_as_one(tmp_path, client):
    """And some do nothing but stream."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[answer(b"".join(STREAM[dialect]), content_type="text/event-stream")]]
            got = await call(gw.port, *sent(client, dialect, stream=False))
            assert got.status == 200, (dialect, got.body)
            assert TEXT.encode() in got.body
            assert json.loads(got.body)


@clients
async def test_an_error_page_keeps_its_status(tmp_path, client):
    """A proxy's page before the provider is an error of the client's dialect with the same status."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            for status in (502, 503, 404, 429):
                up.answers = [[answer(HTML, status=status, content_type="text/html")]]
                got = await call(gw.port, *sent(client, dialect))
                wires.error_of(client, got.body)
                assert got.status in (status, {503: 529}.get(status, status)), (dialect, status, got.status)


async def test_an_endless_event_ends_in_an_error_and_not_in_memory(tmp_path):
    """An event of 50 MB is not collected: beyond 16 MB its reader gives up, or lets it by."""
    flood = b"x" * (1 << 20)
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for client, dialect in (
            ("anthropic", "openai_chat"),
            ("gemini", "anthropic"),
            ("openai_chat", "openai_responses"),
            ("openai_responses", "gemini"),
        ):
            up.answers = [[stream_head(), chunk(content(dialect)), *([chunk(flood)] * 50), None]]
            got = await call(gw.port, *sent(client, dialect))
            must_be_an_error(client, got, dialect)
            assert len(got.body) < 1 << 20
            up.answers = [[stream_head(), chunk(content(dialect) + b"data: "), *([chunk(flood)] * 50), 0.05, None]]
            path, body = sent(dialect, dialect)
            got = await call(gw.port, path, body)
            assert b"[DONE]" not in got.body
            assert b"error" in got.body[-2000:]


# ------------------------------------------------------------------------------------------------- clients

DEEP = b"[" * 100_000 + b"]" * 100_000


def _with(client: DialectName, up: DialectName, **fields: object) -> bytes:
    _, body = wires.request(client, f"m-{up}", stream=False)
    return wires.dump({**body, **fields})


TURNS: dict[DialectName, str] = {
    "openai_chat": "messages",
    "openai_responses": "input",
    "anthropic": "messages",
    "gemini": "contents",
}
LIMIT: dict[DialectName, tuple[dict, str]] = {
    "openai_chat": ({"max_tokens": "many"}, "max_tokens"),
    "openai_responses": ({"max_output_tokens": "many"}, "max_output_tokens"),
    "anthropic": ({"max_tokens": "many"}, "max_tokens"),
    "gemini": ({"generationConfig": {"maxOutputTokens": "many"}}, "generationConfig.maxOutputTokens"),
}


@clients
async def test_what_is_not_json_is_a_400_in_the_callers_dialect(tmp_path, client):
    """Nothing of it reaches an upstream, whoever it is for."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(b"{}")]]
        for dialect in DIALECTS:
            path, good = sent(client, dialect, stream=False)
            for bad in (
                b"",
                b"{",
                b"null",
                b"[]",
                b'"hello"',
                good[:-1],
                good + b"}",
                good.replace(b"hi", b"h\xff\xfei"),
                good.replace(b"hi", rb"h\ud800i"),
                good.replace(b'"hi"', DEEP),
                good[:-1] + b',"unheard_of":' + DEEP + b"}",
                good.replace(b'"hi"', b"NaN"),
            ):
                got = await call(gw.port, path, bad)
                assert got.status == 400, (dialect, bad[:80], got.status, got.body[:300])
                wires.error_of(client, got.body)
        assert up.requests == []


@clients
async def test_a_wrong_type_is_a_400_that_names_its_path(tmp_path, client):
    """Where the gateway reads the request, it says what it expected and where."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(b"{}")]]
        for dialect in DIALECTS:
            if dialect == client:
                continue
            path, _ = sent(client, dialect, stream=False)
            turns = TURNS[client]
            fields, limit = LIMIT[client]
            for body, where in (
                (_with(client, dialect, **{turns: 7}), turns),
                (_with(client, dialect, **{turns: [7]}), f"{turns}[0]"),
                (
                    _with(client, dialect, **{turns: [{"role": "user", "content": "x", "parts": [{"text": "x"}]}, {"role": 7}]}),
                    f"{turns}[1]",
                ),
                (_with(client, dialect, **fields), limit),
            ):
                got = await call(gw.port, path, body)
                assert got.status == 400, (dialect, body, got.status, got.body)
                assert where in wires.error_of(client, got.body)["message"], (dialect, where, got.body)
        assert up.requests == []


@clients
async def test_a_body_beyond_the_limit_is_a_413_in_the_callers_dialect(tmp_path, monkeypatch, client):
    """Announced or not; it is not read to its end, and the next client is served."""
    monkeypatch.setattr(lane, "LINGER_S", 0.05)
    path, good = sent(client, client, stream=False)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n".encode()
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(wires.dump(WHOLE[client]))]]
        announced = head + b"content-length: %d\r\n\r\n{" % ((64 << 20) + 1)
        got = await call(gw.port, path, b"", raw=announced)
        assert got.status == 413
        wires.error_of(client, got.body)
        gw.gateway.max_body_bytes = 1000
        got = await call(gw.port, path, b"", raw=head + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"a" * 600) * 2)
        assert got.status == 413
        wires.error_of(client, got.body)
        assert up.requests == []
        assert (await call(gw.port, path, good)).status == 200


@clients
async def test_names_that_no_header_and_no_path_can_hold(tmp_path, client):
    """A model's name is the client's to choose: line breaks, quotes and miles of it end in an answer or an error, not in a crash."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        for dialect in DIALECTS:
            up.answers = [[answer(wires.dump(WHOLE[dialect]))]]
            for name in ("a\r\nx-evil: 1", "a b", "ü/é?#%", "x" * 20_000, "\x00", "../..", "a:b"):
                path, body = wires.request(client, f"{dialect}/{name}", stream=False)
                if client == "gemini":
                    path = f"/v1beta/models/{_quoted(f'{dialect}/{name}')}:generateContent"
                got = await call(gw.port, path, wires.dump(body))
                assert got.status in (200, 400, 404), (dialect, name[:20], got.status, got.body[:300])
                assert "x-evil" not in got.headers
                assert all(b"\r\nx-evil" not in request for request in up.requests)
                if got.status != 200:
                    wires.error_of(client, got.body)


def _quoted(name: str) -> str:
    return quote(name, safe="")
