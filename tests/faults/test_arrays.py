"""Gemini's other framing, one JSON array with no room for an error event: a stream that fails never ends as a whole array."""

import json

import pytest

from tests.faults import saying
from tests.faults.behind_a_good_head import content_then, inside
from tests.faults.cells import Cell
from tests.faults.fault import LONG, just, status_play
from tests.faults.lab import lab, serving
from tests.faults.upstreams import HANG_UP, RESET, Asked, Step, Target, healthy
from tests.plays import wires
from tests.serving import END, Answer, answer, call, chunk

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
BODY = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'


def elements(asked: Asked) -> list[bytes]:
    """The provider's own array, piece by piece."""
    documents = [event.removeprefix(b"data: ").strip() for event in saying.events("gemini", asked.text)]
    return [b"[" + documents[0], *(b"\r\n,\r\n" + document for document in documents[1:]), b"\r\n]"]


def whole_array(asked: Asked) -> list[Step]:
    return [HEAD, *map(chunk, elements(asked)), END]


def array_then(*steps: Step):
    """The first element, then these."""
    return lambda asked: [HEAD, chunk(elements(asked)[0]), 0.05, *steps]


def error_element() -> bytes:
    return chunk(b"\r\n,\r\n" + saying.error_as_answer("gemini", "overloaded") + b"\r\n]")


def told(got: Answer) -> tuple[str, str]:
    """(how it ended: `answer`, `error`, `broken off` or `lie`; the text)."""
    if got.status >= 400:
        wires.error_of("gemini", got.body)
        return "error", ""
    if got.broken:
        assert b"finishReason" not in got.body
        return "broken off", ""
    document = json.loads(got.body)
    elements = document if isinstance(document, list) else [document]
    candidates = [candidate for element in elements for candidate in element.get("candidates", ())]
    text = "".join(part.get("text", "") for one in candidates for part in one["content"].get("parts", ()))
    if "error" in elements[-1]:
        return "error", text
    return ("answer" if any(one.get("finishReason") == "STOP" for one in candidates) else "lie"), text


async def ask(cell: Cell, play, second=healthy) -> Answer:
    """What the client gets for the array form."""
    async with lab() as one, serving(one.config()) as gw:
        one.ups.targets[f"{cell.name}-a"] = Target(cell.upstream, saying.FIRST, play)
        one.ups.targets[f"{cell.name}-b"] = Target(cell.other, saying.SECOND, second)
        return await call(gw.port, f"/v1beta/models/{cell.name}:streamGenerateContent", BODY)


AFTER_CONTENT = {
    "a reset": (RESET,),
    "the end of the connection": (HANG_UP,),
    "the end of the body": (END,),
    "silence": (LONG,),
}


@pytest.mark.parametrize("name", AFTER_CONTENT)
@pytest.mark.parametrize("upstream", ["gemini", "openai_chat"])
async def test_an_array_that_breaks_after_content_is_not_closed(name, upstream):
    """It tells an error element, or the body breaks off: whoever parses it knows."""
    steps = AFTER_CONTENT[name]
    play = array_then(*steps) if upstream == "gemini" else content_then(*steps)
    end, _ = told(await ask(Cell("gemini", upstream, stream=True, safe=True), play))
    assert end in ("error", "broken off")


async def test_an_error_element_is_passed_on():
    """The provider's own word for it."""
    end, text = told(await ask(Cell("gemini", "gemini", stream=True, safe=True), array_then(error_element(), END)))
    assert (end, text) == ("error", saying.BEGUN)


@pytest.mark.parametrize(
    "play",
    [
        just(RESET),
        status_play(503),
        lambda asked: [HEAD, 0.05, RESET],
        lambda asked: [HEAD, chunk(b"["), 0.05, RESET],
        lambda asked: [answer(saying.error_as_answer("gemini", "overloaded"))],
        lambda asked: [HEAD, chunk(b"[" + saying.error_as_answer("gemini", "overloaded") + b"]"), END],
    ],
    ids=[
        "a reset",
        "503",
        "a head, then a reset",
        "a bracket, then a reset",
        "an error document",
        "an error as the only element",
    ],
)
@pytest.mark.parametrize("safe", [False, True], ids=["alone", "two targets"])
async def test_before_content_another_takes_over_or_a_status_tells(play, safe):
    """As in every other form."""
    end, text = told(await ask(Cell("gemini", "gemini", stream=True, safe=safe), play))
    assert (end, text) == (("answer", saying.SECOND) if safe else ("error", ""))


@pytest.mark.parametrize("play", [just(RESET), status_play(503), inside("overloaded")], ids=["a reset", "503", "an error event"])
async def test_a_foreign_stream_that_fails_hands_over_to_googles_own_array(play):
    """What crosses and what passes end up in the same form."""
    second = whole_array
    end, text = told(await ask(Cell("gemini", "openai_chat", stream=True, safe=True), play, second))
    assert (end, text) == ("answer", saying.SECOND)
