"""Who judges a conversation by Invariant's policies: this gateway, or Invariant's service.

    POST {service}/api/v1/policy/check/batch  {messages, policies, parameters, dataset_name} ─▶ {result: [{errors, …}]}
    POST {service}/api/v1/policy/load         {policy}: once an hour, so that it is ready there

One rule: a judge never raises. What it could not judge is an error of the conversation (fail closed), or nothing (fail open).
"""

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import msgspec

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.record.explorer_body import Guardrail, PolicyError
from gatewright.record.explorer_link import Asks, NoAnswer
from gatewright.wire.json import encode

log = logging.getLogger("gatewright")

FROM_HEADER: Final = "guardrails-from-header"
"""Id of the policy that a client brings."""
NOT_VALID: Final = (
    "The provided Invariant API key is not valid for guardrail checking. "
    "Please ensure you are using the correct API key or pass an "
    "alternative API key for guardrail checking specifically via the "
    "'invariant-guardrails-authorization' header."
)
LOADED_S: Final = 3600.0
"""How long the service is not told again of a policy."""
LOADED_MOST: Final = 1024
NOWHERE: Final = "messages[0].content:L0"
"""Where Invariant's gateway says it is, what is nowhere."""


class Verdict(msgspec.Struct, frozen=True):
    errors: tuple[PolicyError, ...] = ()
    unauthorized: bool = False
    """The service does not know the key."""


class Judge(Protocol):
    """Judges a conversation. Never raises."""

    async def judge(
        self, messages: Sequence[JsonObject], since: int, guardrails: Sequence[Guardrail], *, key: str, dataset: str
    ) -> Verdict:
        """`since`: index of the first message that was not judged before. To be awaited in a task."""
        ...

    def close(self) -> None: ...


class LocalJudge:
    """Evaluates policies here, beside the event loop.

    Those that a client brings have a thread of their own and less work to do: they may make one another wait, and nobody else.
    """

    def __init__(self, evaluate: "Evaluate", *, deadline_s: float = 5.0, passes: bool = False) -> None:
        """`passes`: whether what is not judged in time goes on."""
        self._evaluate = evaluate
        self._deadline_s = deadline_s
        self._passes = passes
        self._threads = ThreadPoolExecutor(2, "policies")
        self._of_clients = ThreadPoolExecutor(1, "clients-policies")

    async def judge(
        self, messages: Sequence[JsonObject], since: int, guardrails: Sequence[Guardrail], *, key: str, dataset: str
    ) -> Verdict:
        """As `Judge` says."""
        brought = any(guardrail.id == FROM_HEADER for guardrail in guardrails)
        threads = self._of_clients if brought else self._threads
        judging = asyncio.get_running_loop().run_in_executor(threads, self._all, messages, since, guardrails)
        try:
            return Verdict(await asyncio.wait_for(judging, self._deadline_s))
        except TimeoutError:
            log.warning("warning: invariant: policies were not evaluated within %g s", self._deadline_s)
            return Verdict() if self._passes else Verdict((unjudged(f"no verdict within {self._deadline_s:g} s"),))

    def close(self) -> None:
        """Nobody is judged any more."""
        for threads in (self._threads, self._of_clients):
            threads.shutdown(wait=False, cancel_futures=True)

    def _all(self, messages: Sequence[JsonObject], since: int, guardrails: Sequence[Guardrail]) -> tuple[PolicyError, ...]:
        found: list[PolicyError] = []
        for guardrail in guardrails:
            try:
                found += self._evaluate(guardrail, messages, since)
            except Exception as error:
                log.exception("invariant: a policy could not be evaluated on a bug of ours")
                found.append(unjudged(f"{type(error).__name__} in policy {guardrail.name[:80]!r}"))
        return tuple(found)


Evaluate = Callable[[Guardrail, Sequence[JsonObject], int], Sequence[PolicyError]]
"""A policy over a conversation. What cannot be parsed is an error of its own."""


