"""Many requests over three targets that each fail three times in ten, in mixed ways: who is served, and whether the books agree.

What each target does to each request is drawn in `lots.py`. One rule: a client judges an answer by what it holds alone, and the
books are believed only where upstreams saw the same.
"""

import asyncio
import collections
import itertools
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from gatewright.ir.blocks import DialectName
from gatewright.record.entries import SENT, Settled, read
from gatewright.record.segments import every_record
from tests.faults import reading, saying
from tests.faults.lab import Books, loaded, serving
from tests.faults.lots import SHARE, TARGETS, Company, verified
from tests.faults.upstreams import Target, Upstreams, upstreams
from tests.plays import wires
from tests.plays.wires import dump
from tests.serving import KEY, Answer, read_answer

SEED: Final = 20261121
IN_FLIGHT: Final = 50


class Tally(NamedTuple):
    """What came of it."""

    requests: int
    served: int
    hopeless: int
    """No target could serve them, and the client was told an error."""
    cut: int
    """Cut after content, and the client was told an error event."""
    calls: int
    """As the upstreams saw them."""
    attempts: int
    """As the books have them."""
    seconds: float
    wrong: tuple[str, ...]

    def told(self) -> str:
        head = (
            f"{self.requests} requests, {IN_FLIGHT} in flight, three targets failing {SHARE:.0%} of the time: {self.served} served, "
            f"{self.hopeless} that none could serve, {self.cut} cut and told so; {self.calls} calls seen, {self.attempts} attempts "
            f"in the books; {len(self.wrong)} wrong; {self.seconds:.0f} s"
        )
        return "\n".join((head, *self.wrong[:20]))


NO_CHANCE: Final = ", breaker: {in_a_row: 100, share: 0.95}"
"""Breakers that no run of bad luck opens."""


def configuration(port: int, breaker: str) -> str:
    """Tries suffice for all targets, calls that the transport writes twice included. `breaker`: more of `routing`."""
    base = f"http://127.0.0.1:{port}"
    key = f"api_key: {saying.SECRET}"
    return f"""
providers:
  one: {{kind: anthropic, base_url: '{base}/one', {key}}}
  two: {{kind: openai, dialects: [openai_chat], base_url: '{base}/two/v1', {key}}}
  three: {{kind: gemini, base_url: '{base}/three', {key}}}
models:
  mix: {{targets: [one/m, two/m, three/m]}}
timeouts: {{connect_s: 10, headers_s: 3, first_event_s: 10, idle_s: 10, total_s: 60}}
routing: {{retry: {{tries_each: 2, tries_all: 12, base_s: 0.01, cap_s: 0.02}}{breaker}}}
model_lists: {{live: false}}
"""


def shape_of(number: int) -> tuple[DialectName, bool]:
    """(client dialect, whether it streams) of a request: every dialect in both forms, in turn."""
    return saying.DIALECTS[number % 5], number // 5 % 2 == 1


