"""Parts → blocks, the same in requests and answers.

One rule: the first data key a part has says what it is; whatever else it holds are its extras, and a part that is nothing we
know is `Native`, whole.
https://ai.google.dev/api/caching#Part
"""

from gatewright.dialects.gemini.media import parse_media
from gatewright.dialects.gemini.proto import Proto, dotted
from gatewright.dialects.gemini.seals import open_signature
from gatewright.ir.blocks import Block, Native, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

_NATIVE = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
PLAIN_RESULTS: dict[str, bool | None] = {"result": None, "output": None, "error": True}
"""A response object of just one such key with a string is a plain text; the value says whether it tells of a failure.
https://ai.google.dev/api/caching#FunctionResponse documents `output` and `error`; the official SDK sends `result`."""


def parse_part(value: JsonValue, at: str, issuer: str = "") -> Block:
    """One part. `issuer` is the endpoint whose answer this is, for its signatures."""
    part = Proto(value, at)
    if any(part.peek(key) is not None for key in _NATIVE):
        return _native(value, at)
    call, result = part.proto("functionCall"), part.proto("functionResponse")
    if call is not None or (result is None and part.peek("functionCall") == {}):
        return _tool_call(part, call, issuer)
    if result is not None:
        return _tool_result(part, result)
    for key in ("inlineData", "fileData"):
        if (inner := part.proto(key)) is not None:
            return parse_media(part, inner, key, _seal(part, issuer))
    return _text(part, value, issuer)


def _native(value: JsonValue, at: str) -> Native:
    assert isinstance(value, dict)
    return Native(origin="gemini", data=value, at=at)


def _seal(part: Proto, issuer: str) -> Seal | None:
    word = part.text("thoughtSignature")
    if not word:
        if word is not None:
            part.put_back("thoughtSignature", word)
        return None
    return open_signature(word, issuer)


def _text(part: Proto, value: JsonValue, issuer: str) -> Block:
    text = part.text("text")
    seal = _seal(part, issuer)
    thought = part.boolean("thought")
    if text is None and seal is None and thought is not True:
        return _native(value, part.at)
    form = part.snakes if text is not None else (*part.snakes, "notext")
    if thought is True:
        return Reasoning(text=text or "", seal=seal, at=part.at, form=form, extras=part.rest())
    if thought is False:
        part.put_back("thought", False)
    return Text(text=text or "", seal=seal, at=part.at, form=form, extras=part.rest())


def _tool_call(part: Proto, call: Proto | None, issuer: str) -> ToolCall:
    call = call or Proto({}, f"{part.at}.functionCall")
    seal = _seal(part, issuer)
    form = list(part.snakes + call.snakes)
    name, id_ = call.text("name"), call.text("id")
    if name is None:
        form.append("noname")
    if id_ == "":
        call.put_back("id", "")
    args = call.object("args")
    rest = call.rest()
    if args is None:
        form.append("noargs" if "args" not in rest else "args={}" if rest["args"] == {} else "args=null")
        rest.pop("args", None)
    outer = part.rest()
    if outer.get("functionCall") == {}:
        del outer["functionCall"]
    return ToolCall(
        id=id_ or "",
        name=name or "",
        arguments="{}" if args is None else encode(args).decode(),
        seal=seal,
        at=part.at,
        form=tuple(form),
        extras={**outer, **dotted("functionCall", rest)},
    )


def _tool_result(part: Proto, result: Proto) -> ToolResult:
    form = list(part.snakes + result.snakes)
    name, id_ = result.text("name"), result.text("id")
    if name is None:
        form.append("noname")
    if id_ == "":
        result.put_back("id", "")
    content: list[Block] = []
    structured: JsonObject | None = result.object("response")
    is_error: bool | None = None
    if structured is not None and len(structured) == 1:
        [(key, text)] = structured.items()
        if key in PLAIN_RESULTS and isinstance(text, str):
            form.append(f"response={key}")
            content.append(Text(text=text, at=f"{result.at}.response"))
            structured, is_error = None, PLAIN_RESULTS[key]
    content += [parse_part(item, f"{result.at}.parts[{i}]") for i, item in enumerate(result.array("parts"))]
    return ToolResult(
        call_id=id_ or "",
        name=name or "",
        content=tuple(content),
        structured=structured,
        is_error=is_error,
        at=part.at,
        form=tuple(form),
        extras={**part.rest(), **dotted("functionResponse", result.rest())},
    )
