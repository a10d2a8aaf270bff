"""What InvokeModel's clients say in headers goes to Bedrock, or is told as lost."""

import pytest

from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.invoke_headers import SAID, wrapping
from gatewright.pipeline.shaped import ShapedEndpoint
from gatewright.providers.shapes import shapes_of

GUARD = {"x-amzn-bedrock-guardrailidentifier": "gr-1", "x-amzn-bedrock-trace": "ENABLED", "x-other": "1"}


class Nowhere:
    """A transport that is never used."""


def endpoint(kind, shape=None):
    made = kind(
        name="up",
        dialects=("anthropic",),
        transports={"anthropic": Nowhere()},
        base_paths={"anthropic": ""},
        auth={"anthropic": "none"},
        secret="",
    )
    if shape is not None:
        made.shapes = shapes_of({"anthropic": shape}, {"project": "p", "location": "global"})
    return made


def test_bedrock_hears_them_all():
    headers, losses = wrapping(dict.fromkeys(SAID, "v"), endpoint(ShapedEndpoint, "bedrock-claude"), "anthropic")
    assert dict(headers) == dict.fromkeys(SAID, "v")
    assert losses == ()


@pytest.mark.parametrize("up", [endpoint(Endpoint), endpoint(ShapedEndpoint, "vertex-anthropic")], ids=["plain", "vertex"])
def test_for_anybody_else_they_are_lost_and_told(up):
    """A guardrail that is not applied is worse than a trace that is not written."""
    headers, losses = wrapping(GUARD, up, "anthropic")
    assert headers == ()
    assert [(loss.path, loss.weight) for loss in losses] == [
        ("x-amzn-bedrock-guardrailidentifier", "dropped"),
        ("x-amzn-bedrock-trace", "hint"),
    ]


def test_who_says_nothing_loses_nothing():
    assert wrapping({"x-other": "1"}, endpoint(Endpoint), "anthropic") == ((), ())
