"""A kept answer, given again: in pieces that any program reads, under an id of its own, marked for who cannot seal."""

import time

import msgspec

from gatewright.exchange import Exchange
from gatewright.ir.blocks import Reasoning, Text, TokenLogprob, ToolCall
from gatewright.ir.fold import fold, unfold
from gatewright.ir.response import Finish, Response
from gatewright.pipeline.replay_answer import PIECE, answer_id, for_client, in_pieces, target_line
from gatewright.pipeline.replayed import MARK
from gatewright.wire.http import Call

LONG = Response(
    origin="anthropic",
    id="msg_1",
    model="m",
    finish=Finish(reason="tool_calls"),
    blocks=(
        Reasoning(text="why? " * 2000, summary=("s" * 5000, "t")),
        Text(text="é😀" * 3001),
        Text(text="a b", logprobs=(TokenLogprob(token="a b", logprob=-1.0),)),
        ToolCall(id="c", name="n", arguments='{"x": "' + "y" * 9000 + '"}'),
    ),
)


def exchange(dialect: str) -> Exchange:
    return Exchange(
        request_id="req_abc",
        dialect=dialect,
        operation="generate",
        method="POST",
        call=Call(path="/", body=b""),
        started=time.monotonic(),
    )


def test_a_long_answer_comes_in_pieces_and_is_the_same():
    """Programs that read streams by lines take no line of a megabyte."""
    events = in_pieces(unfold(LONG))
    assert fold(events) == LONG
    assert max(len(getattr(event, "text", "")) for event in events) <= PIECE
    assert len(events) > 20


def test_each_answer_has_an_id_as_its_client_s_api_makes_them():
    """Responses clients are given the id that the gateway keeps the response under."""
    ids = {name: answer_id(exchange(name)) for name in ("openai_chat", "openai_responses", "anthropic", "gemini")}
    assert ids == {"openai_chat": "chatcmpl-abc", "openai_responses": "resp_abc", "anthropic": "msg_abc", "gemini": "abc"}
    kept = exchange("openai_responses")
    kept.answer = {"id": "resp_own"}
    assert answer_id(kept) == "resp_own"


def test_at_home_an_answer_is_as_it_was_and_abroad_it_is_marked():
    """Reasoning that nobody sealed comes back as the other API's; calls without an id get one."""
    unnamed = msgspec.structs.replace(LONG, blocks=(Reasoning(text="hm"), ToolCall(id="", name="n", arguments="{}")))
    home = for_client(unnamed, exchange("anthropic"), "claude")
    assert home == msgspec.structs.replace(unnamed, id="msg_abc")
    reasoning, call = for_client(unnamed, exchange("gemini"), "claude").blocks
    assert isinstance(reasoning, Reasoning)
    assert isinstance(call, ToolCall)
    assert reasoning.seal is not None
    assert call.seal is not None
    assert (reasoning.seal.kind, call.seal.kind, call.seal.issuer) == (MARK, MARK, "claude")
    assert call.id


def test_a_target_s_name_breaks_no_header():
    """A client may have chosen it."""
    assert target_line("a/b\r\nx: y") == b"x-gatewright-target: a/b??x: y\r\n"
