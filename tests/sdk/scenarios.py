"""What must work for every client against every upstream, each a function of a Cell that asserts.

One rule: a scenario speaks only `Talk` and looks at what the upstream received; it knows no dialect's document but through tables.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from tests.sdk.talk import CLOCK, PICTURE_URL, PNG, RICH, SYSTEM, WEATHER, Failed, Heard, Talk, Wish
from tests.upstreams.answers import Received
from tests.upstreams.script import TAIL
from tests.upstreams.server import Upstream

Api = Literal["openai_chat", "openai_responses", "anthropic", "gemini"]
APIS: tuple[Api, ...] = ("openai_chat", "openai_responses", "anthropic", "gemini")
Kind = Literal["plain", "thinks", "missing", "limited"]
"""Which model: one that need not reason, one that does, one that the upstream does not have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    client: str
    """The SDK's dialect, perhaps with its language before: `node:gemini`."""
    upstream_api: Api
    upstream: Upstream
    talk: Callable[[Kind], Talk]
    stream: bool
    names: Callable[[Api, Kind], str] | None = None
    """What the models of the other upstreams are called. None: there are no others."""
    shown: bool | None = None
    """Whether the upstream shows its reasoning to whoever asks. None: as its API commonly does."""

    @property
    def shows_reasoning(self) -> bool:
        return self.upstream_api != "openai_chat" if self.shown is None else self.shown

    def wish(self, **fields: object) -> Wish:
        return Wish(stream=self.stream, **fields)  # type: ignore[arg-type]

    @property
    def dialect(self) -> str:
        return self.client.rpartition(":")[2]

    @property
    def native(self) -> bool:
        return self.dialect == self.upstream_api

    @contextmanager
    def clean(self) -> Iterator[list[Received]]:
        """The upstream refuses nothing meanwhile; yields the requests it gets."""
        first = len(self.upstream.requests)
        seen: list[Received] = []
        yield seen
        seen += self.upstream.requests[first:]
        refused = [answer.body.decode() for answer in self.upstream.answers[first:] if answer.status >= 400]
        assert refused == []


def text(cell: Cell) -> None:
    """A text arrives letter for letter, with its usage, its stop and in pieces when streamed; the system prompt reaches the model."""
    with cell.clean() as seen:
        heard = cell.talk("plain").send("Hello wörld", cell.wish())
    assert "heard: Hello wörld" in heard.text
    assert heard.text.endswith(TAIL)
    assert (heard.finish, heard.input, heard.cached, heard.output) == ("stop", 100, 0, 17)
    assert (heard.pieces > 3) is cell.stream
    assert len(seen) == 1
    assert SYSTEM in seen[0].body.decode()


def long_text(cell: Cell) -> None:
    """A long text loses nothing."""
    with cell.clean():
        heard = cell.talk("plain").send("[[long]]", cell.wish())
    assert heard.text == "All work and no play makes a dull day. " * 200 + TAIL


def cached(cell: Cell) -> None:
    """Tokens read from the cache are told as a part of the input."""
    with cell.clean():
        heard = cell.talk("plain").send("[[cached]] Hi", cell.wish())
    written = 32
    assert (heard.input, heard.cached, heard.output) == (100 + 64 + written, 64, 17)


def two_turns(cell: Cell) -> None:
    """Text, answered, and text again: the history is accepted."""
    talk = cell.talk("plain")
    with cell.clean():
        talk.send("One", cell.wish())
        heard = talk.send("Two", cell.wish())
    assert "heard: Two" in heard.text


def tool(cell: Cell) -> None:
    """A call arrives with its arguments, its result is accepted, and the answer follows."""
    talk = cell.talk("plain")
    with cell.clean():
        heard = talk.send("[[call]] weather?", cell.wish(tools=(WEATHER, CLOCK)))
        assert heard.finish == "tools"
        (call,) = heard.calls
        assert (call.name, call.arguments) == ("get_weather", {"city": "Paris", "unit": "c"})
        after = talk.give({call.id: "sunny, 21° ☀"})
    assert (after.finish, after.calls) == ("stop", ())
    assert "The tools said: sunny, 21° ☀." in after.text


def parallel(cell: Cell) -> None:
    """Two calls at once arrive in order, and their results go back in order."""
    talk = cell.talk("plain")
    with cell.clean():
        heard = talk.send("[[calls]] weather?", cell.wish(tools=(WEATHER,)))
        assert [call.arguments["city"] for call in heard.calls] == ["Paris", "Rome"]
        assert len({call.id for call in heard.calls}) == 2
        after = talk.give({heard.calls[0].id: "sun", heard.calls[1].id: "rain"})
        assert "The tools said: sun | rain." in after.text
        again = talk.send("[[call]] and again", cell.wish(tools=(WEATHER,)))
        final = talk.give({again.calls[0].id: "fog"})
    assert "The tools said: fog." in final.text


