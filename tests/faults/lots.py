"""Targets that fail by lot: what each does to a request is drawn from the seed, the request's number and the target alone.

So it is known beforehand which requests can be served. Each answer counts its own words and carries their checksum.
"""

import collections
import random
import re
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from gatewright.ir.blocks import DialectName
from tests.faults.behind_a_good_head import begun_then, content_then, half_a_document, inside
from tests.faults.fault import LONG, body_play, just, page_play, status_play
from tests.faults.upstreams import HANG_UP, RESET, Asked, Play, Step, stream_head
from tests.plays import wires
from tests.plays.wires import dump, sse
from tests.serving import END, answer, chunk

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
