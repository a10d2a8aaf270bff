"""Documents of a JSON schema: every member of every union and every optional field stands in one of them, alone.

One rule: a document has what is required, and one thing more; what goes wrong then names itself.
"""

from collections.abc import Iterator

from gatewright.jsontypes import JsonObject, JsonValue
from tests.laws.typed.schemas import of_shape

SAYS: dict[str, JsonValue] = {
    "name": "look",
    "effort": "high",
    "role": "user",
    "jsonPath": "$.city",
    "arguments": '{"city": "Paris"}',
    "partial_json": '{"city": "Paris"}',
    "input": {"city": "Paris"},
    "args": {"city": "Paris"},
    "url": "https://example.com/a.png",
    "image_url": "https://example.com/b.png",
    "file_url": "https://example.com/c.pdf",
    "uri": "https://example.com/d.pdf",
    "fileUri": "https://example.com/e.pdf",
    "data": "aGVsbG8=",
    "file_data": "data:application/pdf;base64,aGVsbG8=",
    "mimeType": "image/png",
    "media_type": "image/png",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "max_tokens": 4096,
    "budget_tokens": 2048,
    "created": 1700000000,
    "created_at": 1700000000,
    "n": 1,
    "candidateCount": 1,
    "index": 0,
    "output_index": 0,
    "content_index": 0,
    "contentBlockIndex": 0,
    "additionalProperties": False,
}
"""Key → a value that is sensible there, where the type alone does not make one."""
UNSENT = frozenset(("sdkHttpResponse", "parsed", "automaticFunctionCallingHistory", "httpOptions"))
"""Fields of the SDK's own that never stand on the wire."""
PREFERRED = frozenset(
    (
        "BetaTextBlock", "BetaTextBlockParam", "BetaUserMessageParam", "BetaMessageParam", "BetaTextDelta", "ResponseOutputMessage", "ResponseOutputText", "EasyInputMessageParam",
        "ResponseInputTextParam", "ChatCompletionUserMessageParam", "FunctionTool", "FunctionToolParam", "BetaToolParam",
    )
)  # fmt: skip
"""Members that stand for their union where only one does."""
WANTED: dict[str, tuple[str, ...]] = {
    "Content": ("role", "parts"),
    "Candidate": ("content", "finishReason"),
    "GenerateContentResponse": ("candidates",),
    "ChatCompletionMessage": ("content",),
    "ChatCompletionAssistantMessageParam": ("content",),
    "ChoiceDeltaToolCall": ("id", "type", "function"),
    "ChoiceDeltaToolCallFunction": ("name", "arguments"),
    "ChoiceDeltaFunctionCall": ("name", "arguments"),
    "FunctionCall": ("name",),
    "FunctionResponse": ("name", "response"),
    "FunctionResponseBlob": ("mimeType", "data"),
    "FunctionResponseFileData": ("mimeType", "fileUri"),
    "FunctionDeclaration": ("name",),
    "BetaSystemMessageParam": ("content",),
    "PartialArg": ("jsonPath",),
    "CitationsContentBlock": ("content",),
    "BetaCompactionContentBlockDelta": ("content",),
    "Blob": ("mimeType", "data"),
    "FileData": ("mimeType", "fileUri"),
    "BetaThinkingBlock": ("signature",),
}
"""Definition → fields that its type calls optional and that every real one has."""
FILLED = frozenset(("messages", "content", "contents", "parts", "choices", "candidates", "summary", "output"))
"""Lists that are not empty in the least document."""
USUAL = frozenset(("completed", "STOP"))
"""Words that stand for their enumeration."""
DEEPEST = 30


