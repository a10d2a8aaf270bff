"""Streams that break after content is out, on routes that resume: the client reads one answer, or an honest error."""

import json

import pytest

from tests.dialects.bedrock_converse.asking import frame
from tests.plays import wires
from tests.plays.breaking import (
    CALL,
    CALLED,
    CUT_AT,
    MODELS,
    OTHER_MODELS,
    OTHER_THINKERS,
    PREFILLED,
    SPACED,
    STORY,
    THINKERS,
    THOUGHT,
    after,
    middle,
)
from tests.plays.resumed import DIALECTS, request, stream
from tests.plays.resuming_scene import COMMENTED, OUT, attempts, refusals, scene
from tests.plays.scene import events
from tests.serving import call
from tests.upstreams.script import Say, Thought

FOREIGN = dict(zip(DIALECTS, (*DIALECTS[1:], DIALECTS[0]), strict=True))
"""Client -> an upstream's dialect that is not its own."""


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_text_goes_on_from_any_upstream_on_any_other(tmp_path, client):
    """In the middle of a word: every pair of dialects behind every client, whether bytes pass or not, letter for letter."""
    pairs = [(one, other) for one in DIALECTS for other in DIALECTS]
    routes = [(f"{one}-{other}", MODELS[one], OTHER_MODELS[other]) for one, other in pairs]
    async with scene(tmp_path, *routes) as gw:
        for name, first, second in routes:
            gw.up.cuts = [middle()]
            got = await stream(gw, client, name)
            assert (got.end, got.text) == ("stop", STORY), name
            assert attempts(gw) == [(first, False), (second, True)]
            assert got.body.count(f": gatewright resumed on {second}\n\n".encode()) == (client in COMMENTED)
            assert gw.settled[-1].problem is None
        assert refusals(gw.up) == []
        assert len(gw.settled) == len(routes)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("where", ["passing", "foreign"])
async def test_a_stream_goes_on_from_behind_each_of_its_events(tmp_path, client, where):
    """The whole story or, where an end is half told, an honest error: never two beginnings, never words lost or told twice."""
    first = client if where == "passing" else FOREIGN[client]
    async with scene(tmp_path, ("safe", MODELS[first], OTHER_MODELS[FOREIGN[first]])) as gw:
        place, events_in_all = 1, 2
        while place < events_in_all:
            gw.up.cuts = [lambda _, place=place: place]
            got = await stream(gw, client, "safe")
            events_in_all = len(gw.up.whole)
            # Who has told why it ended lacks nothing but its last word; Responses tells the end of a text three times.
            ending = place >= events_in_all - 4
            assert (got.end, got.text) == ("stop", STORY) or (ending and got.end in ("cut", "error") and got.text == STORY), place
            place += 1
    assert events_in_all >= 12


@pytest.mark.parametrize("client", DIALECTS)
async def test_what_passes_passes_unchanged_until_the_cut(tmp_path, client):
    """Reading along costs the bytes nothing: they are the provider's own."""
    async with scene(tmp_path, ("safe", MODELS[client], OTHER_MODELS[client])) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, client, "safe")
        passed = b"".join(gw.up.answers[0].chunks)
    assert got.text == STORY
    assert got.body.startswith(passed)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("second", PREFILLED)
async def test_a_model_that_takes_it_goes_on_in_the_begun_turn(tmp_path, client, second):
    """Its last message is the answer so far, without reasoning and without the space at the end."""
    async with scene(tmp_path, ("safe", MODELS[client], PREFILLED[second]), tells=(Say(SPACED),)) as gw:
        gw.up.cuts = [middle(SPACED)]
        got = await stream(gw, client, "safe")
        last = json.loads(gw.up.requests[-1].body)["messages"][-1]
        assert refusals(gw.up) == []
    assert SPACED[CUT_AT - 1] == " "
    assert (got.end, got.text) == ("stop", SPACED)
    assert last["role"] == "assistant"
    assert f'{SPACED[: CUT_AT - 1]}"' in json.dumps(last, ensure_ascii=False)


INSIDE = {**wires.ERROR_INSIDE, "bedrock_converse": frame("serviceUnavailableException", message="Overloaded")}


