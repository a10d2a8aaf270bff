"""A conversation as policies see it: events in their order, and where each value stands.

    [{role: user, …}, {role: assistant, tool_calls: [a, b]}, {role: tool, …}]
      Message 0   ─▶   Message 1 ─▶ ToolCall a ─▶ ToolCall b   ─▶   ToolOutput

One rule: whatever is in the messages becomes a trace; what has no known shape is kept as plain JSON and belongs to no event.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/basics.md
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import decode_or_text

Value: TypeAlias = object
"""What an expression may be: JSON, texts that know their place, nodes of the trace, answers of detectors, sets."""

PREFIX = "messages"
_LEVELS = 64
"""Of JSON within a message; what is deeper is left out."""

FIELDS: dict[str, tuple[str, ...]] = {
    "Message": ("role", "content", "tool_calls", "metadata", "name", "refusal", "reasoning_content", "timestamp", "server"),
    "ToolCall": ("id", "type", "function", "metadata", "timestamp", "server"),
    "Function": ("name", "arguments"),
    "ToolOutput": ("role", "content", "tool_call_id", "tool_name", "name", "metadata", "error", "timestamp", "server"),
    "Tool": ("name", "description", "inputSchema", "server"),
    "Image": ("type", "image_url"),
    "TextChunk": ("type", "text"),
}
"""What policies may ask of each. A field that is not there is None."""

ALIASES = {"ImageContent": "Image", "TextContent": "TextChunk", "Content": "Contents"}
TYPES = frozenset((*FIELDS, "Contents", "str", "dict", "list", "int", "float", "bool", *ALIASES))
EVENTS = frozenset(("Message", "ToolCall", "ToolOutput"))


class Placed(str):
    """A text of the conversation that knows where it stands."""

    __slots__ = ("path", "start")
    path: str
    start: int
    """Where in the text at `path` it begins. -1: it is the whole of it."""

    @classmethod
    def at(cls, path: str, text: str, start: int = -1) -> "Placed":
        placed = cls(text)
        placed.path = path
        placed.start = start
        return placed

    def range(self, start: int, end: int) -> str:
        """Where a piece of it stands: `messages.0.content:7-8`."""
        base = max(self.start, 0)
        return f"{self.path}:{base + start}-{base + end}"

    @property
    def place(self) -> str:
        return self.path if self.start < 0 else self.range(0, len(self))


class Thing:
    """A node of the trace: of one of the types in `FIELDS`."""

    __slots__ = ("call", "fields", "index", "order", "path", "type")

    def __init__(self, kind: str, path: str, index: int, fields: dict[str, Value]) -> None:
        self.type = kind
        self.path = path
        self.index = index
        """Which message it belongs to. -1: none (a tool's definition)."""
        self.fields = fields
        self.order = -1
        """Which event it is. -1: none."""
        self.call: Thing | None = None
        """Of a tool's output: the call it answers."""


class Contents:
    """`content` that is a list: texts, images, what else there is."""

    __slots__ = ("chunks", "path", "texts", "whole")

    def __init__(self, path: str, chunks: list[Value]) -> None:
        self.path = path
        self.chunks = chunks
        self.texts = [text for chunk in chunks for text in _texts_of_chunk(chunk)]
        self.whole = "\n".join(self.texts)


class Trace:
    """Messages in Invariant's form, read once for one evaluation. Never raises for what is in them."""

    def __init__(self, messages: Sequence[JsonObject], tools: Sequence[JsonObject] = ()) -> None:
        self.paths: dict[int, str] = {}
        self.chars = 0
        """Of all its texts."""
        self.things: list[Thing] = []
        """Every node, in order: what `(x: Type)` ranges over."""
        self.events: list[Thing] = []
        self.plain: list[Value] = []
        """Texts, objects, lists and numbers, for `(x: str)` and the like."""
        self._calls: dict[str, Thing] = {}
        self._last_call: Thing | None = None
        for index, message in enumerate(messages):
            self._message(message, index, f"{PREFIX}.{index}")
        for number, tool in enumerate(tools):
            self._tool(tool, f"tools.{number}")

    def select(self, kind: str) -> Sequence[Value]:
        kind = ALIASES.get(kind, kind)
        if kind in FIELDS:
            return [thing for thing in self.things if thing.type == kind]
        return [value for value in self.plain if is_of(value, kind)]

    def path_of(self, value: Value) -> str:
        if isinstance(value, Placed):
            return value.place
        if isinstance(value, Thing | Contents):
            return value.path
        return self.paths.get(id(value), "")

    def _add(self, thing: Thing) -> Thing:
        self.things.append(thing)
        if thing.type in EVENTS:
            thing.order = len(self.events)
            self.events.append(thing)
        return thing

    def _message(self, message: JsonObject, index: int, path: str) -> None:
        role = message.get("role")
        if not isinstance(role, str):
            if isinstance(message.get("function"), dict):
                self._tool_call(message, index, path)
            elif isinstance(tools := message.get("tools"), list):
                for number, tool in enumerate(tools):
                    self._tool(tool, f"{path}.tools.{number}", index)
            return
        output = role in ("tool", "function")
        event = self._add(Thing("ToolOutput" if output else "Message", path, index, {}))
        for key, value in message.items():
            at = f"{path}.{key}"
            if key == "content":
                event.fields[key] = self._content(value, at, index)
            elif key == "tool_calls" and isinstance(value, list) and not output:
                continue
            else:
                event.fields[key] = self._json(value, at, 0)
        if output:
            self._answer(event)
        else:
            calls = message.get("tool_calls")
            event.fields["tool_calls"] = [
                self._tool_call(call, index, f"{path}.tool_calls.{number}")
                for number, call in enumerate(calls if isinstance(calls, list) else ())
                if isinstance(call, dict)
            ]

    def _answer(self, output: Thing) -> None:
        """Which call an output is of: by its id, by the tool's name (Gemini tells no ids), else the last one before it."""
        call_id = output.fields.get("tool_call_id")
        name = output.fields.get("tool_name") or output.fields.get("name")
        if isinstance(call_id, str) and call_id:
            output.call = self._calls.get(call_id)
        elif isinstance(name, str) and name:
            output.call = next(
                (thing for thing in reversed(self.events) if thing.type == "ToolCall" and _name_of(thing) == name), None
            )
        else:
            output.call = self._last_call
            if output.call is not None:
                output.fields["tool_call_id"] = output.call.fields.get("id")

    def _tool_call(self, call: JsonObject, index: int, path: str) -> Thing:
        event = self._add(Thing("ToolCall", path, index, {}))
        for key, value in call.items():
            if key != "function":
                event.fields[key] = self._json(value, f"{path}.{key}", 0)
        given = call.get("function")
        event.fields["function"] = self._function(given if isinstance(given, dict) else {}, index, f"{path}.function")
        if isinstance(call_id := call.get("id"), str):
            self._calls[call_id] = event
        self._last_call = event
        return event

    def _function(self, given: JsonObject, index: int, path: str) -> Thing:
        function = self._add(Thing("Function", path, index, {}))
        name, arguments = given.get("name"), given.get("arguments")
        function.fields["name"] = Placed.at(f"{path}.name", name if isinstance(name, str) else "")
        if isinstance(arguments, str):
            # What a model wrote that is no JSON stays a text, so that rules still see it.
            arguments = decode_or_text(arguments) if arguments.strip() else {}
        function.fields["arguments"] = self._json({} if arguments is None else arguments, f"{path}.arguments", 0)
        return function

    def _tool(self, tool: JsonValue, path: str, index: int = -1) -> None:
        if not isinstance(tool, dict):
            return
        inner = tool.get("function")
        given = inner if isinstance(inner, dict) else tool
        self._add(
            Thing(
                "Tool",
                path,
                index,
                {
                    "name": self._json(given.get("name"), f"{path}.name", 0),
                    "description": self._json(given.get("description"), f"{path}.description", 0),
                    "inputSchema": self._json(given.get("inputSchema", given.get("parameters")), f"{path}.inputSchema", 0),
                    "server": self._json(given.get("server"), f"{path}.server", 0),
                },
            )
        )

    def _content(self, value: JsonValue, path: str, index: int) -> Value:
        if not isinstance(value, list):
            return self._json(value, path, 0)
        chunks: list[Value] = []
        for number, chunk in enumerate(value):
            at = f"{path}.{number}"
            if isinstance(chunk, dict) and (kind := _kind_of_chunk(chunk)):
                fields = {key: self._json(inner, f"{at}.{key}", 0) for key, inner in chunk.items()}
                chunks.append(self._add(Thing(kind, at, index, fields)))
            else:
                chunks.append(self._json(chunk, at, 0))
        contents = Contents(path, chunks)
        self.plain.append(contents)
        return contents

    def _json(self, value: JsonValue, path: str, level: int) -> Value:
        made: Value
        if isinstance(value, str):
            made = Placed.at(path, value)
            self.chars += len(value)
        elif isinstance(value, dict):
            made = {} if level > _LEVELS else {key: self._json(inner, f"{path}.{key}", level + 1) for key, inner in value.items()}
            self.paths[id(made)] = path
        elif isinstance(value, list):
            made = [] if level > _LEVELS else [self._json(inner, f"{path}.{i}", level + 1) for i, inner in enumerate(value)]
            self.paths[id(made)] = path
        else:
            return value
        self.plain.append(made)  # also keeps it alive, so that its id stays its own
        return made


def message_of(place: str) -> int:
    """Which message a place is in. -1: none."""
    parts = place.split(".", 2)
    if parts[0] != PREFIX or len(parts) < 2:
        return -1
    number = parts[1].partition(":")[0]
    return int(number) if number.isdigit() else -1


def is_of(value: Value, kind: str) -> bool:
    """Whether a value is of the type that a binding names."""
    match ALIASES.get(kind, kind):
        case "str":
            return isinstance(value, str)
        case "dict":
            return isinstance(value, dict)
        case "list":
            return isinstance(value, list)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, float)
        case "Contents":
            return isinstance(value, Contents)
        case named:
            return isinstance(value, Thing) and value.type == named


