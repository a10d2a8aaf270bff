"""Rendering a second stream into the first: the client's own parser reads one answer, wherever the first was cut."""

import json

import msgspec
import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import Problem
from gatewright.ir.blocks import Reasoning, Text, ToolCall
from gatewright.ir.continuing import Continued, continued, why_not
from gatewright.ir.events import ArgumentsDelta, BlockStart, BlockStop, Grammar, MessageStart, StreamError, TextDelta
from gatewright.ir.fold import Folder, unfold
from gatewright.ir.request import Asked, Request, ToolChoice
from gatewright.ir.response import Finish, Response, Usage
from gatewright.pipeline.continuation import Homecoming, Live, Spliced, reads_on, takes_prefill
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.transport import HttpTransport

CUT = Problem(kind="upstream", message="cut")
CLIENTS = tuple(BY_NAME)


def asked(client: str) -> Request:
    """As a client asks that wants to be told everything."""
    told = (
        {"stream_options": {"include_usage": True}} if client == "openai_chat" else {"alt": "sse"} if client == "gemini" else {}
    )
    return Request(origin=client, model="m", client=told)


def answer(*blocks, finish: str = "stop") -> Response:
    """What an API tells that is neither the client's nor any other here."""
    return Response(
        origin="anthropic", id="x", model="b", blocks=blocks, usage=Usage(input=3, output=2), finish=Finish(reason=finish)
    )


def told_by(origin: str, response: Response, *pieces: str) -> bytes:
    """The wire of an API, with all that it says beside the answer. `pieces`: its text."""
    if origin == response.origin:
        response = msgspec.structs.replace(response, origin="openai_chat")
    events = unfold(response)
    at = next((i for i, event in enumerate(events) if isinstance(event, TextDelta)), None)
    if pieces and at is not None:
        events[at : at + 1] = [TextDelta(events[at].index, piece) for piece in pieces]
    return BY_NAME[origin].stream_renderer(asked(origin)).render(events)


def parsed(client: str, wire: bytes) -> list:
    parser = BY_NAME[client].stream_parser(Asked())
    events = [*parser.feed(wire), *parser.close()]
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    return events


def whole(events) -> Response:
    folder = Folder()
    for event in events:
        folder.add(event)
    assert folder.problem is None, folder.problem
    return folder.response


STORY = "The quick brown fox jumps."


def home_wire(client: str) -> bytes:
    """A stream of the client's own API, in pieces."""
    return told_by(client, answer(Text(text=STORY)), "The qui", "ck bro", "wn fox ", "jumps.")


def caught_up(client: str, events) -> tuple[Live, bytes]:
    live = Live(BY_NAME[client].stream_renderer(asked(client)), BY_NAME[client])
    return live, live.render(events)


def resumed(live: Live, origin: str, second: Response) -> bytes:
    """`second`, with the rest of the story, told by an API and rendered into the first."""
    request = asked(live.client.name)
    assert why_not(request, live.delivered) == ""
    onward = continued(request, live.delivered, "turn")
    rest = onward.anchor + (STORY.partition(onward.anchor)[2] if onward.anchor else STORY)
    blocks = tuple(Text(text=rest) if isinstance(block, Text) else block for block in second.blocks)
    told = parsed(origin, told_by(origin, msgspec.structs.replace(second, blocks=blocks)))
    spliced = Spliced(live, onward, request, Usage(input=1))
    return b"".join(spliced.render((event,)) for event in told)