def text_then_call(cell: Cell) -> None:
    """Text before a call stays before it, and the turn is replayed whole."""
    talk = cell.talk("plain")
    with cell.clean() as seen:
        heard = talk.send("[[say-call]] weather?", cell.wish(tools=(WEATHER,)))
        assert (heard.text, len(heard.calls)) == ("I will look it up.", 1)
        talk.give({heard.calls[0].id: "sun"})
    replayed = seen[1].body.decode()
    start = "I will" if cell.native and cell.stream else "I will look it up."  # a Gemini client replays the pieces of a stream
    assert start in replayed
    assert replayed.index(start) < replayed.index("Paris")


def empty_arguments(cell: Cell) -> None:
    """A tool without parameters is called with an empty object."""
    talk = cell.talk("plain")
    with cell.clean():
        heard = talk.send("[[call]] time?", cell.wish(tools=(CLOCK,)))
        assert [(call.name, call.arguments) for call in heard.calls] == [("get_time", {})]
        after = talk.give({heard.calls[0].id: "noon"})
    assert "The tools said: noon." in after.text


def forced(cell: Cell) -> None:
    """A tool that is forced by name is called; "any" calls one too."""
    for name in ("get_time", ""):
        with cell.clean():
            heard = cell.talk("plain").send("Hi", cell.wish(tools=(WEATHER, CLOCK), forced=name))
        assert heard.calls[0].name == (name or "get_weather")


def images(cell: Cell) -> None:
    """Pictures arrive, by bytes and by URL."""
    with cell.clean():
        heard = cell.talk("plain").send("[[media]] look", cell.wish(), (PNG, PICTURE_URL))
    assert f"I see image/png:{len(PNG)}, {PICTURE_URL}." in heard.text


def structured(cell: Cell) -> None:
    """An answer in a schema is parsed by the SDK into the type that asked for it."""
    with cell.clean():
        heard = cell.talk("plain").send("Plan a trip", cell.wish(structured=True))
    assert heard.trip == {"city": "Paris", "days": 21, "tags": ["Paris", "Paris"]}
    assert (heard.finish, heard.calls) == ("stop", ())


def reasoning(cell: Cell) -> None:
    """Thoughts arrive where they are asked for and shown (Chat Completions cannot ask); replayed with a tool's result they reach their issuer unharmed, and so later on."""
    talk = cell.talk("thinks")
    with cell.clean() as seen:
        heard = talk.send("[[call]] weather?", cell.wish(tools=(WEATHER,), think=True))
        if cell.dialect != "openai_chat":
            assert ("Let me think" in heard.thoughts) is cell.shows_reasoning
        assert heard.output == 26
        after = talk.give({heard.calls[0].id: "sun"})
        assert "The tools said: sun." in after.text
        talk.send("And now something else", cell.wish(tools=(WEATHER,), think=True))
    returned = SEALS[cell.upstream_api](seen[1].json)
    assert len(returned) == int(cell.shows_reasoning)


def seals_anthropic(body: dict) -> list[str]:
    return [
        b["signature"]
        for m in body["messages"]
        if isinstance(m["content"], list)
        for b in m["content"]
        if b["type"] == "thinking"
    ]


def seals_responses(body: dict) -> list[str]:
    return [
        item["encrypted_content"] for item in body["input"] if item.get("type") == "reasoning" and item.get("encrypted_content")
    ]


def seals_gemini(body: dict) -> list[str]:
    found = [p.get("thoughtSignature") for c in body["contents"] for p in c["parts"] if "functionCall" in p]
    return [seal for seal in found if seal and "skip" not in seal]


def seals_chat(body: dict) -> list[str]:
    """Hosts that show reasoning want it back in the field that showed it."""
    assert "gw1." not in json.dumps(body)
    return [message["reasoning_content"] for message in body["messages"] if message.get("reasoning_content")]


def seals_converse(body: dict) -> list[str]:
    blocks = [block.get("reasoningContent", {}) for message in body["messages"] for block in message["content"]]
    return [block["reasoningText"]["signature"] for block in blocks if "reasoningText" in block]


SEALS: dict[str, Callable[[dict], list[str]]] = {
    "openai_chat": seals_chat,
    "openai_responses": seals_responses,
    "anthropic": seals_anthropic,
    "gemini": seals_gemini,
    "bedrock_converse": seals_converse,
}


def moving(cell: Cell) -> None:
    """A conversation with reasoning and calls, begun with each other upstream, goes on with this one: foreign seals do no harm."""
    if cell.names is None:
        return
    for other in APIS:
        if other == cell.upstream_api:
            continue
        talk = cell.talk("thinks")
        talk.move(cell.names(other, "thinks"))
        begun = talk.send("[[calls]] weather?", cell.wish(tools=(WEATHER,), think=True))
        talk.move(cell.names(cell.upstream_api, "thinks"))
        middle = talk.give({call.id: "sun" for call in begun.calls})
        assert "The tools said: sun | sun." in middle.text
        again = talk.send("[[call]] more", cell.wish(tools=(WEATHER,), think=True))
        talk.move(cell.names(other, "thinks"))
        after = talk.give({call.id: "rain" for call in again.calls})
        assert "The tools said: rain." in after.text


