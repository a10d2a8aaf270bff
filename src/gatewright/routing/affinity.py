"""What keeps a conversation at its target, and which target that is when others come and go.

    state    the upstream itself keeps the conversation (Responses state): it must go there
    seal     reasoning that one issuer sealed: elsewhere it would be lost
    session  the client says what belongs together, by a header
    prefix   the same beginning of the prompt: what a prompt cache holds

One rule: no table of conversations. A key is hashed with each target's name, and the highest wins (rendezvous): a target that
is lost moves its own conversations and no others, and every worker and machine finds the same one.
Thaler and Ravishankar, 1998; weights: Schindelhauer and Schomaker, 2005.
"""

import functools
import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from gatewright.ir.blocks import Message, Reasoning, Text, ToolCall
from gatewright.ir.request import Request

Kind = Literal["state", "seal", "session", "prefix"]

PREFIX_BYTES: Final = 16_384
"""Of the beginning of a prompt that are hashed: enough to tell conversations apart, and a bounded cost."""


class Affinity(msgspec.Struct, frozen=True):
    """What a request clings to."""

    kind: Kind
    issuer: str = ""
    """For `state` and `seal`: the endpoint's name."""
    key: bytes = b""
    """For `session` and `prefix`: what is hashed with the targets' names."""


def affinity(
    *, tenant: str, state_at: str = "", sealed_by: str = "", session: str = "", prefix: Iterable[bytes] = ()
) -> Affinity | None:
    """The strongest tie of a request, or None when nothing ties it.

    `tenant` keeps the keys of different clients apart. `state_at`: endpoint that keeps the response it continues. `sealed_by`:
    endpoint of the newest seal (`newest_issuer`). `session`: the header's value. `prefix`: pieces as `prefix_of` gives them, or
    the same parts of the client's own document.
    """
    if state_at:
        return Affinity("state", issuer=state_at)
    if sealed_by:
        return Affinity("seal", issuer=sealed_by)
    if session:
        return Affinity("session", key=_digest((tenant.encode(), b"session", session.encode("utf-8", "surrogatepass"))))
    pieces = tuple(prefix)
    return Affinity("prefix", key=_digest((tenant.encode(), b"prefix", *pieces))) if any(pieces) else None


def arrange(order: Sequence[int], names: Sequence[str], weights: Sequence[float], tie: Affinity | None) -> list[int]:
    """`order` (indices, best first, of targets that may be asked) with the tied target moved to its front.

    `names` are the targets', each once; `weights` their shares of the conversations.
    Where the tie leads to no target of the order, the order stays as it is.
    For `state` and `seal` a target is named by its endpoint, or `endpoint/model`; several models of one endpoint stay in order.
    """
    if tie is None or len(order) < 2:
        return list(order)
    if tie.kind in ("state", "seal"):
        held = [i for i in order if names[i] == tie.issuer or names[i].startswith(tie.issuer + "/")]
        return [*held, *(i for i in order if i not in held)] if held else list(order)
    ranked = rendezvous(tie.key, [names[i] for i in order], [weights[i] for i in order])
    first = order[ranked[0]]
    return [first, *(i for i in order if i != first)]


def rendezvous(key: bytes, names: Sequence[str], weights: Sequence[float] | None = None) -> list[int]:
    """Indices of `names`, the key's own first; whoever is taken away, the others keep their order.

    Shares of all keys are as the weights (None: equal). A weight of 0 comes last.
    """
    shares = weights if weights is not None else [1.0] * len(names)
    scores = [_score(key, name, weight) for name, weight in zip(names, shares, strict=True)]
    return sorted(range(len(names)), key=scores.__getitem__, reverse=True)


def _score(key: bytes, name: str, weight: float) -> float:
    """Exponentially distributed by the weight: the highest of several is each one's with the probability of its share."""
    if weight <= 0:
        return -math.inf
    hashed = int.from_bytes(hashlib.blake2b(key, digest_size=8, person=_person(name)).digest(), "big")
    return math.log((hashed + 1) / (2**64 + 1)) / weight


@functools.lru_cache(maxsize=1024)
def _person(name: str) -> bytes:
    """A target's name in the 16 bytes that the hash takes beside the key."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _digest(pieces: Iterable[bytes]) -> bytes:
    """Of the first `PREFIX_BYTES`; each piece with its length, lest two cuts of one text be the same."""
    digest, left = hashlib.blake2b(digest_size=16), PREFIX_BYTES
    for piece in pieces:
        digest.update(len(piece).to_bytes(8, "big") if len(piece) <= left else b"cut")
        digest.update(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return digest.digest()


def prefix_of(request: Request) -> list[bytes]:
    """What all turns of a conversation begin with: instructions, tools, and the client's first message.

    Ends at the first answer of the model, so it is the same at every later turn. Texts and names only: what a client adds to old
    turns as it goes on (cache marks, ids) does not belong to them.
    """
    pieces = [b"\0".join(tool.name.encode("utf-8", "surrogatepass") for tool in request.tools)] if request.tools else []
    for message in request.messages:
        if message.role == "assistant":
            break
        pieces.extend(block.text.encode("utf-8", "surrogatepass") for block in message.blocks if isinstance(block, Text))
        if message.role == "user":
            break
    return pieces


def newest_issuer(messages: Sequence[Message]) -> str:
    """The endpoint whose seal is the last in the conversation; empty: there is none, or nobody knows whose it is."""
    for message in reversed(messages):
        for block in reversed(message.blocks):
            if isinstance(block, (Text, Reasoning, ToolCall)) and block.seal is not None and block.seal.issuer:
                return block.seal.issuer
    return ""
