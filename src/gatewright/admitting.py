"""From the configuration to who may call: the records it declares, and the stage that asks whose a call is."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatewright.bookkeeping import database_file, database_of
from gatewright.config import Config
from gatewright.config.model import JwtConfig
from gatewright.exchange import Principal
from gatewright.limits.terms import Level
from gatewright.pipeline import Stacks
from gatewright.pipeline.authenticate import Authenticate
from gatewright.principals.networks import network
from gatewright.principals.records import NOTHING, Granted, Held, Key, Records
from gatewright.principals.roll import Roll, roll_after, roll_of
from gatewright.principals.secrets import digest
from gatewright.principals.stored import NOTHING as NOTHING_STORED
from gatewright.principals.stored import Stored, Touched
from gatewright.stores.peers import PeerName, Peers
from gatewright.transport.plain_fetch import PlainFetch

if TYPE_CHECKING:
    from gatewright.issuers.tokens import IssuedTokens
    from gatewright.stores.principals import PrincipalStore

log = logging.getLogger("gatewright")

LOOK_EVERY_S: Final = 0.4
"""How often a worker looks whether somebody has changed a principal; by other workers of this machine it is told at once."""
LONGEST_LOOK_S: Final = 5.0
"""… while the database does not answer."""
FIRST_LOOK_S: Final = 10.0
"""How long a start waits for the stored keys, before those that are declared are served without them."""
TOPIC: Final = "principals"
TOLD_EVERY_S: Final = 60.0


def declared_by(config: Config) -> Records:
    """The records of the file."""
    granted: dict[tuple[Level, str], Granted] = dict(config.principals.granted)
    for key in config.keys:
        if key.granted is not NOTHING:
            granted["key", key.name] = key.granted
    return Records(
        organizations=config.principals.organizations,
        teams=config.principals.teams,
        users=config.principals.users,
        keys=tuple(
            Held(
                key=Key(
                    id=key.name,
                    name=key.name,
                    models=key.models,
                    tags=key.tags,
                    role=key.role,
                    organization=key.organization,
                    team=key.team,
                    user=key.user,
                    expires=key.expires,
                    disabled=key.disabled,
                    dialects=key.dialects,
                    routes=key.routes,
                    ips=key.ips,
                    defaults=key.defaults,
                    max_tokens=key.max_tokens,
                    metadata=dict(key.metadata),
                    show_cost=key.show_cost,
                    traces=key.traces,
                ),
                digest=digest(key.key.reveal().encode()),
            )
            for key in config.keys
        ),
        granted=granted,
    )


def store_of(config: Config) -> "PrincipalStore":
    """The stored principals, their tables made. Blocks. Raises DatabaseError, BadDatabase, OSError."""
    from gatewright.stores.principals import PrincipalStore  # noqa: PLC0415 - takes its time
    from gatewright.stores.sql import migrate  # noqa: PLC0415

    engine = database_of(config)
    migrate(engine)
    return PrincipalStore(engine)


def tokens_of(config: Config, environ: Mapping[str, str]) -> "IssuedTokens":
    """Whoever knows the tokens of the configured identity providers. Nothing is fetched yet."""
    from gatewright.issuers.claims import Rule  # noqa: PLC0415 - takes its time, for whoever has configured one
    from gatewright.issuers.key_sets import KeySet  # noqa: PLC0415
    from gatewright.issuers.tokens import IssuedTokens, Issuer  # noqa: PLC0415

    fetch = PlainFetch(environ)
    hosts = [urlsplit(it.issuer).netloc for it in config.jwt]
    return IssuedTokens(
        [
            Issuer(
                issuer=it.issuer,
                name=host if hosts.count(host) == 1 else it.issuer.partition("://")[2],
                audience=frozenset(it.audience),
                algorithms=it.algorithms,
                skew_s=it.skew_s,
                rule=Rule(
                    user=it.user, team=it.team, organization=it.organization, role=it.role, roles=it.roles, models=it.models
                ),
                keys=KeySet(it.issuer, it.jwks, fetch),
            )
            for it, host in zip(config.jwt, hosts, strict=True)
        ]
    )


def behind_issuers(stacks: Stacks, authenticate: Authenticate) -> Stacks:
    """The stacks; where tokens count, with the keys of their issuers in front."""
    if authenticate.tokens is None:
        return stacks
    from gatewright.issuers.tokens import IssuedTokens  # noqa: PLC0415 - there already, where it is needed
    from gatewright.pipeline.prepared import Prepared  # noqa: PLC0415

    assert isinstance(authenticate.tokens, IssuedTokens)
    return Prepared(stacks, authenticate.tokens)


class Directory:
    """All keys, declared and stored, as this worker knows them. One for all generations; within one event loop.

    One rule: who is known stays known while the database does not answer; who is not is told to come again, not that he is wrong.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        """As the process was started: where the database is takes a restart."""
        self._clock = clock
        self._known = NOTHING_STORED
        """What is stored, as it was read last."""
        self._failed = False
        """The database did not answer since: it may be another one now, so that no change of what is known can be relied on."""
        self._complete = True
        self._serves: Authenticate | None = None
        self._store: PrincipalStore | None = None
        self._one_at_a_time = threading.Lock()
        self._issuers: tuple[tuple[JwtConfig, ...], IssuedTokens | None] = ((), None)
        self._looking = asyncio.Lock()
        self._news = asyncio.Event()
        self._peers: Peers | None = None
        self._task: asyncio.Task[None] | None = None
        self._told = -TOLD_EVERY_S

    def stage(self, config: Config, environ: Mapping[str, str]) -> Authenticate:
        """Whoever asks for a configuration: it knows what is declared there, and what is stored."""
        if config.jwt != self._issuers[0]:  # else the keys that were fetched go on
            self._issuers = (config.jwt, tokens_of(config, environ) if config.jwt else None)
        stage = Authenticate(
            roll_of(declared_by(config), self._known.records, self._clock(), None if self._serves is None else self._serves.roll),
            clock=self._clock,
            trusted=tuple(network(text) for text in self._config.server.trusted_proxies),
            tokens=self._issuers[1],
        )
        if self._serves is None:
            self.serve(stage)
        return stage

    def serve(self, stage: Authenticate) -> None:
        """From now on this one answers, and hears of changes. Something may have been stored since it was made."""
        roll = stage.roll
        if roll.stored is not self._known.records:
            roll = roll_of(roll.declared, self._known.records, self._clock(), roll)
        stage.know(roll, complete=self._complete)
        self._serves = stage

    @property
    def roll(self) -> Roll:
        """Who is known now."""
        assert self._serves is not None
        return self._serves.roll

    def declared(self) -> Records:
        """What the configuration says that is served now."""
        return self.roll.declared

    # -- changes -------------------------------------------------------------------------------------------------------------

    async def start(self, peers: Peers) -> None:
        """Read what is stored, and look for changes from now on. Before the peers are opened."""
        peers.subscribe(TOPIC, self._heard)
        self._peers = peers
        if self._is_there():
            self._complete = False
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(looked := asyncio.ensure_future(self._look())), FIRST_LOOK_S)
            if not looked.done():
                self._publish(self._known)
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._store is not None:
            await asyncio.to_thread(self._store.close)

    async def store(self) -> "PrincipalStore":
        """Where principals are stored, made when it is first needed. Raises DatabaseError, BadDatabase, OSError."""
        return await asyncio.to_thread(self._opened)

    async def changed(self) -> None:
        """Something was changed here: known here at once, and told to the other workers of this machine."""
        await self._look()
        if self._peers is not None:
            self._peers.tell(TOPIC, b"")

    async def noted(self, who: Principal, source: str, changes: bytes) -> None:
        """Write down that somebody had the configuration read again. Where that cannot be, the log says so."""
        from gatewright.stores.audit import Actor  # noqa: PLC0415 - takes its time

        try:
            store = await self.store()
            await asyncio.to_thread(store.note, Actor(who.name, who.key_id, "api"), "reload", "configuration", source, changes)
        except Exception as error:  # noqa: BLE001 - a database has many ways to fail, and it has been read all the same
            log.warning("warning: %s has had %s read again, which the audit log cannot be told: %s", who.name, source, error)

    def _opened(self) -> "PrincipalStore":
        with self._one_at_a_time:
            if self._store is None:
                self._store = store_of(self._config)
            return self._store

    def _is_there(self) -> bool:
        """Whether there is a database to look into. One that nobody has made yet is not made by looking."""
        return self._store is not None or self._config.database is not None or database_file(self._config).exists()

    def _heard(self, _payload: bytes, _sender: PeerName) -> None:
        self._news.set()

    async def _watch(self) -> None:
        pause_s = LOOK_EVERY_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause_s)
            self._news.clear()
            if self._is_there():
                good = await self._look()
                pause_s = LOOK_EVERY_S if good else min(LONGEST_LOOK_S, 2 * pause_s)

    async def _look(self) -> bool:
        """Read what is stored if it is not what is known. Whether that went well; never raises for the database."""
        async with self._looking:  # or an older state might be published behind a younger one
            return await self._looked()

    async def _looked(self) -> bool:
        try:
            found = await asyncio.to_thread(self._read)
        except Exception as error:  # noqa: BLE001 - a database has many ways to fail, and this must go on
            if self._clock() - self._told >= TOLD_EVERY_S:
                self._told = self._clock()
                log.warning("warning: stored keys cannot be read, those that are known go on: %s", error)
            self._failed = True
            if not self._complete:
                self._publish(self._known)
            return False
        self._failed = False
        if found is not None:
            self._complete = True
            await self._published(*found)
        elif not self._complete:
            self._complete = True
            self._publish(self._known)
        return True

    def _read(self) -> tuple[Stored, Touched] | None:
        """What is stored, and whom that concerns that is new; None where all is known."""
        store, known = self._opened(), self._known
        return None if store.version() == known.version else store.news(NOTHING_STORED if self._failed else known)

    async def _published(self, stored: Stored, touched: Touched) -> None:
        """As `_publish`; what takes long with many keys is done beside the loop."""
        stage, known = self._serves, self._known
        if stage is not None:
            roll = stage.roll
            if roll.stored is known.records:
                made = await asyncio.to_thread(roll_after, roll, stored, touched, self._clock())
            else:
                made = await asyncio.to_thread(roll_of, roll.declared, stored.records, self._clock(), roll)
            if self._serves is stage and stage.roll is roll:
                self._known = stored
                stage.know(made, complete=True)
                return
        self._publish(stored)

    def _publish(self, stored: Stored) -> None:
        self._known = stored
        if self._serves is not None:
            self.serve(self._serves)
