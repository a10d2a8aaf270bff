"""Several fixed keys of one provider, used in turn; one that is refused or over its limit rests, and the next is tried.

One rule: a key rests alone, and never for what a client asked for: a permission refused costs the call one more try and the key
nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final

from gatewright.errors import ProblemKind
from gatewright.providers.auth.keys import key_lines
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned, failed
from gatewright.providers.catalog.host import Auth
from gatewright.wire.json import BadJson, decode_lenient

REFUSED_S: Final = 300.0
"""A key that is unknown, revoked or out of money rests so long; somebody has to see to it."""
LIMITED_S: Final = 20.0
"""A key over its limit rests so long where the provider did not say."""
AT_MOST_S: Final = 3600.0
"""Of what a provider may ask for."""

DEAD_CODES: Final = frozenset(
    {"api_key_invalid", "invalid_api_key", "account_deactivated", "api_key_expired", "api_key_disabled"}
)
"""An error's code, type, status or reason, in lower case, when the key itself is what is wrong."""
DEAD_STARTS: Final = (
    "api key not valid",  # Gemini, with a 400
    "api key expired",
    "incorrect api key",
    "invalid api key",
    "this organization has been disabled",  # Anthropic, with a 400 or 403
    "this api key has been disabled",
    "your account has been suspended",
)
"""How a message begins then, in lower case. Its beginning only: what follows may be the client's own words."""
MONEY_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"})
MONEY_STARTS: Final = (
    "your credit balance is too low",  # Anthropic, with a 400
    "insufficient balance",  # DeepSeek
    "insufficient credits",  # OpenRouter
    "you exceeded your current quota, please check your plan and billing",  # OpenAI
)
"""A limit that does not pass by itself."""


class _Key:
    __slots__ = ("lines", "name", "rests_until", "why")

    def __init__(self, name: str, lines: bytes) -> None:
        self.name = name
        self.lines = lines
        self.rests_until = 0.0
        self.why = ""


class KeyPool:
    """A `Credential`. Round-robin over the keys that do not rest."""

    statuses = frozenset((400, 401, 402, 403, 429))

    def __init__(self, provider: str, auth: Auth, keys: Sequence[str], *, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self.provider = provider
        self.retries = len(keys) - 1
        self._keys = [_Key(f"key {i}", key_lines(auth, key)) for i, key in enumerate(keys, 1)]
        self._next = 0
        self._clock = clock
        self.when_rests: Callable[[str, float, str], None] | None = None
        """Told of each key that begins to rest: its name here, until when, and why."""

    async def sign(self, call: Unsigned) -> bytes:
        now = self._clock()
        for _ in self._keys:
            key = self._keys[self._next]
            self._next = (self._next + 1) % len(self._keys)
            if key.rests_until <= now:
                return key.lines
        raise self._all_rest(now)

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        key = next((key for key in self._keys if key.lines == refusal.signed), None)
        if key is None:
            return False
        now = self._clock()
        rest_s, why = rest_of(refusal)
        if rest_s:
            key.rests_until = now + rest_s
            key.why = why
            if self.when_rests is not None:
                self.when_rests(key.name, key.rests_until, why)
        elif not why:
            return False
        return any(other is not key and other.rests_until <= now for other in self._keys)

    def scrub(self, text: bytes) -> bytes:
        for key in self._keys:
            secret = key.lines.rstrip().rpartition(b" ")[2]
            if secret in text:
                text = text.replace(secret, b"***")
        return text

    async def close(self) -> None:
        """Nothing runs in the background."""

    def soonest_s(self) -> float:
        """Seconds until the first key may be used again; 0: one may now."""
        return max(0.0, min(key.rests_until for key in self._keys) - self._clock())

    def resting(self) -> list[tuple[str, float, str]]:
        """(name, until when, why) of every key that rests. Names are places in the list, and no secrets."""
        now = self._clock()
        return [(key.name, key.rests_until, key.why) for key in self._keys if key.rests_until > now]

    def rest(self, name: str, until: float, why: str) -> None:
        """What another process has found out of a key. Never shortens a rest; a name that is none of ours changes nothing."""
        for key in self._keys:
            if key.name == name and until > key.rests_until:
                key.rests_until = until
                key.why = why

    def _all_rest(self, now: float) -> CredentialFailed:
        told = ", ".join(f"{key.name} {key.why} (again in {key.rests_until - now:.0f} s)" for key in self._keys)
        soonest = min(key.rests_until for key in self._keys) - now
        limited = any(key.why == "is over its limit" for key in self._keys)
        kind: ProblemKind = "rate_limit" if limited else "upstream"
        return failed(self.provider, f"all {len(self._keys)} keys", told, kind=kind, retry_after_s=soonest)


def rest_of(refusal: Refusal) -> tuple[float, str]:
    """How long a key rests after a refusal, and why. (0, why): not at all, though another key may do; (0, ""): not its fault."""
    codes, message = words_of(refusal.body)
    if bool(codes & MONEY_CODES) or message.startswith(MONEY_STARTS) or refusal.status == 402:
        return REFUSED_S, "is out of money"
    if bool(codes & DEAD_CODES) or message.startswith(DEAD_STARTS) or refusal.status == 401:
        return REFUSED_S, "was refused"
    if refusal.status == 429:
        asked = refusal.retry_after_s
        return min(max(asked, 1.0), AT_MOST_S) if asked is not None else LIMITED_S, "is over its limit"
    return (0.0, "may not do this") if refusal.status == 403 else (0.0, "")


def words_of(body: bytes) -> tuple[frozenset[str], str]:
    """(codes, message) of an error's document, in lower case; nothing where it is none."""
    try:
        document = decode_lenient(body)
    except BadJson:
        return frozenset(), ""
    outer = document[0] if isinstance(document, list) and document else document
    error = outer.get("error", outer) if isinstance(outer, dict) else None
    if not isinstance(error, dict):
        return frozenset(), error.lower() if isinstance(error, str) else ""
    details = error.get("details")
    reasons = [item.get("reason") for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    codes = (error.get("code"), error.get("type"), error.get("status"), *reasons)
    message = error.get("message")
    return frozenset(c.lower() for c in codes if isinstance(c, str)), message.lower() if isinstance(message, str) else ""
