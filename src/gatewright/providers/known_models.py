"""The models that providers list, as far as they are known here, and when to ask again. No I/O.

One rule: a list is kept until a better one comes; a provider that cannot be asked loses nothing but freshness.
The clock is an argument: monotonic seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from gatewright.providers.facts import NOTHING, Facts

MOST: Final = 5_000
"""Models kept of one provider; the largest known list has some thousands."""
LONGEST_NAME: Final = 256
FIRST_RETRY_S: Final = 30.0


class Listed(msgspec.Struct, frozen=True):
    """One model, as its provider lists it."""

    name: str
    """What the provider calls it in a request."""
    facts: Facts = NOTHING


class _Packed(msgspec.Struct, frozen=True):
    """One list, as it is kept."""

    identity: str
    models: dict[str, Facts]


class _Shelf:
    """What is known of one provider's list."""

    __slots__ = ("due_at", "failures", "models", "problem")

    def __init__(self) -> None:
        self.models: dict[str, Facts] = {}
        self.due_at = 0.0
        self.failures = 0
        self.problem = ""


class KnownModels:
    """Lists of several providers. Tells whoever subscribed when one of them changes."""

    def __init__(self, providers: Iterable[str], *, refresh_s: float = 3600.0) -> None:
        """`refresh_s`: age at which a list is asked for again."""
        self.shelves = {name: _Shelf() for name in providers}
        self._refresh_s = refresh_s
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def providers(self) -> tuple[str, ...]:
        """Those whose lists are kept."""
        return tuple(self.shelves)

    def models(self, provider: str) -> Mapping[str, Facts]:
        """What the provider lists, as far as known; empty when nothing is."""
        shelf = self.shelves.get(provider)
        return {} if shelf is None else shelf.models

    def problem(self, provider: str) -> str:
        """Why the last try to ask failed; empty when it did not."""
        shelf = self.shelves.get(provider)
        return "" if shelf is None else shelf.problem

    def due(self, now: float) -> tuple[str, ...]:
        """Providers to be asked now."""
        return tuple(name for name, shelf in self.shelves.items() if shelf.due_at <= now)

    def wait_s(self, providers: Iterable[str], now: float) -> float:
        """Seconds until the first of these is due; 0 when one is."""
        return max(0.0, min((self.shelves[name].due_at for name in providers), default=now + self._refresh_s) - now)

    def learn(self, provider: str, models: Iterable[Listed], now: float) -> None:
        """A list has come. What is over the bounds is left out; an empty list is not believed where a full one was known."""
        shelf = self.shelves[provider]
        shelf.failures, shelf.problem = 0, ""
        shelf.due_at = now + self._refresh_s
        found: dict[str, Facts] = {}
        for listed in models:
            if _is_name(listed.name):
                found.setdefault(listed.name, listed.facts)
            if len(found) >= MOST:
                break
        if found and found != shelf.models:
            shelf.models = found
            self.changed()

    def packed(self, identities: Mapping[str, str]) -> bytes:
        """All lists, to be known again after a restart. `identities`: provider → what makes its list another's by changing."""
        lists = {name: _Packed(identities[name], shelf.models) for name, shelf in self.shelves.items() if shelf.models}
        return msgspec.json.encode(lists)

    def unpack(self, content: bytes, identities: Mapping[str, str]) -> None:
        """Lists of an earlier life, each due at once. What is not of this shape, or another provider's, is passed over."""
        try:
            lists = msgspec.json.decode(content, type=dict[str, _Packed])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        for name, packed in lists.items():
            shelf = self.shelves.get(name)
            if shelf is not None and packed.identity == identities.get(name):
                kept = list(packed.models.items())[:MOST]
                shelf.models = {model: facts for model, facts in kept if _is_name(model)}
        self.changed()

    def inherit(self, elder: "KnownModels", providers: Iterable[str]) -> None:
        """Know what `elder` knows of these providers, and ask again when it would have; `elder` asks nobody any more."""
        for name in providers:
            if name in self.shelves and name in elder.shelves:
                self.shelves[name] = elder.shelves[name]
        self.changed()

    def changed(self) -> None:
        """What is known is no longer what it was."""
        for listener in self._listeners:
            listener()

    def miss(self, provider: str, problem: str, now: float) -> float:
        """The provider could not be asked: wait, longer each time. The seconds until the next try."""
        shelf = self.shelves[provider]
        wait_s: float = min(FIRST_RETRY_S * 2.0 ** min(shelf.failures, 16), self._refresh_s)
        shelf.failures += 1
        shelf.problem = problem
        shelf.due_at = now + wait_s
        return wait_s


def _is_name(name: str) -> bool:
    """Whether this may stand in a path and in a log line, where some dialects and all logs put it."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and ".." not in name.split("/")
