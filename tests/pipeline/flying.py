"""Calls that many wait for: an upstream held in the middle of its answer, and who listens."""

import asyncio
import json

from tests.plays.same import path_of, saying
from tests.plays.scene import frames, providers
from tests.serving import END, KEY, chunk, stream_head

from gatewright.pipeline.cache import Cache

APIS = ("openai_chat", "openai_responses", "anthropic", "gemini")
OF = {"openai_chat": "talk", "openai_responses": "native", "anthropic": "claude", "gemini": "google"}
ONCE = "retry: {tries_each: 1, tries_all: 1}"


def kept(port: int) -> str:
    """Models `kept-<api>` whose answers are kept, before one upstream that is asked once."""
    models = "\n".join(f"  kept-{api}: {{targets: [{OF[api]}/m], cache: {{ttl_s: 600}}, {ONCE}}}" for api in APIS)
    return providers(port) + models


class Held:
    """An upstream that streams its beginning, and the rest when it is told to."""

    def __init__(self, api: str, end: list[bytes] | None = None) -> None:
        """`end`: what follows the beginning, in place of the rest of a good answer."""
        beginning, content, rest = frames(api, "held words")
        self.beginning = beginning + content
        self.rest = [chunk(rest), END] if end is None else end
        self.go = asyncio.Event()
        self.calls = 0
        self.left = asyncio.Event()
        """Somebody hung up before the end."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                await reader.readexactly(int(next(line for line in lines if line.startswith(b"content-length:"))[15:]))
                self.calls += 1
                writer.write(stream_head() + chunk(self.beginning))
                gone = asyncio.ensure_future(reader.read(1))
                go = asyncio.ensure_future(self.go.wait())
                await asyncio.wait((gone, go), return_when=asyncio.FIRST_COMPLETED)
                go.cancel()
                if gone.done():
                    self.left.set()
                    return
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
                for step in self.rest:
                    writer.write(step)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def until(condition, within_s: float = 20) -> None:
    """Wait for what is to become true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def stage_of(gw) -> Cache:
    step = gw.gateway.stacks.by_operation["generate"]
    while not isinstance(getattr(step, "func", None), Cache):
        step = step.keywords["following"]
    return step.func


def flights(gw) -> dict:
    """The calls that run."""
    return stage_of(gw).flights


def listeners(gw) -> int:
    return sum(len(running.listeners) for running in flights(gw).values())


async def opened(gw, client: str, model: str, *, text: str = "hi", stream: bool = True):
    """A request that was sent, and whose answer is not read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
    body = json.dumps(saying(client, model, text, stream=stream)).encode()
    path = path_of(client, model, stream=stream)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    return reader, writer


def stage_books(gw):
    return gw.house.current.books.usage


def long_answer(words: str, size: int = 5000) -> list[bytes]:
    """The rest of an answer of Anthropic's that began, long, in pieces of `size` characters."""
    pieces = [words[i : i + size] for i in range(0, len(words), size)]
    deltas = [
        b"event: content_block_delta\ndata: "
        + json.dumps({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}).encode()
        + b"\n\n"
        for piece in pieces
    ]
    return [*(chunk(delta) for delta in deltas), chunk(frames("anthropic", "begin")[2])]
