"""What a shape is: the way a host wraps a dialect's calls, where that differs from the dialect's own.

One rule: pure functions. A shape changes where a call goes and how it is wrapped, never what is asked: that is for quirks.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its dialect says it; what a shape gives back is the same call as the host wants it."""

    path: str
    """Path and query under the base URL, quoted: `/chat/completions`, `/v1beta/models/m:streamGenerateContent?alt=sse`."""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    """The dialect's own (`anthropic-version`, `anthropic-beta`), without the credential and the content type."""
    model: str = ""
    """As the host names it, not quoted. Empty where the call names none (files, stored responses)."""
    stream: bool = False


class Unwrapper(Protocol):
    """An answer's bytes as the host frames them -> as the dialect frames them. One for each answer; sans I/O."""

    content_type: bytes
    """Of what comes out."""

    def feed(self, data: bytes) -> bytes:
        """What can be told so far; may be empty. Raises ValueError for bytes that are not framed as the host does."""
        ...

    def close(self) -> bytes:
        """The host ended its answer: what was held back. Raises ValueError where it ended inside a frame."""
        ...


class Shape(Protocol):
    """How one host wraps the calls of one dialect."""

    def request(self, said: Said) -> Said:
        """The call as the host wants it. Raises ValueError for a body that is not a JSON object."""
        ...

    def unwrapper(self, said: Said, content_type: bytes) -> Unwrapper | None:
        """For the answer (HTTP below 400) to a call that was said so; None: it comes as the dialect has it."""
        ...


Settings = Mapping[str, str]
"""What the operator said of a provider beside its base URL: `api_version`, `project`, `location`, `region`. Only what is set."""
