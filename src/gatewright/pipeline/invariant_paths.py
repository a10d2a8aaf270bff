"""Paths of Invariant's gateway: what stands in for each of ours, and for which dataset.

    /api/v1/gateway/[{dataset}/]openai/chat/completions | openai/models
                                anthropic/v1/messages
                                gemini/{version}/models/{model}:{method}

One rule: a path says which provider of the configuration is meant, and never where it is.
https://github.com/invariantlabs-ai/invariant-gateway
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gatewright.exchange import Operation
from gatewright.ir.blocks import DialectName

ROOT: Final = "api/v1/gateway"
"""No provider's name: whoever serves these paths says so by it, among the names of providers that paths may pin."""
PREFIX: Final = f"/{ROOT}/"
PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "invariant-openai",
    "anthropic": "invariant-anthropic",
    "gemini": "invariant-gemini",
}
"""What the path says → the provider."""
PINS: Final = frozenset(PROVIDERS.values())
METHODS: Final = ("generateContent", "streamGenerateContent")
LONGEST_DATASET: Final = 200

HEALTH: Final = "health"
PREFLIGHT: Final = "preflight"
NO_METHOD: Final = "method"
"""First parameter of an operation `invariant`: what is to be said."""


class Named(msgspec.Struct, frozen=True):
    """What such a path asks for. Of a call, the dataset is the last parameter; empty where the path names none."""

    operation: Operation
    dialect: DialectName
    path: str
    """What the dialect sees."""
    pin: str = ""
    params: tuple[str, ...] = ()


def named(method: str, path: str) -> Named:
    """What a path beneath `PREFIX` asks for. It is decoded, and climbs nowhere."""
    steps = path.removeprefix(PREFIX).split("/")
    if steps == ["health"] and method in ("GET", "HEAD"):
        return Named("invariant", "openai_chat", path, "", (HEALTH,))
    dataset = ""
    if steps[0] not in PROVIDERS or (len(steps) > 1 and steps[1] in PROVIDERS and _call(steps) is None):
        dataset, steps = steps[0], steps[1:]
    found = _call(steps) if dataset or steps else None
    if found is None or len(dataset) > LONGEST_DATASET or (dataset and not dataset.isprintable()):
        return Named("unknown", "openai_chat", path)
    asked, verb = found
    if method == "OPTIONS":
        return Named("invariant", asked.dialect, path, "", (PREFLIGHT, verb))
    if method != verb:
        return Named("unknown", asked.dialect, path)
    if asked.operation == "invariant":
        return asked
    return msgspec.structs.replace(asked, params=(*asked.params, dataset))


def _call(steps: list[str]) -> tuple[Named, str] | None:
    """What the steps after the dataset mean, and by which method it is asked for."""
    match steps:
        case ["openai", "chat", "completions"]:
            return Named("generate", "openai_chat", "/v1/chat/completions", PROVIDERS["openai"]), "POST"
        case ["openai", "models"]:
            return Named("list_models", "openai_chat", "/v1/models", PROVIDERS["openai"]), "GET"
        case ["anthropic", "v1", "messages"]:
            return Named("generate", "anthropic", "/v1/messages", PROVIDERS["anthropic"]), "POST"
        case ["gemini", version, "models", *rest] if version and rest:
            model, colon, action = "/".join(rest).rpartition(":")
            if not colon or not model:
                return None
            if action not in METHODS:
                return Named("invariant", "gemini", "/".join(steps), "", (NO_METHOD,)), "POST"
            below = f"/{version}/models/{model}:{action}"
            return Named("generate", "gemini", below, PROVIDERS["gemini"], (model, action)), "POST"
        case _:
            return None