def texts_of(value: Value) -> Iterator[str]:
    """Every text that a value says: of messages and outputs what they contain, of objects and lists whatever is in them."""
    waiting: list[Value] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Contents):
            yield from one.texts
        elif isinstance(one, Thing):
            match one.type:
                case "Message" | "ToolOutput":
                    waiting.append(one.fields.get("content"))
                case "TextChunk":
                    waiting.append(one.fields.get("text"))
                case "ToolCall":
                    waiting.append(one.fields.get("function"))
                case "Function":
                    waiting.append(one.fields.get("arguments"))
                case "Tool":
                    waiting += [one.fields.get("inputSchema"), one.fields.get("description")]
        elif isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, list | tuple):
            waiting += reversed(one)
        elif isinstance(one, set):
            waiting += sorted(item for item in one if isinstance(item, str))


def _texts_of_chunk(chunk: Value) -> list[str]:
    if isinstance(chunk, Thing) and chunk.type != "TextChunk":
        return []
    return list(texts_of(chunk))


def _kind_of_chunk(chunk: JsonObject) -> str:
    if isinstance(chunk.get("text"), str):
        return "TextChunk"
    return "Image" if chunk.get("type") in ("image_url", "image", "input_image") else ""


def _name_of(call: Thing) -> Value:
    function = call.fields.get("function")
    return function.fields.get("name") if isinstance(function, Thing) else None
