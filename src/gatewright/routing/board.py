"""All breakers and cooldowns of a gateway: per endpoint, per endpoint and model, and per key.

    endpoint            opens when it cannot be reached; anything it answers shows that it can
    endpoint and model  opens when the model behind it fails
    key                 rests when it is throttled or out of money; its siblings do not

One rule: a call is let through by both of its circuits or charged to neither. The board is bounded: clients choose model names.
While nothing is wrong, a call costs two look-ups and two additions: permits are shared, and successes are counted in heaps.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    succeeded,
    tell,
)
from gatewright.routing.retry import Cause

Circuit = tuple[str, str]
"""Endpoint and model; an empty model: the endpoint as a whole."""
Key = tuple[str, str, str]
"""Endpoint, the key's name there, and the model where the limit is the model's own (else empty)."""

_SAYS_NOTHING: Final = frozenset(("busy", "cancelled", "ours"))
"""Causes after which nobody knows whether the endpoint can be reached."""
_HEAPS: Final = 32
"""Of a half-life: successes of so short a time are counted as of its beginning."""


class Passed(msgspec.Struct, frozen=True, eq=False):
    """Permits of one call; given back by `ended`, once. Calls through closed circuits share theirs."""

    endpoint: str
    model: str
    of_endpoint: Permit
    of_model: Permit
    pair: "_Pair | None" = None
    """Where it is shared: the circuits that it is of."""


class _Cell:
    """A circuit's state, and the calls that go through it."""

    __slots__ = ("calm", "closed", "pairs", "permit", "state")

    def __init__(self) -> None:
        self.pairs: list[_Pair] = []
        self.permit = Permit(-1, 0.0)
        """Of all calls of this episode, while it is closed."""
        self.closed = False
        self.calm = False
        """Closed, and another success would change nothing but the count."""
        self.put(FRESH)

    def put(self, state: State) -> None:
        closed = state.opened_at is None
        calm = closed and not state.in_a_row
        changed = closed is not self.closed or calm is not self.calm or self.permit.episode != state.episode
        self.state = state
        if not changed:
            return
        self.closed = closed
        self.calm = calm
        if self.permit.episode != state.episode:
            self.permit = Permit(state.episode, state.at)
        for pair in self.pairs:
            pair.look()


class _Pair:
    """The two circuits of a call, and all that a call which goes well has to look at."""

    __slots__ = ("calm", "endpoint", "good", "model", "one", "passed", "since", "whole")

    def __init__(self, endpoint: str, model: str, whole: _Cell, one: _Cell) -> None:
        self.endpoint = endpoint
        self.model = model
        self.whole = whole
        self.one = one
        self.good = 0
        """Successes not yet counted in the two circuits."""
        self.since = 0.0
        """When this heap of successes began."""
        self.passed: Passed | None = None
        """Permits while both are closed; None: one of them is not, or this is forgotten."""
        self.calm = False
        whole.pairs.append(self)
        one.pairs.append(self)
        self.look()

    def went_well(self, passed: "Passed", now: float, heap_s: float) -> bool:
        """A call has succeeded, and it is counted later, with others; False: it must be told to the circuits."""
        if not (self.good and self.calm and self.passed is passed and now - self.since < heap_s):
            return False
        self.good += 1
        return True

    def look(self) -> None:
        """One of the circuits has changed."""
        whole, one = self.whole, self.one
        self.calm = whole.calm and one.calm
        self.passed = Passed(self.endpoint, self.model, whole.permit, one.permit, self) if whole.closed and one.closed else None


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
    told: bool = True
    """The provider said so; else it is a guess, which is better than no order and worse than no answer."""


def cooled(before: Cool | None, rule: CoolRule, now: float, asked_s: float | None = None) -> Cool:
    """The rest after one more 429. It is never shortened: of several answers on their way the longest holds."""
    in_a_row = 1 if before is None else before.in_a_row + 1
    told = rule.first_s * 2.0 ** min(in_a_row - 1, 60) if asked_s is None else asked_s
    until = now + min(max(told, rule.least_s), rule.at_most_s)
    if before is not None and before.until > until:
        return Cool(before.until, in_a_row, before.told)
    return Cool(until, in_a_row, asked_s is not None)


