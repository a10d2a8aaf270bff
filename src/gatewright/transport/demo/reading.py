"""What the demo model makes of a conversation: what was asked, what came back, how long it is. Pure.

One rule: it reads everything and understands nothing.
"""

import re

import msgspec

from gatewright.ir.blocks import Block, Inline, Media, Message, Reasoning, Refusal, Text, ToolCall, ToolResult, Url
from gatewright.ir.request import Request

CHARS_PER_TOKEN = 4
"""How the demo model counts; nobody is billed by it."""
MAX_ECHO_CHARS = 600
"""Longer questions are echoed from their end: agents put pages of instructions before them."""


def last_words(request: Request) -> str:
    """The text of the last user message that has any."""
    for message in reversed(request.messages):
        if message.role == "user":
            text = "\n".join(block.text for block in message.blocks if isinstance(block, Text))
            if text.strip():
                return text.strip()
    return ""


def last_results(request: Request) -> list[ToolResult]:
    """The tool results that the conversation ends in: those after the model's last turn."""
    results: list[ToolResult] = []
    for message in reversed(request.messages):
        if message.role == "assistant":
            break
        results = [*(block for block in message.blocks if isinstance(block, ToolResult)), *results]
    return results


def count_tokens(request: Request) -> int:
    """Tokens of everything that the model would read."""
    said = sum(len(text_of(message)) for message in request.messages)
    tools = sum(
        len(tool.name) + len(tool.description or "") + len(msgspec.json.encode(tool.parameters)) for tool in request.tools
    )
    return max(1, -(-(said + tools) // CHARS_PER_TOKEN))


def tokens_of(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def text_of(node: Message | Block) -> str:
    match node:
        case Message():
            return "\n".join(text_of(block) for block in node.blocks)
        case Text() | Refusal():
            return node.text
        case Reasoning():
            return "\n".join((node.text, *node.summary)).strip()
        case ToolCall():
            return node.arguments
        case ToolResult():
            if node.structured is not None:
                return msgspec.json.encode(node.structured).decode()
            return "\n".join(text_of(block) for block in node.content)
        case Media():
            return f"[{describe(node)}]"
        case _:
            return ""


def describe(media: Media) -> str:
    """`an image (image/png, 68 bytes)`: what came and how large it is."""
    article = "an" if media.kind[0] in "aeiou" else "a"
    match media.source:
        case Inline() as source if source.text:
            told = f"{source.media_type or 'text'}, {plural(len(source.data.encode()), 'byte')}"
        case Inline() as source:
            size = len(source.data.strip()) * 3 // 4 - source.data.strip()[-2:].count("=")
            told = f"{source.media_type or 'unknown type'}, {plural(max(0, size), 'byte')}"
        case Url() as source:
            told = "by URL" if source.url.startswith(("http:", "https:")) else "by reference"
        case _:
            told = "by file id"
    title = f' "{media.title}"' if media.title else ""
    return f"{article} {media.kind}{title} ({told})"


def echo(text: str, limit: int = MAX_ECHO_CHARS) -> str:
    return text if len(text) <= limit else f"…{text[-limit:]}"


def plural(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def quoted_word(asked: str) -> str:
    """What the prompt quotes, or `demo`: what a place is called in arguments."""
    quoted = re.search(r"[\"“]([^\"“”\n]{1,80})[\"”]", asked)
    return quoted[1] if quoted else "demo"


def mentions(asked: str, name: str) -> bool:
    """Whether the prompt names the tool: `get_weather`, "get weather", "use the bash tool".

    A name that is a common word counts only where the prompt speaks of using it: "write a test" names no tool `write`.
    """
    words = re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).split()
    if len(words) > 1:
        plain = r"\W*_?".join(re.escape(word) for word in words)
        return re.search(rf"\b{plain}\b", asked, re.IGNORECASE) is not None
    escaped = re.escape(name)
    return (
        re.search(rf"\b(?:use|using|call|invoke)\b[^.\n]{{0,40}}\b{escaped}\b|\b{escaped}\b tool", asked, re.IGNORECASE)
        is not None
    )


HARMLESS = re.compile(
    r"(?i)(?:^|_|\b)(?:get|list|read|search|find|look|show|view|describe|glob|grep|ls|weather|time|count|think)"
)
"""Names of tools that only look. Where the prompt names none, one of them is tried first."""


def harmless_first(names: tuple[str, ...]) -> str:
    """The tool to call when the prompt names none: the first that only looks, else the first. `names` is not empty."""
    return next((name for name in names if HARMLESS.search(name)), names[0])
