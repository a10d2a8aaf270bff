"""Chunks of a stream, read in full: how the answer begins, what stands beside it, how it ends.

One rule: what a chunk tells beside the answer is told at the start if it was there by then, else with the stop.
"""

import msgspec

from gatewright.dialects.openai_chat.errors import problem_in
from gatewright.dialects.openai_chat.response import (
    CHOICE,
    DONE,
    MESSAGE,
    choice_problem,
    finish_of,
    is_constant,
)
from gatewright.dialects.openai_chat.stream_calls import Late
from gatewright.dialects.openai_chat.stream_deltas import DeltaReader
from gatewright.dialects.openai_chat.usage import usage_in
from gatewright.dialects.openai_chat.words import NAME
from gatewright.errors import Malformed, Problem
from gatewright.ir.events import MessageStart, MessageStop, NativeEvent, StreamError, UsageUpdate
from gatewright.ir.loss import is_void
from gatewright.ir.response import Finish
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json

IGNORED = frozenset({"obfuscation", "p", "id", "created", "model", "choices", "usage", "error"})
"""Keys of a chunk that are padding, or are read on their own."""
replace = msgspec.structs.replace


class ChunkReader(DeltaReader):
    """The part of the parser that knows what a chunk looks like."""

    def __init__(self, issuer: str) -> None:
        super().__init__(issuer)
        self._over = False
        """After a StreamError or MessageStop."""
        self._started = False
        self._finish: str | None = None
        self._stop_string: str | None = None
        self._ended = False
        """A chunk said that it was the last."""

    def _one(self, name: bytes, data: bytes) -> None:
        data = data.strip()
        if not data:
            return
        if data == b"[DONE]":
            if self._started:
                self._stop()
            else:
                self._fail("the provider's stream held no answer")
            return
        try:
            chunk = wire_json.decode_lenient(data)
        except wire_json.BadJson as error:
            self._fail(f"the provider's stream is broken: {error}")
            return
        if not isinstance(chunk, dict):
            self._fail(f"the provider's stream: expected an object, got {wire_json.kind(chunk)}")
            return
        if name == b"error" and "error" not in chunk:
            chunk = {"error": chunk}
        problem = problem_in(chunk)
        if problem is not None:
            self._fail(problem)
            return
        try:
            self._chunk(chunk)
        except Malformed as error:
            self._fail(f"the provider's stream: {error.problem.message}")
        except Late as error:
            self._fail(str(error))

    def _chunk(self, chunk: JsonObject) -> None:
        choices = chunk.get("choices")
        self._top(chunk, choices)
        if isinstance(choices, list):
            others: list[JsonValue] = []
            for choice in choices:
                if not isinstance(choice, dict):
                    raise Malformed("choices", "objects", wire_json.kind(choice))
                if choice.get("index") in (0, None):
                    self._choice(choice)
                else:
                    others.append(choice)
            if others:
                self._events.append(NativeEvent(origin=NAME, data={"choices": others}))
        if (usage := usage_in(chunk)) is not None:
            self._events.append(UsageUpdate(usage))
        if chunk.get("object") == DONE:
            self._ended = True

    def _top(self, chunk: JsonObject, choices: JsonValue) -> None:
        if not self._started:
            self._seen |= {k: v for k, v in chunk.items() if k not in IGNORED and not is_void(v) and not is_constant(k, v)}
            if not choices and not chunk.get("id") and usage_in(chunk) is None:
                return  # Azure: a first chunk that only tells how the prompt was filtered
            self._started = True
            id_, model, created = chunk.get("id"), chunk.get("model"), chunk.get("created")
            self._events.append(
                MessageStart(
                    id=id_ if isinstance(id_, str) else "",
                    model=model if isinstance(model, str) else "",
                    created=created if isinstance(created, int) else None,
                    origin=NAME,
                    extras=self._seen,
                )
            )
            return
        for key, value in chunk.items():
            if key not in IGNORED and not is_constant(key, value):
                self._add_late(key, value)

    def _choice(self, choice: JsonObject) -> None:
        if problem := choice_problem(choice.get("error")):
            self._fail(problem)
            return
        delta = choice.get("delta")
        tokens = choice.get("logprobs")
        for key, value in choice.items():
            if key not in {"index", "delta", "finish_reason", "logprobs", "stop_reason"}:
                self._add_late(f"{CHOICE}.{key}", value)
        if isinstance(delta, dict) and delta:
            tokens = self._delta(delta, tokens)
        if isinstance(tokens, dict):
            self._late_tokens(tokens)
        if isinstance(word := choice.get("stop_reason"), str):
            self._stop_string = word
        raw = choice.get("finish_reason")
        if isinstance(raw, str) and (raw or self._finish is None):
            self._finish = raw

    def _stop(self) -> None:
        self._open(None)
        if (speech := self._speech.block()) is not None:
            self._whole(speech)
        elif self._speech.rest:
            self._add_late(f"{MESSAGE}.audio", self._speech.rest)
        finish: Finish | None = finish_of(self._finish, self._blocks)
        if self._stop_string is not None and finish is not None:
            if finish.reason == "stop":
                finish = replace(finish, reason="stop_sequence", sequence=self._stop_string)
            else:
                self._late[f"{CHOICE}.stop_reason"] = self._stop_string
        self._late |= {f"{MESSAGE}.{key}": "".join(pieces) for key, pieces in self._echo.items()}
        self._events.append(MessageStop(finish=finish, extras=self._late))
        self._over = True

    def _fail(self, why: str | Problem) -> None:
        self._events.append(StreamError(Problem(kind="upstream", message=why) if isinstance(why, str) else why))
        self._over = True
