"""Whole answers, both ways."""

import json

import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.errors import UpstreamFailed
from gatewright.ir.blocks import Citation, Inline, Media, Native, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.fold import fold, unfold
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, Response
from gatewright.ir.seal import Seal
from tests.dialects.anthropic.asking import call, paths, wire_events

CLIENT = ANTHROPIC.parse_request(call())
LEAST = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def parse(asked=None, **more):
    return ANTHROPIC.parse_response(json.dumps({**LEAST, **more}).encode(), asked or Asked())


def foreign(*blocks, finish=None, origin="openai_chat", **more):
    response = Response(origin=origin, id="r1", model="m", blocks=blocks, finish=finish, **more)
    rendered = ANTHROPIC.render_response(response, CLIENT)
    return rendered.body, rendered.losses


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"content": []},
        {"stop_reason": None},
        {"stop_reason": "tide_turned"},
        {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        {"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "bio", "explanation": "No."}},
        {"container": None, "context_management": {"applied_edits": []}},
        {"content": [{"type": "text", "text": "x", "citations": None}, {"type": "thinking", "thinking": "", "signature": "S"}]},
        {"content": [{"type": "tomorrow", "deep": [1, {"x": None}]}]},
        {"usage": {"input_tokens": None, "output_tokens": 2, "iterations": [{"x": 1}]}},
    ],
)
def test_an_answer_comes_back_as_it_was(more):
    """Nothing is lost at home."""
    rendered = ANTHROPIC.render_response(parse(**more), CLIENT)
    assert rendered.body == {**LEAST, **more}
    assert rendered.losses == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"no"',
        b"{}",
        b'{"type": "message", "role": "assistant"}',
        b'{"type":"message","role":"assistant","content":[1]}',
    ],
)
def test_nonsense_is_the_providers_failure(body):
    """An answer that is no message is never shown as one."""
    with pytest.raises(UpstreamFailed) as raised:
        ANTHROPIC.parse_response(body, Asked())
    assert raised.value.problem.kind == "upstream"


def test_an_error_within_a_200_is_an_error():
    """Hosts of this dialect do that."""
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    with pytest.raises(UpstreamFailed) as raised:
        ANTHROPIC.parse_response(body, Asked())
    assert raised.value.problem.kind == "overloaded"


def test_usage_axes_are_disjoint():
    """input_tokens excludes the cache; thinking is part of output_tokens; the two lifetimes are kept apart."""
    usage = parse(
        usage={
            "input_tokens": 10,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 50,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            "output_tokens": 40,
            "output_tokens_details": {"thinking_tokens": 15},
            "service_tier": "priority",
        }
    ).usage
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h) == (10, 100, 20, 30)
    assert (usage.output, usage.reasoning, usage.service_tier) == (25, 15, "priority")
    assert (usage.total_input, usage.total_output) == (160, 40)


def test_the_forced_tool_is_the_answer():
    """Its arguments are the text that the client asked for, and no tool was called."""
    answer = parse(
        Asked(json_tool="answer"),
        content=[{"type": "tool_use", "id": "t", "name": "answer", "input": {"n": 1}}],
        stop_reason="tool_use",
    )
    assert [(type(block), getattr(block, "text", "")) for block in answer.blocks] == [(Text, '{"n":1}')]
    assert answer.finish == Finish(reason="stop")


def test_seals_know_who_made_them():
    """So that a replay goes to the endpoint that can read it."""
    answer = parse(Asked(issuer="eu"), content=[{"type": "thinking", "thinking": "Hm", "signature": "S"}])
    assert isinstance(answer.blocks[0], Reasoning)
    assert answer.blocks[0].seal == Seal(dialect="anthropic", data="S", issuer="eu")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("stop_sequence", "stop_sequence"),
        ("context", "model_context_window_exceeded"),
        ("pause", "pause_turn"),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("other", "end_turn"),
    ],
)
def test_stop_reasons_of_others(reason, word):
    """What the table flattens is said."""
    body, losses = foreign(Text(text="Hi"), finish=Finish(reason=reason, raw="theirs"))
    assert body["stop_reason"] == word
    assert bool(losses) == (reason in {"content_filter", "other"})


def test_blocks_show_why_it_stopped_where_the_word_does_not():
    """Some providers say `stop` when a tool was forced, or when they refused."""
    stop = Finish(reason="stop")
    assert foreign(ToolCall(id="c", name="n", arguments="{}"), finish=stop)[0]["stop_reason"] == "tool_use"
    assert foreign(Refusal(text="No."), finish=stop)[0]["stop_reason"] == "refusal"


