"""Watches a tool call's arguments as they stream, so that a client never gets what is not one JSON object.

One rule: text flows while it can still be the one object; what comes after its end, or was never one, is held back.
Some hosts answer with `{}{"a": 1}` or bare words, and the SDK's reader raises on those.
"""

import re

_TOKENS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


class ArgumentsGate:
    """feed(text) -> what may flow; `rest` is what may not."""

    __slots__ = ("_depth", "_escaped", "_string", "_whole", "rest", "started")

    def __init__(self) -> None:
        self._depth = 0
        self._string = False
        self._escaped = False
        self._whole = False
        self.started = False
        self.rest = ""

    def feed(self, text: str) -> str:
        if self.rest or self._whole:
            return self._hold(text)
        if not self.started:
            if not text.strip():
                return ""
            text = text.lstrip()
            if not text.startswith("{"):
                self.rest = text
                return ""
            self.started = True
        at = 0
        if self._escaped:
            self._escaped = False
            at = 1
        for token in _TOKENS.finditer(text, at):
            word = token[0]
            if self._string:
                self._string = word != '"'
            elif word == '"':
                self._string = True
            elif word in "{[":
                self._depth += 1
            elif word in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self._whole = True
                    return text[: token.end()] + self._hold(text[token.end() :])
        if self._string and text.endswith("\\"):
            tail = len(text) - len(text.rstrip("\\"))
            self._escaped = (tail - (1 if at and tail == len(text) else 0)) % 2 == 1
        return text

    def _hold(self, text: str) -> str:
        if self.rest or text.strip():
            self.rest += text
        return ""