@pytest.mark.parametrize("client", DIALECTS)
async def test_an_error_inside_a_stream_is_never_shown_when_somebody_goes_on(tmp_path, client):
    """Overloaded in the middle: the event is kept back, and so is whatever stood beside it."""
    routes = [(name, MODELS[first], OTHER_MODELS[client]) for name, first in (("passing", client), ("foreign", FOREIGN[client]))]
    async with scene(tmp_path, *routes) as gw:
        for name, dialect in (("passing", client), ("foreign", FOREIGN[client])):
            gw.up.cuts, gw.up.last = [middle()], INSIDE[dialect]
            got = await stream(gw, client, name)
            assert (got.end, got.text) == ("stop", STORY)
            assert b"verloaded" not in got.body
            assert [resumed for _, resumed in attempts(gw)] == [False, True]


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("where", ["passing", "foreign"])
async def test_a_tool_call_is_never_made_by_two(tmp_path, client, where):
    """Cut at its beginning and within its arguments: an error, and nobody is asked.

    Gemini's clients have seen nothing of a call that is not whole, so another may make it; one that was whole stands.
    """
    first = client if where == "passing" else FOREIGN[client]
    async with scene(tmp_path, ("safe", MODELS[first], OTHER_MODELS[client]), tells=(Say("I look."), CALL, CALL)) as gw:
        cuts = [after(CALLED[first])] if first == "gemini" else [after(CALLED[first]), after(CALLED[first], b"Pa")]
        for cut in cuts:
            gw.up.cuts = [cut]
            got = await stream(gw, client, "safe", tools=True)
            if client == "gemini" and where == "foreign":
                assert (got.end, got.text) == ("stop", "I look.")
                assert got.calls.count("Paris") == 2
                continue
            assert (got.end, len(attempts(gw))) == ("error", 1)
            assert "a tool call is out" in gw.settled[-1].exchange.attempts[0].message
            assert gw.settled[-1].problem is not None


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("where", ["passing", "foreign"])
async def test_reasoning_that_was_whole_is_not_given_to_another(tmp_path, client, where):
    """Cut in the text behind it: the text goes on, the first model's thoughts stay the client's alone, and no others are shown."""
    first = client if where == "passing" else FOREIGN[client]
    tells = (Thought(THOUGHT), Say(STORY))
    async with scene(tmp_path, ("safe", THINKERS[first], OTHER_THINKERS[client]), tells=tells) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, client, "safe", thinks=True)
        assert refusals(gw.up) == []
        assert (got.end, got.text) == ("stop", STORY)
        assert got.thoughts in ("", THOUGHT)
        assert THOUGHT not in gw.up.requests[-1].body.decode()


@pytest.mark.parametrize("client", ["openai_chat", "anthropic", "gemini", "bedrock_converse"])
async def test_reasoning_that_was_cut_is_not_thought_on_by_another(tmp_path, client):
    """Half a thought has no seal; the stream fails as it always did."""
    tells = (Thought(THOUGHT), Say(STORY))
    async with scene(tmp_path, ("safe", THINKERS[client], OTHER_THINKERS[client]), tells=tells) as gw:
        gw.up.cuts = [after(json.dumps(THOUGHT[:7]).encode()[1:-1])]
        got = await stream(gw, client, "safe", thinks=True)
    assert got.thoughts
    assert THOUGHT.startswith(got.thoughts)
    assert (got.end, got.text, len(attempts(gw))) == ("error", "", 1)
    assert "within reasoning" in gw.settled[-1].exchange.attempts[0].message


