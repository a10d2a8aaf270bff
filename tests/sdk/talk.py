"""One conversation as every client can hold it, so that one scenario runs in every SDK.

One rule: a client replays what it heard in its SDK's natural way (the objects it was given); nothing is rebuilt from `Heard`.
"""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Literal, Protocol

from pydantic import BaseModel, Field

Finish = Literal["stop", "tools", "length", "filter", "refusal"]

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
PICTURE_URL = "https://images.example.com/cat.png"
SYSTEM = "You are terse."


class Trip(BaseModel):
    """What structured answers are made of."""

    city: str
    days: int = Field(ge=1, le=30)
    tags: list[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tool:
    name: str
    description: str
    schema: Mapping[str, object]
    strict: bool = True


WEATHER = Tool(
    name="get_weather",
    description="Weather of a city",
    schema={
        "type": "object",
        "properties": {"city": {"type": "string", "description": "A city"}, "unit": {"type": "string", "enum": ["c", "f"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
)
CLOCK = Tool(
    name="get_time",
    description="Time now, nowhere in particular",
    schema={"type": "object", "properties": {}, "required": [], "additionalProperties": False},
)


RICH = Tool(
    name="search",
    description="Search with every keyword that a schema of the wild may have",
    schema={
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^.+$", "examples": ["cats"]},
            "site": {"type": ["string", "null"], "format": "uri", "default": None},
            "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 50, "multipleOf": 1},
            "kind": {"const": "web"},
            "when": {"anyOf": [{"type": "string", "format": "date"}, {"$ref": "#/$defs/Range"}]},
            "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
        },
        "required": ["query"],
        "additionalProperties": False,
        "$defs": {"Range": {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]}},
    },
    strict=False,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user turn asks for besides its text. Holds for the turns that give results, too."""

    tools: tuple[Tool, ...] = ()
    forced: str | None = None
    structured: bool = False
    """Answer as a Trip."""
    think: bool = False
    stream: bool = False
    tuned: bool = False
    """Temperature 0.3, top-p 0.9, at most 500 tokens, one stop sequence: what the dialect has of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Called:
    id: str
    name: str
    arguments: Mapping[str, object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heard:
    text: str
    finish: Finish
    calls: tuple[Called, ...] = ()
    thoughts: str = ""
    refusal: str = ""
    trip: Mapping[str, object] | None = None
    """The structured answer as the SDK parsed it."""
    pieces: int = 0
    """Text deltas seen; 0 when the answer came whole."""
    input: int = 0
    cached: int = 0
    """Part of `input`."""
    output: int = 0
    """Reasoning included."""
    model: str = ""


class Failed(Exception):
    """The SDK raised, or told of a failure by an event."""

    def __init__(self, *, kind: str, status: int | None, retry_after: str | None, message: str, partial: str = "") -> None:
        super().__init__(f"{kind} {status} retry_after={retry_after} {message}")
        self.kind = kind
        """The SDK's exception class."""
        self.status = status
        self.retry_after = retry_after
        """Seconds as the SDK shows them: a header, or Google's RetryInfo."""
        self.message = message
        self.partial = partial
        """Text received before."""


class Talk(Protocol):
    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        """A user turn. Images: PNG bytes or URLs."""
        ...

    def give(self, results: Mapping[str, str]) -> Heard:
        """The results of the calls last heard, by call id; same wish."""
        ...

    def move(self, model: str) -> None:
        """Go on with another model."""
        ...

    def count(self, text: str) -> int | None:
        """Input tokens as the dialect's counting endpoint says. None: the dialect has none."""
        ...

    def close(self) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a client calls and as whom."""

    url: str
    """Without a path."""
    key: str
    model: str
