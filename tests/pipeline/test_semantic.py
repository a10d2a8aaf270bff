"""Questions that are nearly the same: what is compared, what never is, and what it costs where nobody can tell."""

import asyncio
import json

import pytest
from tests.pipeline.flying import listeners, opened, until
from tests.plays.books import books
from tests.plays.same import CLIENTS, TOOL, ask, parsed, said, saying, understood
from tests.plays.scene import KEYS_YAML, OTHER, providers, tallies, whole
from tests.serving import answer, gateway, upstream

from gatewright.config import ConfigError, load_config
from gatewright.pipeline.semantic import LONGEST, Meanings, question_of

WORDS = ("capital", "france", "paris", "weather", "rome")


def near(text: str) -> list[float]:
    """An embedding by words: texts with the same words are near."""
    return [1.0 + 9.0 * (word in text.lower()) for word in WORDS]


class Providers:
    """A model that answers with a number of its own each time, and embeddings."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.embedded: list[dict] = []
        self.embeds = lambda document: answer(
            json.dumps(
                {
                    "object": "list",
                    "data": [{"object": "embedding", "index": 0, "embedding": near(document["input"])}],
                    "model": document["model"],
                    "usage": {"prompt_tokens": 3, "total_tokens": 3},
                }
            ).encode()
        )

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                size = int(next(line for line in lines if line.startswith(b"content-length:"))[15:])
                body = json.loads(await reader.readexactly(size))
                if b"/embeddings" in lines[0]:
                    self.embedded.append(body)
                    told = self.embeds(body)
                    if told is None:
                        await asyncio.sleep(60)
                else:
                    self.asked.append(json.dumps(body))
                    told = answer(json.dumps(whole("openai_chat", f"answer {len(self.asked)}")).encode())
                writer.write(told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


NEAR = """  near: {targets: [talk/m], cache: {ttl_s: 600, semantic: {embeddings: talk/embed, threshold: 0.98}}}
  other: {targets: [talk/m], cache: {ttl_s: 600, semantic: {embeddings: talk/embed, threshold: 0.98}}}
"""


@pytest.fixture
async def near_gateway(tmp_path):
    """A gateway with a model that compares questions, and what stands behind it."""
    behind = Providers()
    async with upstream() as up, gateway(providers(up.port) + NEAR, tmp_path, keys=KEYS_YAML) as gw:
        up.serve_with(behind)
        yield gw, behind


async def uses(gw, client: str, text: str, **more) -> str:
    got = await ask(gw, client, more.pop("model", "near"), text, **more)
    assert got.status == 200, got.body
    return got.headers["x-gatewright-cache"]


async def test_a_question_that_is_nearly_the_same_has_the_same_answer(near_gateway):
    """In any dialect; the answer says how near the questions were."""
    gw, behind = near_gateway
    first = await ask(gw, "openai_chat", "near", "What is the capital of France?")
    assert first.headers["x-gatewright-cache"] == "miss"
    for i, client in enumerate(CLIENTS):
        for stream in (False, True):
            got = await ask(gw, client, "near", f"France: what's its capital {i} {stream}", stream=stream)
            assert got.headers["x-gatewright-cache"] == "hit"
            assert float(got.headers.get("x-gatewright-similarity", 1)) >= 0.98
            assert said(understood(client, got, stream=stream))[0] == "answer 1"
    assert await uses(gw, "openai_chat", "What is the weather in Rome?") == "miss"
    assert len(behind.asked) == 2
    again = await ask(gw, "openai_chat", "near", "What is the capital of France?")
    assert "x-gatewright-similarity" not in again.headers, "the very same question is not compared"
    assert len(behind.embedded) == 12
    assert behind.embedded[0] == {"model": "embed", "input": "What is the capital of France?", "encoding_format": "float"}


async def test_embeddings_are_in_the_books_and_hits_are_free(near_gateway):
    """Three tokens for each question that was compared; the model's for one answer."""
    gw, _ = near_gateway
    for text in ("The capital of France?", "France's capital?", "capital, France"):
        await ask(gw, "openai_chat", "near", text)
    books = tallies(gw)
    assert books["test", "talk/embed"].input_tokens == 9
    model = books["test", "talk/m"]
    assert (model.requests, model.spared, model.input_tokens, model.output_tokens) == (3, 2, 10, 5)


async def test_only_the_words_of_the_question_may_differ(near_gateway):
    """Another key, model, parameter or turn before: another answer, however near the words."""
    gw, _ = near_gateway
    text = "The capital of France?"
    assert await uses(gw, "openai_chat", text) == "miss"
    assert await uses(gw, "openai_chat", text + " ", key=OTHER) == "miss"
    assert await uses(gw, "openai_chat", text + " ", model="other") == "miss"
    assert await uses(gw, "openai_chat", text + " ", temperature=0.5) == "miss"
    assert await uses(gw, "openai_chat", text + " ", tool=True) == "miss"
    assert await uses(gw, "openai_chat", text + " ") == "hit"
    assert await uses(gw, "openai_chat", text + "  ", headers="cache-control: no-cache\r\n") == "miss"
    assert await uses(gw, "openai_chat", text + "   ", headers="cache-control: no-store\r\n") == "bypass"