class _Error(msgspec.Struct):
    args: list[JsonValue] = []
    kwargs: dict[str, JsonValue] = {}
    ranges: list[str] = []


class _Result(msgspec.Struct):
    errors: list[_Error] = []
    error_message: str | None = None


class _Batch(msgspec.Struct):
    result: list[_Result]


_batch = msgspec.json.Decoder(_Batch).decode


class RemoteJudge:
    """Asks Invariant's service. Within one event loop."""

    def __init__(
        self,
        service: Asks,
        clock: Callable[[], float],
        *,
        deadline_s: float = 5.0,
        passes: bool = False,
        now: Callable[[], dt.datetime] = dt.datetime.now,
    ) -> None:
        """`passes`: whether what it does not judge goes on. `now`: local time, as its messages have it."""
        self._service = service
        self._clock = clock
        self._deadline_s = deadline_s
        self._passes = passes
        self._now = now
        self._session: Mapping[str, str] = {"x-session-id": str(uuid.uuid4())}
        self._loaded: dict[str, float] = {}
        self._loading: set[asyncio.Task[None]] = set()

    async def judge(
        self, messages: Sequence[JsonObject], since: int, guardrails: Sequence[Guardrail], *, key: str, dataset: str
    ) -> Verdict:
        """As `Judge` says. The service judges all of the conversation each time, as it does for Invariant's gateway."""
        if not messages:
            return Verdict()
        for guardrail in guardrails:
            self._load(guardrail.content, key)
        last = {**messages[-1], "timestamp": self._now().isoformat()}
        body = encode(
            {
                "messages": [*messages[:-1], last],
                "policies": [guardrail.content for guardrail in guardrails],
                "parameters": {},
                "dataset_name": dataset or None,
            }
        )
        try:
            status, answer = await self._service.ask(
                "POST", "/api/v1/policy/check/batch", key, body, deadline_s=self._deadline_s, more=self._session
            )
            if status == 401:
                return Verdict(unauthorized=True)
            if status != 200:
                return self._failed(f"Guardrails check failed: {status}")
            told = _batch(answer)
        except NoAnswer as error:
            return self._failed(error.problem.message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._failed("Guardrails check failed: the answer is not understood")
        if len(told.result) < len(guardrails):
            return self._failed("Guardrails check failed: not every policy was judged")
        return Verdict(tuple(errors_in(told.result, guardrails)))

    def close(self) -> None:
        """Nothing is to be let go but what is being told of policies."""
        for task in self._loading:
            task.cancel()

    def _failed(self, why: str) -> Verdict:
        log.warning("warning: invariant: %s", why)
        return Verdict() if self._passes else Verdict((unjudged(why),))

    def _load(self, policy: str, key: str) -> None:
        """Have the service make a policy ready, while the request goes on."""
        now = self._clock()
        if now - self._loaded.get(policy, -LOADED_S) < LOADED_S:
            return
        if len(self._loaded) >= LOADED_MOST:
            self._loaded.clear()
        self._loaded[policy] = now
        task = asyncio.get_running_loop().create_task(self._told(policy, key))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _told(self, policy: str, key: str) -> None:
        try:
            await self._service.ask("POST", "/api/v1/policy/load", key, encode({"policy": policy}), deadline_s=self._deadline_s)
        except NoAnswer:  # it is only quicker with it; the check says what is wrong
            self._loaded.pop(policy, None)


def errors_in(results: Sequence[_Result], guardrails: Sequence[Guardrail]) -> list[PolicyError]:
    """What the service objects to. A policy that it cannot read is all that is told, as with Invariant's gateway."""
    found: list[PolicyError] = []
    for result, guardrail in zip(results, guardrails, strict=False):
        found += [PolicyError(tuple(e.args), e.kwargs, tuple(e.ranges), guardrail) for e in result.errors]
        if result.error_message:
            return [PolicyError((result.error_message,))]
    return found


def unjudged(why: str) -> PolicyError:
    """That nobody judged."""
    return PolicyError((f"Gateway: {why}",), {}, (NOWHERE,))
