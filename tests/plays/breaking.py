"""The strict upstream, whose streams can be made to break anywhere: it says one story, and goes on with it where it is asked to.

One rule: what it tells, it tells in full and as the provider would; only then is the end taken away.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gatewright.ir.continuing import ASK
from tests.upstreams.answers import KEYS, Answer, Received
from tests.upstreams.script import MINDS, Ask, End, Piece, Plan, Say, Thought, Use
from tests.upstreams.server import Upstream

STORY = (
    "The quick brown fox (Füchse sind schlau 🦊) jumps over the old and lazy bulldog,\n"
    "and nobody has ever asked the dog what it thinks."
)
CUT_AT = 77
"""Characters of a text: where the deltas of all the upstreams end, of seven characters or eleven. In the middle of a word."""
SPACED = STORY.replace("bulldog", "black dog")
"""The same, with a space there."""
THOUGHT = "A fox, then a dog. The dog must be lazy."
CALL = Use("get_weather", {"city": "Paris", "unit": "c"})

MODELS = {
    "openai_chat": "talk/gpt-4.1-mini",
    "openai_responses": "native/gpt-4.1-mini",
    "anthropic": "claude/claude-sonnet-4-6",
    "gemini": "google/gemini-2.5-flash",
    "bedrock_converse": "aws/us.anthropic.claude-sonnet-4-6",
}
"""Dialect → a target that speaks nothing else."""
OTHER_MODELS = {**MODELS, "openai_chat": "talk/gpt-4.1", "openai_responses": "native/gpt-4.1", "gemini": "google/gemini-2.5-pro"}
OTHER_MODELS |= {"anthropic": "claude/claude-opus-4-6", "bedrock_converse": "aws/us.amazon.nova-pro-v1:0"}
"""Dialect → another target."""
THINKERS = MODELS | {"openai_chat": "talk/deepseek-reasoner", "openai_responses": "native/o4-mini"}
"""Dialect → a target that shows its reasoning."""
OTHER_THINKERS = {**OTHER_MODELS, "openai_chat": "talk/gpt-5-mini", "openai_responses": "native/gpt-5-mini"}
OTHER_THINKERS |= {"bedrock_converse": "aws/us.anthropic.claude-opus-4-6"}
"""Dialect → another that takes the wish for it."""
PREFILLED = {"anthropic": "claude/claude-sonnet-4-5", "bedrock_converse": "aws/us.anthropic.claude-sonnet-4-5-20250929-v1:0"}
"""Dialect → a target that goes on with an answer that is begun."""

CALLED = {
    "openai_chat": b'"tool_calls"',
    "openai_responses": b'"function_call"',
    "anthropic": b'"tool_use"',
    "gemini": b'"functionCall"',
    "bedrock_converse": b'"toolUse"',
}
"""Dialect → what stands in the event with which a tool call begins, and in none before."""

Cut = Callable[[tuple[bytes, ...]], int]
"""The chunks of a stream → how many of them leave."""


class Breaking(Upstream):
    """`cuts` are for its answers in order, one each; None, or none left: the answer is whole."""

    def __init__(self, tells: tuple[Piece, ...]) -> None:
        super().__init__()
        self.tells = tells
        self.story = next(piece.text for piece in tells if isinstance(piece, Say))
        self.cuts: list[Cut | None] = []
        self.whole: tuple[bytes, ...] = ()
        """The stream that was cut last, uncut."""
        self.last: bytes | None = None
        """What is sent in place of what is taken away; None: the connection is cut."""

    def answer(self, request: Received) -> Answer:
        found = super().answer(request)
        cut = self.cuts.pop(0) if self.cuts else None
        if cut is None or found.chunks is None:
            return found
        self.whole = found.chunks
        last = () if self.last is None else (self.last,)
        return dataclasses.replace(found, chunks=(*found.chunks[: cut(found.chunks)], *last), cut=self.last is None)

    def _mind(self, ask: Ask) -> Plan | None:
        tells = tuple(piece for piece in self.tells if not isinstance(piece, Thought) or ask.thinks)
        calls = any(isinstance(piece, Use) for piece in tells)
        end: End = "tools" if calls else "stop"
        last = (self.requests[-1].json.get("messages") or [{}])[-1]
        said = self.story
        if ask.text.startswith(ASK):
            words = ask.text.removeprefix(ASK)
            said = words + self.story.rpartition(words)[2]
        elif last.get("role") == "assistant":  # an answer that is begun
            content = last["content"]
            said = self.story[len(content if isinstance(content, str) else content[-1]["text"]) :]
        return Plan(pieces=tuple(Say(said) if isinstance(piece, Say) else piece for piece in tells), end=end)

    @contextmanager
    def telling(self) -> Iterator["Breaking"]:
        """Serve until the block ends."""
        MINDS.append(self._mind)
        try:
            with self.running():
                yield self
        finally:
            MINDS.remove(self._mind)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def after(*needles: bytes) -> Cut:
    """Cuts behind the chunk in which the last of these is found, each looked for behind the one before."""

    def cut(chunks: tuple[bytes, ...]) -> int:
        at = 0
        for needle in needles:
            at = next(i for i in range(at, len(chunks)) if needle in chunks[i]) + 1
        return at

    return cut


def middle(story: str = STORY) -> Cut:
    """Cuts behind the delta that ends with so many characters of the story."""
    return after(f'{_escaped(story[CUT_AT - 7 : CUT_AT])}"'.encode())


def config(
    port: int, *routes: tuple[str, str, str], more: str = "", slow: int = 0, slowly: str = "", breaker: str = "false"
) -> str:
    """`routes`: (name, first target, second), to be resumed. No waiting, so that a test does not wait. `slow`: port of another."""
    base = f"http://127.0.0.1:{port}"
    told = "\n".join(f"  {name}: {{targets: [{one}], fallback: [{two}], on_cut: resume{more}}}" for name, one, two in routes)
    return f"""
routing: {{affinity: [], breaker: {breaker}, retry: {{tries_each: 1}}}}
providers:
  talk: {{kind: openai, base_url: "{base}/v1", dialects: [openai_chat], api_key: {KEYS["openai"]}}}
  native: {{kind: openai, base_url: "{base}/v1", dialects: [openai_responses], api_key: {KEYS["openai"]}}}
  claude: {{kind: anthropic, base_url: "{base}", api_key: {KEYS["anthropic"]}}}
  google: {{kind: gemini, base_url: "{base}", api_key: {KEYS["gemini"]}}}
  slow: {{kind: anthropic, base_url: "http://127.0.0.1:{slow or port}", api_key: sk-slow{slowly}}}
  aws: {{kind: bedrock, base_url: "{base}", region: us-east-1, dialects: [bedrock_converse], api_key: {KEYS["bedrock"]}}}
models:
{told}
"""


__all__ = ["CALL", "MODELS", "OTHER_MODELS", "PREFILLED", "STORY", "THINKERS", "THOUGHT", "Breaking", "after", "config"]
