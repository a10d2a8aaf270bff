"""Whole answers, both ways."""

import json

import pytest

from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from gatewright.dialects.bedrock_converse.finish import REASON_OF, WORD_OF
from gatewright.errors import UpstreamFailed
from gatewright.ir.blocks import Citation, Inline, Media, Native, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.seal import Seal, pack
from tests.dialects.bedrock_converse.asking import answered, ask, parsed
from tests.laws import bedrock_oracle

REQUEST = parsed(ask("Hi"))


def shown(*blocks, **more):
    response = Response(origin="openai_chat", id="x", model="m", blocks=blocks, **more)
    rendered = BEDROCK_CONVERSE.render_response(response, REQUEST)
    assert bedrock_oracle.answer(rendered.body) == []
    return rendered


def content(*blocks, **more):
    return shown(*blocks, **more).body["output"]["message"]["content"]


def test_usage_is_disjoint_and_cache_writes_are_told_by_their_life():
    usage = answered(
        "a",
        usage={
            "inputTokens": 3, "outputTokens": 5, "totalTokens": 44, "cacheReadInputTokens": 16, "cacheWriteInputTokens": 20,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 8}, {"ttl": "1h", "inputTokens": 12}],
        },
        serviceTier={"type": "flex"},
    ).usage  # fmt: skip
    assert (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output) == (3, 16, 8, 12, 5)
    assert usage.service_tier == "flex"
    body = json.dumps({"usage": {"inputTokens": 1, "outputTokens": 2}, "serviceTier": {"type": "flex"}}).encode()
    assert BEDROCK_CONVERSE.read_usage(body).service_tier == "flex"
    assert BEDROCK_CONVERSE.read_usage(b"[]") is BEDROCK_CONVERSE.read_usage(b"no") is None


def test_a_figure_that_is_none_is_not_guessed():
    usage = answered(
        "a", usage={"inputTokens": -1, "outputTokens": True, "cacheWriteInputTokens": "x", "cacheDetails": [7]}
    ).usage
    assert (usage.input, usage.output, usage.cache_write_5m) == (None, None, None)


def test_every_stop_reason_of_the_service_model_is_known():
    """And every neutral reason has a word that the model knows."""
    known = bedrock_oracle.operation("Converse").output_shape.members["stopReason"].enum
    assert set(known) <= set(REASON_OF)
    assert set(WORD_OF.values()) <= set(known)
    assert answered("a", stop="sun_down").finish == Finish(reason="other", raw="sun_down")


def test_an_answer_without_what_it_must_have_is_nonsense():
    for body in (
        b"",
        b"[]",
        b"{}",
        b'{"output": {}}',
        b'{"output": {"message": {"content": {}}}}',
        b'{"output": {"message": {"content": [3]}}}',
    ):
        with pytest.raises(UpstreamFailed, match="not a Converse answer"):
            BEDROCK_CONVERSE.parse_response(body, Asked())


def test_an_error_under_a_200_is_an_error():
    with pytest.raises(UpstreamFailed, match="no quota"):
        BEDROCK_CONVERSE.parse_response(b'{"message": "no quota", "__type": "ThrottlingException"}', Asked())


def test_the_forced_tool_is_the_text_that_was_asked_for():
    body = {
        "output": {
            "message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "n", "input": {"a": 1}}}]}
        },
        "stopReason": "tool_use",
    }
    response = BEDROCK_CONVERSE.parse_response(json.dumps(body).encode(), Asked(json_tool="n"))
    assert response.blocks[0].text == '{"a":1}'
    assert response.finish.reason == "stop"


def test_seals_are_marked_with_their_issuer():
    block = answered({"reasoningContent": {"reasoningText": {"text": "t", "signature": "S"}}}).blocks[0]
    assert block.seal == Seal(dialect="bedrock_converse", data="S", issuer="aws")


def test_a_foreign_seal_travels_in_the_signature_or_before_its_block():
    """As text where the field is text, as base64 where SDKs make bytes of it; both come back."""
    seal = Seal(dialect="gemini", data="G", issuer="google")
    blocks = content(
        Reasoning(text="t", seal=seal), ToolCall(id="c", name="f", arguments="{}", seal=seal), Text(text="x", seal=seal)
    )
    assert blocks[0]["reasoningContent"]["reasoningText"]["signature"] == pack(seal)
    assert [next(iter(block)) for block in blocks] == [
        "reasoningContent", "reasoningContent", "toolUse", "reasoningContent", "text",
    ]  # fmt: skip
    again = parsed({"messages": [{"role": "assistant", "content": blocks}]}).messages[0].blocks
    assert [block.seal for block in again] == [seal] * 3
    assert [type(block) for block in again] == [Reasoning, ToolCall, Text]


def test_a_foreign_answer_in_this_apis_words():
    blocks = content(
        Text(text="x", citations=(Citation(kind="u", origin="openai_chat", url="https://x", title="X", cited="c"),)),
        Refusal(text="no"),
        Media(kind="image", source=Inline(media_type="image/png", data="iVBORw0KGgo=")),
        ToolCall(id="", name="f", arguments="{broken"),
        ToolCall(id="c", name="g", arguments=""),
        Text(text=""),
        Media(kind="audio", source=Inline(media_type="audio/wav", data="QQ==")),
        Native(origin="openai_chat", data={"x": 1}),
    )
    assert blocks[0]["citationsContent"]["citations"] == [
        {"title": "X", "sourceContent": [{"text": "c"}], "location": {"web": {"url": "https://x"}}}
    ]
    assert blocks[1:3] == [{"text": "no"}, {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}]
    assert blocks[3]["toolUse"]["toolUseId"].startswith("tooluse_")
    assert blocks[3]["toolUse"]["input"] == {"_raw": "{broken"}
    assert blocks[4]["toolUse"]["input"] == {}
    assert len(blocks) == 5


def test_what_the_shape_requires_is_there_even_when_nobody_said_it():
    rendered = shown(Text(text="x"))
    assert rendered.body["usage"] == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    assert rendered.body["stopReason"] == "end_turn"
    assert any(loss.path == "finish_reason" for loss in rendered.losses)
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5, reasoning=6, service_tier="standard")
    told = shown(Text(text="x"), usage=usage, finish=Finish(reason="stop")).body
    assert told["usage"]["totalTokens"] == 21
    assert told["usage"]["cacheDetails"] == [{"ttl": "5m", "inputTokens": 3}, {"ttl": "1h", "inputTokens": 4}]
    assert told["serviceTier"] == {"type": "default"}


def test_calls_and_refusals_show_in_the_reason():
    assert shown(ToolCall(id="c", name="f", arguments="{}"), finish=Finish(reason="stop")).body["stopReason"] == "tool_use"
    assert shown(Refusal(text="no"), finish=Finish(reason="stop")).body["stopReason"] == "content_filtered"
