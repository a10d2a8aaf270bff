"""Keys of requests: what means the same has the same in every dialect; whatever may change an answer changes it."""

import json
import random
from collections.abc import Iterator

import msgspec
import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import GatewrightError
from gatewright.ir import blocks, request
from gatewright.ir.canonical import fingerprint
from gatewright.ir.seal import Seal
from tests.laws import cases
from tests.plays.same import CLIENTS, TOOL, parsed, saying

WHOLE = request.Request(
    origin="anthropic",
    model="m",
    messages=(
        blocks.Message(role="system", blocks=(blocks.Text(text="be", cache=blocks.CacheHint(ttl="5m")),)),
        blocks.Message(
            role="user",
            name="ann",
            blocks=(
                blocks.Media(
                    kind="image",
                    source=blocks.Inline(media_type="image/png", data="AAAA"),
                    title="t",
                    detail="low",
                    cache=blocks.CacheHint(),
                ),
                blocks.Media(kind="document", source=blocks.Url(url="http://x/", media_type="a/b")),
                blocks.Media(kind="video", source=blocks.FileRef(id="f", origin="gemini", media_type="a/b")),
                blocks.ToolResult(
                    call_id="c",
                    content=(blocks.Text(text="sun"),),
                    name="n",
                    is_error=False,
                    structured={"a": 1},
                    item_id="i",
                ),
            ),
        ),
        blocks.Message(
            role="assistant",
            blocks=(
                blocks.Reasoning(
                    text="hm", summary=("s",), seal=Seal(dialect="anthropic", data="d", issuer="i", ref="r", kind="k"), id="rs"
                ),
                blocks.ToolCall(id="c", name="n", arguments='{"a": 1}', item_id="fc"),
                blocks.Text(
                    text="so",
                    citations=(blocks.Citation(kind="k", origin="gemini", url="u", title="t", cited="c", start=1, end=2),),
                    logprobs=(blocks.TokenLogprob(token="so", logprob=-1.0, bytes=(1,)),),
                ),
                blocks.Refusal(text="no"),
                blocks.Native(origin="gemini", data={"x": 1}),
            ),
        ),
    ),
    tools=(
        request.Tool(
            name="t",
            description="d",
            parameters={"type": "object"},
            strict=True,
            hosted="web_search",
            native={"type": "w"},
            cache=blocks.CacheHint(),
        ),
    ),
    tool_choice=request.ToolChoice(mode="tool", names=("t",)),
    parallel_tool_calls=True,
    max_tokens=5,
    sampling=request.Sampling(
        temperature=0.5,
        top_p=0.5,
        top_k=5,
        seed=1,
        frequency_penalty=0.1,
        presence_penalty=0.1,
        stop=("x",),
        n=2,
        logprobs=True,
        top_logprobs=2,
    ),
    thinking=request.Thinking(enabled=True, effort="low", budget=5, summary="auto"),
    output=request.OutputFormat(kind="json_schema", schema={"type": "object"}, name="o", description="d", strict=True),
    verbosity="low",
    user="u",
    metadata={"m": "1"},
    service_tier="flex",
    cache_key="ck",
    store=False,
    client={"include": ["x"]},
)
"""Every field of every type is set, where one can be."""

OUTSIDE = {
    ("Request", "origin"),  # counts where something has the origin's words
    ("Request", "model"),  # the caller's to add
    ("Request", "stream"),
    ("Request", "answer"),
    ("Text", "bare"),
}
"""Fields that no key depends on, with `at` of every node."""


def nodes(node: object, path: tuple = ()) -> Iterator[tuple[tuple, msgspec.Struct]]:
    """Every Struct beneath, with the way to it."""
    if isinstance(node, msgspec.Struct):
        yield path, node
        for name in node.__struct_fields__:
            yield from nodes(getattr(node, name), (*path, name))
    elif isinstance(node, tuple):
        for i, item in enumerate(node):
            yield from nodes(item, (*path, i))


