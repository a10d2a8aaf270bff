"""All breakers and cooldowns of a gateway: per endpoint, per endpoint and model, and per key.

    endpoint            opens when it cannot be reached; anything it answers shows that it can
    endpoint and model  opens when the model behind it fails
    key                 rests when it is throttled or out of money; its siblings do not

One rule: a call is let through by both of its circuits or charged to neither. The board is bounded: clients choose model names.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from gatewright.routing.breaker import (
    FRESH,
    OUTCOME_OF,
    Outcome,
    Permit,
    Rule,
    Standing,
    State,
    admit,
    retry_after_s,
    standing,
    tell,
)
from gatewright.routing.retry import Cause

Circuit = tuple[str, str]
"""Endpoint and model; an empty model: the endpoint as a whole."""
Key = tuple[str, str, str]
"""Endpoint, the key's name there, and the model where the limit is the model's own (else empty)."""

_SAYS_NOTHING: Final = frozenset(("busy", "cancelled", "ours"))
"""Causes after which nobody knows whether the endpoint can be reached."""


class Passed(msgspec.Struct, frozen=True):
    """Permits of one call; given back by `ended`, once."""

    endpoint: str
    model: str
    of_endpoint: Permit
    of_model: Permit


class CoolRule(msgspec.Struct, frozen=True):
    """How long a throttled key rests."""

    first_s: float = 5.0
    """Where the provider did not say; doubles with each throttling that no success parted from the one before."""
    least_s: float = 1.0
    at_most_s: float = 3600.0
    """Of what a provider may ask for."""


class Cool(msgspec.Struct, frozen=True):
    """A key that rests."""

    until: float
    in_a_row: int = 1


def cooled(before: Cool | None, rule: CoolRule, now: float, asked_s: float | None = None) -> Cool:
    """The rest after one more 429. It is never shortened: of several answers on their way the longest holds."""
    in_a_row = 1 if before is None else before.in_a_row + 1
    told = rule.first_s * 2.0 ** min(in_a_row - 1, 60) if asked_s is None else asked_s
    until = now + min(max(told, rule.least_s), rule.at_most_s)
    return Cool(until if before is None else max(until, before.until), in_a_row)


class Board:
    """Mutable, but without a clock and without chance: `now` is seconds of the caller's clock."""

    def __init__(self, rule: Rule, cool_rule: CoolRule = CoolRule(), most: int = 4096) -> None:  # noqa: B008 - a frozen value
        """`most`: circuits, and keys, that are remembered."""
        self.rule = rule
        self.cool_rule = cool_rule
        self.most = most
        self.circuits: dict[Circuit, State] = {}
        self.keys: dict[Key, Cool] = {}

    def standing(self, endpoint: str, model: str, now: float) -> Standing:
        """The worse of the two circuits'."""
        both = {standing(self.circuits.get(c, FRESH), self.rule, now) for c in ((endpoint, ""), (endpoint, model))}
        return "open" if "open" in both else "half_open" if "half_open" in both else "closed"

    def admit(self, endpoint: str, model: str, now: float) -> Passed | None:
        """Permits for a call, or None when a circuit is open or its probes are out."""
        whole, one = (endpoint, ""), (endpoint, model)
        whole_before, one_before = self.circuits.get(whole, FRESH), self.circuits.get(one, FRESH)
        if whole_before.opened_at is None and one_before.opened_at is None:  # nearly always
            of_endpoint = Permit(whole_before.episode, now)
            same = whole_before.episode == one_before.episode
            return Passed(endpoint, model, of_endpoint, of_endpoint if same else Permit(one_before.episode, now))
        probe, whole_after = admit(whole_before, self.rule, now)
        if probe is None:
            return None
        of_model, one_after = admit(one_before, self.rule, now)
        if of_model is None:
            return None
        if whole_after.probes:
            self.circuits[whole] = whole_after
        if one_after.probes:
            self.circuits[one] = one_after
        return Passed(endpoint, model, probe, of_model)

    def ended(self, passed: Passed, cause: Cause | None, now: float) -> None:
        """The call ended so; None: it succeeded. After content is out, the cause as of the stage `streaming`."""
        outcome: Outcome = "success" if cause is None else OUTCOME_OF[cause]
        if cause == "unreachable":
            self._tell((passed.endpoint, ""), passed.of_endpoint, "failure", now)
            self._tell((passed.endpoint, passed.model), passed.of_model, "neutral", now)
            return
        reached: Outcome = "neutral" if cause in _SAYS_NOTHING else "success"
        self._tell((passed.endpoint, ""), passed.of_endpoint, reached, now)
        self._tell((passed.endpoint, passed.model), passed.of_model, outcome, now)

    def retry_after_s(self, endpoint: str, model: str, now: float) -> float:
        """Seconds until both circuits let probes through; 0: they do."""
        return max(retry_after_s(self.circuits.get(c, FRESH), self.rule, now) for c in ((endpoint, ""), (endpoint, model)))

    def throttled(self, key: Key, now: float, asked_s: float | None = None) -> None:
        """This key, and no other, rests for `asked_s` seconds, or for as long as the rule says."""
        if key not in self.keys and len(self.keys) >= self.most:
            awake = {k: cool for k, cool in self.keys.items() if cool.until > now}
            self.keys = dict(sorted(awake.items(), key=lambda item: item[1].until)[-(self.most - 1) :])
        self.keys[key] = cooled(self.keys.get(key), self.cool_rule, now, asked_s)

    def served(self, key: Key) -> None:
        """A call with this key succeeded: what it is asked next is a first time again. A rest that runs goes on."""
        cool = self.keys.get(key)
        if cool is not None:
            self.keys[key] = Cool(cool.until, 0)

    def rests_s(self, key: Key, now: float) -> float:
        """Seconds that a key still rests, for this model or for all; 0: it does not."""
        endpoint, name, _ = key
        found = (self.keys.get(key), self.keys.get((endpoint, name, "")))
        return max(0.0, *(cool.until - now if cool is not None else 0.0 for cool in found))

    def soonest_s(self, keys: Iterable[Key], now: float) -> float:
        """Seconds until the first of `keys` may be used; 0: one may now, or there is none."""
        return min((self.rests_s(key, now) for key in keys), default=0.0)

    def _tell(self, circuit: Circuit, permit: Permit, outcome: Outcome, now: float) -> None:
        """One circuit's next state, kept where it is another."""
        before = self.circuits.get(circuit, FRESH)
        after = tell(before, self.rule, permit, outcome, now)
        if after is before:
            return
        if circuit not in self.circuits and len(self.circuits) >= self.most:
            self._make_room()
        self.circuits[circuit] = after

    def _make_room(self) -> None:
        """Forget half: the closed ones first, of these the longest idle."""
        worth = sorted(self.circuits.items(), key=lambda item: (item[1].opened_at is not None, item[1].at))
        self.circuits = dict(worth[-(self.most // 2) :])
