"""Clients of five dialects that keep asking, whole and streamed, and judge every answer.

One rule: an answer is good when it is the whole answer to what was asked. A stream may have been cut, when it says so in the
client's own dialect and what came before is the beginning of the answer. Everything else is a failure.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from tests.chaos.hosts import text_for
from tests.dialects.bedrock_converse.asking import frames
from tests.plays import wires
from tests.serving import KEY, read_answer

DIALECTS = (*wires.DIALECTS, "bedrock_converse")
WITHIN_S = 30.0


def request(dialect: str, model: str, text: str, *, stream: bool) -> tuple[str, dict]:
    """(path, body)."""
    if dialect == "bedrock_converse":
        verb = "converse-stream" if stream else "converse"
        return f"/model/{quote(model, safe='')}/{verb}", {"messages": [{"role": "user", "content": [{"text": text}]}]}
    path, body = wires.request(dialect, model, stream=stream)
    return path, json.loads(wires.dump(body).replace(b'"hi"', wires.dump(text)))


def streamed(dialect: str, wire: bytes) -> tuple[str, str]:
    """(`stop`, `error` or `cut`; the text)."""
    if dialect != "bedrock_converse":
        return wires.told(dialect, wire)
    text, end = "", "cut"
    for name, payload in frames(wire):
        if name.endswith("Exception"):
            assert end == "cut", "an end and then another"
            end = "error"
        elif name == "messageStop":
            assert end == "cut", "an end and then another"
            end = "stop"
        elif name == "contentBlockDelta":
            text += payload["delta"]["text"]
    return end, text


def whole(dialect: str, body: bytes) -> str:
    """The text."""
    document = json.loads(body)
    match dialect:
        case "openai_chat":
            return document["choices"][0]["message"]["content"]
        case "openai_responses":
            return "".join(part["text"] for item in document["output"] for part in item["content"])
        case "anthropic":
            return "".join(block["text"] for block in document["content"])
        case "gemini":
            return "".join(part["text"] for part in document["candidates"][0]["content"]["parts"])
        case _:
            return "".join(block["text"] for block in document["output"]["message"]["content"])


class Load:
    """What became of the requests."""

    def __init__(self) -> None:
        self.good: Counter[tuple[str, bool]] = Counter()
        """By dialect, and whether it was a stream."""
        self.cut: Counter[str] = Counter()
        """Streams that were cut and said so, by dialect."""
        self.failed: list[str] = []
        self.in_flight = 0
        self.stopping = False

    def judge(self, dialect: str, stream: bool, number: str, got) -> None:
        expected = "".join(text_for(number))
        about = f"{dialect} {'stream' if stream else 'whole'} {number}: {got.status}"
        if got.status != 200 or got.broken:
            self.failed.append(f"{about} broken: {got.broken} {got.body[-400:]!r}")
        elif not stream:
            text = whole(dialect, got.body)
            if text == expected:
                self.good[dialect, stream] += 1
            else:
                self.failed.append(f"{about} {text!r}")
        else:
            end, text = streamed(dialect, got.body)
            if end == "stop" and text == expected:
                self.good[dialect, stream] += 1
            elif end == "error" and text and expected.startswith(text):
                self.cut[dialect] += 1
            else:
                self.failed.append(f"{about} {end} {text!r} {got.body[-300:]!r}")


async def _client(load: Load, port: int, number: int, models: tuple[str, ...]) -> None:
    turns = itertools.count(1)
    asks = list(itertools.product(DIALECTS, (True, False), models))
    while not load.stopping:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        except OSError as error:
            load.failed.append(f"no connection: {error!r}")
            return
        name = ""
        try:
            while not load.stopping:
                turn = next(turns)
                dialect, stream, model = asks[(number + turn) % len(asks)]
                name = f"n-{number}-{turn}"
                path, body = request(dialect, model, name, stream=stream)
                sent = wires.dump(body)
                head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(sent)}\r\n\r\n"
                writer.write(head.encode() + sent)
                load.in_flight += 1
                try:
                    got = await asyncio.wait_for(read_answer(reader), WITHIN_S)
                finally:
                    load.in_flight -= 1
                load.judge(dialect, stream, name, got)
                if got.headers.get("connection") == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, AssertionError, ValueError) as error:
            load.failed.append(f"no answer to {name}: {error!r}")
        finally:
            writer.close()


@asynccontextmanager
async def under_load(port: int, models: tuple[str, ...], *, clients: int = 20) -> AsyncIterator[Load]:
    """`clients` requests in flight, all the time."""
    load = Load()
    tasks = [asyncio.create_task(_client(load, port, number, models)) for number in range(clients)]
    try:
        yield load
    finally:
        load.stopping = True
        await asyncio.gather(*tasks)
