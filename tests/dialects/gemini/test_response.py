"""Whole answers, read and written."""

import json

import pytest

from gatewright.dialects.gemini import GEMINI
from gatewright.errors import UpstreamFailed
from gatewright.ir.blocks import Citation, Reasoning, Refusal, Text, TokenLogprob, ToolCall
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, Response, Usage
from tests.dialects.gemini.asking import ask, chunk, losses_of, parsed


def read(document):
    return GEMINI.parse_response(json.dumps(document).encode(), Asked(issuer="google", model="asked"))


def shown(*blocks, **more):
    more = {"id": "x", "model": "m", "finish": Finish(reason="stop", raw="end"), **more}
    return GEMINI.render_response(Response(origin="openai_chat", blocks=blocks, **more), parsed(ask("Hi")))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("STOP", "stop"),
        (1, "stop"),
        (2, "length"),
        ("SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("NEW_ONE", "other"),
    ],
)
def test_finish_reasons(raw, reason):
    """Words and integers; what nobody knows is `other` and kept."""
    document = chunk({"text": "x"}, finishReason=raw)
    answer = read(document)
    assert answer.finish.reason == reason
    assert GEMINI.render_response(answer, parsed(ask("Hi"))).body == document


def test_stop_beside_calls_is_tool_calls():
    """Gemini says STOP either way."""
    assert read(chunk({"functionCall": {"name": "f"}}, finishReason="STOP")).finish.reason == "tool_calls"


def test_a_refused_prompt_is_a_content_filter():
    """There are no candidates, and at home there will be none."""
    document = {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"}, "responseId": "r"}
    answer = read(document)
    assert (answer.finish.reason, answer.finish.message, answer.model) == ("content_filter", "no", "asked")
    assert GEMINI.render_response(answer, parsed(ask("Hi"))).body == document


def test_usage_axes_are_disjoint():
    """The prompt includes cached tokens, thoughts are beside the candidates, tools add to the input."""
    raw = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 9,
        "thoughtsTokenCount": 5,
        "toolUsePromptTokenCount": 7,
        "totalTokenCount": 121,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 70}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
    }
    usage = read(chunk({"text": "x"}, usage=raw)).usage
    assert (usage.input, usage.cache_read, usage.audio_in, usage.output, usage.reasoning) == (47, 40, 20, 9, 5)
    assert usage.total_input + usage.total_output == 121


@pytest.mark.parametrize(("total", "output"), [(17, 0), (30, None), (None, None)])
def test_a_zero_that_is_left_out_shows_in_the_total(total, output):
    """A prompt that was blocked, an answer that was all thoughts: nothing was written, and nobody need guess how much."""
    raw = {"promptTokenCount": 15, "thoughtsTokenCount": 2, **({} if total is None else {"totalTokenCount": total})}
    assert read(chunk({"text": "x"}, usage=raw)).usage.output == output


def test_untold_usage_is_not_guessed():
    """Vertex sometimes tells the traffic type and no figures."""
    usage = read(chunk({"text": "x"}, usage={"trafficType": "ON_DEMAND"})).usage
    assert (usage.input, usage.output) == (None, None)


def test_grounding_is_cited_in_characters():
    """Gemini counts bytes."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://e.org", "title": "e"}}],
        "groundingSupports": [{"segment": {"startIndex": 4, "endIndex": 9, "text": "Flut"}, "groundingChunkIndices": [0, 5]}],
    }
    (block,) = read(chunk({"text": "Ahü Flut"}, groundingMetadata=grounding)).blocks
    (citation,) = block.citations
    assert (citation.url, citation.start, citation.end) == ("https://e.org", 3, 8)


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}},
        [{"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}],
    ],
)
def test_an_error_in_a_200_is_a_failure(document):
    """Alone or in an array."""
    with pytest.raises(UpstreamFailed) as failed:
        read(document)
    assert failed.value.problem.kind == "overloaded"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"<html>",
        b"{}",
        b'{"choices":[]}',
        b'{"candidates":[3]}',
        b'{"candidates":[{"content":{"parts":[{"text":1}]}}]}',
    ],
)
def test_nonsense_is_a_failure(body):
    """Never a crash, never an empty answer."""
    with pytest.raises(UpstreamFailed):
        GEMINI.parse_response(body, Asked())


def test_further_candidates_come_back_at_home():
    """They are kept as they are."""
    document = chunk({"text": "a"}, finishReason="STOP")
    document["candidates"].append({"content": {"parts": [{"text": "b"}], "role": "model"}, "index": 1})
    assert len(read(document).others) == 1
    assert GEMINI.render_response(read(document), parsed(ask("Hi"))).body == document


def test_a_foreign_answer_in_geminis_words():
    """Blocks, reasons, usage and time."""
    usage = Usage(input=10, cache_read=4, output=6, reasoning=3, raw={"prompt_tokens": 14})
    body = shown(
        Reasoning(text="hm"),
        Text(text="yes"),
        Refusal(text="no"),
        ToolCall(id="call_1", name="f", arguments='{"a":1}'),
        usage=usage,
        created=0,
        finish=Finish(reason="tool_calls", raw="tool_calls"),
    ).body
    assert body == {
        "candidates": [
            {
                "index": 0,
                "content": {
                    "parts": [
                        {"text": "hm", "thought": True},
                        {"text": "yes"},
                        {"text": "no"},
                        {"functionCall": {"name": "f", "id": "call_1", "args": {"a": 1}}},
                    ],
                    "role": "model",
                },
                "finishReason": "STOP",
            }
        ],
        "modelVersion": "m",
        "responseId": "x",
        "createTime": "1970-01-01T00:00:00Z",
        "usageMetadata": {
            "promptTokenCount": 14,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 6,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 23,
        },
    }


def test_foreign_citations_become_grounding():
    """With the bytes that Gemini counts; what has no URL is told."""
    web = Citation(kind="url_citation", origin="openai_chat", url="https://e.org", title="E", start=0, end=2, at="a")
    doc = Citation(kind="char_location", origin="openai_chat", title="D", cited="words", at="b")
    out = shown(Text(text="üb er", citations=(web, doc)))
    assert out.body["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://e.org", "title": "E"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 3, "text": "üb"}, "groundingChunkIndices": [0]}],
    }
    assert losses_of(out)["b"] == "dropped"


def test_foreign_logprobs():
    """Tokens and their alternatives; their bytes are a hint lost."""
    token = TokenLogprob(token="a", logprob=-0.5, bytes=(97,), top=(TokenLogprob(token="b", logprob=-1.5),), at="t")
    out = shown(Text(text="a", logprobs=(token,)))
    assert out.body["candidates"][0]["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    assert losses_of(out) == {"t": "hint"}


def test_logprobs_with_more_than_we_know_stay_whole():
    """What could not be written again just so is not taken apart."""
    odd = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}], "logProbabilitySum": -0.5}
    answer = read(chunk({"text": "a"}, logprobsResult=odd))
    assert answer.blocks[0].logprobs == ()
    assert answer.extras["candidates[0].logprobsResult"] == odd
