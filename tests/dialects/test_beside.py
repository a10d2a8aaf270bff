"""What answers of other dialects tell beside what there is room for: summaries beside full reasoning, titles of media."""

import pytest

from gatewright.dialects import BY_NAME
from gatewright.ir.blocks import Inline, Media, Reasoning, Text
from gatewright.ir.response import Response
from tests.laws.cases import minimal_call


@pytest.mark.parametrize("name", ["openai_chat", "anthropic", "gemini", "bedrock_converse"])
def test_a_summary_beside_the_reasoning_is_told_as_lost(name):
    """Open models behind the Responses API tell both; all others have room for one."""
    thought = Reasoning(text="all of it", summary=("in short",), at="output[0]")
    answer = Response(origin="openai_responses", id="r", model="m", blocks=(thought, Text(text="Hi")))
    asker = BY_NAME[name].parse_request(minimal_call(name, stream=False))
    assert "output[0].summary" in {loss.path for loss in BY_NAME[name].render_response(answer, asker).losses}


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses"])
def test_the_title_of_an_image_is_told_as_lost(name):
    """Gemini names what it makes; OpenAI's answers have no such field."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"), title="a.png", at="parts[0]")
    answer = Response(origin="gemini", id="r", model="m", blocks=(image,))
    asker = BY_NAME[name].parse_request(minimal_call(name, stream=False))
    assert "parts[0].title" in {loss.path for loss in BY_NAME[name].render_response(answer, asker).losses}
