"""Which policies hold for a request to Invariant's paths: those of its header, else of its dataset, else of the operator's file.

    Invariant-Guardrails: <policy, unicode-escaped>        blocks
    GET {explorer}/api/v1/user/identity ─▶ /api/v1/dataset/byuser/{user}/{dataset}/policy        each blocks or logs
    guardrails_file                                        blocks

One rule: a dataset's policies are asked for once in a while, not by every request; while Explorer does not answer, those that are
known go on.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange
from gatewright.pipeline.invariant_judge import FROM_HEADER
from gatewright.pipeline.invariant_keys import Brought, said
from gatewright.record.explorer_body import Guardrail
from gatewright.record.explorer_link import Asks, NoAnswer
from gatewright.transport.strand import back_to, in_a_task

log = logging.getLogger("gatewright")

HEADER: Final = "invariant-guardrails"
BAD_KEY: Final = "Invalid Invariant API key. Please check your API key."
MAX_POLICY: Final = 32 << 10
"""Characters of a policy that a header brings."""
MAX_POLICIES: Final = 200
"""Of one dataset."""
MAX_CONTENT: Final = 256 << 10
"""Characters of all of them together."""
KEPT: Final = 1024
"""Datasets that are remembered."""


class Policies(msgspec.Struct, frozen=True):
    block: tuple[Guardrail, ...] = ()
    log: tuple[Guardrail, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.block or self.log)


NONE: Final = Policies()


class _Policy(msgspec.Struct):
    content: str
    action: str
    enabled: bool = True
    id: object = ""
    name: object = ""


class _Policies(msgspec.Struct):
    policies: list[_Policy] = []


class _Identity(msgspec.Struct):
    username: str


_policies = msgspec.json.Decoder(_Policies)
_identity = msgspec.json.Decoder(_Identity)


class _Known:
    __slots__ = ("at", "policies")

    def __init__(self, policies: Policies, at: float) -> None:
        self.policies = policies
        self.at = at


class Sources:
    """Finds the policies of a request. Within one event loop."""

    def __init__(
        self,
        explorer: Asks,
        clock: Callable[[], float],
        *,
        file: str = "",
        ttl_s: float = 60.0,
        deadline_s: float = 5.0,
        passes: bool = False,
    ) -> None:
        """`file`: the text of the operator's policy. `passes`: whether a request goes on whose policies nobody tells."""
        self._explorer = explorer
        self._clock = clock
        self._file = Policies((Guardrail("default", "default", file, "block"),)) if file.strip() else NONE
        self._ttl_s = ttl_s
        self._deadline_s = deadline_s
        self._passes = passes
        self._known: dict[tuple[bytes, str], _Known] = {}
        self._asking: dict[tuple[bytes, str], asyncio.Future[Policies]] = {}

    async def of(self, exchange: Exchange, brought: Brought, dataset: str) -> Policies:
        """Raises Refused: a header that is none, a key that Explorer does not know, an Explorer that does not answer."""
        header = brought.get(HEADER)
        if header:
            return Policies((from_header(header, exchange),))
        if dataset and brought.brought.invariant:
            found = self._remembered(brought.brought.invariant, dataset)
            if found is None:
                found = await self._asked(exchange, brought.brought.invariant, dataset)
            if found:
                return found
        return self._file

    def _remembered(self, key: str, dataset: str) -> Policies | None:
        known = self._known.get(_place(key, dataset))
        return known.policies if known is not None and self._clock() - known.at < self._ttl_s else None

    async def _asked(self, exchange: Exchange, key: str, dataset: str) -> Policies:
        """Several requests that come at once ask once."""
        place = _place(key, dataset)
        left = await in_a_task()
        asking = self._asking.get(place)
        if asking is None:
            asking = self._asking[place] = asyncio.ensure_future(self._ask(key, dataset, place))
            asking.add_done_callback(lambda done: self._over(place, done))
        try:
            found = await asyncio.shield(asking)
        except _BadKey:
            raise said(BAD_KEY, exchange.dialect, 401, code="invariant_key") from None
        except NoAnswer as error:
            known = self._known.get(place)
            log.warning("warning: invariant: the policies of a dataset are not told: %s", error.problem.message)
            if known is None and not self._passes:
                message = (
                    "The policies of this dataset cannot be asked for now, and without them nothing goes on: "
                    f"{error.problem.message}. Try again shortly; the operator may let such requests pass (`on_failure: pass`)."
                )
                raise Refused(Problem(kind="overloaded", code="policies_unavailable", message=message)) from None
            found = NONE if known is None else known.policies
        await back_to(left)
        return found

    def _over(self, place: tuple[bytes, str], done: "asyncio.Future[Policies]") -> None:
        self._asking.pop(place, None)
        if not done.cancelled():
            done.exception()  # told to who waits; nobody may

    async def _ask(self, key: str, dataset: str, place: tuple[bytes, str]) -> Policies:
        """Raises NoAnswer, _BadKey."""
        user = await self._get("/api/v1/user/identity", key, _identity)
        assert isinstance(user, _Identity)  # there is no 404 for oneself: `_get` has raised
        path = f"/api/v1/dataset/byuser/{quote(user.username, safe='')}/{quote(dataset, safe='')}/policy"
        told = await self._get(path, key, _policies, missing=_Policies())
        found = sorted_by_action(told.policies if isinstance(told, _Policies) else [])
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[place] = _Known(found, self._clock())
        return found

    async def _get(
        self,
        path: str,
        key: str,
        decoder: "msgspec.json.Decoder[_Identity] | msgspec.json.Decoder[_Policies]",
        missing: _Policies | None = None,
    ) -> _Identity | _Policies:
        status, body = await self._explorer.ask("GET", path, key, deadline_s=self._deadline_s)
        if status == 401:
            raise _BadKey
        if status == 404 and missing is not None:
            return missing
        if status != 200:
            raise NoAnswer(f"Explorer answered {status}", sent=True)
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NoAnswer(f"Explorer answered what is not understood: {str(error)[:200]}", sent=True) from None


