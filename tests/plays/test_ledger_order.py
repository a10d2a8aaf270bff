"""The order of the books: no byte leaves for an upstream before the request is in the journal, none ends an answer before its settlement.

Every write of the gateway to a socket is looked at as it is done, beside what the journal has at that moment.
"""

import asyncio
import asyncio.selector_events
import json

import pytest

from gatewright.record.entries import Begun, Settled, read
from gatewright.record.segments import every_record
from tests.plays.books import books
from tests.plays.scene import ask, asking, path_of, providers, send, served, whole
from tests.serving import END, KEY, answer, gateway, upstream

AT_ONCE = 12
LARGE = "x" * 200_000


class Watched:
    """What the gateway writes, beside its journal."""

    def __init__(self, gw, up):
        self.gw, self.up = gw, up
        self.sent = self.told = self.wrong = 0
        self.together = []
        """Entries of each record."""

    def entries(self):
        folder = self.gw.house.current.books.usage.journal.folder
        if not folder.exists():
            return []
        return [entry for _, _, payload in every_record(folder) for entry in read(payload)]

    def wrote(self, wire, data):
        if (wire.get_extra_info("peername") or (0, 0))[1] == self.up.port:
            if not data.startswith(b"POST "):
                return
            self.sent += data.count(b"POST /")
            self.wrong += sum(isinstance(entry, Begun) for entry in self.entries()) < self.sent
        elif (wire.get_extra_info("sockname") or (0, 0))[1] == self.gw.port:
            whole_one = data.startswith(b"HTTP/1.1 ") and b"transfer-encoding" not in data.partition(b"\r\n\r\n")[0]
            self.told += whole_one or data.endswith(END)
            self.wrong += sum(isinstance(entry, Settled) for entry in self.entries()) < self.told


@pytest.fixture
def watching(monkeypatch):
    """Have each write of this loop's sockets seen before it is done."""
    watched: list[Watched] = []
    transport = asyncio.selector_events._SelectorSocketTransport  # uvloop's cannot be watched
    write = transport.write

    def seen_write(self, data):
        for one in watched:
            one.wrote(self, bytes(data))
        write(self, data)

    monkeypatch.setattr(transport, "write", seen_write)
    monkeypatch.setattr(transport, "writelines", lambda self, pieces: seen_write(self, b"".join(pieces)))
    return watched


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("large", ["", "request", "answer"])
async def test_the_journal_is_ahead_of_every_write(tmp_path, watching, stream, large):
    """Alone and together, on connections that are there and on new ones, however large."""
    said = LARGE if large == "answer" else "hello"
    asked = LARGE if large == "request" else "hi"
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat", stream=stream, text=said)]
        seen = Watched(gw, up)
        watching.append(seen)
        for at_once in (1, AT_ONCE, AT_ONCE):
            await asyncio.gather(*(ask(gw, "openai_chat", "to-openai_chat", asked, stream=stream) for _ in range(at_once)))
        requests = 2 * AT_ONCE + 1
        assert (seen.sent, seen.told, seen.wrong) == (requests, requests, 0)
        assert len(books(gw).requests) == requests


async def test_what_leaves_together_is_one_record(tmp_path):
    """Requests that come together cost the journal one entry together, and each has its row."""
    body = json.dumps(asking("openai_chat", "to-openai_chat")).encode()
    head = f"POST {path_of('openai_chat', 'to-openai_chat')} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        await asyncio.gather(*(ask(gw, "openai_chat", "to-openai_chat") for _ in range(AT_ONCE)))  # connections to the upstream
        clients = [await asyncio.open_connection("127.0.0.1", gw.port) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.05)
        folder = gw.house.current.books.usage.journal.folder
        before = len(list(every_record(folder)))
        for _, writer in clients:
            writer.write(request)
        for reader, writer in clients:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
        records = [read(payload) for _, _, payload in every_record(folder)][before:]
        assert max(len(record) for record in records) > 1
        assert len(books(gw).requests) == 2 * AT_ONCE


async def test_a_refusal_is_in_the_journal_before_it_is_told(tmp_path, watching):
    """Of a known key: it has a row, too."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        seen = Watched(gw, up)
        watching.append(seen)
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode(), status=400)]]
        for model in ("nobody/knows", "to-openai_chat"):
            document = asking("openai_chat", model)
            got = await asyncio.gather(*(send(gw, "/v1/chat/completions", document) for _ in range(AT_ONCE)))
            assert {one.status // 100 for one in got} == {4}
        assert (seen.told, seen.wrong) == (2 * AT_ONCE, 0)