class Board:
    """Mutable, but without a clock and without chance: `now` is seconds of the caller's clock."""

    __slots__ = ("_pairs", "circuits", "cool_rule", "heap_s", "keys", "most", "rule")

    def __init__(self, rule: Rule, cool_rule: CoolRule = CoolRule(), most: int = 4096) -> None:  # noqa: B008 - a frozen value
        """`most`: circuits, and keys, that are remembered."""
        self.follow(rule)
        self.cool_rule = cool_rule
        self.most = most
        self.circuits: dict[Circuit, _Cell] = {}
        self.keys: dict[Key, Cool] = {}
        self._pairs: dict[str, dict[str, _Pair]] = {}
        """By endpoint and model: two look-ups of strings cost less than one of a tuple."""

    def follow(self, rule: Rule) -> None:
        """This is the rule from now on."""
        self.rule = rule
        self.heap_s = rule.half_life_s / _HEAPS

    def state(self, endpoint: str, model: str) -> State:
        """Of one circuit; an empty model: of the endpoint as a whole. One never heard of is fresh."""
        cell = self.circuits.get((endpoint, model))
        return FRESH if cell is None else self._counted(cell)

    def standing(self, endpoint: str, model: str, now: float) -> Standing:
        """The worse of the two circuits'."""
        models = self._pairs.get(endpoint)
        pair = None if models is None else models.get(model)
        if pair is not None and pair.whole.closed and pair.one.closed:  # nearly always
            return "closed"
        both = {standing(self._state(c), self.rule, now) for c in ((endpoint, ""), (endpoint, model))}
        return "open" if "open" in both else "half_open" if "half_open" in both else "closed"

    def admit(self, endpoint: str, model: str, now: float) -> Passed | None:
        """Permits for a call, or None when a circuit is open or its probes are out."""
        models = self._pairs.get(endpoint)
        pair = None if models is None else models.get(model)
        if pair is None:
            pair = self._paired(endpoint, model)
        if pair.passed is not None:  # nearly always
            return pair.passed
        whole, one = pair.whole, pair.one
        probe, whole_after = admit(whole.state, self.rule, now)
        if probe is None:
            return None
        of_model, one_after = admit(one.state, self.rule, now)
        if of_model is None:
            return None
        if whole_after.probes:
            whole.put(whole_after)
        if one_after.probes:
            one.put(one_after)
        return Passed(endpoint, model, probe, of_model)

    def ended(self, passed: Passed, cause: Cause | None, now: float) -> Sequence[Circuit]:
        """The call ended so; None: it succeeded. After content is out, the cause as of the stage `streaming`.

        Gives the circuits that have opened or closed by it: nearly always none.
        """
        pair = passed.pair
        if cause is None and pair is not None and pair.calm and pair.passed is passed:
            if not pair.good:
                pair.since = now
            elif now - pair.since >= self.heap_s:
                self._count(pair)
                pair.since = now
            pair.good += 1
            return ()
        outcome: Outcome = "success" if cause is None else OUTCOME_OF[cause]
        reached: Outcome = "neutral" if cause in _SAYS_NOTHING else "success"
        if cause == "unreachable":
            reached, outcome = "failure", "neutral"
        told = (((passed.endpoint, ""), passed.of_endpoint, reached), ((passed.endpoint, passed.model), passed.of_model, outcome))
        return [circuit for circuit, permit, how in told if self._tell(circuit, permit, how, now)]

    def retry_after_s(self, endpoint: str, model: str, now: float) -> float:
        """Seconds until both circuits let probes through; 0: they do."""
        return max(retry_after_s(self._state(c), self.rule, now) for c in ((endpoint, ""), (endpoint, model)))

    def put(self, endpoint: str, model: str, state: State) -> None:
        """A circuit's state as somebody else knows it, from now on."""
        cell = self._cell((endpoint, model))
        self._counted(cell)
        cell.put(state)

    def forget(self, endpoint: str) -> None:
        """An endpoint is another one from now on: nothing is known of it."""
        self._part(self._pairs.pop(endpoint, {}))
        self.circuits = {circuit: cell for circuit, cell in self.circuits.items() if circuit[0] != endpoint}
        self.keys = {key: cool for key, cool in self.keys.items() if key[0] != endpoint}

    def throttled(self, key: Key, now: float, asked_s: float | None = None, *, told: bool = True) -> None:
        """This key, and no other, rests for `asked_s` seconds, or for as long as the rule says.

        `told` False: `asked_s` is nothing that the provider said.
        """
        if key not in self.keys and len(self.keys) >= self.most:
            awake = {k: cool for k, cool in self.keys.items() if cool.until > now}
            self.keys = dict(sorted(awake.items(), key=lambda item: item[1].until)[-(self.most - 1) :])
        cool = cooled(self.keys.get(key), self.cool_rule, now, asked_s)
        self.keys[key] = cool if told else msgspec.structs.replace(cool, told=False)

    def served(self, key: Key) -> None:
        """A call with this key succeeded: what it is asked next is a first time again. A rest that runs goes on."""
        cool = self.keys.get(key)
        if cool is not None:
            self.keys[key] = Cool(cool.until, 0, cool.told)

    def rests_s(self, key: Key, now: float, *, told: bool = False) -> float:
        """Seconds that a key still rests, for this model or for all; 0: it does not. `told`: guesses do not count."""
        endpoint, name, _ = key
        found = (self.keys.get(key), self.keys.get((endpoint, name, "")))
        return max([0.0, *(cool.until - now for cool in found if cool is not None and (cool.told or not told))])

    def soonest_s(self, keys: Iterable[Key], now: float) -> float:
        """Seconds until the first of `keys` may be used; 0: one may now, or there is none."""
        return min((self.rests_s(key, now) for key in keys), default=0.0)

    def _state(self, circuit: Circuit) -> State:
        cell = self.circuits.get(circuit)
        return FRESH if cell is None else cell.state

    def _count(self, pair: _Pair) -> None:
        """The heap of successes, in both circuits."""
        good, pair.good = pair.good, 0
        for cell in (pair.whole, pair.one):
            cell.put(succeeded(cell.state, self.rule, good, pair.since))

    def _counted(self, cell: _Cell) -> State:
        """The state with every heap of successes in it."""
        for pair in cell.pairs:
            if pair.good:
                self._count(pair)
        return cell.state

    def _part(self, pairs: Mapping[str, _Pair]) -> None:
        """Forget what belongs together: whoever still holds one of these finds no permit in it."""
        for pair in pairs.values():
            self._counted(pair.one)
            pair.whole.pairs.clear()
            pair.one.pairs.clear()
            pair.passed = None
            pair.calm = False

    def _tell(self, circuit: Circuit, permit: Permit, outcome: Outcome, now: float) -> bool:
        """One circuit's next state; whether it has opened or closed by it."""
        cell = self._cell(circuit)
        before = self._counted(cell)
        cell.put(tell(before, self.rule, permit, outcome, now))
        return cell.state.opened_at != before.opened_at

    def _cell(self, circuit: Circuit) -> _Cell:
        """The circuit, remembered from now on."""
        cell = self.circuits.get(circuit)
        if cell is None:
            if len(self.circuits) >= self.most:
                self._make_room()
            cell = self.circuits[circuit] = _Cell()
        return cell

    def _paired(self, endpoint: str, model: str) -> _Pair:
        """The two circuits of a call, remembered from now on."""
        if len(self.circuits) + 2 > self.most:
            self._make_room()
        pair = _Pair(endpoint, model, self._cell((endpoint, "")), self._cell((endpoint, model)))
        self._pairs.setdefault(endpoint, {})[model] = pair
        return pair

    def _make_room(self) -> None:
        """Forget half: the closed ones first, of these the longest idle."""
        for pairs in self._pairs.values():
            self._part(pairs)
        worth = sorted(
            self.circuits.items(),
            key=lambda item: (item[1].state.opened_at is not None, item[1].state.at),
        )
        self.circuits = dict(worth[-(self.most // 2) :])
        self._pairs = {}
