"""Health: what is known of targets from the calls made to them: circuits, rests of keys, calls in flight, times to first tokens.

    passed = health.began(candidate)          None: it is not to be called now
    health.ended(passed, candidate, cause)    exactly once for each that began, also where the client left

One rule: one of it for the whole process, whatever is reloaded; and a call that goes well costs next to nothing.
What is rare (openings, closings, rests) is told to who subscribes, so that other workers need not find it out themselves.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.providers.auth.client_key import ClientKey
from gatewright.providers.auth.pool import KeyPool
from gatewright.providers.oauth.credential import AccountsCredential
from gatewright.routing.balance import Latency, View, expected_s, measured
from gatewright.routing.board import Board, Circuit, CoolRule, Key, Passed
from gatewright.routing.breaker import OUTCOME_OF, Permit, Rule, Standing, State, open_for_s
from gatewright.routing.hedge import SAMPLES
from gatewright.routing.retry import Cause

ONLY_KEY: Final = "key"
"""The name of a provider's one key."""
NO_MODEL: Final = "-"
"""In place of a model where a call names none."""
MOST: Final = 4096
"""Targets that are remembered: clients choose model names."""
_NO_PERMIT: Final = Permit(-1, 0.0)
"""Of no episode: what becomes of it changes no circuit."""
_SLOW_TO_FAIL: Final = frozenset(("silent", "stalled"))
_TOO_SLOW: Final = 3
"""Slow failures in a row after which a target whose circuit is open is not asked even as the last one."""
_ALWAYS: Final = Passed("", "", Permit(0, 0.0), Permit(0, 0.0))
"""The permit of every call where breakers are off."""
_REST_OF: Final[dict[Cause, float | None]] = {"throttled": None, "out_of_money": 300.0, "our_credential": 60.0}
"""Seconds that the only key of a provider rests after a failure that is the key's. None: as long as the provider asks for."""


_RESTING_ITSELF: Final = (KeyPool, AccountsCredential, ClientKey)
"""Credentials that are several, each of which rests alone; or the client's own, which is nobody else's matter."""


class Event(msgspec.Struct, frozen=True):
    """Something rare that other workers want to know. Times are monotonic seconds, which are one clock on one machine."""

    kind: Literal["opened", "closed", "resting"]
    endpoint: str
    model: str = ""
    """Empty: the endpoint as a whole; of a rest: for all its models."""
    at: float = 0.0
    """Of an opening or closing."""
    openings: int = 0
    """Of an opening: which one in a row it is."""
    key: str = ""
    """Of a rest: the key's name, which is no secret."""
    until: float = 0.0
    """Of a rest."""
    told: bool = True
    """Of a rest: the provider said how long; else it is our guess."""
    why: str = ""
    """Of a rest."""


class _Target:
    """What is measured of one target."""

    __slots__ = ("in_flight", "latency", "passed", "samples", "slow_failures", "unread")

    def __init__(self) -> None:
        self.in_flight = 0
        self.passed: Passed | None = None
        """The last permit: while its circuits are closed the next is found by it."""
        self.slow_failures = 0
        """So many of its last failures here took their whole time, one after the other."""
        self.latency: Latency | None = None
        self.samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        """(time to the first token, when), in seconds, the newest last."""
        self.unread = 0
        """How many of them are not yet in `latency`: that is reckoned when somebody asks."""


