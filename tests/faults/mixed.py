"""Many requests over three targets that each fail three times in ten, in mixed ways: who is served, and whether the books agree.

What a target does to a request is drawn from the seed, the request's number and the target alone, so that it is known
beforehand which requests can be served. Each answer counts its own words and carries their checksum.
"""

import asyncio
import collections
import itertools
import random
import re
import tempfile
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from gatewright.ir.blocks import DialectName
from tests.faults import reading, saying
from tests.faults.behind_a_good_head import begun_then, content_then, half_a_document, inside
from tests.faults.fault import LONG, body_play, just, page_play, status_play
from tests.faults.lab import Books, loaded, serving
from tests.faults.upstreams import HANG_UP, RESET, Asked, Play, Step, Target, Upstreams, stream_head, upstreams
from tests.plays import wires
from tests.plays.wires import dump, sse
from tests.serving import END, KEY, Answer, answer, chunk, read_answer

SEED: Final = 20261121
IN_FLIGHT: Final = 50
SHARE: Final = 0.3
TARGETS: Final[dict[str, DialectName]] = {"one": "anthropic", "two": "openai_chat", "three": "gemini"}

REPEATED_AT_ONCE: Final[dict[str, tuple[Play, int]]] = {
    "500": (status_play(500), 6),
    "502, a page": (page_play(502), 4),
    "reset": (just(RESET), 6),
    "closed": (just(HANG_UP), 6),
    "half a head": (just(b"HTTP/1.1 200 OK\r\ncontent-", RESET), 3),
    "half a document": (half_a_document, 4),
    "a beginning": (lambda asked: (begun_then(RESET) if asked.stream else half_a_document)(asked), 5),
    "nothing": (body_play(b""), 3),
}
"""Ways to fail after which the same target is asked once more, with their weights; some of these mend then."""
MOVED_ON_FROM: Final[dict[str, tuple[Play, int]]] = {
    "503": (status_play(503), 6),
    "529": (status_play(529), 4),
    "429": (status_play(429), 3),
    "an overload inside a 200": (inside("overloaded"), 6),
    "silence": (just(LONG), 1),
}
"""Ways after which the next is asked. A refused key is none of them: it would rest, and be no help to anybody."""
CUT: Final = "cut after content"
WAYS: Final = REPEATED_AT_ONCE | MOVED_ON_FROM
_NUMBER: Final = re.compile(rb"q-(\d{6})")


class Failing(NamedTuple):
    """What a target does to one request."""

    way: str
    mends: bool
    """Only the first time."""


def failing(seed: int, number: int, target: str, *, cuts: bool, stream: bool) -> Failing | None:
    """None: it answers. `cuts`: streams may also be cut after their first content."""
    chance = random.Random(f"{seed}:{number}:{target}")
    if chance.random() >= SHARE:
        return None
    if cuts and stream and chance.random() < 0.3:
        return Failing(CUT, mends=False)
    (way,) = chance.choices(list(WAYS), [weight for _, weight in WAYS.values()])
    return Failing(way, mends=way in REPEATED_AT_ONCE and chance.random() < 0.3)


def told(number: int) -> str:
    """The answer to a request: its number, counted words, and the checksum of all that."""
    words = " ".join((f"q-{number:06d}", *map(str, range(5 + number % 40))))
    return f"{words} sum={zlib.crc32(words.encode()):08x}"


def verified(text: str, number: int) -> bool:
    """Whether a text is complete and belongs to this request, judged by the text alone."""
    words, _, checksum = text.rpartition(" sum=")
    name, *counted = words.split(" ")
    return (
        name == f"q-{number:06d}"
        and counted == [*map(str, range(len(counted)))]
        and checksum == f"{zlib.crc32(words.encode()):08x}"
    )


def spoken(dialect: DialectName, text: str) -> list[bytes]:
    """The text as a stream, some words an event."""
    words = re.findall(r"\S+\s*", text)
    pieces = ["".join(words[i : i + 3]) for i in range(0, len(words), 3)]
    stream = wires.STREAM[dialect]
    match dialect:
        case "openai_chat":
            return [stream[0], *(wires._chat({"content": piece}) for piece in pieces), stream[-1]]
        case "anthropic":
            start, opened, *_, closed, end = stream
            deltas = ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p}} for p in pieces)
            return [start, opened, *(sse(delta, delta["type"]) for delta in deltas), closed, end]
        case _:
            return [*(sse(wires._gemini(piece)) for piece in pieces), stream[-1]]


class Company:
    """The three targets: what they did, and to which request."""

    def __init__(self, seed: int, *, cuts: bool) -> None:
        self.seed = seed
        self.cuts = cuts
        self.asked: collections.Counter[tuple[int, str]] = collections.Counter()
        self.finished: collections.Counter[int] = collections.Counter()
        """Request → answers given to it to their end."""
        self.broken_off: set[int] = set()
        """Requests of which some content was given, and no more."""

    def play(self, name: str) -> Play:
        def steps(asked: Asked) -> Iterable[Step]:
            found = _NUMBER.search(asked.body)
            assert found, "every request has its number in it"
            number = int(found[1])
            self.asked[number, name] += 1
            fate = failing(self.seed, number, name, cuts=self.cuts, stream=asked.stream)
            if fate is None or (fate.mends and self.asked[number, name] > 1):
                yield from self._answer(asked, number)
            elif fate.way == CUT:
                self.broken_off.add(number)
                yield from content_then(RESET)(asked)
            else:
                yield from WAYS[fate.way][0](asked)

        return steps

    def _answer(self, asked: Asked, number: int) -> Iterable[Step]:
        text = told(number)
        if asked.stream:
            yield stream_head(asked.dialect)
            yield from map(chunk, spoken(asked.dialect, text))
            yield END
        else:
            yield answer(dump(wires.WHOLE[asked.dialect]).replace(wires.TEXT.encode(), text.encode()))
        self.finished[number] += 1

    def can_serve(self, number: int, *, stream: bool) -> bool:
        fates = (failing(self.seed, number, name, cuts=self.cuts, stream=stream) for name in TARGETS)
        return any(fate is None or fate.mends for fate in fates)


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
        if sent[f"{name}/m"] != len(ups.calls[name]):
            wrong.append(f"{name}: {sent[f'{name}/m']} attempts in the books, {len(ups.calls[name])} calls seen")
    return sent.total(), wrong


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
    verdicts = [judged(company, number, clients.got[number]) for number in range(requests)]
    counted = collections.Counter(verdict for verdict, _ in verdicts)
    wrong += [why for verdict, why in verdicts if verdict == "wrong"]
    return Tally(requests, counted["served"], counted["hopeless"], counted["cut"], calls, attempts, seconds, tuple(wrong))
