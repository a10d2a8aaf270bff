"""Live lists: asking providers for their models, in the background.

One rule: no request waits for this. Who wants a list pokes, and takes what is known; one round runs at a time.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from gatewright.errors import Refused
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.endpoint import Endpoint
from gatewright.providers.catalog import Host
from gatewright.providers.catalog.host import placeholders
from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.known_models import KnownModels, Listed
from gatewright.providers.model_lists import Page, read_page
from gatewright.providers.prices import PriceBook
from gatewright.transport import Timeouts, Transport, TransportError, header_lines

WITHIN_S: Final = 20.0
"""For one provider's whole list."""
_TIMEOUTS: Final = Timeouts(headers_s=15.0, first_event_s=15.0, idle_s=15.0, total_s=WITHIN_S)
LEAST_WAIT_S: Final = 0.1
"""Between two rounds of keeping lists: a clock that stands still must not make a loop run hot."""
MAX_BYTES: Final = 8 << 20
"""Of one page."""
MAX_PAGES: Final = 20
AT_ONCE: Final = 8
"""Providers asked at the same time."""

PATHS: Final[Mapping[DialectName, str]] = {
    "openai_chat": "/models",
    "openai_responses": "/models",
    "anthropic": "/v1/models?limit=1000",
    "gemini": "/v1beta/models?pageSize=1000",
}
"""Where a host that speaks a dialect lists its models, under that dialect's base."""
_HEADERS: Final[Mapping[DialectName, bytes]] = {"anthropic": header_lines((("anthropic-version", "2023-06-01"),))}


class ListCall(msgspec.Struct, frozen=True):
    """How one provider is asked."""

    dialect: DialectName
    """Whose base, and whose credential header."""
    paths: tuple[str, ...]
    """Lists that add up; one of them is enough."""
    origin: str = ""
    """Of another host than the base's, where the lists are there."""


def list_call(host: Host, dialects: tuple[DialectName, ...]) -> ListCall | None:
    """How to ask a provider of this kind that speaks these; None when it has no list under its base."""
    if host.models_path is not None:
        own = host.dialects[0] if host.dialects[0] in dialects else dialects[0]
        return ListCall(own, (host.models_path,)) if host.models_path else None
    spoken = next((dialect for dialect in PATHS if dialect in dialects), None)
    return None if spoken is None else ListCall(spoken, (PATHS[spoken],))


def list_call_elsewhere(host: Host, dialects: tuple[DialectName, ...], settings: Mapping[str, str], base: str) -> ListCall | None:
    """How to ask a provider whose lists are on a host of their own. None: it has none such.

    Behind a base URL of somebody else's (a proxy, a stand-in) they are looked for there.
    """
    if not host.list_urls or any(not settings.get(name) for url in host.list_urls for name in placeholders(url)):
        return None
    urls = [urlsplit(url.format_map(settings)) for url in host.list_urls]
    own = domain(base) == domain(host.list_urls[0])
    at = urls[0] if own else urlsplit(base)
    return ListCall(dialects[0], tuple(f"{url.path}?{url.query}" for url in urls), f"{at.scheme}://{at.netloc}")


def domain(url: str) -> str:
    """The last two labels of a URL's host."""
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def nothing_stated(_provider: str, _model: str) -> Facts:
    """For operators who say nothing of prices."""
    return NOTHING