def asking(number: int) -> bytes:
    """The request as it stands on the wire."""
    client, stream = shape_of(number)
    if client == "bedrock_converse":
        path = f"/model/mix/converse{'-stream' if stream else ''}"
        body = dump({"messages": [{"role": "user", "content": [{"text": "hi"}]}]})
    else:
        path, document = wires.request(client, "mix", stream=stream)
        body = dump(document)
    body = body.replace(b'"hi"', f'"q-{number:06d}"'.encode())
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Clients:
    """So many at once, each with a connection of its own that it keeps."""

    def __init__(self, port: int, count: int) -> None:
        self.port = port
        self.numbers = iter(range(count))
        self.got: dict[int, Answer] = {}

    async def work(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for number in self.numbers:
            writer.write(asking(number))
            got = self.got[number] = await read_answer(reader)
            if got.broken or got.headers.get("connection") == "close":
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        rest = await reader.read()
        assert rest == b"", f"bytes that belong to no answer: {rest[:200]!r}"


def judged(company: Company, number: int, got: Answer) -> tuple[str, str]:
    """(`served`, `hopeless`, `cut` or `wrong`; why) of one request."""
    client, stream = shape_of(number)
    read = reading.read(client, got, stream=stream, passing=False)
    at = f"q-{number:06d} ({client}, {'streamed' if stream else 'whole'})"
    finished = company.finished[number]
    if finished > 1:
        return "wrong", f"{at}: answered {finished} times"
    if read.sight == "answer":
        if not verified(read.text, number):
            return "wrong", f"{at}: truncated or another's, and said to be complete: {read.text!r}"
        return ("served", "") if finished == 1 else ("wrong", f"{at}: nobody gave this answer to its end")
    if number in company.broken_off:
        return ("cut", "") if read.sight == "error event" else ("wrong", f"{at}: cut, and told as {read.sight}: {read.why}")
    if company.can_serve(number, stream=stream):
        return "wrong", f"{at}: could be served, and is told {read.sight} {read.status}: {read.why}"
    return ("hopeless", "") if read.sight in ("error", "error event") else ("wrong", f"{at}: {read.sight}: {read.why}")


def _books(books: Books, ups: Upstreams, requests: int) -> tuple[int, list[str]]:
    """(attempts sent, what does not agree)."""
    settled = books.settled.get("mix", [])
    records = list(itertools.chain.from_iterable(entry.exchange.attempts for entry in settled))
    sent = collections.Counter(record.target for record in records if record.sent)
    wrong = [] if len(settled) == requests else [f"{len(settled)} settlements of {requests} requests"]
    for name in TARGETS:
        seen, counted = len(ups.calls[name]), books.counter.calls["test", f"{name}/m"].sent
        if not sent[f"{name}/m"] == counted == seen:
            wrong.append(f"{name}: {sent[f'{name}/m']} attempts in the books, {counted} counted, {seen} calls seen")
    return sent.total(), wrong


def _ledger(folder: Path, ups: Upstreams) -> list[str]:
    """What the ledger's journal has otherwise than the upstreams saw it."""
    sent: collections.Counter[str] = collections.Counter()
    for journal in (folder / "journal").iterdir():
        for _, _, payload in every_record(journal):
            for entry in read(payload):
                if isinstance(entry, Settled):
                    sent.update(one.target for one in entry.attempts if one.marks & SENT)
    return [
        f"{name}: {sent[f'{name}/m']} attempts in the ledger, {len(ups.calls[name])} calls seen"
        for name in TARGETS
        if sent[f"{name}/m"] != len(ups.calls[name])
    ]


async def run(requests: int, seed: int = SEED, *, cuts: bool = False, breaker: str = "") -> Tally:
    """`cuts`: targets may also break off streams after their first content. `breaker`: more of `routing`; empty: as by default."""
    company = Company(seed, cuts=cuts)
    with tempfile.TemporaryDirectory() as folder:
        async with upstreams() as ups:
            for name, dialect in TARGETS.items():
                ups.targets[name] = Target(dialect, "", company.play(name))
            async with serving(loaded(configuration(ups.port, breaker), Path(folder))) as gw:
                started = time.monotonic()
                clients = Clients(gw.port, requests)
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(IN_FLIGHT, requests)):
                        group.create_task(clients.work())
                seconds = time.monotonic() - started
                await asyncio.sleep(0.2)
                attempts, wrong = _books(gw.books, ups, requests)
                calls = sum(len(seen) for seen in ups.calls.values())
            wrong += _ledger(Path(folder), ups)
    verdicts = [judged(company, number, clients.got[number]) for number in range(requests)]
    counted = collections.Counter(verdict for verdict, _ in verdicts)
    wrong += [why for verdict, why in verdicts if verdict == "wrong"]
    return Tally(requests, counted["served"], counted["hopeless"], counted["cut"], calls, attempts, seconds, tuple(wrong))
