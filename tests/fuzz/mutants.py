"""One mutant by its number: which case it is made of, what is done to it, and what it is judged by.

One rule: a mutant depends on the seed, its number and the cases alone; `--only NUMBER` makes it again.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from urllib.parse import quote

from gatewright.ir.blocks import DialectName
from gatewright.wire import json as wire_json
from gatewright.wire.http import Call
from gatewright.wire.splice import splice
from tests.fuzz import exchanges, oracle, streams, words
from tests.fuzz.documents import mutate, mutate_bytes
from tests.laws import cases
from tests.laws.cases import Case

MAX_BYTES = 120_000
"""Cases with larger bodies are left out: time goes into variety."""

KINDS = (
    "request",
    "request",
    "request",
    "stream",
    "stream",
    "stream",
    "cut",
    "answer",
    "answer",
    "error",
    "exchange",
    "exchange",
)


@dataclass
class Mutant:
    number: int
    kind: str
    dialect: DialectName
    case: str
    wire: bytes
    judge: oracle.Judge


@lru_cache
def _files() -> list[tuple[str, Path]]:
    return [(place, path) for place, path in cases.files() if path.stat().st_size < MAX_BYTES]


@lru_cache
def pools() -> dict[str, list[Case]]:
    """Kind → the cases that a mutant of it can be made of."""
    found: dict[str, list[Case]] = {"request": [], "stream": [], "answer": [], "error": []}
    for place, path in _files():
        case = cases.load(place, path)
        if case.call is not None:
            found["request"].append(case)
        kind = "error" if case.failed else "answer" if case.text is None else "stream"
        found[kind].append(case)
    found["exchange"] = found["request"]
    found["cut"] = [case for case in found["stream"] if streams.TELLS_ITS_END[case.dialect].search(case.body)]
    return found


def mutant(seed: int, number: int) -> Mutant:
    random = Random(f"{seed} {number}")
    kind = random.choice(KINDS)
    pool = pools()[kind]
    case, other = random.choice(pool), random.choice(pool)
    wire, judge = MAKERS[kind](random, case, other)
    return Mutant(number, kind, case.dialect, f"{case.place}/{case.id}", wire, judge)


def _body(random: Random, original: bytes, other: bytes) -> bytes:
    """A document's bytes, changed as a document, as bytes, or both."""
    pick = random.random()
    if pick < 0.12:
        return mutate_bytes(random, original)
    if pick < 0.13:
        return random.choice((b"", b"null", b"[]", b"0", b'"x"', b"<html>", b"{}", b"[{}]", b"[" * 100_000, b'{"a":' * 100_000))
    try:
        document = mutate(random, wire_json.decode_lenient(original), wire_json.decode_lenient(other) if pick > 0.8 else None)
    except wire_json.BadJson:
        return mutate_bytes(random, original)
    data = words.encoded(document)
    return mutate_bytes(random, data) if random.random() < 0.05 else data


def _request(random: Random, case: Case, other: Case) -> tuple[bytes, oracle.Judge]:
    call = case.call
    assert call is not None
    assert other.call is not None
    body = _body(random, call.body, other.call.body)
    path = call.path
    if case.dialect == "gemini" and random.random() < 0.2:
        verb = random.choice(("generateContent", "streamGenerateContent", "nonsense", ""))
        path = f"/v1beta/models/{words.string(random)}:{verb}"
    if case.dialect == "bedrock_converse" and random.random() < 0.2:
        path = f"/model/{words.string(random)}/{random.choice(('converse', 'converse-stream', 'nonsense', ''))}"
    query = call.query if random.random() < 0.9 else {"alt": quote(words.STRINGS[random.randrange(len(words.STRINGS))]), "": "x"}
    sent = Call(path=path, query=query, headers=call.headers, body=body)
    return body, lambda: oracle.request_holds(case.dialect, sent)


def _answer(random: Random, case: Case, other: Case) -> tuple[bytes, oracle.Judge]:
    body = _body(random, case.body, other.body)
    return body, lambda: oracle.answer_holds(case.dialect, body)


