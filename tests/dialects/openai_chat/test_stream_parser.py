"""Streams, read."""

import pytest

from gatewright.ir.blocks import Reasoning, Text, ToolCall
from gatewright.ir.events import ArgumentsDelta, MessageStop, NativeEvent, StreamError, TextDelta, UsageUpdate
from gatewright.ir.fold import fold
from tests.dialects.openai_chat.sample import chunk, parse, wire


def tool(index, args=None, **more) -> dict:
    function = {} if args is None else {"arguments": args}
    if "name" in more:
        function["name"] = more.pop("name")
    return {"index": index, "function": function, **more}


def calls(*deltas) -> list[tuple[str, str, str]]:
    folded = fold(parse(wire(*(chunk({"tool_calls": list(delta)}) for delta in deltas), chunk({}, "tool_calls"))))
    return [(block.id, block.name, block.arguments) for block in folded.blocks if isinstance(block, ToolCall)]


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


def test_interleaved_calls_are_put_into_order():
    """openai-python's own reader breaks on interleaved calls; so would every client."""
    deltas = [
        [tool(0, "", id="a", name="f"), tool(1, "", id="b", name="g")],
        [tool(1, '{"y":'), tool(0, '{"x":')],
        [tool(0, "1}"), tool(1, "2}")],
    ]
    assert calls(*deltas) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_deltas_find_their_call_without_an_index():
    """Mistral and others leave it out, repeat ids, or say 0 for every whole call."""
    assert calls([tool(None, '{"a":', id="a", name="f")], [tool(None, "1}")]) == [("a", "f", '{"a":1}')]
    assert calls([tool(0, "{}", id="a", name="f")], [tool(0, "{}", id="b", name="f")]) == [("a", "f", "{}"), ("b", "f", "{}")]
    assert calls([tool(0, "{", id="a", name="f")], [tool(0, "}", id="a", name="f")]) == [("a", "f", "{}")]
    assert calls([tool(0, "{", id="a", name="f")], [tool(0, "}", id="", name="")]) == [("a", "f", "{}")]


def test_arguments_after_a_call_has_ended_are_an_error():
    """Leaving them out would make another call of it."""
    deltas = [[tool(0, "{}", id="a", name="f")], [tool(1, "{}", id="b", name="f")], [tool(0, '{"x":1}')]]
    events = parse(wire(*(chunk({"tool_calls": delta}) for delta in deltas)))
    assert isinstance(events[-1], StreamError)


def test_arguments_on_the_fast_way_count_for_completeness():
    """A second call may begin only when the first is complete, however its deltas were read."""
    deltas = [
        [tool(0, "", id="a", name="f")],
        *[[tool(0, piece)] for piece in ("[", "1,", "2,", "3]")],
        [tool(1, "{}", id="b", name="g")],
    ]
    events = parse(wire(*(chunk({"tool_calls": delta}) for delta in deltas), chunk({}, "tool_calls")))
    assert [event.text for event in events if isinstance(event, ArgumentsDelta)] == ["[", "1,", "2,", "3]", "{}"]


def test_reasoning_remembers_its_field_for_the_same_endpoint():
    """The host wants it back in the same field; the seal says in which."""
    events = parse(wire(chunk({"reasoning_content": "hm"}), chunk({"content": "4"}), chunk({}, "stop")))
    thought, text = fold(events).blocks
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.seal.kind, thought.seal.issuer) == ("hm", "reasoning_content", "here")
    assert isinstance(text, Text)


def test_usage_anywhere_and_a_second_finish_change_nothing_else():
    """Usage beside choices, in every chunk, after the finish: the last figures count."""
    usage = [{"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2)]
    data = wire(chunk({"content": "a"}, usage=usage[0]), chunk({}, "length"), chunk({"content": ""}, "length", usage=usage[1]))
    events = parse(data)
    assert [event.usage.output for event in events if isinstance(event, UsageUpdate)] == [1, 2]
    assert fold(events).finish.reason == "length"


def test_a_stop_behind_a_call_means_tool_calls():
    """OpenAI says stop when a tool was forced; other clients must see why it stopped."""
    events = parse(wire(chunk({"tool_calls": [tool(0, "{}", id="a", name="f")]}), chunk({}, "stop")))
    assert (events[-1].finish.reason, events[-1].finish.raw) == ("tool_calls", "stop")


@pytest.mark.parametrize(
    "data",
    [
        wire(chunk({"content": "a"}), done=False),
        wire(chunk({"content": "a"}), {"error": {"message": "x", "code": 502}}, done=False),
        b'data: {"choices": [\n\n',
        b"data: [1]\n\n",
        b'event: error\ndata: {"message": "x"}\n\n',
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_what_is_no_clean_end_is_an_error(data):
    """A cut or broken stream must never look like success."""
    assert isinstance(parse(data)[-1], StreamError)


def test_a_finish_without_done_is_an_end():
    """Several hosts send no [DONE]."""
    assert isinstance(parse(wire(chunk({"content": "a"}, "stop"), done=False))[-1], MessageStop)


def test_further_choices_travel_beside_the_first():
    """They are for a client of the same dialect alone."""
    other = {"id": "c1", "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]}
    events = parse(wire(chunk({"content": "a"}), other, chunk({}, "stop")))
    assert [event.data for event in events if isinstance(event, NativeEvent)] == [{"choices": other["choices"]}]
    assert [block.text for block in fold(events).blocks] == ["a"]


def test_speech_pieces_become_one_sound():
    """Each piece is padded base64 of its own."""
    pieces = [{"id": "x", "transcript": "La"}, {"data": "AAE="}, {"data": "AgM="}, {"expires_at": 9}]
    events = parse(wire(*(chunk({"audio": piece}) for piece in pieces), chunk({}, "stop")))
    words, sound = fold(events).blocks
    assert (words.text, sound.source.data, sound.extras) == ("La", "AAECAw==", {"id": "x", "expires_at": 9})


def test_log_probabilities_of_a_refusal_are_kept():
    """They come in chunks as the text does, in a list of their own."""
    one, two = ({"token": word, "logprob": -0.1, "bytes": None, "top_logprobs": []} for word in ("I ", "won't"))
    chunks = [chunk({"refusal": told["token"]}) for told in (one, two)]
    for told, entry in zip(chunks, (one, two), strict=True):
        told["choices"][0]["logprobs"] = {"content": None, "refusal": [entry]}
    folded = fold(parse(wire(*chunks, chunk({}, "stop"))))
    assert folded.extras["choices[0].logprobs"] == {"refusal": [one, two]}


def test_an_id_of_speech_without_sound_is_kept():
    """A stream that broke off its speech still told which it was."""
    folded = fold(parse(wire(chunk({"audio": {"id": "audio_1", "expires_at": 9}}), chunk({}, "stop"))))
    assert {"id": "audio_1", "expires_at": 9} in folded.extras.values()


def test_new_fields_of_a_later_delta_of_a_call_belong_to_the_call():
    """The first delta names the call; what hosts add to a later one is not lost."""
    deltas = [tool(0, '{"x":', id="a", name="f"), {**tool(0, "1}"), "progress": 2}]
    folded = fold(parse(wire(*(chunk({"tool_calls": [one]}) for one in deltas), chunk({}, "tool_calls"))))
    assert folded.blocks[0].extras == {"progress": 2}
