"""Beta flags by host: which of Anthropic's `anthropic-beta` flags each host of Claude knows, and under which name.

One rule: an allow-map. A host answers 400 to a flag that it does not know, so what is not here stays at home, as a hint.
https://docs.claude.com/en/api/beta-headers , https://github.com/anthropics/claude-code/issues/34802 (Vertex AI refuses a flag)
"""

from collections.abc import Mapping

from gatewright.ir.loss import Loss

HEADER = "anthropic-beta"

_EVERYWHERE = (
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "interleaved-thinking-2025-05-14",
    "web-search-2025-03-05",
)

_BEDROCK = {
    **{
        flag: flag
        for flag in (
            "compact-2026-01-12",
            "computer-use-2024-10-22",
            "computer-use-2025-01-24",
            "computer-use-2025-11-24",
            "context-1m-2025-08-07",
            "context-management-2025-06-27",
            "dev-full-thinking-2025-05-14",
            "effort-2025-11-24",
            "interleaved-thinking-2025-05-14",
            "output-128k-2025-02-19",
            "token-efficient-tools-2025-02-19",
            "tool-examples-2025-10-29",
            "tool-search-tool-2025-10-19",
        )
    },
    "advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19",
}
"""https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
https://github.com/anthropics/claude-code/issues/49370 (Opus 4.7 there refuses even `claude-code-20250219`)"""

BETAS: Mapping[str, Mapping[str, str]] = {
    "bedrock": _BEDROCK,
    "bedrock-mantle": _BEDROCK,
    "vertex": {
        **{flag: flag for flag in (*_EVERYWHERE, "compact-2026-01-12", "tool-search-tool-2025-10-19")},
        "advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19",
    },
    "foundry": {
        flag: flag
        for flag in (
            *_EVERYWHERE,
            "advanced-tool-use-2025-11-20",
            "code-execution-2025-08-25",
            "effort-2025-11-24",
            "files-api-2025-04-14",
            "mcp-client-2025-04-04",
            "mcp-client-2025-11-20",
            "skills-2025-10-02",
            "structured-outputs-2025-11-13",
            "web-fetch-2025-09-10",
        )
    },
    "databricks": {
        flag: flag
        for flag in (
            *_EVERYWHERE,
            "effort-2025-11-24",
            "fine-grained-tool-streaming-2025-05-14",
            "output-128k-2025-02-19",
            "structured-outputs-2025-11-13",
            "token-efficient-tools-2025-02-19",
        )
    },
    "snowflake": {flag: flag for flag in ("context-1m-2025-08-07", "interleaved-thinking-2025-05-14", "output-128k-2025-02-19")},
}
"""Catalogue name → the client's flag → the host's. Hosts that are not here are shown every flag: they ignore the unknown."""

Headers = tuple[tuple[str, str], ...]


def let_through(known: Mapping[str, str], headers: Headers) -> tuple[Headers, tuple[Loss, ...]]:
    """The headers with the flags that the host knows, in its own words; what was left out."""
    kept: list[tuple[str, str]] = []
    losses: list[Loss] = []
    for name, value in headers:
        if name != HEADER:
            kept.append((name, value))
            continue
        flags = [flag.strip() for flag in value.split(",") if flag.strip()]
        told = dict.fromkeys(known[flag] for flag in flags if flag in known)
        if told:
            kept.append((name, ",".join(told)))
        losses += [
            Loss(path=HEADER, why="this host does not know the flag", value=flag, weight="hint")
            for flag in flags
            if flag not in known
        ]
    return tuple(kept), tuple(losses)
