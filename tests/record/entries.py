"""Entries as the journal holds them, for tests of what is made of them."""

import msgspec

from gatewright.record.entries import ENCODER, SENT, Begun, Settled, Tried, Who

AT = 1_795_281_401_588_070
"""2026-11-21, within the hour."""
WHO = msgspec.Raw(ENCODER.encode(Who("key_1", "ci", "ann", "red", "acme")))
USAGE = (6, 4, None, None, None, 5, None, None)


def tried(target: str = "openai/gpt-5", **changes) -> Tried:
    """One attempt that went well, unless it is said otherwise."""
    plain = Tried(
        target=target, dialect="openai_chat", after_us=100, took_us=900, waited_us=0, status=200, stage="answered", cause="",
        message="", marks=SENT, ttft_us=800, usage=USAGE, tier="", input=-1, output=-1,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def settled(request_id: str = "req_1", *attempts: Tried, **changes) -> Settled:
    plain = Settled(
        id=request_id, at=AT, who=WHO, operation="generate", route="smart", asked="smart", client="openai_chat", stream=False,
        status=200, outcome="ok", error="", cache="", lost=(), took_us=1000, reserved=None, served="openai/gpt-5",
        attempts=list(attempts),
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def begun(request_id: str = "req_1", **changes) -> Begun:
    plain = Begun(
        id=request_id, at=AT, who=WHO, operation="generate", route="smart", asked="smart", client="openai_chat",
        upstream="openai_chat", stream=False, target="openai/gpt-5", input=25, reserved=700,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)
