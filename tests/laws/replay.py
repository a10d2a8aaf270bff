"""Law 6's client: it was answered, keeps what it was shown, and sends it back as history with its next message.

One rule: the client copies what its own dialect gave it and understands none of it.
"""

from typing import cast

from gatewright.ir.blocks import Block, DialectName
from gatewright.ir.fold import fold, unfold
from gatewright.ir.request import Asked
from gatewright.jsontypes import JsonObject, JsonValue
from tests.laws import cases
from tests.laws.dialects import DIALECTS
from tests.laws.seen import ISSUER, Seen, client_body, client_request, seals_of, target


def seals_after_replay(seen: Seen, name: DialectName, *, streamed: bool) -> list[str]:
    """The seals that reach the origin's endpoint again after a client of `name` saw the answer and replayed it, and those that
    the renderer said it could not show.
    """
    shown, told = _shown(seen, name, streamed=streamed)
    body, model = client_body(seen, name)
    body = next_turn(name, {**body, "stream": False} if name not in cases.IN_PATH else body, shown)
    path = cases.path_for(name, model, stream=False)
    request = DIALECTS[name].parse_request(cases.call_of(name, body, path=path))
    origin = seen.case.dialect
    rendered = DIALECTS[origin].render_request(request, target(origin))
    upstream_path = cases.path_for(origin, cases.MODEL[origin], stream=False)
    arrived = DIALECTS[origin].parse_request(cases.call_of(origin, rendered.body, path=upstream_path))
    blocks: tuple[Block, ...] = tuple(block for message in arrived.messages for block in message.blocks)
    return [*seals_of(blocks), *told]


def _shown(seen: Seen, name: DialectName, *, streamed: bool) -> tuple[JsonObject, list[str]]:
    """The answer as the client has it in the end, and the seals that a hint says are not in it."""
    assert seen.answer is not None
    dialect = DIALECTS[name]
    if not streamed:
        return dialect.render_response(seen.answer, client_request(seen, name, stream=False)).body, []
    request = client_request(seen, name, stream=True)
    renderer = dialect.stream_renderer(request)
    wire = renderer.render(seen.events or tuple(unfold(seen.answer)))
    # A text's seal may come when the text is out, and nothing may follow the last text of a message (Claude Code prints the last block).
    told = [loss.value for loss in renderer.losses if loss.weight == "hint" and isinstance(loss.value, str)]
    parser = dialect.stream_parser(Asked(issuer=ISSUER))
    # What a client of this dialect accumulates is what the dialect's own parser folds, shown at home.
    return dialect.render_response(fold([*parser.feed(wire), *parser.close()]), request).body, told


def _list(value: JsonValue) -> list[JsonObject]:
    return cast("list[JsonObject]", value or [])


def next_turn(name: DialectName, body: JsonObject, shown: JsonObject) -> JsonObject:
    """The client's next request: its history, the answer as shown, a result for every tool call, and a word of its own."""
    match name:
        case "openai_chat":
            message = cast("JsonObject", _list(shown["choices"])[0]["message"])
            results: list[JsonValue] = [
                {"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in _list(message.get("tool_calls"))
            ]
            turn: list[JsonValue] = [message, *results, {"role": "user", "content": "Go on."}]
            return {**body, "messages": [*_list(body["messages"]), *turn]}
        case "anthropic":
            blocks = _list(shown["content"])
            answered: list[JsonValue] = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": "done"}
                for block in blocks
                if block["type"] == "tool_use"
            ]
            said: list[JsonValue] = [
                {"role": "assistant", "content": cast("JsonValue", blocks)},
                {"role": "user", "content": [*answered, {"type": "text", "text": "Go on."}]},
            ]
            return {**body, "messages": [*_list(body["messages"]), *said]}
        case "openai_responses":
            before = body["input"]
            history: list[JsonValue] = (
                [{"role": "user", "content": before}] if isinstance(before, str) else list(cast("list[JsonValue]", before))
            )
            items = _list(shown["output"])
            outputs: list[JsonValue] = [
                {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "done"}
                for item in items
                if item["type"] in ("function_call", "custom_tool_call")
            ]
            return {**body, "input": [*history, *items, *outputs, {"role": "user", "content": "Go on."}]}
        case "gemini":
            content = cast("JsonObject", _list(shown["candidates"])[0]["content"])
            responses: list[JsonValue] = []
            for part in _list(content.get("parts")):
                if "functionCall" in part:
                    call = cast("JsonObject", part["functionCall"])
                    ident: JsonObject = {"id": call["id"]} if "id" in call else {}
                    responses.append({"functionResponse": {**ident, "name": call["name"], "response": {"result": "done"}}})
            before_parts = _list(body["contents"])
            return {**body, "contents": [*before_parts, content, {"role": "user", "parts": [*responses, {"text": "Go on."}]}]}
        case "bedrock_converse":
            message = cast("JsonObject", cast("JsonObject", shown["output"])["message"])
            given: list[JsonValue] = []
            for block in _list(message.get("content")):
                if "toolUse" in block and "type" not in (use := cast("JsonObject", block["toolUse"])):
                    given.append({"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "done"}]}})
            history_before = _list(body["messages"])
            return {**body, "messages": [*history_before, message, {"role": "user", "content": [*given, {"text": "Go on."}]}]}