def with_at(node: object, path: tuple, new: object) -> object:
    """`node` with what is at the end of `path` replaced."""
    if not path:
        return new
    step, *rest = path
    if isinstance(step, int):
        assert isinstance(node, tuple)
        return (*node[:step], with_at(node[step], tuple(rest), new), *node[step + 1 :])
    return msgspec.structs.replace(node, **{step: with_at(getattr(node, step), tuple(rest), new)})


def another(value: object, field: str) -> object:
    """A value that is not this one."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case tuple():
            return (*value, *(value[-1:] or ("x",)))
        case dict():
            return {**value, "more": 1}
        case None:
            return {"cache": blocks.CacheHint(ttl="1h"), "seal": Seal(dialect="gemini", data="z"), "bytes": (9,)}.get(field, "x")
        case blocks.Inline():
            return blocks.Inline(media_type=value.media_type, data=value.data, text=not value.text)
        case msgspec.Struct():
            return None
    raise AssertionError(value)


CHANGES = [
    (path, type(node).__name__, field)
    for path, node in nodes(WHOLE)
    for field in node.__struct_fields__
    if field != "at" and (type(node).__name__, field) not in OUTSIDE
]


@pytest.mark.parametrize(("path", "kind", "field"), CHANGES, ids=lambda x: ".".join(map(str, x)) if isinstance(x, tuple) else x)
def test_every_field_of_every_type_changes_the_key(path, kind, field):
    """Another value of one field, anywhere, is another request."""
    (node,) = [found for way, found in nodes(WHOLE) if way == path]
    changed = with_at(WHOLE, (*path, field), another(getattr(node, field), field))
    assert fingerprint(changed) != fingerprint(WHOLE)


def test_what_is_said_by_default_counts_as_unsaid_and_nothing_else_does():
    """0, False and the empty text are words, where None is none."""
    base = request.Request(origin="anthropic", model="m")
    assert fingerprint(base) == fingerprint(msgspec.structs.replace(base, sampling=request.Sampling(at="generationConfig")))
    others = [
        msgspec.structs.replace(base, max_tokens=0),
        msgspec.structs.replace(base, store=False),
        msgspec.structs.replace(base, user=""),
        msgspec.structs.replace(base, sampling=request.Sampling(temperature=0)),
        msgspec.structs.replace(base, sampling=request.Sampling(logprobs=False)),
        msgspec.structs.replace(base, sampling=request.Sampling(top_k=0)),
    ]
    assert len({fingerprint(r) for r in (base, *others)}) == len(others) + 1


def test_no_two_cuts_of_the_same_text_are_one_request():
    """Pieces have their length before them: what stands where cannot be shifted."""
    text = "ab<Text:s4:texts1:c>"
    cuts = {
        fingerprint(
            request.Request(
                origin="anthropic",
                model="m",
                messages=(blocks.Message(role="user", blocks=tuple(blocks.Text(text=part) for part in parts)),),
            )
        )
        for parts in [(text[:i], text[i:]) for i in range(len(text) + 1)] + [(text,)]
    }
    assert len(cuts) == len(text) + 2


@pytest.mark.parametrize("tool", [False, True], ids=["plain", "tool"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_same_question_has_one_key_in_every_dialect(tool, stream):
    """Who asks in Anthropic's words and who asks in Gemini's may share an answer, streamed or not."""
    keys = {
        fingerprint(parsed(client, saying(client, "m", "What?", stream=streamed, tool=tool), stream=streamed))
        for client in CLIENTS
        for streamed in (stream, False)
    }
    assert len(keys) == 1


def test_the_same_spelt_otherwise_has_the_same_key():
    """Shorthands, older names and numbers with a point: equal to every API."""
    chat = saying("openai_chat", "m", "hi")
    older = {key: value for key, value in chat.items() if key != "max_completion_tokens"} | {
        "max_tokens": 200,
        "temperature": 1.0,
    }
    parts = {**chat, "messages": [chat["messages"][0], {"role": "user", "content": [{"type": "text", "text": "hi"}]}]}
    counted = {**chat, "stream": True, "stream_options": {"include_usage": True}}
    gemini = saying("gemini", "m", "hi")
    snake = {
        "system_instruction": gemini["systemInstruction"],
        "contents": [{"parts": [{"text": "hi"}]}],
        "generation_config": {"max_output_tokens": 200, "temperature": 1},
    }
    requests = [parsed("openai_chat", document) for document in (chat, older, parts, counted)]
    assert len({fingerprint(r) for r in (*requests, parsed("gemini", gemini), parsed("gemini", snake))}) == 1


def test_blanks_in_arguments_are_no_difference_and_digits_are():
    """Dialects carry arguments as text or as objects; numbers beyond a float's reach stay apart."""

    def key(arguments: str, kind: str = "function") -> bytes:
        call = blocks.ToolCall(id="c", name="n", arguments=arguments, kind=kind)
        return fingerprint(
            request.Request(origin="openai_chat", model="m", messages=(blocks.Message(role="assistant", blocks=(call,)),))
        )

    assert key('{"a": 1}') == key('{"a":1}')
    assert key('{"a": 1}', "custom") != key('{"a":1}', "custom"), "free text, whatever it looks like"
    assert len({key('{"a":1}'), key('{"a":1.0}'), key('{"a":1.00000000000000000001}'), key('{"a":" 1"}'), key("{"), key("")}) == 6


