"""Answers as bytes: what comes out is what went in; what is no answer is none."""

import json
import zlib

import msgspec
import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import GatewrightError
from gatewright.ir import blocks, packing
from gatewright.ir.fold import fold
from gatewright.ir.loss import Loss
from gatewright.ir.packing import KeptAnswer, pack, unpack
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.seal import Seal
from tests.laws import cases


def kept(response: Response) -> KeptAnswer:
    losses = (Loss(path="top_k", why="no word for it", weight="dropped", value={"a": [1, None]}),)
    return KeptAnswer(response=response, target="a/b", made=1.5, losses=losses, dialect="gemini")


ANSWER = Response(
    origin="anthropic",
    id="msg_1",
    model="m",
    created=5,
    finish=Finish(reason="tool_calls", raw="tool_use"),
    usage=Usage(input=1, output=2, raw={"input_tokens": 1}),
    others=({"index": 1},),
    extras={"z": [], "n": None},
    form=("q",),
    blocks=(
        blocks.Text(
            text="hi",
            citations=(blocks.Citation(kind="k", origin="gemini", url="u"),),
            logprobs=(blocks.TokenLogprob(token="hi", logprob=-0.5, top=(blocks.TokenLogprob(token="ho"),)),),
        ),
        blocks.Reasoning(text="hm", seal=Seal(dialect="anthropic", data="d"), extras={"x": None}),
        blocks.ToolCall(id="c", name="n", arguments="{}", kind="custom"),
        blocks.Media(kind="image", source=blocks.Inline(media_type="image/png", data="AAAA")),
        blocks.ToolResult(
            call_id="c",
            content=(blocks.Text(text="sun"), blocks.Native(origin="gemini", data={"type": "x"})),
            structured={"a": 1},
            cache=blocks.CacheHint(ttl="1h"),
        ),
        blocks.Refusal(text="no"),
        blocks.Native(origin="gemini", data={"type": "y", "deep": {"a": [1.5, True, None]}}),
    ),
)


def test_nothing_of_an_answer_is_lost():
    """Every kind of block, with all that belongs to it."""
    body = pack(kept(ANSWER))
    assert body is not None
    assert unpack(body) == kept(ANSWER)


def answer_of(file) -> Response | None:
    """The answer of a case of the corpus; None where it failed."""
    case = cases.load("corpus", file)
    dialect = BY_NAME[case.dialect]
    try:
        if case.text is None:
            return dialect.parse_response(case.body, Asked(issuer="p"))
        parser = dialect.stream_parser(Asked(issuer="p"))
        return fold([*parser.feed(case.body), *parser.close()])
    except GatewrightError:
        return None


ANSWERS = {
    f"{path.parent.name}/{path.stem}": answer
    for place, path in cases.files()
    if place == "corpus" and not cases.load(place, path).failed and (answer := answer_of(path)) is not None
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_providers_come_out_as_they_went_in(name):
    """Whole and streamed answers of the corpus, in the neutral form."""
    body = pack(kept(ANSWERS[name]))
    assert body is not None
    assert unpack(body) == kept(ANSWERS[name])


def test_large_answers_are_compressed():
    """Text is a third of its size then; what is small is not worth the time."""
    long = msgspec.structs.replace(ANSWER, blocks=(blocks.Text(text="All work and no play. " * 5000),))
    body = pack(kept(long))
    assert body is not None
    assert len(body) < 5000
    assert unpack(body) == kept(long)


def test_what_is_no_answer_is_none(monkeypatch):
    """Other versions, other programs, half a value, and a value that unpacks to more than memory has."""
    body = pack(kept(ANSWER))
    assert body is not None
    foreign = msgspec.msgpack.encode({"version": packing.VERSION, "blocks": [{"type": "Surprise"}]})
    stranger = body.replace(b"\xa7version\x01", b"\xa7version\x02")
    assert stranger != body
    wrong = (b"", b"\x00", b"\x02" + body[1:], body[:-5], b"\x00" + foreign, json.dumps({"a": 1}).encode(), stranger)
    assert [unpack(value) for value in wrong] == [None] * len(wrong)
    monkeypatch.setattr(packing, "MAX_BYTES", 1 << 20)
    assert unpack(b"\x01" + zlib.compress(b"\x00" * (2 << 20))) is None
    assert unpack(b"\x01" + zlib.compress(body[1:])) == kept(ANSWER)


def test_what_cannot_be_said_is_not_kept():
    """Numbers beyond 64 bits have no place in the form; the answer goes to its client all the same."""
    assert pack(kept(msgspec.structs.replace(ANSWER, extras={"n": 2**70}))) is None
