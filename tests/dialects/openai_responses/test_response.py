"""Whole answers, both ways."""

import json

import pytest
from openai.types.responses import Response as SdkResponse

from gatewright.dialects.openai_responses import OPENAI_RESPONSES
from gatewright.errors import UpstreamFailed
from gatewright.ir.blocks import Citation, Native, Reasoning, Text, ToolCall
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.seal import Seal
from tests.dialects.openai_responses.speaking import ANYONE, ASKED, request_of, response_of


def shown(response, request=ANYONE):
    rendered = OPENAI_RESPONSES.render_response(response, request)
    SdkResponse.model_validate(rendered.body)
    return rendered


def foreign(*blocks, **fields):
    return Response(origin="anthropic", id="msg_1", model="claude", blocks=blocks, **fields)


def test_usage_axes_do_not_overlap():
    """Here input includes the cached and output the reasoning tokens."""
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 150,
    }
    found = response_of(usage=usage).usage
    assert (found.input, found.cache_read, found.cache_write_5m, found.output, found.reasoning) == (30, 60, 10, 20, 30)
    again = shown(foreign(usage=Usage(input=30, cache_read=60, cache_write_1h=10, output=20, reasoning=30))).body["usage"]
    assert again == usage


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("completed", None, "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("incomplete", {"reason": "steered"}, "other"),
        ("cancelled", None, "other"),
        ("queued", None, "other"),
    ],
)
def test_every_status_is_a_finish(status, details, reason):
    """A filter is not a token limit."""
    assert response_of(status=status, incomplete_details=details).finish.reason == reason


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "no", "code": 502}}, "upstream"),
        ({"error": {"message": "slow", "code": "rate_limit_exceeded"}, "status": "failed", "output": []}, "rate_limit"),
        ({"status": "failed", "output": []}, "upstream"),
        ({"id": "resp"}, "upstream"),
        ([], "upstream"),
    ],
)
def test_errors_in_a_200_are_failures(body, kind):
    """A failed answer never looks like an answer."""
    with pytest.raises(UpstreamFailed) as failed:
        OPENAI_RESPONSES.parse_response(json.dumps(body).encode(), ASKED)
    assert failed.value.problem.kind == kind


def test_a_message_keeps_its_parts_and_its_own_fields():
    """Two parts of one item are two blocks, and one item again at home."""
    parts = [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "b"}, {"type": "new"}]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "x", "content": parts}
    response = response_of(output=[item, {**item, "content": parts[:1]}])
    assert len(response.blocks) == 4
    assert OPENAI_RESPONSES.render_response(response, ANYONE).body["output"][0] == item


def test_another_dialects_answer_is_a_complete_official_object():
    """Clients read every field of the type; ids are made from the answer's own and are the same every time."""
    answer = foreign(
        Reasoning(text="hm", seal=Seal(dialect="anthropic", data="S")),
        Text(text="Hello"),
        Text(text=" you", citations=(Citation(kind="web", origin="anthropic", url="https://e.com", cited="c", at="c"),)),
        ToolCall(id="toolu_1", name="f", arguments="{}"),
        finish=Finish(reason="stop_sequence", raw="stop_sequence", sequence="END"),
    )
    rendered = shown(answer)
    assert [item["type"] for item in rendered.body["output"]] == ["reasoning", "message", "function_call"]
    assert len({item["id"] for item in rendered.body["output"]}) == 3
    assert rendered == shown(answer)
    assert {loss.path for loss in rendered.losses} == {"c", "c.cited_text", "c.start_index", "finish", "stop_sequence"}


def test_calls_go_back_to_their_namespace_and_their_freeform():
    """The client called them so; the upstream never knew."""
    space = {"type": "namespace", "name": "fs", "description": "", "tools": [{"type": "function", "name": "read"}]}
    request = request_of(input="x", tools=[space, {"type": "custom", "name": "patch"}])
    calls = (
        ToolCall(id="1", name="fs__read", arguments="{}"),
        ToolCall(id="2", name="patch", arguments='{"input":"*** Begin"}'),
        ToolCall(id="3", name="patch", arguments='{"input":'),
    )
    rendered = shown(foreign(*calls), request)
    first, second, third = rendered.body["output"]
    assert (first["name"], first["namespace"]) == ("read", "fs")
    assert (second["type"], second["input"]) == ("custom_tool_call", "*** Begin")
    assert third["input"] == '{"input":'
    assert any(loss.weight == "approximated" for loss in rendered.losses)


def test_a_seal_on_a_call_travels_in_an_item_of_its_own():
    """Only reasoning items have an opaque field; replayed, the seal is on its call again."""
    seal = Seal(dialect="gemini", data="TS", issuer="google")
    call = ToolCall(id="c1", name="f", arguments="{}", seal=seal)
    items = shown(Response(origin="gemini", id="r", model="g", blocks=(call,))).body["output"]
    assert [item["type"] for item in items] == ["function_call", "reasoning"]
    blocks = [block for message in request_of(input=items).messages for block in message.blocks]
    assert [getattr(block, "seal", None) for block in blocks] == [seal]


def test_blocks_nobody_else_shows_are_losses():
    """The whole block is in the loss."""
    block = Native(origin="anthropic", data={"type": "server_tool_use", "id": "s"}, at="content[0]")
    losses = shown(foreign(block)).losses
    assert [(loss.path, loss.value) for loss in losses if loss.weight == "dropped"] == [("content[0]", block.data)]


def test_a_message_without_a_role_is_the_answer():
    """Some hosts leave the constant out; the text is no less said."""
    item = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}
    assert [block.text for block in response_of(output=[item]).blocks] == ["Hi"]
