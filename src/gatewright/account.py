"""An account that somebody logged in with: its tokens, and how it stands. A value; whoever shows it shows no secret.

Stores keep accounts and providers use them; both know them by this form.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

AccountState = Literal[
    "active",
    "needs_login",  # the identity provider or the API has refused it for good
    "unreadable",  # kept, but sealed with another key or damaged
]


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What an identity provider has granted."""

    access: str
    refresh: str = ""
    """Empty: none was granted; when the access token ends, so does the login."""
    obtained_at: float
    """Unix seconds by this machine's clock, like all times here."""
    expires_at: float | None = None
    """None: nobody said. It then counts as good until it is refused."""

    def __repr__(self) -> str:
        return "Tokens(***)"

    __str__ = __repr__


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One login at one provider."""

    id: str
    """Random, never used again: what is removed is never mistaken for another."""
    provider: str
    """The provider's name in the configuration."""
    name: str
    """What a person knows it by, mostly an e-mail address. Unique at its provider."""
    tokens: Tokens | None
    """None where it is unreadable."""
    identity: Mapping[str, str] = {}
    """Who it is there: `user_id`, `org_id`, `org_name`, whatever the description says."""
    generation: int = 1
    """Goes up with every new set of tokens: two sets are told apart without comparing secrets."""
    state: AccountState = "active"
    reason: str = ""
    """Why it is not active, or what went wrong last, for a person."""
    cool_until: float = 0
    """Not used before. 0: at once."""
    pending_since: float | None = None
    """A refresh was sent off then, and its answer was never saved."""

    def rests(self, now: float) -> bool:
        """Whether it cools down."""
        return self.cool_until > now
