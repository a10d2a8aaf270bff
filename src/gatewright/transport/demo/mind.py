"""What the demo model answers: a request in neutral form -> an answer in neutral form. Pure; no clock, no chance.

One rule: it never pretends. Its text says that it is the demo model, and what it was asked.
"""

import base64
import hashlib
import re
from typing import NoReturn

import msgspec

from gatewright.errors import Problem, Refused, kind_of, refuse
from gatewright.ir.blocks import Block, DialectName, Media, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.request import Request, Tool
from gatewright.ir.response import Finish, FinishReason, Response, Usage
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.transport.demo.example import FREE_TEXT, Example
from gatewright.transport.demo.reading import (
    CHARS_PER_TOKEN,
    count_tokens,
    describe,
    echo,
    harmless_first,
    last_results,
    last_words,
    mentions,
    plural,
    quoted_word,
    text_of,
    tokens_of,
)

SEAL_MARK = b"gatewright-demo:"

ID_PREFIX: dict[DialectName, str] = {
    "openai_chat": "chatcmpl-demo",
    "openai_responses": "resp_demo",
    "anthropic": "msg_demo",
    "gemini": "demo",
    "bedrock_converse": "demo",
}
FOREIGN: dict[DialectName, DialectName] = {
    "openai_chat": "anthropic",
    "openai_responses": "anthropic",
    "anthropic": "openai_chat",
    "gemini": "openai_chat",
    "bedrock_converse": "openai_chat",
}
"""Whose words the answer is said to be in: a renderer writes at home only what was once read there, and abroad whatever its own
document must have."""
CALL_PREFIX: dict[DialectName, str] = {
    "openai_chat": "call_demo",
    "openai_responses": "call_demo",
    "anthropic": "toolu_demo",
    "gemini": "demo",
    "bedrock_converse": "tooluse_demo",
}

DIRECTIVE = re.compile(r"demo:(error|wait|cut|refuse|filter)\b(?:[ =]?(\d{1,3}))?")
"""What a prompt may order, to try how a client bears it: `demo:error 429`, `demo:wait 5` (seconds), `demo:cut`, `demo:refuse`,
`demo:filter`."""


class Directive(msgspec.Struct, frozen=True):
    """An order found in the prompt."""

    word: str
    number: int = 0