@pytest.mark.parametrize("how", ["error", "nonsense", "silence"])
async def test_where_nobody_tells_how_near_the_model_is_asked(near_gateway, how, monkeypatch):
    """A provider of embeddings that fails costs no answer, and is left alone for a while."""
    gw, behind = near_gateway
    monkeypatch.setattr("gatewright.pipeline.semantic.DEADLINE_S", 0.3)
    behind.embeds = {
        "error": lambda _: answer(b'{"error": {"message": "no"}}', status=500),
        "nonsense": lambda _: answer(b'{"data": [{"embedding": ["x"]}]}'),
        "silence": lambda _: None,
    }[how]
    assert await uses(gw, "openai_chat", "The capital of France?") == "miss"
    assert await uses(gw, "openai_chat", "France, its capital?") == "miss"
    assert await uses(gw, "openai_chat", "France, its capital?") == "hit"
    assert len(behind.embedded) == 1


def turn(role: str, content: object) -> dict:
    return {"role": role, "content": content}


CALL = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
NEVER = {
    "tools are declared": saying("openai_chat", "m", "hi", tool=True),
    "tools were used": {
        "model": "m",
        "messages": [
            turn("user", "hi"),
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "sun"},
        ],
    },
    "tools were used before": {
        "model": "m",
        "messages": [
            turn("user", "hi"),
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "sun"},
            turn("assistant", "Sun."),
            turn("user", "thanks"),
        ],
    },
    "a picture": {
        "model": "m",
        "messages": [
            turn(
                "user",
                [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
            )
        ],
    },
    "a document": {"model": "m", "messages": [turn("user", "x" * (LONGEST + 1))]},
    "nothing is asked": {"model": "m", "messages": [turn("user", " ")]},
    "the model is to go on": {"model": "m", "messages": [turn("user", "hi"), turn("assistant", "he")]},
}


@pytest.mark.parametrize("what", NEVER)
def test_what_is_never_compared(what):
    """Tool turns most of all: what is near in words may be far in the world."""
    assert question_of(parsed("openai_chat", NEVER[what])) is None


def test_the_question_is_the_last_turn_s_words():
    """All else is its kind."""
    messages = [turn("system", "Be brief."), turn("user", "a"), turn("assistant", "b"), turn("user", "c")]
    question = question_of(parsed("openai_chat", {"model": "m", "messages": messages}))
    assert question is not None
    assert question.text == "c"
    assert [len(message.blocks) for message in question.kind.messages] == [1, 1, 1, 0]
    assert TOOL["name"] not in str(question.kind)


@pytest.mark.parametrize(
    ("said_", "told"),
    [
        ("embeddings: embed", 'expected "provider/model"'),
        ("embeddings: tlak/embed", "unknown provider"),
        ("{}", "embeddings"),
        ("{embeddings: talk/embed, threshold: 2}", "less than 1"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(tmp_path, said_, told):
    """With file, line and column, as every mistake."""
    semantic = said_ if said_.startswith("{") else f"{{{said_}}}"
    file = tmp_path / "gatewright.yaml"
    models = f"models:\n  near: {{targets: [talk/m], cache: {{ttl_s: 60, semantic: {semantic}}}}}\n"
    file.write_text("providers:\n  talk: {kind: openai, base_url: http://127.0.0.1:1/v1, api_key: sk}\n" + models)
    with pytest.raises(ConfigError, match=told):
        load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})


async def test_a_provider_without_embeddings_is_refused_at_the_start(tmp_path):
    """Not when the first question comes."""
    config = providers(1) + "  near: {targets: [talk/m], cache: {ttl_s: 60, semantic: {embeddings: claude/embed}}}\n"
    with pytest.raises(ValueError, match="'claude' has no embeddings"):
        async with gateway(config, tmp_path):
            pass


async def test_a_call_is_written_down_as_of_who_is_there_to_pay(near_gateway, monkeypatch):
    """Who began the search and left is settled: what is called afterwards is the other's, and nothing of the first runs on."""
    gw, behind = near_gateway
    go, direction_of = asyncio.Event(), Meanings.direction_of

    async def slowly(*arguments):
        await go.wait()
        return await direction_of(*arguments)

    monkeypatch.setattr(Meanings, "direction_of", slowly)
    _, writer = await opened(gw, "openai_chat", "near", stream=False)
    await until(lambda: listeners(gw) == 1)
    other = asyncio.ensure_future(ask(gw, "openai_chat", "near", "hi"))
    await until(lambda: listeners(gw) == 2)
    writer.transport.abort()
    await until(lambda: listeners(gw) == 1)
    go.set()
    got = await other
    assert got.headers["x-gatewright-cache"] == "coalesced"
    assert len(behind.asked) == 1
    assert gw.house.current.books.usage._running == {}
    found = books(gw)
    assert found.in_flight == []
    (called,) = [row for row in found.attempts if row.model == "m"]
    assert called.request_id == got.headers["x-request-id"]
