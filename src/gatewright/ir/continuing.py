"""An answer that was cut, and the request that asks a model to go on with it.

    again     nothing that binds is out: the same request once more
    prefill   the model takes up an assistant's turn that is begun: the answer so far is the last message
    turn      it does not: the answer so far, and a user's turn that asks to go on, beginning with its last words

One rule: two models never make one tool call, one piece of reasoning or one JSON document. Where that would be, nothing goes on.
https://platform.claude.com/docs/en/build-with-claude/streaming#error-recovery
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from gatewright.ir.blocks import Block, Media, Message, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.request import Request

Way = Literal["again", "prefill", "turn"]

MOST_ANCHOR: Final = 80
"""Characters of the last words that a continuation is asked to begin with: enough to be found again for certain."""
LEAST_ANCHOR: Final = 16
"""Of them that are kept where the anchor is cut back to the beginning of a word or a line."""
LEAST_TOKENS: Final = 16
"""What is asked for where the client's limit is all but used up: OpenAI's Responses take no less."""
BYTES_A_TOKEN: Final = 4
"""Of UTF-8, for what is already out of `max_tokens`. Too few tokens counted lets an answer be a little longer, never shorter."""

ASK: Final = (
    "Your answer was interrupted by a technical fault. Go on with it exactly where it stopped, in the same language and style. "
    "Begin by repeating its last words, which stand below, letter by letter; then go on as if nothing had happened. "
    "Repeat nothing else, add no introduction, and do not mention the interruption.\n\n"
)

_KEPT_ELSEWHERE: Final = ("background", "conversation")
"""Fields of a Responses request that bind it to the provider it was sent to."""

replace = msgspec.structs.replace


class Delivered(msgspec.Struct, frozen=True):
    """What of an answer has reached the client."""

    blocks: tuple[Block, ...] = ()
    open: bool = False
    """The last block had not ended."""

    @property
    def text(self) -> str:
        """All that was said, without reasoning."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))


class Continued(msgspec.Struct, frozen=True):
    """What to send, and how its answer is to be joined to what is out."""

    request: Request
    way: Way
    anchor: str = ""
    """The words that a continuation by `turn` is asked to repeat."""


def why_not(request: Request, delivered: Delivered) -> str:
    """Why this answer cannot be gone on with, in a few words for the record; empty: it can."""
    sampling = request.sampling
    if (sampling.n or 1) > 1:
        return "several answers were asked for"
    if sampling.logprobs or sampling.top_logprobs:
        return "log probabilities were asked for"
    if any(request.extras.get(key) for key in _KEPT_ELSEWHERE):
        return "the provider keeps this conversation"
    for block in delivered.blocks:
        if reason := _bound(block):
            return reason
    last = delivered.blocks[-1] if delivered.open else None
    if isinstance(last, Reasoning) and not is_shell(last):
        return "the cut came within reasoning"
    if request.output is not None and request.output.kind != "text" and delivered.text.strip():
        return "a JSON answer is begun"
    return ""


def _bound(block: Block) -> str:
    match block:
        case ToolCall():
            return "a tool call is out"
        case Refusal():
            return "the model has refused"
        case Native() | Media() | ToolResult():
            return "a block is out that only its provider can go on from"
        case Text() if block.citations:
            return "citations are out"
        case _:
            return ""


def is_shell(block: Reasoning) -> bool:
    """Whether an open piece of reasoning has said nothing, so that another model's may fill it."""
    return not (block.text or block.summary or block.seal is not None or block.redacted or block.id)


def continued(request: Request, delivered: Delivered, way: Literal["prefill", "turn"]) -> Continued:
    """The request that goes on from `delivered`, which `why_not` lets pass.

    `way`: what the target's model takes. Where no text is out yet, it is the same request again.
    """
    said = _said(delivered.blocks)
    if not said:
        return Continued(request, "again")
    limit = _left(request, delivered.text)
    if way == "prefill":
        # Reasoning and a prefilled answer exclude one another (and the first model has done its reasoning).
        messages = _with_turn(request.messages, _trimmed(said))
        return Continued(replace(request, messages=messages, max_tokens=limit, thinking=None), "prefill")
    anchor = anchor_of(delivered.text)
    asked = Message(role="user", blocks=(Text(text=ASK + anchor, bare=True),))
    messages = (*_with_turn(request.messages, said), asked)
    return Continued(replace(request, messages=messages, max_tokens=limit), "turn", anchor)


def _left(request: Request, out: str) -> int | None:
    """What is left of the client's limit, and room for reasoning anew, which some count in it."""
    limit = request.max_tokens
    if limit is None:
        return None
    budget = request.thinking.budget if request.thinking is not None else None
    least = LEAST_TOKENS + max(budget or 0, 0)
    return max(limit - len(out.encode("utf-8", "surrogatepass")) // BYTES_A_TOKEN, min(limit, least))


def _said(blocks: Sequence[Block]) -> tuple[Text, ...]:
    """The texts as parts of a turn: without seals, which a model puts on its own words only, and without empty ones."""
    return tuple(Text(text=block.text) for block in blocks if isinstance(block, Text) and block.text.strip())


def _trimmed(said: tuple[Text, ...]) -> tuple[Text, ...]:
    """Without white space at the end, after which no model goes on."""
    return (*said[:-1], Text(text=said[-1].text.rstrip()))


def _with_turn(messages: tuple[Message, ...], said: tuple[Text, ...]) -> tuple[Message, ...]:
    """The conversation with what was said; a turn that the client itself has begun goes on in it."""
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant":
        only = len(said) == 1
        return (*messages, Message(role="assistant", blocks=(replace(said[0], bare=True),) if only else said))
    begun = last.blocks
    if begun and isinstance(before := begun[-1], Text):
        return (*messages[:-1], replace(last, blocks=(*begun[:-1], replace(before, text=before.text + said[0].text), *said[1:])))
    return (*messages[:-1], replace(last, blocks=(*begun, *said)))


def anchor_of(text: str) -> str:
    """The last words of a text: whole words, of one line where that is long enough. White space at the end is none of them."""
    words = text.rstrip()
    if len(words) > MOST_ANCHOR:
        words = words[-MOST_ANCHOR:]
        after = words[: len(words) - LEAST_ANCHOR].split(None, 1)
        if len(after) == 2:
            words = words[words.index(after[0]) + len(after[0]) :].lstrip()
    line = words.rpartition("\n")[2].strip()
    return line if len(line) >= LEAST_ANCHOR else words.lstrip()