@pytest.mark.parametrize("origin", CLIENTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_seam_is_not_seen_wherever_the_cut_is(client, origin):
    """The bytes that passed and those that are rendered behind them: one message, one text, one end, tokens of both."""
    first = parsed(client, home_wire(client))
    end = next(i for i, event in enumerate(first) if isinstance(event, BlockStop))
    for cut in range(end):
        live, out = caught_up(client, first[:cut])
        out += resumed(live, origin, answer(Reasoning(text="hm"), Text(text="")))
        told = whole(parsed(client, out))
        assert "".join(b.text for b in told.blocks if isinstance(b, Text)) == STORY, cut
        assert sum(isinstance(b, Text) for b in told.blocks) == 1
        assert told.finish is not None
        assert told.finish.reason == "stop"
        if cut:
            assert whole(first).id == told.id
        assert told.usage is not None
        assert (told.usage.total_input, told.usage.total_output) == (4, 2)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_call_may_follow_and_is_the_second_models_own(client):
    """In the client's dialect as any other call, though the first stream was at home and the second was not."""
    first = parsed(client, home_wire(client))
    live, out = caught_up(client, first[:3])
    call = ToolCall(id="call_1", name="look", arguments='{"a":1}')
    out += resumed(live, next(c for c in CLIENTS if c != client), answer(call, finish="tool_calls"))
    told = whole(parsed(client, out))
    (found,) = [block for block in told.blocks if isinstance(block, ToolCall)]
    assert (found.name, json.loads(found.arguments)) == ("look", {"a": 1})
    assert told.finish.reason == "tool_calls"


@pytest.mark.parametrize("client", CLIENTS)
def test_an_error_is_kept_back_and_may_be_told_later(client):
    """Nothing of it reaches the client before it is known that nobody goes on."""
    first = parsed(client, home_wire(client))[:3]
    live, out = caught_up(client, [*first, StreamError(CUT)])
    plain = BY_NAME[client].stream_renderer(asked(client))
    assert out == plain.render(first)
    assert live.fail(CUT) == plain.render([StreamError(CUT)])


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_not_cut_is_rendered_as_ever(client):
    """A route that resumes tells whole streams in the same bytes as one that does not."""
    for origin in CLIENTS:
        response = answer(Reasoning(text="hm"), Text(text="So \u2028 it"), ToolCall(id="c", name="f", arguments='{"a":"b"}'))
        events = unfold(msgspec.structs.replace(response, origin=origin))
        renderer = BY_NAME[client].stream_renderer(asked(client))
        live = Live(BY_NAME[client].stream_renderer(asked(client)), BY_NAME[client])
        told = b"".join(live.render((event,)) for event in events)
        expected = b"".join(renderer.render((event,)) for event in events)
        assert told.replace(b"\\u2028", "\u2028".encode()) == expected.replace(b"\\u2028", "\u2028".encode())
        assert live.taken() == events
        assert live.taken() == []


def test_half_a_call_is_held_from_who_gets_calls_whole():
    """Gemini's clients: what was cut has not been seen, and the stream may go on; others have seen its beginning."""
    events = [
        MessageStart(id="a", model="a", origin="anthropic"),
        BlockStart(0, Text(text="")),
        TextDelta(0, "I look."),
        BlockStop(0),
        BlockStart(1, ToolCall(id="c", name="f", arguments="")),
        ArgumentsDelta(1, '{"ci'),
    ]
    for client in CLIENTS:
        live, _ = caught_up(client, events)
        assert why_not(asked(client), live.delivered) == ("" if client == "gemini" else "a tool call is out")


def test_a_responses_item_ends_as_complete():
    """Whoever went on, and also where a call follows at once: Responses tells it at an item's end."""
    ending = Homecoming(BY_NAME["openai_responses"], asked("openai_responses")).ending()
    assert ending["item"]["status"] == "completed"


@pytest.mark.parametrize("client", CLIENTS)
def test_figures_get_the_words_of_the_clients_api(client):
    """A renderer at home tells the provider's own usage object: the sum must have one, too."""
    usage = Homecoming(BY_NAME[client], asked(client)).usage(Usage(input=10, output=5))
    assert (usage.input, usage.output) == (10, 5)
    assert [value for value in usage.raw.values() if isinstance(value, int) and value] in ([10, 5], [10, 5, 15])


def endpoint(*dialects: str) -> Endpoint:
    return Endpoint(
        name="e",
        dialects=dialects,
        transports=dict.fromkeys(dialects, HttpTransport("http://127.0.0.1:1")),
        base_paths=dict.fromkeys(dialects, ""),
        auth=dict.fromkeys(dialects, "none"),
        secret="",
    )


@pytest.mark.parametrize(
    ("model", "dialects", "takes"),
    [
        ("claude-sonnet-4-5", ("anthropic",), True),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", ("bedrock_converse",), True),
        ("claude-sonnet-4-6", ("anthropic",), False),
        ("claude-opus-5", ("anthropic",), False),
        ("kimi-k2", ("anthropic",), False),
        ("amazon.nova-pro-v1:0", ("bedrock_converse",), False),
        ("anthropic/claude-sonnet-4.5", ("openai_chat",), False),
        ("gemini-2.5-pro", ("gemini",), False),
        ("gpt-4.1", ("openai_responses",), False),
    ],
)
async def test_only_claudes_that_take_it_go_on_in_the_begun_turn(model, dialects, takes):
    """Everybody else is asked: a wrong guess would begin a new answer in the middle of the old one."""
    candidate = Candidate(endpoint(*dialects), model)
    assert takes_prefill(candidate, "openai_chat", asked("openai_chat")) is takes


async def test_what_excludes_a_begun_turn_is_asked_for_by_another():
    """A forced call is a begun turn itself; an effort of the route's would be refused beside one."""
    claude = Candidate(endpoint("anthropic"), "claude-sonnet-4-5")
    forced = Request(origin="anthropic", model="m", tool_choice=ToolChoice(mode="required"))
    assert not takes_prefill(claude, "anthropic", forced)
    tuned = Candidate(endpoint("anthropic"), "claude-sonnet-4-5", defaults={"effort": "low"})
    assert not takes_prefill(tuned, "anthropic", asked("anthropic"))


def test_nothing_out_is_nothing_joined():
    """A stream that broke before its first word begins again in the same message."""
    live, _ = caught_up("anthropic", [MessageStart(id="a", model="a", origin="anthropic")])
    spliced = Spliced(live, Continued(asked("anthropic"), "again"), asked("anthropic"), None)
    out = spliced.render(unfold(answer(Text(text=" So"))))
    assert out.count(b"event: message_start") == 1
    assert b'"id":"a"' in out
    assert live.delivered.text == " So"


def test_an_end_that_is_half_told_is_not_told_again():
    """Responses' text is done, its item is not: words behind it would come after their end."""
    wire = home_wire("openai_responses")
    part_done = wire.index(b"event: response.content_part.done")
    for end, goes_on in ((wire.index(b"event: response.output_text.done"), True), (wire.index(b"\n\n", part_done) + 2, False)):
        out = wire[:end]
        live, _ = caught_up("openai_responses", BY_NAME["openai_responses"].stream_parser(Asked()).feed(out))
        assert reads_on(live, asked("openai_responses"), out, b"") is goes_on