class Health:
    """Belongs to one event loop."""

    __slots__ = ("_targets", "_tell", "board", "breaks", "clock", "endpoints")

    def __init__(self, rule: Rule | None, clock: Callable[[], float]) -> None:
        """`rule` None: no breakers. `clock`: monotonic seconds."""
        self.board = Board(rule or Rule(), CoolRule(least_s=0.05))  # a word of milliseconds is a word
        self.breaks = rule is not None
        self.clock = clock
        self.endpoints: Mapping[str, Endpoint] = {}
        self._targets: dict[str, _Target] = {}
        self._tell: list[Callable[[Event], None]] = []

    # -- before a call ---------------------------------------------------------------------------------------------------

    def began(self, candidate: Candidate, now: float | None = None) -> Passed | None:
        """A call begins, and is in flight until `ended`; None: a circuit is open, or its probes are out.

        `now`: what the clock says, for who has asked it already.
        """
        target = self._targets.get(candidate.name) or self._target(candidate.name)
        passed: Passed | None
        if not self.breaks:
            passed = _ALWAYS
        elif (last := target.passed) is None or last.pair is None or (passed := last.pair.passed) is None:
            at = self.clock() if now is None else now
            passed = target.passed = self.board.admit(candidate.endpoint.name, candidate.model or NO_MODEL, at)
        if passed is not None:
            target.in_flight += 1
        return passed

    def forced(self, candidate: Candidate) -> Passed | None:
        """As `began`, for the last that can still be asked, though its circuit is open; its end says nothing of the circuit.

        None: its last failures took their whole time, which is worse than an error. A single one may be chance.
        """
        target = self._targets.get(candidate.name) or self._target(candidate.name)
        if target.slow_failures >= _TOO_SLOW:
            return None
        target.in_flight += 1
        return Passed(candidate.endpoint.name, candidate.model or NO_MODEL, _NO_PERMIT, _NO_PERMIT)

    def standing(self, candidate: Candidate) -> Standing:
        """Of the target's circuit, or its endpoint's, whichever is worse."""
        return self.board.standing(candidate.endpoint.name, _model(candidate), self.clock()) if self.breaks else "closed"

    def again_s(self, candidate: Candidate) -> float:
        """Seconds until its circuits let a probe through; 0: they do."""
        return self.board.retry_after_s(candidate.endpoint.name, _model(candidate), self.clock()) if self.breaks else 0.0

    def rests_s(self, candidate: Candidate, *, told: bool = False) -> float:
        """Seconds until one of its keys may be used; 0: one may now.

        `told`: only as the provider says, not as we guess; several keys say that themselves, each for itself, when asked to sign.
        """
        credential = candidate.endpoint.credential
        if credential is not None and isinstance(credential, _RESTING_ITSELF):
            return credential.soonest_s() if isinstance(credential, KeyPool) and not told else 0.0
        if not self.board.keys:
            return 0.0
        return self.board.rests_s(_only_key(candidate), self.clock(), told=told)

    def view(self, candidate: Candidate, *, weight: float = 1.0, priority: int = 0, cost: float | None = None) -> View:
        """What strategies choose by."""
        target = self._targets.get(candidate.name)
        if target is None:
            return View(weight=weight, priority=priority, cost=cost)
        ttft_s = expected_s(self._latency(target), self.clock())
        return View(weight=weight, in_flight=target.in_flight, ttft_s=ttft_s, cost=cost, priority=priority)

    def in_flight(self, candidate: Candidate) -> int:
        """Calls that have begun and not ended."""
        target = self._targets.get(candidate.name)
        return 0 if target is None else target.in_flight

    def called(self) -> list[str]:
        """The names of all targets that are remembered, as `provider/model`."""
        return list(self._targets)

    def samples(self, candidate: Candidate) -> tuple[float, ...]:
        """Times to the first token, in seconds, of its last calls."""
        target = self._targets.get(candidate.name)
        return () if target is None else tuple(ttft_s for ttft_s, _ in target.samples)

    # -- after a call ----------------------------------------------------------------------------------------------------

    def ended(
        self,
        passed: Passed,
        candidate: Candidate,
        cause: Cause | None,
        ttft_s: float | None = None,
        *,
        asked_s: float | None = None,
        now: float | None = None,
    ) -> None:
        """The call is over; `cause` None: it went well. After content, the cause is as of the stage `streaming`.

        `ttft_s`: seconds until the first content; for a timeout, the seconds waited; None says nothing of its speed.
        `asked_s`: of a throttling, the seconds that the provider asked for; None: it did not say.
        """
        if now is None:
            now = self.clock()
        target = self._targets.get(candidate.name)
        if cause is None and target is not None and ttft_s is not None and not self.board.keys:  # as nearly all end
            target.in_flight -= 1
            target.samples.append((ttft_s, now))
            target.unread += 1
            if self.breaks and not ((pair := passed.pair) is not None and pair.went_well(passed, now, self.board.heap_s)):
                self._tell_of(self.board.ended(passed, None, now), now)
            return
        if target is not None:
            target.in_flight -= 1
            if cause is not None and OUTCOME_OF[cause] == "failure":
                target.slow_failures = target.slow_failures + 1 if cause in _SLOW_TO_FAIL else 0
            if ttft_s is not None:
                target.samples.append((ttft_s, now))
                target.unread += 1
        if self.breaks:
            changed = self.board.ended(passed, cause, now)
            if changed:
                self._tell_of(changed, now)
        if cause is None:
            if self.board.keys:
                self.board.served(_only_key(candidate))
        elif cause in _REST_OF and not isinstance(candidate.endpoint.credential, _RESTING_ITSELF):
            self._rest(_only_key(candidate, whole=cause != "throttled"), now, cause, asked_s)

    def _rest(self, key: Key, now: float, cause: Cause, asked_s: float | None) -> None:
        guess_s = _REST_OF[cause]
        self.board.throttled(key, now, asked_s if guess_s is None else guess_s, told=guess_s is None and asked_s is not None)
        endpoint, name, model = key
        cool = self.board.keys[key]
        self._told(Event("resting", endpoint, model, key=name, until=cool.until, told=cool.told, why=cause))

    # -- among workers ---------------------------------------------------------------------------------------------------

    def subscribe(self, tell: Callable[[Event], None]) -> None:
        """Have `tell` called for every circuit that opens or closes here, and every key that begins to rest. It must not fail."""
        self._tell.append(tell)

    def hear(self, event: Event) -> None:
        """Take over what another worker found out. It is not told on. What is known here already changes nothing."""
        now = self.clock()
        if event.kind == "resting":
            self._hear_rest(event, now)
            return
        if not self.breaks:
            return
        state = self.board.state(event.endpoint, event.model)
        if event.kind == "opened":
            rule = self.board.rule
            ends = event.at + open_for_s(event.openings, rule)
            if state.opened_at is not None and state.opened_at + open_for_s(state.openings, rule) >= ends:
                return
            after = State(
                at=now,
                opened_at=event.at,
                openings=max(event.openings, state.openings, 1),
                closed_at=state.closed_at,
                episode=state.episode + 1,
            )
        elif state.opened_at is not None and state.opened_at < event.at:
            after = State(at=now, closed_at=event.at, openings=state.openings, episode=state.episode + 1)
        else:
            return
        self.board.put(event.endpoint, event.model, after)

    def _hear_rest(self, event: Event, now: float) -> None:
        endpoint = self.endpoints.get(event.endpoint)
        if endpoint is not None and isinstance(endpoint.credential, KeyPool):
            endpoint.credential.rest(event.key, event.until, event.why)
            return
        key = (event.endpoint, event.key, event.model)
        if event.until > now + self.board.rests_s(key, now):
            self.board.throttled(key, now, event.until - now, told=event.told)

    def news(self) -> Iterator[Event]:
        """Everything that stands now and is not as it was at the start: what a new worker should know."""
        now = self.clock()
        if self.breaks:
            for (endpoint, model), cell in tuple(self.board.circuits.items()):
                if cell.state.opened_at is not None:
                    yield self._changed(endpoint, model, now)
        for (endpoint, name, model), cool in tuple(self.board.keys.items()):
            if cool.until > now:
                yield Event("resting", endpoint, model, key=name, until=cool.until, told=cool.told)
        for name, found in self.endpoints.items():
            if isinstance(found.credential, KeyPool):
                for key, until, why in found.credential.resting():
                    yield Event("resting", name, key=key, until=until, why=why)

    def _tell_of(self, changed: Sequence[Circuit], now: float) -> None:
        for endpoint, model in changed:
            self._told(self._changed(endpoint, model, now))

    def _changed(self, endpoint: str, model: str, now: float) -> Event:
        state = self.board.state(endpoint, model)
        if state.opened_at is None:
            return Event("closed", endpoint, model, at=now)
        return Event("opened", endpoint, model, at=state.opened_at, openings=state.openings)

    def _told(self, event: Event) -> None:
        for tell in self._tell:
            tell(event)

    # -- over reloads ----------------------------------------------------------------------------------------------------

    def follow(self, endpoints: Mapping[str, Endpoint], rule: Rule | None) -> None:
        """These are the endpoints and the rule from now on. Of one that is not the same as before nothing is known."""
        for name, before in self.endpoints.items():
            if endpoints.get(name) is not before:
                self.board.forget(name)
                self._targets = {
                    t: known for t, known in self._targets.items() if not t.startswith(f"{name}/") or known.in_flight
                }
        self.endpoints = endpoints
        self.breaks = rule is not None
        if rule is not None:
            self.board.follow(rule)
        for name, endpoint in endpoints.items():
            if isinstance(endpoint.credential, KeyPool):
                endpoint.credential.when_rests = self._teller(name)

    def _teller(self, endpoint: str) -> Callable[[str, float, str], None]:
        def tell(key: str, until: float, why: str) -> None:
            self._told(Event("resting", endpoint, key=key, until=until, why=why))

        return tell

    def _target(self, name: str) -> _Target:
        """Remembered from now on."""
        if len(self._targets) >= MOST:
            self._targets = {n: target for n, target in self._targets.items() if target.in_flight}
        target = self._targets[name] = _Target()
        return target

    @staticmethod
    def _latency(target: _Target) -> Latency | None:
        if target.unread:
            for ttft_s, at in tuple(target.samples)[-target.unread :]:
                target.latency = measured(target.latency, ttft_s, at)
            target.unread = 0
        return target.latency


def _only_key(candidate: Candidate, *, whole: bool = False) -> Key:
    """The rest of a provider's one key: limits are the models' own, money and refusals are not."""
    return (candidate.endpoint.name, ONLY_KEY, "" if whole else _model(candidate))


def _model(candidate: Candidate) -> str:
    """Of a call that names no model (files, batches): a circuit of their own, lest they open the endpoint's."""
    return candidate.model or NO_MODEL