class Thought(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and how it is to be delivered."""

    response: Response
    wait_s: int = 0
    """Seconds of silence before the first piece."""
    cut: bool = False
    """Whether the answer breaks off in the middle, as a provider's does when it dies."""


def think(request: Request, dialect: DialectName) -> Thought:
    """The answer to `request`, for an upstream of `dialect`. Raises Refused where the prompt orders an error."""
    asked = last_words(request)
    directive = find_directive(asked)
    if directive.word == "error":
        raise_error(directive.number or 500)
    _check_seals(request)
    mark = hashlib.sha256(msgspec.json.encode(request)).hexdigest()[:16]
    blocks: list[Block] = []
    if (reasoning := _reasoning(request, dialect, asked, mark)) is not None:
        blocks.append(reasoning)
    said, finish = _answer(request, dialect, asked, directive, mark)
    blocks += said
    usage = Usage(
        input=count_tokens(request),
        output=sum(tokens_of(text_of(block)) for block in said),
        reasoning=tokens_of(text_of(reasoning)) if reasoning is not None else None,
    )
    response = Response(
        origin=FOREIGN[dialect],
        id=ID_PREFIX[dialect] + mark,
        model=request.model,
        blocks=tuple(blocks),
        finish=finish,
        usage=usage,
    )
    wait_s = directive.number if directive.word == "wait" else 0
    return Thought(response=response, wait_s=min(wait_s, 600), cut=directive.word == "cut")


def find_directive(text: str) -> Directive:
    """The last order in the prompt; an empty word when there is none."""
    found = list(DIRECTIVE.finditer(text))
    return Directive(found[-1][1], int(found[-1][2] or 0)) if found else Directive("")


def raise_error(status: int) -> NoReturn:
    """The error that a prompt ordered. Raises Refused, always; a number that is no error status counts as 500."""
    status = status if 400 <= status <= 599 else 500
    kind = kind_of(status)
    patient = kind in ("rate_limit", "overloaded")
    raise Refused(
        Problem(
            kind=kind,
            status=status,
            message=f"the demo model was asked for this error ({status})",
            code=f"demo_{status}",
            retry_after_s=2.0 if patient else None,
            headers=(("retry-after", "2"),) if patient else (),
        )
    )


def _answer(
    request: Request, dialect: DialectName, asked: str, directive: Directive, mark: str
) -> tuple[tuple[Block, ...], Finish]:
    """What is said (or called) after the reasoning, and why it ends."""
    if directive.word == "refuse":
        return (Refusal(text="The demo model was asked to refuse, and does."),), Finish(reason="refusal")
    if directive.word == "filter":
        return (), Finish(reason="content_filter")
    calls = _calls(request, dialect, asked, mark)
    if calls:
        return calls, Finish(reason="tool_calls")
    text, finish = _cut_to_limits(_speech(request, asked), request)
    return (Text(text=text),) if text else (), finish


def _speech(request: Request, asked: str) -> str:
    output = request.output
    if output is not None and output.kind == "json_schema":
        return msgspec.json.encode(Example(output.schema or {}, quoted_word(asked)).value()).decode()
    if output is not None and output.kind == "json_object":
        answer: JsonObject = {"model": "demo", "answer": echo(asked)}
        return msgspec.json.encode(answer).decode()
    sentences = ["This is the demo model of Gatewright: it needs no network and no key, and understands nothing."]
    results = last_results(request)
    if results:
        told = "; ".join(f'"{echo(text_of(result), 200)}"' + (" (an error)" if result.is_error else "") for result in results)
        sentences.append(f"{plural(len(results), 'tool result')} came back: {told}.")
    media = [
        block for message in request.messages if message.role == "user" for block in message.blocks if isinstance(block, Media)
    ]
    if media:
        sentences.append(f"You sent {'; '.join(describe(block) for block in media)}.")
    if asked and not results:
        sentences.append(f'You said: "{echo(asked)}"')
    return " ".join(sentences)


def _cut_to_limits(text: str, request: Request) -> tuple[str, Finish]:
    """The text up to the first stop sequence or the last token allowed, whichever comes first."""
    reason: FinishReason = "stop"
    sequence: str | None = None
    for stop in request.sampling.stop:
        at = text.find(stop) if stop else -1
        if at >= 0:
            text, reason, sequence = text[:at], "stop_sequence", stop
    if request.max_tokens is not None and tokens_of(text) > request.max_tokens:
        text, reason, sequence = text[: request.max_tokens * CHARS_PER_TOKEN], "length", None
    return text, Finish(reason=reason, sequence=sequence)


def _reasoning(request: Request, dialect: DialectName, asked: str, mark: str) -> Reasoning | None:
    """A sealed block of reasoning, where the client asked for one."""
    thinking = request.thinking
    if thinking is None or thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0:
        return None
    text = f"The user wrote {plural(len(asked), 'character')}. The demo model has nothing to weigh, and answers at once."
    seal = make_seal(dialect, mark)
    if dialect == "openai_responses":
        return Reasoning(summary=(text,), seal=seal, id=f"rs_demo{mark}")
    return Reasoning(text=text, seal=None if dialect == "openai_chat" else seal)


def make_seal(dialect: DialectName, mark: str) -> Seal:
    """Opaque to clients, checked when it comes back: base64 of a mark and its digest."""
    body = SEAL_MARK + mark.encode() + b":" + hashlib.sha256(SEAL_MARK + mark.encode()).hexdigest()[:16].encode()
    return Seal(dialect=dialect, data=base64.b64encode(body).decode())


def seal_is_damaged(data: str) -> bool:
    """Whether this was one of our seals and is not any more. Seals of others are not ours to judge."""
    try:
        body = base64.b64decode(data, validate=True)
    except ValueError:
        return False
    if not body.startswith(SEAL_MARK):
        return False
    mark, _, digest = body.removeprefix(SEAL_MARK).partition(b":")
    return hashlib.sha256(SEAL_MARK + mark).hexdigest()[:16].encode() != digest


def _check_seals(request: Request) -> None:
    for message in request.messages:
        for block in message.blocks:
            seal = getattr(block, "seal", None)
            if isinstance(seal, Seal) and seal_is_damaged(seal.data):
                raise refuse(
                    "invalid_request", "the signature of a reasoning block was changed on its way", param=block.at or None
                )


def _calls(request: Request, dialect: DialectName, asked: str, mark: str) -> tuple[ToolCall, ...]:
    """The tool calls to make: forced ones always, others once, until their results are there."""
    choice = request.tool_choice
    mode = choice.mode if choice is not None else "auto"
    tools = [tool for tool in request.tools if tool.kind != "hosted"]
    if mode == "none" or not tools:
        return ()
    names = choice.names if choice is not None else ()
    if names:
        tools = [tool for tool in tools if tool.name in names]
    if mode in ("auto", "native") and last_results(request):
        return ()
    mentioned = [tool for tool in tools if mentions(asked, tool.name)]
    if mentioned:
        chosen = mentioned
    elif tools:
        looking = harmless_first(tuple(tool.name for tool in tools))
        chosen = [tool for tool in tools if tool.name == looking][:1]
    else:
        chosen = []
    if request.parallel_tool_calls is False or mode == "tool":
        chosen = chosen[:1]
    seal = make_seal(dialect, mark) if dialect == "gemini" else None
    return tuple(
        ToolCall(
            id=f"{CALL_PREFIX[dialect]}{mark}{i}",
            name=tool.name,
            arguments=_arguments(tool, asked),
            kind="custom" if tool.kind == "custom" else "function",
            seal=seal if i == 0 else None,  # Gemini signs the first of parallel calls
            item_id=f"fc_demo{mark}{i}" if dialect == "openai_responses" else "",
        )
        for i, tool in enumerate(chosen)
    )


def _arguments(tool: Tool, asked: str) -> str:
    if tool.kind == "custom":
        return FREE_TEXT
    value: JsonValue = Example(tool.parameters, quoted_word(asked)).value() if tool.parameters else {}
    return msgspec.json.encode(value if isinstance(value, dict) else {}).decode()
