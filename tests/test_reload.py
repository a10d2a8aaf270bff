"""A changed configuration is taken over by a running process: nobody who waits notices, and a bad file changes nothing."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.plays.wires import CONTENT_AT, STREAM
from tests.server.load import answering, asked, under_load
from tests.server.test_process import Served, served
from tests.serving import END, KEY, call, chunk, read_answer, stream_head, upstream

OTHER_KEY = "gw-another-test-key"


def yaml(port: int, *, connect_s: float = 5, models: str = "", server: str = "") -> str:
    return f"""
server: {{{server}}}
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream-key}}
  also: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream-key, timeouts: {{connect_s: {connect_s}}}}}
models:
  m: {{targets: [{{target: up/m, weight: 1}}, {{target: also/m, weight: 1}}]}}
{models}
"""


def keyed(text: str, key: str = KEY) -> str:
    return f"{text}\nkeys: [{{name: test, key: {key}}}]\n"


def write(tmp_path: Path, text: str) -> None:
    """As careful editors do: whole or not at all."""
    draft = tmp_path / "draft"
    draft.write_text(text)
    draft.replace(tmp_path / "gatewright.yaml")


def logged(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text().replace('\\"', '"')  # lines of JSON


async def until(seen, within_s: float = 10.0) -> None:
    ends = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


async def status(port: int, key: str = KEY, model: str = "m") -> int:
    return (await call(port, "", b"", raw=asked(stream=False, key=key, model=model))).status


async def stream_of(gw: Served, up, gate: asyncio.Event):
    """A stream that has begun, ends once the gate is open, and keeps its upstream's connection."""
    events, at = STREAM["openai_chat"], CONTENT_AT["openai_chat"]
    hung_up = asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stream_head() + chunk(b"".join(events[:at])))
        await gate.wait()
        writer.write(chunk(b"".join(events[at:])) + END)
        while await reader.read(1 << 16):
            pass
        hung_up.set()
        writer.close()

    up.serve_with(slow)
    reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 20)
    writer.write(asked(stream=True))
    return reader, writer, hung_up