class LiveLists:
    """Keeps `known` fresh. Belongs to the event loop that first pokes it."""

    def __init__(
        self,
        *,
        endpoints: Mapping[str, Endpoint],
        calls: Mapping[str, ListCall],
        known: KnownModels,
        prices: PriceBook,
        price_names: Mapping[str, str],
        now: Callable[[], float],
        way_to: Callable[[str, str], Transport] | None = None,
        remember: Callable[[bytes], object] | None = None,
        identities: Mapping[str, str] | None = None,
        stated: Callable[[str, str], Facts] = nothing_stated,
    ) -> None:
        """`calls`: provider → how it is asked. `price_names`: provider → its name in the price list. `now`: monotonic seconds.
        `way_to`: a transport for a provider's other host, by its origin; needed where a call has one.
        `stated`: (provider, model) → the prices that the operator says it has.
        `remember`: keeps what is known over a restart; called in a thread. `identities`: as for `KnownModels.packed`.
        """
        self._endpoints = endpoints
        self._calls = calls
        self.known = known
        self.prices = prices
        self._price_names = price_names
        self._stated = stated
        self._told_of_prices = prices.loaded
        self._now = now
        self._way_to = way_to
        self._remember = remember
        self.identities = identities or {}
        self._changed = False
        self._is_closed = False
        known.subscribe(self._note_change)
        self._ways: dict[str, Transport] = {}
        self._asking: set[str] = set()
        self._round: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None

    def models_of(self, provider: str) -> Mapping[str, Facts]:
        """What a provider lists, as far as known; asked for, if it is due."""
        self.poke(provider)
        return self.known.models(provider)

    def price_of(self, provider: str, model: str) -> Facts:
        """What the operator and the price list say of a provider's model, once that is loaded."""
        return self._stated(provider, model).over(self.prices.facts(self._price_names.get(provider, ""), model))

    def facts_of(self, provider: str, model: str) -> Facts:
        """What is known of a provider's model: from its list, else from the price list. Nobody is asked."""
        listed = self.known.models(provider)
        return listed[model].over(self.price_of(provider, model)) if model in listed else self.price_of(provider, model)

    def poke(self, provider: str = "") -> None:
        """Somebody wants lists, or one: ask for those that are due, if no round is running. Returns at once."""
        if (self._round is None or self._round.done()) and not self._is_closed:
            due = tuple(name for name in self.known.due(self._now()) if provider in ("", name))
            if due or not (provider or self.prices.loaded):
                self._round = asyncio.get_running_loop().create_task(self.refresh(due))

    def keep(self, providers: tuple[str, ...]) -> None:
        """Ask for these lists now, and again whenever they are due, until `close`: what names lead to depends on them.

        Of providers that have no list, or none that can be asked for, nothing is kept.
        """
        if listing := tuple(name for name in providers if name in self._calls):
            self._keeping = asyncio.get_running_loop().create_task(self._keep(listing))

    async def _keep(self, providers: tuple[str, ...]) -> None:
        while True:
            await self.refresh(tuple(name for name in self.known.due(self._now()) if name in providers))
            await asyncio.sleep(max(LEAST_WAIT_S, self.known.wait_s(providers, self._now())))

    async def refresh(self, providers: tuple[str, ...]) -> None:
        """Ask those of these providers that have lists; what went wrong is told by `KnownModels.problem`.

        Never raises but CancelledError.
        """
        await self.load_prices()
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(provider: str) -> None:
            async with slots:
                await self._ask(provider)

        asked = [provider for provider in providers if provider in self._calls and provider not in self._asking]
        self._asking.update(asked)
        try:
            await asyncio.gather(*map(one, asked))
        finally:
            self._asking.difference_update(asked)
        if self._changed and self._remember is not None:
            self._changed = False
            await asyncio.to_thread(self._remember, self.known.packed(self.identities))

    async def load_prices(self) -> None:
        """Have the price list read, if nobody has."""
        if not self._told_of_prices:
            if not self.prices.loaded:
                await asyncio.to_thread(self.prices.load)
            self._told_of_prices = True
            remembered = self._changed
            self.known.changed()
            self._changed = remembered  # prices are not what is remembered

    def load_prices_soon(self) -> None:
        """Have the price list read by and by. Returns at once."""
        self._loading = asyncio.get_running_loop().create_task(self.load_prices())

    def _note_change(self) -> None:
        self._changed = True

    def inherit(self, elder: "LiveLists") -> None:
        """Begin with what `elder`, which is closed, knows of the same providers."""
        same = {name for name, identity in self.identities.items() if elder.identities.get(name) == identity}
        self.known.inherit(elder.known, same)

    async def close(self) -> None:
        """Stop asking; what is known goes on being told."""
        self._is_closed = True
        for task in (self._round, self._keeping, self._loading):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for way in self._ways.values():
            await way.close()

    async def _ask(self, provider: str) -> None:
        problem = ""
        models: list[Listed] = []
        try:
            models = await asyncio.wait_for(self._all_lists(provider), WITHIN_S)
        except TimeoutError:
            problem = f"no list within {WITHIN_S:g} s"
        except TransportError as error:
            problem = error.problem.message
        except Refused as error:
            problem = error.problem.message
        except ValueError as error:
            problem = str(error)
        if problem:
            self.known.miss(provider, problem, self._now())
        else:
            self.known.learn(provider, models, self._now())

    async def _all_lists(self, provider: str) -> list[Listed]:
        """Raises TransportError, Refused, or ValueError with what came instead of a list; not while one list could be read."""
        call = self._calls[provider]
        models: list[Listed] = []
        problem: Exception | None = None
        for path in call.paths:
            try:
                models += await self._all_pages(provider, call, path)
            except (TransportError, Refused, ValueError) as error:
                problem = error
        if problem is not None and not models:
            raise problem
        return models

    async def _all_pages(self, provider: str, call: ListCall, path: str) -> list[Listed]:
        models: list[Listed] = []
        more: tuple[str, str] | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(provider, call, path, more)
            models += page.models
            if page.more is None or page.more == more:
                break
            more = page.more
        return models

    async def _page(self, provider: str, call: ListCall, path: str, more: tuple[str, str] | None) -> Page:
        further = "" if more is None else f"{'&' if '?' in path else '?'}{more[0]}={quote(more[1], safe='')}"
        incoming = await self._endpoints[provider].get(
            dialect=call.dialect,
            path=path + further,
            headers=_HEADERS.get(call.dialect, b""),
            timeouts=_TIMEOUTS,
            elsewhere=self._elsewhere(provider, call),
        )
        if incoming.status != 200:
            incoming.abort()
            raise ValueError(f"answered {incoming.status} to GET {path.partition('?')[0]}")
        body = await incoming.read(MAX_BYTES)
        return await asyncio.to_thread(self._read, provider, body)

    def _elsewhere(self, provider: str, call: ListCall) -> tuple[str, Transport] | None:
        if not call.origin or self._way_to is None:
            return None
        way = self._ways.get(provider)
        if way is None:
            way = self._ways[provider] = self._way_to(provider, call.origin)
        return call.origin, way

    def _read(self, provider: str, body: bytes) -> Page:
        """The page, with what the price list adds. In a thread: some lists are long."""
        page = read_page(body)
        priced = (Listed(listed.name, listed.facts.over(self.price_of(provider, listed.name))) for listed in page.models)
        return Page(tuple(priced), page.more)