class Sampler:
    """Visits one schema. `full`: a definition is opened wherever it stands, not once for each field of each definition."""

    def __init__(self, root: JsonObject, *, full: bool = False) -> None:
        self._definitions = root.get("$defs", {})
        self._root = root
        self._full = full
        self._visited: set[tuple[str, str, str]] = set()

    def documents(self) -> Iterator[tuple[str, JsonValue]]:
        """(what it has beyond the least, document)."""
        yield from self.variants(self._root, "", ())

    def least(self, schema: JsonObject, key: str = "", depth: int = 0, owner: str = "") -> JsonValue:
        """`owner`: the definition that has the field `key`; texts of different owners differ."""
        schema, name = self._opened(schema)
        options = _options(schema)
        if options is not None:
            return self.least(min(options, key=lambda one: self._weight(one, depth + 1)), key, depth + 1, owner)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return next((word for word in schema["enum"] if word in USUAL), schema["enum"][0])
        match schema.get("type"):
            case "object" if schema.get("properties"):
                wanted = [*schema.get("required", ()), *_wanted(schema, name)]
                return {
                    field: self.least(schema["properties"][field], field, depth + 1, name)
                    for field in wanted
                    if field not in UNSENT
                }
            case "array":
                return (
                    [] if depth > DEEPEST or key not in FILLED else [self.least(schema.get("items") or {}, key, depth + 1, owner)]
                )
            case _:
                return _plain(schema, key, owner)

    def _weight(self, schema: JsonObject, depth: int) -> int:
        """How much the least document of a schema takes; a union takes the lightest of its members that are not mere text."""
        if depth > 8:
            return 99
        schema, name = self._opened(schema)
        properties = schema.get("properties") or {}
        if name in PREFERRED or (schema.get("title") == "text" and "text" in properties):
            return 0
        return 1 + sum(self._weight(properties[key], depth + 1) for key in schema.get("required", ()) if key in properties)

    def variants(self, schema: JsonObject, key: str, above: tuple[str, ...]) -> Iterator[tuple[str, JsonValue]]:
        """The least document first."""
        schema, name = self._opened(schema)
        place = (above[-1] if above else "", key, name)
        if name and (name in above or (not self._full and place in self._visited)):
            yield "", self.least(schema, key, 0, place[0])
            return
        self._visited.add(place)
        within = (*above, name) if name else above
        options = _options(schema)
        if options is not None:
            for option in options:
                label = self._opened(option)[1]
                for what, value in self.variants(option, key, within):
                    yield f"({label}){what}" if label else what, value
        elif "enum" in schema and key != "model":
            for word in schema["enum"]:
                yield f"={word}", word
        elif schema.get("type") == "object" and schema.get("properties"):
            least = self.least(schema, key)
            assert isinstance(least, dict)
            yield "", least
            for field, inner in schema["properties"].items():
                if field in UNSENT:
                    continue
                for what, value in self.variants(inner, field, within):
                    if least.get(field, least) != value:
                        yield f".{field}{what}", {**least, field: value}
        elif schema.get("type") == "array" and schema.get("items"):
            for what, value in self.variants(schema["items"], key, within):
                yield f"[]{what}", [value]
        elif schema.get("type") == "boolean" and "const" not in schema:
            yield "=true", True
            yield "=false", False
        else:
            yield "", self.least(schema, key, 0, place[0])

    def _opened(self, schema: JsonObject) -> tuple[JsonObject, str]:
        """(schema with references followed, its name)."""
        name = ""
        while True:
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema = self._definitions[name]
            elif "$shape" in schema:
                name = schema["$shape"].name
                schema = of_shape(schema["$shape"])
            elif len(schema.get("allOf", ())) == 1:
                schema = schema["allOf"][0]
            else:
                return (_part(schema) if name == "Part" else schema), name


BESIDE = ("thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata")
"""Fields of a Gemini part that stand beside what the part is; its type lists all alike."""


def _part(schema: JsonObject) -> JsonObject:
    beside = {key: one for key, one in schema["properties"].items() if key in BESIDE}
    mains = {key: one for key, one in schema["properties"].items() if key not in BESIDE}
    first = ("text", "inlineData", "functionCall")
    return {
        "anyOf": [
            {"type": "object", "title": key, "properties": {key: one, **(beside if key in first else {})}, "required": [key]}
            for key, one in sorted(mains.items(), key=lambda item: item[0] != "text")
        ]
    }


def _wanted(schema: JsonObject, name: str) -> tuple[str, ...]:
    fields = WANTED.get(name or str(schema.get("title")), ())
    return tuple(field for field in fields if field in schema["properties"])


def _options(schema: JsonObject) -> list[JsonObject] | None:
    options = schema.get("anyOf") or schema.get("oneOf")
    if not options:
        return None
    return [option for option in options if option.get("type") != "null"] or [{"type": "string"}]


def _plain(schema: JsonObject, key: str, owner: str) -> JsonValue:
    said = SAYS.get(key)
    match schema.get("type"):
        case "string":
            if isinstance(said, str):
                return said
            return "aGVsbG8=" if schema.get("format") in ("base64", "base64url", "binary") else f"some_{owner}_{key}"
        case "integer":
            return said if isinstance(said, int) else 7
        case "number":
            return said if isinstance(said, int) else 0.5
        case "boolean":
            return True
        case "null":
            return None
        case "array":
            return ["x"]
        case _:
            return said if isinstance(said, dict) else {"x": "y"}