def rich_schema(cell: Cell) -> None:
    """A tool's schema from the wild is accepted by every upstream."""
    if cell.stream:
        return
    with cell.clean():
        heard = cell.talk("plain").send("[[call]] cats", cell.wish(tools=(RICH,)))
    assert heard.calls[0].arguments["query"] == "Paris"


def tuned(cell: Cell) -> None:
    """Sampling settings arrive, or as much of them as the upstream takes."""
    with cell.clean() as seen:
        heard = cell.talk("plain").send("Hi", cell.wish(tuned=True))
    assert "heard: Hi" in heard.text
    sent = seen[0].body.decode()
    assert "0.3" in sent or "0.9" in sent
    assert "500" in sent
    if cell.dialect != "openai_responses" and cell.upstream_api != "openai_responses":
        assert '"END"' in sent


def length(cell: Cell) -> None:
    """An answer cut by its limit says so."""
    with cell.clean():
        heard = cell.talk("plain").send("[[length]]", cell.wish())
    assert (heard.text, heard.finish) == ("It was a dark and", "length")


def declined(cell: Cell) -> None:
    """A refusal and a content filter are never an ordinary end, nor the limit of length."""
    with cell.clean():
        refused = cell.talk("plain").send("[[refuse]]", cell.wish())
        filtered = cell.talk("plain").send("[[filter]]", cell.wish())
    assert refused.finish in {"refusal", "filter"}
    assert filtered.finish in {"refusal", "filter"}
    if cell.upstream_api in {"openai_chat", "openai_responses"}:
        assert refused.refusal == "I'm sorry, I can't assist with that." or cell.dialect == "gemini"


def limited(cell: Cell) -> None:
    """A 429 is the SDK's own rate-limit exception and tells when to come back."""
    failure = fails(cell, "[[error:429]]", "limited")  # a model of its own: its key rests afterwards
    assert failure.status == 429
    assert failure.kind in {"RateLimitError", "ClientError", "ApiError", "ThrottlingException"}
    assert 0 < float(failure.retry_after or 0) <= 20


def overloaded(cell: Cell) -> None:
    """503 and 529 stay what they are (529 is Anthropic's own; others know 503), not 500."""
    assert fails(cell, "[[error:503]]").status == 503
    assert fails(cell, "[[error:529]]").status in {503, 529}


def broken(cell: Cell) -> None:
    """A 500 of the upstream is a 5xx of the SDK's class."""
    assert (fails(cell, "[[error:500]]").status or 0) >= 500


def missing_model(cell: Cell) -> None:
    """A model that the upstream does not have is a 404 (a Responses upstream says 400)."""
    failure = fails(cell, "Hi", "missing")
    assert failure.status in ({404, 400} if cell.upstream_api == "openai_responses" else {404})
    assert "nonexistent" in failure.message


def inside(cell: Cell) -> None:
    """An error inside a stream, and a stream that is cut, raise after what came before; neither looks like an end."""
    for marker in ("[[inside]]", "[[cut]]"):
        failure = fails(cell, marker)
        assert failure.partial == ("The first words" if cell.stream else "")


def fails(cell: Cell, text: str, kind: Kind = "plain") -> Failed:
    try:
        heard: Heard = cell.talk(kind).send(text, cell.wish())
    except Failed as failure:
        return failure
    raise AssertionError(f"no failure but {heard}")


def counting(cell: Cell) -> None:
    """Input tokens can be counted before they are spent: by the provider where it counts, whatever its dialect."""
    talk = cell.talk("plain")
    if cell.stream or cell.dialect == "openai_chat":
        return
    before = len(cell.upstream.requests)
    count = talk.count("How many tokens are these?")
    asked = [request.path for request in cell.upstream.requests[before:]]
    if cell.upstream_api == "openai_chat":
        assert asked == []
        assert 3 < (count or 0) < 30
    else:
        assert "count" in asked[0].lower() or "input_tokens" in asked[0]
        assert [answer.status for answer in cell.upstream.answers[before:]] == [200]
        assert str(count) in cell.upstream.answers[before].body.decode()


SCENARIOS: tuple[Callable[[Cell], None], ...] = (
    text, long_text, cached, two_turns, tool, parallel, text_then_call, empty_arguments, forced, images, structured, reasoning, moving, rich_schema, tuned, length, declined, limited,
    overloaded, broken, missing_model, inside, counting,
)  # fmt: skip
