"""Kind `lengths`: how much may be said: characters and tokens of a text and of all together, messages, tools.

One rule: tokens are estimated, a quarter of the characters (of Chinese, Japanese and Korean each is one): no tokenizer of every
model is at hand, and a limit need not be exact to hold.
"""

import re
from typing import Annotated, Final

import msgspec

from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Compiled
from gatewright.guards.terms import Finding, Part, Text
from gatewright.guards.texts import texts
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject

Limit = Annotated[int, msgspec.Meta(ge=0)]
_WIDE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_text_chars: Limit | None = None
    """Of one text."""
    max_text_tokens: Limit | None = None
    max_total_chars: Limit | None = None
    """Of all texts together."""
    max_total_tokens: Limit | None = None
    max_messages: Limit | None = None
    max_tools: Limit | None = None
    only: tuple[Part, ...] = ()
    """Whose texts count. Empty: all."""


class Lengths:
    """The judge. Of an answer it looks at the answer alone."""

    def __init__(self, said: Settings) -> None:
        self._said = said

    def judge(self, request: Request, answer: Response | None) -> list[Finding]:
        said = self._said
        whole = [text for text in texts(request, answer) if (not said.only or text.part in said.only) and not _again(text)]
        found: list[Finding] = []
        chars = tokens = 0
        for text in whole:
            size = len(text.text)
            chars += size
            if _over(size, said.max_text_chars):
                found.append(_finding("text_chars", f"{size} characters", said.max_text_chars, text.path))
            if said.max_text_tokens is not None or said.max_total_tokens is not None:
                count = estimated(text.text)
                tokens += count
                if _over(count, said.max_text_tokens):
                    found.append(_finding("text_tokens", f"about {count} tokens", said.max_text_tokens, text.path))
        if _over(chars, said.max_total_chars):
            found.append(_finding("chars", f"{chars} characters", said.max_total_chars))
        if _over(tokens, said.max_total_tokens):
            found.append(_finding("tokens", f"about {tokens} tokens", said.max_total_tokens))
        if answer is None:
            if _over(len(request.messages), said.max_messages):
                found.append(_finding("messages", f"{len(request.messages)} messages", said.max_messages))
            if _over(len(request.tools), said.max_tools):
                found.append(_finding("tools", f"{len(request.tools)} tools", said.max_tools))
        return found


def _again(text: Text) -> bool:
    """Whether it is a string of a call's arguments, which are counted as they are written."""
    return text.part == "tool_call" and not text.path.endswith("arguments")


def estimated(text: str) -> int:
    """Tokens, about."""
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    return wide + -(-(len(text) - wide) // 4)


def _over(count: int, most: int | None) -> bool:
    return most is not None and count > most


def _finding(kind: str, size: str, most: int | None, path: str = "") -> Finding:
    return Finding(kind=kind, message=f"{size}; at most {most} may be", path=path)


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    if all(getattr(said, name) is None for name in said.__struct_fields__ if name.startswith("max_")):
        raise wrong(
            "max_total_chars",
            "a limit is needed: max_text_chars, max_text_tokens, max_total_chars, max_total_tokens, max_messages, max_tools",
        )
    return Compiled(judge=Lengths(said), directions=frozenset(("request",)))
