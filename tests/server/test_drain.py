"""What outlasts the deadline of a drain: streams end in an error event, whole answers in an error, in every client's dialect.

Whatever else a gateway does about failures (another target, another try, going on elsewhere) it does not do when it stops.
"""

import asyncio
import time

import pytest
from tests.chaos.clients import DIALECTS, request, streamed
from tests.dialects.bedrock_converse.asking import START, delta, frames
from tests.plays import wires
from tests.plays.test_converse_streams import FRAMED
from tests.plays.test_hostile import config
from tests.plays.wires import CONTENT_AT, STREAM
from tests.server.test_process import _unchunked, served
from tests.serving import KEY, answer, chunk, read_answer, stream_head, upstream

BEDROCK = """
  bedrock_converse: {kind: bedrock, base_url: "http://127.0.0.1:PORT", api_key: sk, region: us-east-1, dialects: [bedrock_converse]}
  narrow: {kind: openai, base_url: "http://127.0.0.1:PORT/v1", dialects: [openai_chat], api_key: sk, max_concurrent: 1, queue: {wait_s: 60}}
"""
SPARE = """
  m-bedrock_converse: {targets: [bedrock_converse/m]}
  two: {targets: [openai_chat/m], fallback: [anthropic/m, openai_chat/n]}
  narrow: {targets: [narrow/m]}
  resumed: {targets: [openai_chat/m], fallback: [openai_chat/n], on_cut: resume}
"""


def yaml(port: int) -> str:
    text = config(port, SPARE.strip("\n"))
    return text.replace("\nmodels:", BEDROCK.replace("PORT", str(port)).rstrip() + "\nmodels:")


def begun(dialect: str) -> list[bytes]:
    """A stream of an upstream, up to its first content."""
    if dialect == "bedrock_converse":
        return [FRAMED, chunk(START + delta(0, text="hello"))]
    return [stream_head(), chunk(b"".join(STREAM[dialect][: CONTENT_AT[dialect]]))]


def asking(client: str, model: str, *, stream: bool) -> bytes:
    path, body = request(client, model, "hi", stream=stream)
    sent = wires.dump(body)
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(sent)}\r\n\r\n".encode() + sent
    )


@pytest.mark.parametrize("client", DIALECTS)
async def test_streams_that_outlast_the_deadline_end_in_an_error_event(tmp_path, client):
    """Bytes that pass and answers that are translated, with one target, with others to turn to, and where streams are resumed."""
    foreign = "anthropic" if client == "openai_chat" else "openai_chat"
    ways = [(f"m-{client}", client), (f"m-{foreign}", foreign), ("two", "openai_chat"), ("resumed", "openai_chat")]
    async with upstream() as up, served(tmp_path, yaml(up.port), drain_s=1) as gw:
        open_streams = []
        for model, speaks in ways:
            up.answers = [[*begun(speaks), 60.0]]
            reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 20)
            writer.write(asking(client, model, stream=True))
            await reader.readuntil(b"\r\n\r\n")
            open_streams.append((model, reader, writer, await asyncio.wait_for(reader.readuntil(b"hello"), 10)))
        calls = len(up.requests)
        gw.stop()
        for model, reader, writer, first in open_streams:
            rest = await asyncio.wait_for(reader.read(), 15)
            end, text = streamed(client, _unchunked(first + rest))
            assert (model, end, text) == (model, "error", "hello")
            writer.close()
        assert await gw.stopped(10) == 0, (tmp_path / "log").read_text()
        assert len(up.requests) == calls, "nothing was begun anew"
        assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("client", DIALECTS)
async def test_answers_that_have_not_come_by_the_deadline_are_errors(tmp_path, client):
    """Whole ones, streams of which nothing has come, a repetition that is waited for, a place in a queue: a status, and nobody is asked."""
    async with upstream() as up, served(tmp_path, yaml(up.port), drain_s=1) as gw:
        waiting = []

        async def begin(model: str, *, stream: bool, calls: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
            writer.write(asking(client, model, stream=stream))
            waiting.append((model, stream, reader, writer))
            async with asyncio.timeout(10):
                while len(up.requests) < calls:
                    await asyncio.sleep(0.01)

        up.answers = [[answer(b"{}", status=503, headers="retry-after: 20\r\n")]]
        await begin("m-openai_chat", stream=False, calls=1)
        up.answers = [[60.0]]
        await begin("two", stream=False, calls=2)
        await begin("two", stream=True, calls=3)
        await begin("narrow", stream=True, calls=4)
        await begin("narrow", stream=False, calls=4)
        await begin("narrow", stream=True, calls=4)
        await asyncio.sleep(0.2)
        gw.stop()
        stopped = time.monotonic()
        for model, stream, reader, writer in waiting:
            got = await asyncio.wait_for(read_answer(reader), 15)
            assert (model, stream, got.status) == (model, stream, 503), got.body
            writer.close()
        assert await gw.stopped(10) == 0, (tmp_path / "log").read_text()
        print(f"over {time.monotonic() - stopped:.1f} s after SIGTERM")
        assert len(up.requests) == 4


@pytest.mark.parametrize("speaks", ["anthropic", "openai_chat"])
async def test_streams_of_invoke_model_end_in_an_exception(tmp_path, speaks):
    """Bedrock's other way to call Claude: Messages in frames, whose end AWS's SDKs raise."""
    async with upstream() as up, served(tmp_path, yaml(up.port), drain_s=1) as gw:
        up.answers = [[*begun(speaks), 60.0]]
        body = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
        head = f"POST /model/m-{speaks}/invoke-with-response-stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 20)
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"\r\n\r\n")
        first = await asyncio.wait_for(reader.read(1 << 16), 10)
        gw.stop()
        rest = await asyncio.wait_for(reader.read(), 15)
        names = [name for name, _ in frames(_unchunked(first + rest))]
        assert set(names[:-1]) == {"chunk"}
        assert names[-1].endswith("Exception")
        writer.close()
        assert await gw.stopped(10) == 0, (tmp_path / "log").read_text()
