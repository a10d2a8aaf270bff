"""What the strict upstream answers: a marker in the last user text chooses a plan; each API then says it in its own words.

One rule: a plan knows nothing of any wire. Markers: `[[call]]`, `[[calls]]`, `[[say-call]]`, `[[long]]`, `[[media]]`, `[[refuse]]`,
`[[filter]]`, `[[length]]`, `[[cached]]`, `[[redacted]]`, `[[error:429]]`, `[[inside]]`, `[[cut]]`. Without one the text is echoed.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Literal, TypeAlias

MARKER = re.compile(r"\[\[([a-z-]+)(?::([^\]]*))?\]\]")
CITIES = ("Paris", "Rome", "Oslo")
TAIL = "Grüße 👋 \u2028 end."
"""Ends every text: a two-byte letter, a surrogate pair and a raw line separator, on which careless stream readers split."""

End: TypeAlias = Literal["stop", "tools", "length", "filter", "refusal"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
    """What an API understood of a request."""

    model: str
    text: str
    """The last user text."""
    results: tuple[str, ...] = ()
    """Texts of the tool results that came after the model's last turn."""
    tools: tuple[tuple[str, dict], ...] = ()
    forced: str | None = None
    """The tool that must be called; "" for any."""
    parallel: bool = True
    schema: dict | None = None
    thinks: bool = False
    media: tuple[str, ...] = ()
    """Each image or document of the last user turn (results included): its URL, or `type:bytes`."""
    calls_forbidden: bool = False


@dataclasses.dataclass(frozen=True)
class Thought:
    text: str
    redacted: bool = False


@dataclasses.dataclass(frozen=True)
class Say:
    text: str


@dataclasses.dataclass(frozen=True)
class Decline:
    text: str


@dataclasses.dataclass(frozen=True)
class Use:
    name: str
    arguments: dict


Piece: TypeAlias = Thought | Say | Decline | Use


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokens:
    """Disjoint: what was read anew, read from the cache, written to it; what was written out, of which reasoning."""

    fresh: int = 100
    cached: int = 0
    written: int = 0
    output: int = 17
    reasoning: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    kind: str
    """A status ("429"), "quota", "inside" (an error event after some text) or "cut" (the connection ends after some text)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    pieces: tuple[Piece, ...]
    end: End = "stop"
    tokens: Tokens = Tokens()
    fault: Fault | None = None
    manner: Literal["", "interleaved", "at-once"] = ""
    """How a Chat Completions stream tells several calls: OpenAI one after another, some hosts otherwise."""


def sample(schema: dict, root: dict | None = None, city: str = "Paris") -> object:
    """A value that the schema accepts: the first enum value, the first branch, `city` for any string. Types in either case."""
    root = root or schema
    if "$ref" in schema:
        node: dict = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        return sample(node, root, city)
    for key in ("anyOf", "any_of", "oneOf"):
        if schema.get(key):
            return sample(schema[key][0], root, city)
    if schema.get("enum"):
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "string")
    kind = (kind[0] if isinstance(kind, list) else kind).lower()
    match kind:
        case "object":
            return {name: sample(part, root, city) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items", {}), root, city) for _ in range(2)]
        case "integer":
            return 21
        case "number":
            return 21.5
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return city


MINDS: list[Callable[[Ask], Plan | None]] = []
"""Asked before the markers, the last first; None leaves the answer to the next. For agents, whose turns follow a plan of their own."""


def plan(ask: Ask) -> Plan:
    """The answer. Deterministic: the same question gives the same answer, but for minds."""
    for mind in reversed(MINDS):
        if (thought_of := mind(ask)) is not None:
            return thought_of
    found = MARKER.search(ask.text)
    word, detail = (found[1], found[2] or "") if found else ("", "")
    thought: tuple[Piece, ...] = (Thought("The user wants something.\nLet me think about it."),) if ask.thinks else ()
    tokens = Tokens(
        cached=64 if word == "cached" else 0, written=32 if word == "cached" else 0, reasoning=9 if ask.thinks else 0, output=17
    )
    if word == "error":
        return Plan(pieces=(), fault=Fault(kind=detail))
    if ask.results:
        return Plan(pieces=(*thought, Say(f"The tools said: {' | '.join(ask.results)}. {media(ask)}{TAIL}")), tokens=tokens)
    if word == "redacted" and ask.thinks:
        thought = (Thought("hidden", redacted=True),)
    if (
        ask.tools
        and not ask.calls_forbidden
        and (ask.forced is not None or word in {"call", "calls", "say-call", "interleaved", "at-once"})
    ):
        count = 2 if word in {"calls", "interleaved", "at-once"} and ask.parallel else 1
        name, schema = next((tool for tool in ask.tools if tool[0] == ask.forced), ask.tools[0])
        calls = tuple(Use(name, dict(sample(schema, city=CITIES[i]) or {})) for i in range(count))
        said = (Say("I will look it up."),) if word == "say-call" else ()
        manner: Literal["", "interleaved", "at-once"] = word if word in {"interleaved", "at-once"} else ""
        return Plan(pieces=(*thought, *said, *calls), end="tools", tokens=tokens, manner=manner)
    if ask.schema is not None:
        return Plan(pieces=(*thought, Say(json.dumps(sample(ask.schema), ensure_ascii=False))), tokens=tokens)
    match word:
        case "refuse":
            return Plan(pieces=(*thought, Decline("I'm sorry, I can't assist with that.")), end="refusal", tokens=tokens)
        case "filter":
            return Plan(pieces=(Say("Here is how"),), end="filter", tokens=tokens)
        case "length":
            return Plan(pieces=(Say("It was a dark and"),), end="length", tokens=tokens)
        case "long":
            return Plan(pieces=(*thought, Say("All work and no play makes a dull day. " * 200 + TAIL)), tokens=tokens)
        case "inside" | "cut":
            return Plan(pieces=(Say("The first words"),), fault=Fault(kind=word), tokens=tokens)
        case "media":
            return Plan(pieces=(*thought, Say(f"{media(ask)}{TAIL}")), tokens=tokens)
        case _:
            return Plan(pieces=(*thought, Say(f"{ask.model} heard: {MARKER.sub('', ask.text).strip()} {TAIL}")), tokens=tokens)


def media(ask: Ask) -> str:
    return f"I see {', '.join(ask.media)}. " if ask.media else ""


def slices(text: str, size: int = 7) -> list[str]:
    """The text in deltas of `size` characters; [] for none."""
    return [text[i : i + size] for i in range(0, len(text), size)]
