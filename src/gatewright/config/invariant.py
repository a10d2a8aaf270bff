"""What stands in for Invariant's gateway, as the gateway uses it: resolved, checked.

One rule: every URL that is ever called is here; none comes from a request.
"""

from typing import Final, Literal

import msgspec

from gatewright.config.secrets import Secret

EXPLORER: Final = "https://explorer.invariantlabs.ai"


class ExplorerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where ordinary conversations are pushed to."""

    url: str
    key: Secret
    dataset: str
    queue: int = 1000
    deadline_s: float = 20


class InvariantConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Its providers are in `Config.providers`."""

    enabled: bool = False
    open: bool = False
    explorer_url: str = EXPLORER
    guardrails_url: str = EXPLORER
    key: Secret | None = None
    """None: only clients have one."""
    remote: bool = False
    """Whether Invariant's service judges."""
    policy: str = ""
    """The text of the policy for who has no other. Empty: none."""
    policy_source: str = ""
    """Its file, for messages."""
    passes: bool = False
    """Whether what cannot be judged passes."""
    push: Literal["always", "reference"] = "always"
    policies_ttl_s: float = 60
    deadline_s: float = 5
    queue: int = 1000
