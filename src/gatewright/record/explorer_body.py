"""What Explorer is told of a conversation: messages, metadata, and an annotation for each place that a policy objects to.

One rule: the form is that of Invariant's SDK (`PushTracesRequest`), to the names of its keys.
https://github.com/invariantlabs-ai/invariant-sdk
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from gatewright.invariant.ranges import most_specific
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode


class Guardrail(msgspec.Struct, frozen=True):
    """A policy, and who wants it."""

    id: str
    name: str
    content: str
    """Its text."""
    action: str
    """`block` or `log`."""


class PolicyError(msgspec.Struct, frozen=True):
    """That a policy objects, as Invariant's service tells it."""

    args: tuple[JsonValue, ...]
    """The first: in words."""
    kwargs: Mapping[str, JsonValue] = {}
    ranges: tuple[str, ...] = ()
    """Where: `messages.2.content:25-30`."""
    guardrail: Guardrail | None = None
    """None: not a policy's, but that it could not be judged by one."""

    @property
    def words(self) -> str:
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self.args[0]) if self.args else ""

    def document(self) -> JsonObject:
        """As clients are told it."""
        told: JsonObject = {"args": list(self.args), "kwargs": dict(self.kwargs), "ranges": list(self.ranges)}
        if self.guardrail is not None:
            told["guardrail"] = msgspec.to_builtins(self.guardrail)
        return told


Annotation: TypeAlias = dict[str, JsonValue]


def annotations_of(errors: Sequence[PolicyError]) -> list[Annotation]:
    """One for each place, each once. What has no place is at the beginning of the conversation: it must be seen, too."""
    found: list[Annotation] = []
    for error in errors:
        about: JsonObject = {"source": "guardrails-error"}
        if error.guardrail is not None:
            about["guardrail"] = msgspec.to_builtins(error.guardrail)
        for place in most_specific(error.ranges) or ["messages.0"]:
            annotation: Annotation = {"content": error.words, "address": place, "extra_metadata": about}
            if annotation not in found:
                found.append(annotation)
    return found


def push_body(dataset: str, messages: Sequence[JsonObject], metadata: JsonObject, annotations: Sequence[Annotation]) -> bytes:
    """The body of a push of one conversation."""
    said = [{name: value for name, value in message.items() if value is not None} for message in messages]
    return encode(
        {
            "messages": [said],
            "annotations": [list(annotations)] if annotations else None,
            "dataset": dataset,
            "metadata": [metadata],
        }
    )