def test_a_tool_of_another_schema_order_is_another():
    """A model is shown the properties in their order, and answers in it."""
    turned = {**TOOL["schema"], "properties": {"b": {}, "a": {}}}
    straight = {**TOOL["schema"], "properties": {"a": {}, "b": {}}}
    keys = {
        fingerprint(request.Request(origin="anthropic", model="m", tools=(request.Tool(name="t", parameters=schema),)))
        for schema in (turned, straight)
    }
    assert len(keys) == 2


FREE = (("stream",), ("model",), ("stream_options", "include_usage"), ("stream_options", "include_obfuscation"))
"""Paths in documents that no key depends on."""
SAME = {
    ("gemini", ("contents", "role"), '"user"'),  # who is said by nobody is the user
    ("openai_responses", ("input", "type"), '"message"'),  # what has a role is a message
    ("openai_chat", ("stream_options",), '{"include_usage": true}'),
}
"""Dialect, path and value that may be left out: it goes without saying, or concerns the framing alone."""


def leaves(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a document."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))


def at(document: object, path: tuple) -> object:
    for step in path:
        document = document[step]
    return document


def variants(document: dict, path: tuple) -> Iterator[tuple[str, dict]]:
    """The document without what is at `path` (`gone`), and with another value there."""
    for how in ("gone", "other"):
        copy = json.loads(json.dumps(document))
        inner = copy
        for step in path[:-1]:
            inner = inner[step]
        value = inner[path[-1]]
        if how == "gone":
            del inner[path[-1]]
        else:
            match value:
                case bool():
                    inner[path[-1]] = not value
                case int() | float():
                    inner[path[-1]] = value + 1
                case str():
                    inner[path[-1]] = value + "x"
                case None:
                    inner[path[-1]] = "x"
                case list():
                    inner[path[-1]] = [*value, "x"]
                case dict():
                    inner[path[-1]] = {**value, "another_field": 1}
        yield how, copy


FILES = [path for place, path in cases.files() if place == "corpus" and cases.load(place, path).call is not None]


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_field_that_vendors_document_changes_the_key(file):
    """Take away or change any one field of any request of the corpus: nobody is given the answer to the request before."""
    case = cases.load("corpus", file)
    assert case.call is not None
    document = json.loads(case.call.body)
    dialect = BY_NAME[case.dialect]
    try:
        key = fingerprint(dialect.parse_request(case.call))
    except GatewrightError:
        pytest.skip("the case is of a request that is refused")
    places = list(leaves(document))
    random.Random(file.stem).shuffle(places)
    tried = 0
    for path in places[:150]:
        named = tuple(step for step in path if isinstance(step, str))
        if named in FREE:
            continue
        for how, changed in variants(document, path):
            if how == "gone" and (case.dialect, named, json.dumps(at(document, path))) in SAME:
                continue
            try:
                other = dialect.parse_request(msgspec.structs.replace(case.call, body=json.dumps(changed).encode(), notes={}))
            except GatewrightError:
                continue
            tried += 1
            assert fingerprint(other) != key, path
    assert tried
