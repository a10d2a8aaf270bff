"""Quirks that the dialects read from everybody: each on the recorded answer that shows it."""

import json
import os
import re
from pathlib import Path

import pytest

from gatewright.dialects import BY_NAME as DIALECTS
from gatewright.errors import UpstreamFailed
from gatewright.ir.blocks import Message, Reasoning, Text, ToolCall
from gatewright.ir.fold import Folder
from gatewright.ir.request import Asked, Request, Target
from gatewright.providers.quirks import BY_NAME
from gatewright.providers.quirks.read import READ

RECORDINGS = Path(os.environ.get("GATEWRIGHT_RECORDINGS", Path(__file__).resolve().parents[3].parent / "shared" / "recordings"))
CHAT = DIALECTS["openai_chat"]


def recorded(quirk):
    """The recorded exchange that is a quirk's case."""
    if not RECORDINGS.is_dir():
        pytest.skip("no recorded traffic here: GATEWRIGHT_RECORDINGS")
    case = BY_NAME[quirk].case
    for line in (RECORDINGS / "index.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["id"] == case:
            return json.loads((RECORDINGS / entry["file"]).read_text(encoding="utf-8"))
    raise AssertionError(case)


def answer(quirk):
    """What it says, in neutral words."""
    body = recorded(quirk)["response"]["body"]
    if not isinstance(body, str):
        return CHAT.parse_response(json.dumps(body).encode(), Asked(issuer="it"))
    parser, folder = CHAT.stream_parser(Asked(issuer="it")), Folder()
    for event in (*parser.feed(body.encode()), *parser.close()):
        folder.add(event)
    assert folder.problem is None
    return folder.response


def texts(response):
    return "".join(block.text for block in response.blocks if isinstance(block, Text))


def last_usage(quirk):
    data = [line[5:] for line in recorded(quirk)["response"]["body"].splitlines() if line.startswith("data:")]
    told = [json.loads(line) for line in data if line.strip() != "[DONE]"]
    return [chunk["usage"] for chunk in told if chunk.get("usage")]


def replayed(quirk, dialect):
    """The ids of the answer's calls, as another API is told of them."""
    calls = tuple(block for block in answer(quirk).blocks if isinstance(block, ToolCall))
    request = Request(origin="gemini", model="m", max_tokens=5, messages=(Message(role="assistant", blocks=calls),))
    body = DIALECTS[dialect].render_request(request, Target(model="m", issuer="x")).body
    return [call.id for call in calls], re.findall(r'"id": "([^"]+)"', json.dumps(body))


def test_reasoning_content_is_reasoning_and_goes_back_in_its_field():
    response = answer("reasoning-content")
    (block,) = [block for block in response.blocks if isinstance(block, Reasoning)]
    assert block.text
    request = Request(origin="anthropic", model="m", messages=(Message(role="assistant", blocks=(block, Text(text="a"))),))
    body = CHAT.render_request(request, Target(model="m", issuer="it")).body
    assert body["messages"][0]["reasoning_content"] == block.text


def test_thinking_in_a_list_is_reasoning_before_the_text():
    blocks = answer("mistral-list-content").blocks
    assert [type(block) for block in blocks] == [Reasoning, Text]
    assert all(block.text for block in blocks)


def test_usage_that_nobody_asked_for_is_read():
    assert answer("groq-usage").usage.output > 0


def test_an_error_inside_a_200_is_an_error():
    with pytest.raises(UpstreamFailed):
        answer("openrouter-stream")


def test_a_first_chunk_of_filter_results_is_no_answer_and_no_end():
    assert texts(answer("azure-filter-results"))


def test_a_stream_without_its_last_word_is_whole():
    response = answer("no-done")
    assert "[DONE]" not in recorded("no-done")["response"]["body"]
    assert response.finish.reason == "length"
    assert response.blocks


def test_of_usage_in_every_chunk_the_last_counts():
    told = last_usage("usage-in-every-chunk")
    assert len(told) > 1
    assert answer("usage-in-every-chunk").usage.output == told[-1]["completion_tokens"]


def test_ids_with_a_colon_fit_an_api_that_refuses_them():
    given, told = replayed("kimi-call-ids", "anthropic")
    assert any(":" in ref for ref in given)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", ref) for ref in told)
    assert len(told) == len(given)


def test_long_ids_fit_an_api_that_refuses_them():
    given, told = replayed("long-call-ids", "openai_chat")
    assert any(len(ref) > 40 for ref in given)
    assert all(len(ref) <= 40 for ref in told)


def test_every_recorded_case_is_run():
    """By the tests above."""
    here = Path(__file__).read_text(encoding="utf-8")
    assert [q.name for q in READ if q.case != "written" and f'("{q.name}"' not in here] == []