def test_an_explained_refusal_is_told_as_the_api_would():
    """stop_details carry the explanation."""
    body, _ = foreign(finish=Finish(reason="content_filter", message="unsafe"))
    assert body["stop_details"] == {"type": "refusal", "category": None, "explanation": "unsafe"}


def test_what_a_message_cannot_say_is_said_of_it():
    """Pictures, foreign blocks, sources without a URL, dates, further choices, unknown fields."""
    body, losses = foreign(
        Media(kind="image", source=Inline(media_type="image/png", data="iVBO"), at="a"),
        Native(origin="openai_chat", data={"x": 1}, at="b"),
        Text(text="Hi", citations=(Citation(kind="file_citation", origin="openai_responses", at="c"),)),
        created=7,
        others=({"index": 1},),
        extras={"system_fingerprint": "fp", "nothing": None},
    )
    assert [block["type"] for block in body["content"]] == ["text"]
    assert paths(losses, "dropped") == ["a", "b", "c", "choices[1]", "system_fingerprint"]
    assert paths(losses, "hint") == ["created"]


def test_a_web_citation_is_shown_as_a_search_result():
    """With a URL there is something to show."""
    citation = Citation(kind="url_citation", origin="openai_chat", url="https://a.example", title="A", start=0, end=2)
    body, losses = foreign(Text(text="Hi", citations=(citation,)))
    assert body["content"][0]["citations"][0]["url"] == "https://a.example"
    assert losses[0].weight == "approximated"


def test_a_missing_call_id_is_made_up_and_stays_the_same():
    """The client must be able to answer it."""
    first, _ = foreign(ToolCall(id="", name="n", arguments=""))
    assert first["content"][0]["id"].startswith("toolu_")
    assert first["content"][0]["input"] == {}
    assert foreign(ToolCall(id="", name="n", arguments=""))[0] == first


SEALED = [
    (Reasoning(text="Hm", seal=Seal(dialect="openai_responses", data="enc", ref="rs_1")),),
    (Reasoning(redacted=True, seal=Seal(dialect="openai_responses", data="enc")), Text(text="Hi")),
    (Text(text="Hi", seal=Seal(dialect="gemini", data="sig")), Text(text="Ho")),
    (
        ToolCall(id="c", name="n", arguments='{"a":1}', seal=Seal(dialect="gemini", data="sig")),
        ToolCall(id="d", name="n", arguments="{}"),
    ),
]


def seals(blocks):
    return [(type(block), block.seal) for block in blocks if getattr(block, "seal", None)]


@pytest.mark.parametrize("blocks", SEALED)
@pytest.mark.parametrize("origin", ["gemini", "openai_responses", "openai_chat"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_foreign_seal_comes_back_on_the_block_it_belongs_to(blocks, origin, streamed):
    """Thinking carries its own; calls and texts get a carrier beside them that the client replays untouched."""
    response = Response(origin=origin, id="r", model="m", blocks=blocks, finish=Finish(reason="stop"))
    if streamed:
        wire = ANTHROPIC.stream_renderer(CLIENT).render(unfold(response))
        parser = ANTHROPIC.stream_parser(Asked())
        told = fold([*parser.feed(wire), *parser.close()])
        content = ANTHROPIC.render_response(told, CLIENT).body["content"]
        assert wire_events(wire)[-1] == {"type": "message_stop"}
    else:
        content = ANTHROPIC.render_response(response, CLIENT).body["content"]
    replayed = ANTHROPIC.parse_request(call(messages=[{"role": "assistant", "content": content}])).messages[0]
    assert seals(replayed.blocks) == seals(blocks)
    assert [type(block) for block in replayed.blocks] == [type(block) for block in blocks]


def test_nothing_follows_the_last_text_of_a_stream():
    """Claude Code prints what the last block says: a carrier behind it would make that nothing. The seal is told as lost."""
    seal = Seal(dialect="gemini", data="sig")
    response = Response(
        origin="gemini", id="r", model="m", blocks=(Text(text="Hi", seal=seal, at="t"),), finish=Finish(reason="stop")
    )
    renderer = ANTHROPIC.stream_renderer(CLIENT)
    starts = [event for event in wire_events(renderer.render(unfold(response))) if event["type"] == "content_block_start"]
    assert [event["content_block"]["type"] for event in starts] == ["text"]
    assert [(loss.path, loss.weight, loss.value) for loss in renderer.losses] == [("t.signature", "hint", "sig")]


def test_constants_may_be_left_out():
    """An object with content is a message, also without the words that every message has."""
    told = ANTHROPIC.parse_response(b'{"id": "m", "model": "x", "content": [{"type": "text", "text": "Hi"}]}', Asked())
    assert told.blocks[0].text == "Hi"
