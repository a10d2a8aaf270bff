"""Bytes of streams into chunks: cut anywhere, read one by one or many together."""

import pytest

from gatewright.dialects.openai_chat import stream_parser
from gatewright.ir.events import TextDelta
from tests.dialects.openai_chat.sample import chunk, parse, wire

ALIKE = [f" word {n}" for n in range(8)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_chunking_gives_the_same_events(size):
    """Nothing may depend on where the network cut, not even inside a character."""
    data = wire(*(chunk({"content": text}) for text in ("a", "\u2028é☸", '"\\', "b" * 40)), chunk({}, "stop"))
    assert parse(data, size) == parse(data)


def test_one_wire_delta_is_one_event_also_on_the_fast_way():
    """The learnt template and the full reading must tell the same."""
    texts = ["one", " two", ' "3"', "\\n", "", "end"]
    events = parse(wire(*(chunk({"content": text}) for text in texts), chunk({}, "stop")))
    assert [event.text for event in events if isinstance(event, TextDelta)] == [text for text in texts if text]


def one_by_one(data: bytes) -> list:
    """The events of a stream whose chunks come with a pause between them."""
    return parse(data, pieces=[block + b"\n\n" for block in data.split(b"\n\n") if block])


def read_together(monkeypatch, data: bytes) -> list[int]:
    """How many chunks were read at once, each time that it was tried and went well."""
    runs, honest = [], stream_parser.ChatStreamParser._read_run
    monkeypatch.setattr(
        stream_parser.ChatStreamParser, "_read_run", lambda self, run: honest(self, run) and not runs.append(len(run))
    )
    parse(data)
    return runs


def test_chunks_that_come_together_are_read_together(monkeypatch):
    """What a fast model sends at once costs one look; the first is read in full, and so is what ends it."""
    data = wire(*(chunk({"content": text}) for text in ALIKE), chunk({}, "stop"))
    assert sum(read_together(monkeypatch, data)) >= len(ALIKE) - stream_parser.MANY
    assert parse(data) == one_by_one(data)


STRANGE = [
    chunk({"content": ""}),
    chunk({"content": "a", "reasoning_content": "b"}),
    chunk({"content": 'a"},"x":"b'}),
    chunk({"content": "\u2028é☸\n"}),
    chunk({"content": "a"}, x=1),
    chunk({"content": "a", "refusal": "b"}),
    chunk({"content": "a"}) | {"id": "c2"},
    chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}),
    chunk({"content": ["a"]}),
    {"error": {"message": "x", "code": 502}},
]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
@pytest.mark.parametrize("place", [0, 1, 5, len(ALIKE)])
def test_a_chunk_unlike_its_neighbours_means_what_it_means_alone(strange, place):
    """It may stand anywhere among chunks that are read together, and takes nothing from them."""
    chunks = [chunk({"content": text}) for text in ALIKE]
    data = wire(*chunks[:place], strange, *chunks[place:], chunk({}, "stop"))
    assert parse(data) == one_by_one(data)


@pytest.mark.parametrize("place", [1, 5, len(ALIKE) - 1])
def test_what_changes_behind_the_text_is_seen(place):
    """The same length, the same beginning, and the text where it always is: another tier all the same."""
    chunks = [chunk({"content": text}, service_tier="flex") for text in ALIKE]
    chunks[place]["service_tier"] = "auto"
    data = wire(*chunks, chunk({}, "stop"))
    assert parse(data) == one_by_one(data)
    assert parse(data)[-1].extras == {"service_tier": "auto"}


@pytest.mark.parametrize("broken", [rb'"\x"', b'"\xff"', b'"a", "b"', b'"a"},"b":{"c":"d"', b'"a', b"null", b'"a"\ndata: "b"'])
@pytest.mark.parametrize("place", [1, 5, len(ALIKE) - 1])
def test_broken_text_among_chunks_alike_fails_as_it_would_alone(broken, place):
    """What stands around it is as always: that must not make it text, nor take words from the chunk beside it."""
    blocks = [wire(chunk({"content": text}), done=False) for text in ALIKE]
    blocks[place] = blocks[place].replace(f'"{ALIKE[place]}"'.encode(), broken)
    data = b"".join(blocks) + wire(chunk({}, "stop"))
    assert parse(data) == one_by_one(data)