def _error(random: Random, case: Case, other: Case) -> tuple[bytes, oracle.Judge]:
    body = _body(random, case.body, other.body)
    status = random.choice((case.status, 400, 401, 403, 404, 409, 413, 418, 429, 499, 500, 502, 503, 504, 529, 599))
    headers = dict(case.headers)
    if random.random() < 0.4:
        headers["retry-after"] = random.choice(
            ("7", "0", "-1", "1e999", "nan", "9" * 500, "soon", "Fri, 31 Dec 9999 23:59:59 GMT", "\xff", "")
        )
    return body, lambda: oracle.error_holds(case.dialect, status, headers, body)


def _stream(random: Random, case: Case, other: Case) -> tuple[bytes, oracle.Judge]:
    wire = streams.mutant(random, case.body, other.body)
    if random.random() < 0.0005:
        wire += b"data: " + b"x" * streams.OVERSIZED
    chunks = streams.pieces(random, wire)
    return wire, lambda: oracle.stream_holds(case.dialect, chunks, 0, random)


def _cut(random: Random, case: Case, other: Case) -> tuple[bytes, oracle.Judge]:
    """A true stream, broken off anywhere, and nothing else: what it must not claim is known."""
    whole = case.body
    clean_from = streams.end_told_at(case.dialect, whole)
    wire = whole[: random.randrange(len(whole))]
    if random.random() < 0.2 and not streams.is_array(whole) and not streams.are_frames(whole) and b"\r" not in whole:
        wire, clean_from = wire.replace(b"\n", b"\r\n"), len(whole[:clean_from].replace(b"\n", b"\r\n"))
    chunks = streams.pieces(random, wire)
    return wire, lambda: oracle.stream_holds(case.dialect, chunks, clean_from, random)


def _exchange(random: Random, case: Case, other: Case) -> tuple[bytes, oracle.Judge]:
    """A request of one dialect, sound or mutated, answered by an upstream of any dialect, sound or mutated."""
    assert case.call is not None
    client = case.dialect
    body = case.call.body if random.random() < 0.7 else _body(random, case.call.body, case.call.body)
    kind = random.choice(("stream", "stream", "cut", "answer", "error"))
    answering = random.choice(pools()[kind])
    streamed = answering.text is not None and kind != "error"
    model = f"{answering.dialect}/m"
    if client == "gemini":
        verb = "streamGenerateContent" if streamed else "generateContent"
        target = f"/v1beta/models/{model}:{verb}{random.choice(('', '?alt=sse'))}".encode()
    elif client == "bedrock_converse":
        target = f"/model/{quote(model, safe='')}/{'converse-stream' if streamed else 'converse'}".encode()
    else:
        target = cases.PATH_OF[client].encode()
        body = _aimed(random, body, model, stream=streamed)
    cut = kind == "cut"
    whole = answering.body
    if cut:
        wire = whole[: random.randrange(streams.end_told_at(answering.dialect, whole))]
    elif random.random() < 0.3:
        wire = whole
    else:
        wire = streams.mutant(random, whole, whole) if streamed else _body(random, whole, whole)
    answer = exchanges.script(
        random,
        streams.pieces(random, wire),
        stream=streamed and not streams.is_array(whole),
        status=random.choice((answering.status, 400, 429, 500, 503, 529)) if kind == "error" else 200,
        cut=random.random() < (0.5 if cut else 0.05),
    )
    return body + b"\n\n" + wire, lambda: exchanges.exchange_holds(client, target, body, answer, cut=cut)


def _aimed(random: Random, body: bytes, model: str, *, stream: bool) -> bytes:
    """The body, asking for this model and for a stream or none; as it is where it cannot be read."""
    edits: dict[str, bytes | None] = {"model": wire_json.encode(model), "stream": b"true" if stream else b"false"}
    if random.random() < 0.7:
        edits["previous_response_id"] = None
    try:
        return splice(body, edits)
    except wire_json.BadJson:
        return body


MAKERS = {"exchange": _exchange, "request": _request, "answer": _answer, "error": _error, "stream": _stream, "cut": _cut}