async def test_a_hundred_changes_under_load_fail_no_request(tmp_path):
    """Each change rebuilds one provider and keeps another; every one is taken over, and every answer is whole."""
    async with upstream() as up, served(tmp_path, yaml(up.port)) as gw:
        answering(up)
        started = time.monotonic()
        async with under_load(gw.port) as load:
            for i in range(100):
                write(tmp_path, keyed(yaml(up.port, connect_s=5 + i / 10, models=f"  gen-{i}: {{targets: [up/m]}}")))
                os.kill(gw.process.pid, signal.SIGHUP)
                await until(lambda n=i: logged(tmp_path).count("taken over") > n)
            assert await status(gw.port, model="gen-99") == 200
            assert await status(gw.port, model="gen-0") == 404
        assert load.failed == []
        assert load.good > 200, f"{load.good} requests in {time.monotonic() - started:.1f} s"
        print(f"{load.good} requests, 100 reloads, {time.monotonic() - started:.1f} s")
        assert "Traceback" not in logged(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_removed_key_is_refused_within_a_second_and_its_answers_go_on(tmp_path, workers):
    """Nobody has to send a signal: the file is watched, by every worker."""
    async with upstream() as up, served(tmp_path, yaml(up.port), workers=workers) as gw:
        gate = asyncio.Event()
        reader, writer, _ = await stream_of(gw, up, gate)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        kept_reader, kept_writer = await asyncio.open_connection("127.0.0.1", gw.port)
        answering(up)
        kept_writer.write(asked(stream=False))
        assert (await read_answer(kept_reader)).status == 200
        write(tmp_path, keyed(yaml(up.port), OTHER_KEY))
        await asyncio.sleep(1.0)
        assert [await status(gw.port) for _ in range(20)] == [401] * 20
        assert [await status(gw.port, OTHER_KEY) for _ in range(20)] == [200] * 20
        kept_writer.write(asked(stream=False))
        assert (await read_answer(kept_reader)).status == 401, "on a connection from before, too"
        kept_writer.close()
        gate.set()
        rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
        assert b"[DONE]" in rest
        writer.close()


async def test_a_provider_that_is_removed_finishes_its_stream_and_is_closed(tmp_path):
    """Its name is gone for new requests at once; its connections are closed when the last answer has ended, not before."""
    async with upstream() as up, served(tmp_path, yaml(up.port)) as gw:
        gate = asyncio.Event()
        reader, writer, hung_up = await stream_of(gw, up, gate)
        await reader.readuntil(b"hello")
        write(tmp_path, keyed("providers: {demo: {kind: demo}}"))
        await until(lambda: "taken over" in logged(tmp_path))
        assert await status(gw.port) == 404
        await asyncio.sleep(0.5)
        assert not hung_up.is_set()
        gate.set()
        rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
        assert b"[DONE]" in rest
        await asyncio.wait_for(hung_up.wait(), 5)
        writer.close()


async def test_a_bad_file_changes_nothing_and_says_why(tmp_path):
    """File, line and column are in the log, once; what was loaded goes on, and a file that is mended is taken over."""
    async with upstream() as up, served(tmp_path, yaml(up.port)) as gw:
        answering(up)
        file = tmp_path / "gatewright.yaml"
        for text, why in (
            (keyed(yaml(up.port).replace("up/m", "upp/m")), f"{file}:7:"),
            ("providers: {", f"{file}:1:"),
            ("", f"{file}:1:1 is empty"),
        ):
            write(tmp_path, text)
            await until(lambda why=why: why in logged(tmp_path))
            assert await status(gw.port) == 200
            assert (await call(gw.port, "/ready", b"", method="GET")).status == 200
        await asyncio.sleep(1)
        assert logged(tmp_path).count("not taken over") == 3
        assert 'unknown provider "upp"; did you mean "up"' in logged(tmp_path)
        write(tmp_path, keyed(yaml(up.port, server="port: 1, max_body_bytes: 1024") + "ledger: {enabled: false}\n"))
        await until(lambda: "gatewright.yaml: taken over" in logged(tmp_path))
        assert "server.port: 1 takes a restart; 4000 goes on" in logged(tmp_path)
        assert "ledger: what is new takes a restart; what was goes on" in logged(tmp_path)
        assert (await call(gw.port, "/v1/chat/completions", b" " * 2000)).status == 413
        assert await status(gw.port) == 200


async def test_a_secret_file_that_changes_is_read_again(tmp_path):
    """Rotating a secret needs no signal and no edit of the configuration."""
    secret = tmp_path / "secret"
    secret.write_text("sk-before\n")
    async with upstream() as up, served(tmp_path, yaml(up.port).replace("sk-upstream-key", f"file:{secret}")) as gw:
        up.answers = [[b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"]]
        await status(gw.port)
        assert b"sk-before" in up.requests[-1]
        secret.write_text("sk-after\n")
        await until(lambda: "taken over" in logged(tmp_path))
        await status(gw.port)
        assert b"sk-after" in up.requests[-1]


async def test_a_file_that_is_touched_and_a_file_that_is_not_watched_change_nothing(tmp_path):
    """Content counts, not times; and with `watch: false` nothing but SIGHUP does."""
    async with upstream() as up, served(tmp_path, yaml(up.port, server="watch: false")) as gw:
        answering(up)
        write(tmp_path, keyed(yaml(up.port), OTHER_KEY))
        await asyncio.sleep(1)
        assert await status(gw.port) == 200
        os.kill(gw.process.pid, signal.SIGHUP)
        await until(lambda: "taken over" in logged(tmp_path))
        assert await status(gw.port) == 401
        (tmp_path / "gatewright.yaml").touch()
        await asyncio.sleep(1)
        assert logged(tmp_path).count("taken over") == 1