async def test_between_reasoning_and_text_the_same_is_asked_again(tmp_path):
    """Nothing binds yet: another model thinks and speaks for itself."""
    tells = (Thought(THOUGHT), Say(STORY))
    async with scene(tmp_path, ("safe", THINKERS["anthropic"], "claude/claude-opus-4-6"), tells=tells) as gw:
        gw.up.cuts = [after(b"signature_delta", b"content_block_stop")]
        got = await stream(gw, "anthropic", "safe", thinks=True)
        first, second = (json.loads(received.body) for received in gw.up.requests)
    assert (got.end, got.text, got.thoughts) == ("stop", STORY, THOUGHT * 2)
    assert first["messages"] == second["messages"]


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_stream_is_resumed_twice_and_no_more(tmp_path, client):
    """What breaks a third time is told."""
    async with scene(tmp_path, ("safe", MODELS[client], OTHER_MODELS[FOREIGN[client]])) as gw:
        gw.up.cuts = [middle(), lambda chunks: len(chunks) * 2 // 3]
        got = await stream(gw, client, "safe")
        assert (got.end, got.text) == ("stop", STORY)
        assert [resumed for _, resumed in attempts(gw)] == [False, True, True]
        gw.up.cuts = [middle(), lambda chunks: len(chunks) * 2 // 3, lambda chunks: len(chunks) * 2 // 3]
        got = await stream(gw, client, "safe")
        assert got.end == "error"
        assert len(OUT) < len(got.text) < len(STORY)
        assert STORY.startswith(got.text)
        assert "not resumed: it was resumed 2 times" in gw.settled[-1].exchange.attempts[-1].message
        assert len(attempts(gw)) == 3


@pytest.mark.parametrize("client", DIALECTS)
async def test_without_the_routes_word_a_cut_is_an_error(tmp_path, client):
    """The default: the dialect's own error event, and nobody is asked again."""
    async with scene(tmp_path, ("safe", MODELS[client], OTHER_MODELS[client])) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, client, MODELS[client].replace("/", "%2F") if client == "bedrock_converse" else MODELS[client])
        assert got.end == "error"
        assert len(gw.up.requests) == 1


async def test_the_only_target_goes_on_itself(tmp_path):
    """A connection that breaks says little of the model."""
    route = ("safe", MODELS["anthropic"], MODELS["anthropic"])
    async with scene(tmp_path, route) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
    assert (got.end, got.text) == ("stop", STORY)
    assert attempts(gw) == [(MODELS["anthropic"], False), (MODELS["anthropic"], True)]


async def test_who_cannot_go_on_is_passed_over(tmp_path):
    """A second target that fails makes way for a third; where none is left, the first failure is told."""
    async with scene(tmp_path, ("safe", MODELS["anthropic"], f"talk/gpt-0-nonexistent, {OTHER_MODELS['gemini']}")) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
        assert (got.end, got.text) == ("stop", STORY)
    async with scene(tmp_path, ("safe", MODELS["anthropic"], "talk/gpt-0-nonexistent")) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
        assert got.end == "error"
        assert "in the middle of its answer" in events(got.body)[-1]["error"]["message"]
        assert attempts(gw)[-1] == ("talk/gpt-0-nonexistent", True)
        assert gw.settled[-1].problem is not None


async def test_who_is_known_to_be_down_is_not_asked(tmp_path):
    """Its circuit is open, which puts it behind all others: the one after it goes on at once."""
    route = ("safe", MODELS["anthropic"], f"slow/m, {OTHER_MODELS['gemini']}")
    async with scene(tmp_path, route, slow=1, breaker="{in_a_row: 2}") as gw:
        path, body = request("anthropic", "slow/m")
        for _ in range(2):
            assert (await call(gw.port, path, json.dumps(body).encode())).status == 502
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
    assert (got.end, got.text) == ("stop", STORY)
    told = [(record.cause, record.sent, record.resumed) for record in gw.settled[-1].exchange.attempts]
    assert told == [("broken", True, False), (None, True, True)]


async def test_resumes_count_as_tries(tmp_path):
    """Where the route's tries are used up nobody is asked."""
    more = ", retry: {tries_all: 1}"
    async with scene(tmp_path, ("safe", MODELS["anthropic"], OTHER_MODELS["gemini"]), more=more) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
    assert got.end == "error"
    assert "1 attempts were made" in gw.settled[-1].exchange.attempts[0].message


JSON_WISH = {
    "openai_chat": {"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "Answer in JSON."}]},
    "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
}


@pytest.mark.parametrize("client", JSON_WISH)
async def test_a_json_answer_is_not_joined_from_two(tmp_path, client):
    """Two halves of a document rarely are one."""
    async with scene(
        tmp_path, ("safe", MODELS[client], OTHER_MODELS[client]), tells=(Say('{"a": "long enough to be cut"}'),)
    ) as gw:
        gw.up.cuts = [lambda chunks: len(chunks) // 2]
        got = await stream(gw, client, "safe", **JSON_WISH[client])
    assert got.end == "error"
    assert "a JSON answer is begun" in gw.settled[-1].exchange.attempts[0].message


async def test_invoke_models_clients_are_resumed_too(tmp_path):
    """Anthropic's events in Bedrock's frames, and no comment among them."""
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
    async with scene(tmp_path, ("safe", MODELS["anthropic"], OTHER_MODELS["gemini"])) as gw:
        gw.up.cuts = [middle()]
        got = await call(gw.port, "/model/safe/invoke-with-response-stream", json.dumps(body).encode())
    from tests.pipeline.test_invoke import told  # noqa: PLC0415 - its reader

    documents = [document for _, document in told(got.body)]
    assert "".join(document.get("delta", {}).get("text", "") for document in documents) == STORY
    assert documents[-1]["type"] == "message_stop"


async def test_gemini_without_events_is_not_resumed(tmp_path):
    """Pieces of a JSON array pass as they come: half an element cannot be taken back."""
    async with scene(tmp_path, ("safe", MODELS["gemini"], OTHER_MODELS["gemini"])) as gw:
        gw.up.cuts = [middle()]
        path, body = request("gemini", "safe")
        got = await call(gw.port, path.partition("?")[0], json.dumps(body).encode())
        assert got.broken
        assert len(gw.up.requests) == 1
