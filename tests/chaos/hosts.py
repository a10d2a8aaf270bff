"""A provider's server that can be killed and started again. It speaks two APIs, and what it answers is what it was asked.

One rule: it knows which streams it cut, so that a client that was told of a cut can be believed, and one that was told of too
many cannot.
"""

import asyncio
import re
from collections import Counter

from tests.plays.wires import dump, sse
from tests.serving import END, answer, chunk, stream_head

ASKED = re.compile(rb"n-\d+-\d+")
WHOLE_S = 0.08
"""A whole answer takes so long, …"""
PIECE_S = 0.03
"""… a stream so long a piece: so there are always calls in flight, and the machine has time for the rest."""


def text_for(number: str) -> tuple[str, ...]:
    """What is answered, in pieces."""
    return (f"{number} ", "is what ", "was asked, ", "and that ", "was all.")


class Host:
    def __init__(self) -> None:
        self.port = 0
        self.calls: Counter[str] = Counter()
        """Calls answered since it was started, by API."""
        self.cut = 0
        """Streams that had content out when it was killed."""
        self.killed = 0
        self._up = False
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._streaming: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """On the same port as before, if there was one."""
        self.calls.clear()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._up = True

    def kill(self) -> None:
        """As the end of a process: no more connections, and all there were are reset.

        The server is closed one turn later: asyncio forgets to close a connection that it has accepted when its server is closed in
        the same turn.
        """
        assert self._server is not None
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening.fileno())
        loop.call_soon(self._server.close)
        self._up = False
        self.killed += 1
        self.cut += len(self._streaming)
        for writer in tuple(self._open):
            writer.transport.abort()
        self._open.clear()
        self._streaming.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                body = await reader.readexactly(int(length[1]) if length else 0)
                if not body:  # a look at the list of models, which it has not
                    writer.write(answer(b"{}", status=404))
                    continue
                await self._answer(writer, "anthropic" if b"/messages " in head else "chat", body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # cancelled: the test is over
            pass
        finally:
            self._streaming.discard(writer)
            self._open.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, api: str, body: bytes) -> None:
        pieces = text_for(ASKED.search(body)[0].decode())
        if b'"stream":true' not in body.replace(b" ", b""):
            await asyncio.sleep(WHOLE_S)
            writer.write(answer(dump(_WHOLE[api]("".join(pieces)))))
            await writer.drain()
        else:
            writer.write(stream_head())
            for i, event in enumerate(_EVENTS[api](pieces)):
                writer.write(chunk(event))
                await writer.drain()
                if i > 0 and writer in self._open:
                    self._streaming.add(writer)
                await asyncio.sleep(PIECE_S)
            writer.write(END)
            await writer.drain()
            self._streaming.discard(writer)
        self.calls[api] += 1


def _chat_whole(text: str) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _chat_events(pieces: tuple[str, ...]) -> list[bytes]:
    def event(delta: dict, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})

    first = event({"role": "assistant", "content": ""})
    return [first, *(event({"content": piece}) for piece in pieces), event({}, "stop") + b"data: [DONE]\n\n"]


_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
_USAGE = {"input_tokens": 3, "output_tokens": 2}


def _anthropic_whole(text: str) -> dict:
    return {**_MESSAGE, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": _USAGE}


def _anthropic_events(pieces: tuple[str, ...]) -> list[bytes]:
    started = {"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None, "usage": _USAGE}}
    opened = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _USAGE}
    deltas = ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces)
    return [
        sse(started, "message_start") + sse(opened, "content_block_start"),
        *(sse(delta, "content_block_delta") for delta in deltas),
        sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
        + sse(ended, "message_delta")
        + sse({"type": "message_stop"}, "message_stop"),
    ]


_WHOLE = {"chat": _chat_whole, "anthropic": _anthropic_whole}
_EVENTS = {"chat": _chat_events, "anthropic": _anthropic_events}
