"""The strict upstream: one loopback HTTP/1.1 server that speaks five provider APIs and refuses what they refuse.

One rule: every request is recorded before it is judged. Run `python -m tests.upstreams.server 9100` to have it beside a shell.
Its keys: see answers.KEYS. Paths are the providers' own.
"""

import asyncio
import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from tests.upstreams import anthropic, bedrock, bedrock_invoke, gemini, openai_chat, openai_responses
from tests.upstreams.answers import Answer, Ids, Received, Refused, whole

Speak: TypeAlias = Callable[[Received, Ids], Answer]
ROUTES: tuple[tuple[str, str, Speak], ...] = (
    ("POST", r"/v1/chat/completions", openai_chat.complete),
    ("POST", r"/v1/responses", openai_responses.create),
    ("POST", r"/v1/responses/input_tokens", openai_responses.count),
    ("POST", r"/v1/messages", anthropic.create),
    ("POST", r"/v1/messages/count_tokens", anthropic.count),
    ("POST", r"/v1(?:beta|alpha)?/models/[^/:]+:(?:generateContent|streamGenerateContent|countTokens)", gemini.answer),
    ("POST", r"/model/[^/]+/converse(?:-stream)?", bedrock.converse),
    ("POST", r"/model/[^/]+/(?:invoke|invoke-with-response-stream|count-tokens)", bedrock_invoke.answer),
)


class Upstream:
    """A running upstream. `requests` grows by one for each request; `answers` by one for each answer, in the same order."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answers: list[Answer] = []
        self.port = 0
        self._ids = Ids()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._wanted_port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: Received) -> Answer:
        for method, path, speak in ROUTES:
            if request.method == method and re.fullmatch(path, request.path):
                try:
                    return speak(request, self._ids)
                except Refused as refused:
                    return refused.answer
        return whole(
            {"error": {"message": f"Unknown path {request.method} {request.path}", "type": "invalid_request_error"}}, 404
        )

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (request := await receive(reader, writer)) is not None:
                self.requests.append(request)
                answer = self.answer(request)
                self.answers.append(answer)
                if not await send(writer, answer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._wanted_port, limit=2**26)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for writer in tuple(self._open):
            writer.close()
        await asyncio.sleep(0.05)

    def _thread(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    @contextlib.contextmanager
    def running(self, port: int = 0) -> Iterator["Upstream"]:
        """Serve from a thread of its own until the block ends. Port 0: any free one."""
        self._wanted_port = port
        thread = threading.Thread(target=self._thread, name="strict upstream", daemon=True)
        thread.start()
        if not self._started.wait(10):
            raise TimeoutError("the strict upstream did not start")
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)


async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Received | None:
    """The next request on the connection; None when the peer closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", ""):
        parts = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        body = b"".join(parts)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Received(method=method, path=path, query=query, headers=headers, body=body)


async def send(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """Write the answer, each chunk by itself. False: the connection is not to be used again."""
    head = [f"HTTP/1.1 {answer.status} {'OK' if answer.status < 400 else 'Error'}", *(f"{k}: {v}" for k, v in answer.headers)]
    head.append("date: Sat, 21 Nov 2026 10:00:00 GMT")
    if answer.chunks is None:
        head.append(f"content-length: {len(answer.body)}")
        writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + answer.body)
        await writer.drain()
        return True
    head.append("transfer-encoding: chunked")
    writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n")
    for chunk in answer.chunks:
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await writer.drain()
        await asyncio.sleep(0)
    if answer.cut:
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


if __name__ == "__main__":
    with Upstream().running(int(sys.argv[1]) if len(sys.argv) > 1 else 9100) as shown:
        print(f"strict upstream on {shown.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
