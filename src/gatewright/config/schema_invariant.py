"""The shape of what stands in for Invariant's gateway: its paths, where its policies come from, and whom traces are pushed to."""

from typing import Annotated, Literal

from pydantic import Field

from gatewright.config.secrets import Secret
from gatewright.config.section import Count, Name, Seconds, Section


class ExplorerSection(Section):
    """An Explorer of Invariant's that every conversation is pushed to: ordinary ones; `invariant` pushes what its paths name."""

    url: Name = "https://explorer.invariantlabs.ai"
    """Base of its API."""
    key: Secret
    """Its key: `env:NAME` or `file:/path`."""
    dataset: Name
    """What it calls the collection that traces go to."""
    queue: Count = 1000
    """Traces that may wait; what comes beyond is dropped, and counted."""
    deadline_s: Seconds = 20
    """For one push."""


class InvariantSection(Section):
    """Paths, headers, policies and traces of Invariant's gateway, under `/api/v1/gateway/`. See docs/how-to/from-invariant.md."""

    enabled: bool = False
    """Whether these paths are served."""
    open: bool = False
    """Whether who has no key of this gateway may call here, with a provider's key of his own. False: a key is asked for in
    `x-gatewright-key`, or as the Invariant key."""
    openai_url: Name = "https://api.openai.com/v1"
    """Base URL of what `…/openai/` leads to; with the version."""
    anthropic_url: Name = "https://api.anthropic.com"
    """Base URL of what `…/anthropic/` leads to."""
    gemini_url: Name = "https://generativelanguage.googleapis.com"
    """Base URL of what `…/gemini/` leads to."""
    explorer_url: Name | None = None
    """Base of the Explorer's API. Default: $INVARIANT_API_URL, else https://explorer.invariantlabs.ai."""
    key: Secret | None = None
    """The operator's own Invariant key, for clients that are known by a key of this gateway, and for `guardrails_file` with
    `guardrails: remote`. Default: $INVARIANT_API_KEY."""
    guardrails: Literal["local", "remote"] = "local"
    """Who judges by policies: this gateway, or Invariant's service."""
    guardrails_url: Name | None = None
    """Base of that service's API. Default: $GUARDRAILS_API_URL, else the Explorer's."""
    guardrails_file: Name | None = None
    """The policy for requests that bring none and whose dataset has none. Default: $GUARDRAILS_FILE_PATH."""
    on_failure: Literal["block", "pass"] = "block"
    """What becomes of a request whose policies cannot be fetched or judged."""
    push: Literal["always", "reference"] = "always"
    """Which conversations of a dataset are pushed: all that were answered or blocked; or, as Invariant's gateway does, none of
    those turns of OpenAI's that end in a tool call."""
    policies_ttl_s: Annotated[float, Field(ge=0, le=86_400)] = 60
    """How long a dataset's policies are remembered."""
    deadline_s: Seconds = 5
    """For each question to the Explorer or the service."""
    queue: Count = 1000
    """Traces that may wait to be pushed; what comes beyond is dropped, and counted."""
