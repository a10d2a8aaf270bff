"""What rules and those who ask them agree on.

    neutral form ─▶ Text… ─▶ Detector ─▶ Span… ─▶ Finding ─▶ block | redact | flag | log

One rule: a detector is asked about one text; what goes over a whole conversation is a `Judge`; what must wait (a webhook, a
model) is asked by the pipeline, and nothing here does.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from gatewright.ir.request import Request
from gatewright.ir.response import Response

Action: TypeAlias = Literal[
    "block",  # the request is refused, or the answer ends in its dialect's error
    "redact",  # what was found is replaced; the rest goes on
    "flag",  # it goes on, and the client is told in a header
    "log",  # it goes on, and only the operator learns of it
]
Direction: TypeAlias = Literal["request", "answer"]
Part: TypeAlias = Literal["system", "user", "assistant", "reasoning", "tool_call", "tool_result", "tool", "other"]
"""Who or what a text comes from. `tool`: a tool's definition. `other`: a text of a forwarded request; no more is known."""


class Text(msgspec.Struct, frozen=True, gc=False):
    """One text of a conversation, and where it stands."""

    part: Part
    path: str
    """As errors name it: `messages[2].content[0].text`."""
    text: str
    tool: str = ""
    """Of a tool's call, result or definition: its name."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """What a detector found: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """What it is: `email`, `openai_key`, the name of a pattern. Names placeholders and metrics; never what was found."""
    led: int = 0
    """Characters before it by which it was recognised (`password=`). They may be shown; no cut must lie between them and it."""


BEHIND: Final = 32
"""Characters before a match that a detector may look at, to see whether a word or a number begins there."""


class Detector(Protocol):
    """Finds what is looked for in one text. Holds no state between texts. Never raises; its cost is linear in the text.

    A text that comes in pieces is asked about with what went out before it: `start` is where that ends. It is part of no match
    any more; at most `BEHIND` characters of it are looked at.
    """

    def find(self, text: str, start: int = 0) -> Sequence[Span]:
        """What is found from `start` on, in order, not overlapping."""
        ...

    def open_from(self, text: str, start: int = 0) -> int:
        """Where in a text that may go on the first match may begin that is not decided yet; `len(text)` where none may.

        Whatever follows, what stands before is part of no match but those that `find(text, start)` gives already, and no span
        of those, with what led to it, lies across it. (Of several detectors: the least of them, moved to where a span across it
        began to be recognised: `span.start - span.led`.)
        """
        ...


class Finding(msgspec.Struct, frozen=True, gc=False):
    """That a rule has something to say. It never holds what was found.

    A judge leaves `rule`, `action`, `direction` and `dry` as they come: whoever asks it sets them by the rule (`rules.Rule`).
    """

    kind: str
    rule: str = ""
    action: Action = "log"
    direction: Direction = "request"
    message: str = ""
    """The rule's own words, or what is wrong."""
    path: str = ""
    """Where. Empty: the whole conversation."""
    start: int = 0
    end: int = 0
    """In the text at `path`. 0, 0: all of it."""
    dry: bool = False
    """The rule only tries out: nothing was done."""


class Judge(Protocol):
    """Looks at a whole conversation: flows, tool rules, policies. Never raises: what it cannot judge is a finding."""

    def judge(self, request: Request, answer: Response | None) -> Sequence[Finding]:
        """`answer` None: before the call. Findings of the request are not to be repeated once there is an answer."""
        ...
