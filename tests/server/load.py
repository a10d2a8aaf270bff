"""Clients that keep asking over connections they keep, and count every answer that is not what it should be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.plays.wires import STREAM, TEXT, WHOLE, dump, told
from tests.serving import END, KEY, Upstream, answer, chunk, read_answer, stream_head

MODEL = "m"


def answering(up: Upstream) -> None:
    """Let the upstream answer whole and streamed, as it is asked; a stream takes 20 ms."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                body = await reader.readexactly(length)
                if b'"stream":true' not in body.replace(b" ", b""):
                    writer.write(answer(dump(WHOLE["openai_chat"])))
                    continue
                writer.write(stream_head())
                for event in STREAM["openai_chat"]:
                    writer.write(chunk(event))
                    await asyncio.sleep(0.02 / len(STREAM["openai_chat"]))
                writer.write(END)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    up.serve_with(play)


def asked(*, stream: bool, key: str = KEY, model: str = MODEL) -> bytes:
    body = dump({"model": model, "messages": [{"role": "user", "content": "hi"}], **({"stream": True} if stream else {})})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Load:
    """What became of the requests."""

    def __init__(self) -> None:
        self.good = 0
        self.failed: list[str] = []
        self.ended = 0
        """Clients that were told to go, and had nowhere else to go."""
        self.stopping = False


async def _client(load: Load, port: int, number: int, *, again: bool) -> None:
    while not load.stopping:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        except OSError as error:
            load.failed.append(f"no connection: {error!r}")
            return
        turn = number
        try:
            while not load.stopping:
                turn += 1
                stream = turn % 2 == 0
                writer.write(asked(stream=stream))
                got = await asyncio.wait_for(read_answer(reader), 20)
                if got.status != 200 or got.broken or (stream and told("openai_chat", got.body) != ("stop", TEXT)):
                    load.failed.append(f"{got.status} {got.body[-300:]!r} broken: {got.broken}")
                load.good += 1
                if got.headers.get("connection") == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            load.failed.append(f"no answer to request {turn - number} of a connection: {error!r}")
        finally:
            writer.close()
        if not again and not load.stopping:
            load.ended += 1
            return


@asynccontextmanager
async def under_load(port: int, *, clients: int = 8, again: bool = True) -> AsyncIterator[Load]:
    """`again`: clients whose connection is closed after an answer make another."""
    load = Load()
    tasks = [asyncio.create_task(_client(load, port, number, again=again)) for number in range(clients)]
    try:
        yield load
    finally:
        load.stopping = True
        await asyncio.gather(*tasks)
