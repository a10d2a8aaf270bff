"""Whole answers, read and written."""

import json

import pytest
from openai.types.chat import ChatCompletion

from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.dialects.openai_chat.usage import parse_usage
from gatewright.errors import UpstreamFailed
from gatewright.ir.blocks import Citation, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.fold import fold
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, Response
from gatewright.ir.seal import Seal, unpack
from tests.dialects.openai_chat.sample import chunk, parse, request, wire


def body(message=None, **choice) -> bytes:
    one = {"index": 0, "message": {"role": "assistant", **(message or {"content": "Hi"})}, "finish_reason": "stop", **choice}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [one]}).encode()


def read(message=None, **choice) -> Response:
    return OPENAI_CHAT.parse_response(body(message, **choice), Asked(issuer="here"))


def show(*blocks, finish: Finish | None = None, **wanted):
    response = Response(origin="gemini", id="g", model="m", blocks=blocks, finish=finish)
    rendered = OPENAI_CHAT.render_response(response, request(**wanted))
    ChatCompletion.model_validate(rendered.body, strict=True)
    return rendered


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"[]",
        b'{"error":{"code":502,"message":"x"}}',
        b'{"choices":[]}',
        b'{"message":"x"}',
        b'{"choices":[{"index":0}]}',
    ],
)
def test_an_error_in_disguise_is_a_failure(data):
    """A 200 that holds no answer must be tried elsewhere."""
    with pytest.raises(UpstreamFailed):
        OPENAI_CHAT.parse_response(data, Asked())


def test_a_stream_told_as_a_whole_answer_has_its_text_as_a_string():
    """SDKs know no list of parts in an answer; text before and after a call is one string there."""
    call = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]}
    pieces = [{"role": "assistant", "content": "Let me "}, {"content": "see. "}, call, {"content": "Done."}]
    told = fold(parse(wire(*map(chunk, pieces), chunk(finish="tool_calls"))))
    rendered = OPENAI_CHAT.render_response(told, request()).body
    assert rendered["choices"][0]["message"]["content"] == "Let me see. Done."
    ChatCompletion.model_validate(rendered, strict=True)


def test_a_host_that_broke_within_the_choice_has_failed():
    """OpenRouter tells it beside half an answer."""
    with pytest.raises(UpstreamFailed) as error:
        read({"content": "half"}, finish_reason=None, error={"code": 502, "message": "Error processing stream"})
    assert error.value.problem.http_status == 502


@pytest.mark.parametrize(
    ("message", "raw", "reason"),
    [
        ({"content": "x"}, "stop", "stop"),
        ({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}, "stop", "tool_calls"),
        ({"refusal": "No."}, "stop", "refusal"),
        ({"content": "x"}, "eos", "stop"),
        ({"content": "x"}, "", "other"),
        ({"content": "x"}, "sensitive", "content_filter"),
        ({"content": "x"}, "from_tomorrow", "other"),
    ],
)
def test_finish_words_of_all_hosts_are_understood_and_kept(message, raw, reason):
    """Other clients see the meaning, this dialect's own the word."""
    response = read(message, finish_reason=raw)
    assert (response.finish.reason, response.finish.raw) == (reason, raw)


def test_reasoning_told_twice_is_one_block():
    """OpenRouter repeats the details in `reasoning`; the copy stays beside."""
    details = [{"type": "reasoning.text", "text": "hm", "signature": "EqQB", "format": "f", "index": 0}]
    response = read({"content": "x", "reasoning": "hm", "reasoning_details": details})
    thoughts = [block for block in response.blocks if isinstance(block, Reasoning)]
    assert [(one.text, one.seal.data, one.seal.issuer) for one in thoughts] == [("hm", "EqQB", "here")]
    assert response.extras["choices[0].message.reasoning"] == "hm"


def test_usage_axes_are_disjoint():
    """Cached within the prompt, reasoning within the completion, except where the total shows it beside."""
    within = parse_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 8,
            "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 5},
        }
    )
    assert (within.input, within.cache_read, within.output, within.reasoning) == (6, 4, 3, 5)
    beside = parse_usage(
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 112, "completion_tokens_details": {"reasoning_tokens": 100}}
    )
    assert (beside.output, beside.reasoning) == (2, 100)


def test_who_counts_otherwise_is_known_by_the_figures():
    """Mistral's sound is beside the prompt, as the total shows; Perplexity's reasoning beside the completion, where citations are told."""
    mistral = {"prompt_tokens": 9, "completion_tokens": 201, "total_tokens": 585, "prompt_tokens_details": {"audio_tokens": 375}}
    usage = parse_usage(mistral)
    assert (usage.input, usage.audio_in, usage.output) == (9, 375, 201)
    within = parse_usage({**mistral, "prompt_tokens": 384})
    assert (within.input, within.audio_in) == (9, 375)
    perplexity = {
        "prompt_tokens": 33,
        "completion_tokens": 7163,
        "total_tokens": 7196,
        "citation_tokens": 20016,
        "reasoning_tokens": 997,
    }
    usage = parse_usage(perplexity)
    assert (usage.input, usage.output, usage.reasoning) == (33, 7163, 997)
    assert parse_usage({"prompt_tokens": None}).input is None


def test_a_foreign_answer_is_one_choice_with_all_it_said():
    """Text, reasoning with its seal, citations, refusal and calls."""
    seal = Seal(dialect="gemini", data="CpwB")
    cited = Text(text="Sea.", citations=(Citation(kind="web", origin="gemini", url="https://x.example", title="X"),))
    rendered = show(
        Reasoning(text="hm", seal=seal),
        Text(text="The "),
        cited,
        ToolCall(id="", name="f", arguments=""),
        finish=Finish(reason="tool_calls"),
    )
    choice = rendered.body["choices"][0]
    message = choice["message"]
    assert (message["content"], message["reasoning_content"], choice["finish_reason"]) == ("The Sea.", "hm", "tool_calls")
    assert unpack(message["reasoning_details"][0]["signature"]) == seal
    assert message["annotations"][0]["url_citation"] == {
        "url": "https://x.example",
        "title": "X",
        "start_index": 4,
        "end_index": 8,
    }
    assert message["tool_calls"][0]["id"]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_finish_that_chat_has_no_word_for_is_told():
    """A pause must not pass for an end in silence."""
    rendered = show(Text(text="a"), finish=Finish(reason="pause", raw="pause_turn"))
    assert [(loss.weight, loss.value) for loss in rendered.losses] == [("approximated", "pause_turn")]
    assert show(Refusal(text="No."), finish=Finish(reason="refusal")).body["choices"][0]["finish_reason"] == "stop"
