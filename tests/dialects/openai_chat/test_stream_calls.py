"""Tool calls in streams, read."""

from gatewright.ir.blocks import ToolCall
from gatewright.ir.events import ArgumentsDelta, StreamError
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


def test_new_fields_of_a_later_delta_of_a_call_belong_to_the_call():
    """The first delta names the call; what hosts add to a later one is not lost."""
    deltas = [tool(0, '{"x":', id="a", name="f"), {**tool(0, "1}"), "progress": 2}]
    folded = fold(parse(wire(*(chunk({"tool_calls": [one]}) for one in deltas), chunk({}, "tool_calls"))))
    assert folded.blocks[0].extras == {"progress": 2}


def test_a_stop_behind_a_call_means_tool_calls():
    """OpenAI says stop when a tool was forced; other clients must see why it stopped."""
    events = parse(wire(chunk({"tool_calls": [tool(0, "{}", id="a", name="f")]}), chunk({}, "stop")))
    assert (events[-1].finish.reason, events[-1].finish.raw) == ("tool_calls", "stop")