class _BadKey(Exception):
    """Explorer does not know the key."""


def _place(key: str, dataset: str) -> tuple[bytes, str]:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(), dataset


def sorted_by_action(told: list[_Policy]) -> Policies:
    """Those that are enabled. Of actions that nobody knows the log tells, and they do nothing, as with Invariant."""
    block: list[Guardrail] = []
    only_log: list[Guardrail] = []
    size = 0
    for policy in told[:MAX_POLICIES]:
        size += len(policy.content)
        if not policy.enabled:
            continue
        if policy.action not in ("block", "log") or size > MAX_CONTENT:
            why = "has an action that is not known" if size <= MAX_CONTENT else "is beyond what one dataset may have"
            log.warning("warning: invariant: policy %s %s; it is left out", str(policy.id)[:80], why)
            continue
        guardrail = Guardrail(str(policy.id), str(policy.name), policy.content, policy.action)
        (block if policy.action == "block" else only_log).append(guardrail)
    return Policies(tuple(block), tuple(only_log))


def from_header(value: str, exchange: Exchange) -> Guardrail:
    """The policy of a header: text in which line breaks, and whatever is not ASCII, are escapes as Python writes them."""
    if len(value) > MAX_POLICY:
        text = f"The Invariant-Guardrails header has {len(value)} characters; a policy there may have {MAX_POLICY}."
        raise said(text, exchange.dialect)
    try:
        policy = _ESCAPE.sub(_unescaped, value)
        policy = policy.encode("utf-16-le", "surrogatepass").decode("utf-16-le")  # two halves of a pair are one character
    except (ValueError, OverflowError):
        raise said("The Invariant-Guardrails header is not unicode-escaped text.", exchange.dialect) from None
    return Guardrail(FROM_HEADER, "guardrails from request header", policy, "block")


_ESCAPE: Final = re.compile(
    r"\\(?:([\\'\"abfnrtv])|([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\n)", re.ASCII
)
_SINGLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescaped(found: re.Match[str]) -> str:
    """What an escape of Python's stands for. Others stay as they are, as they do there."""
    single, octal, *hexes = found.groups()
    if single is not None:
        return _SINGLE.get(single, single)
    if octal is not None:
        return chr(int(octal, 8))
    digits = next((digits for digits in hexes if digits is not None), None)
    return "" if digits is None else chr(int(digits, 16))
