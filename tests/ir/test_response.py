"""Answers in the neutral form: what the usage says of an answer, each client is told once."""

import json

import pytest

from gatewright.dialects import BY_NAME
from gatewright.ir.events import MessageStop
from gatewright.ir.fold import unfold
from gatewright.ir.request import Request
from gatewright.ir.response import Response, Usage, told_in_usage

TIERS = {
    "openai_chat": "flex",
    "openai_responses": "flex",
    "anthropic": "batch",
    "gemini": "flex",
    "bedrock_converse": "priority",
}
"""Client → a tier that its API has a word for, if any."""
PAIRS = [(origin, client) for origin in ("openai_chat", "openai_responses") for client in BY_NAME if client != origin]


def served(origin: str, tier: str) -> Response:
    """An answer as OpenAI's APIs tell its tier: beside the usage."""
    usage = Usage(input=1, output=1, service_tier=tier)
    return Response(origin=origin, id="a", model="m", blocks=(), usage=usage, extras={"service_tier": tier})


@pytest.mark.parametrize(("origin", "client"), PAIRS)
def test_the_tier_that_served_is_shown_or_told_as_a_hint_and_never_both(origin, client):
    """A loss beside the very word would be a lie, and silence about a word that is missing too."""
    for tier in (TIERS[client], "unheard-of"):
        rendered = BY_NAME[client].render_response(served(origin, tier), Request(origin=client, model="m"))
        told = [loss for loss in rendered.losses if "tier" in loss.path.lower()]
        shown = tier in json.dumps(rendered.body)
        assert len(told) == (0 if shown else 1), (rendered.body, told)
        assert shown == (tier != "unheard-of" and client != "gemini")
        assert all(loss.weight == "hint" for loss in told)


def test_a_streamed_tier_is_shown_from_the_first_event_on():
    """Chat tells it in the first chunk, the usage comes with the last; a Responses client reads it in both."""
    renderer = BY_NAME["openai_responses"].stream_renderer(Request(origin="openai_responses", model="m"))
    events = unfold(served("openai_chat", "flex"))
    assert b'"service_tier":"flex"' in renderer.render(events[:1])
    assert b'"service_tier":"flex"' in renderer.render(events[1:])
    assert isinstance(events[-1], MessageStop)
    assert [loss.path for loss in renderer.losses if "tier" in loss.path] == []


def test_only_the_same_word_is_told_twice():
    """What the usage does not say stays the extras' own."""
    assert told_in_usage(served("openai_chat", "flex")) == ("service_tier",)
    other = Response(origin="openai_chat", id="", model="", blocks=(), usage=Usage(), extras={"service_tier": "flex"})
    assert told_in_usage(other) == ()
