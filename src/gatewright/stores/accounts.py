"""Accounts, sealed, in a SQLite file that several processes share; and the one right to refresh each of them.

One rule: no token is used before it is on the disk, and no refresh is sent before it is written down that it will be
(docs/adr/0012). A refresh is begun under a lease; a lease ends by itself, or with the process that holds it.
"""

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gatewright.account import Account, AccountState, Tokens
from gatewright.errors import GatewrightError, Problem
from gatewright.stores.holder import here, surely_dead
from gatewright.stores.sealed import CannotUnseal, Sealer

Result = TypeVar("Result")

PURPOSE: Final = "accounts"
LEASE_S: Final = 25.0
"""Longer than the longest wait for an identity provider; shorter than the 30 s in which most accept a used token once more."""
BUSY_MS: Final = 5_000

_SCHEMA = """
create table if not exists accounts (
    id text primary key, provider text not null, name text not null, sealed blob not null, generation integer not null,
    state text not null, reason text not null default '', cool_until real not null default 0, made real not null,
    holder text, held_until real, pending_since real,
    unique (provider, name)
);
"""
_COLUMNS = "id, provider, name, sealed, generation, state, reason, cool_until, pending_since"
_Row = tuple[str, str, str, bytes, int, AccountState, str, float, float | None]


class _Sealed(msgspec.Struct):
    """What is sealed of an account."""

    access: str
    refresh: str
    obtained_at: float
    expires_at: float | None
    identity: dict[str, str]


class StoreFailed(GatewrightError):
    """The accounts cannot be read or written. The message names the file and says what to do."""


class Begun(msgspec.Struct, frozen=True):
    """What became of the wish to refresh."""

    account: Account | None
    """As it stands now; None: it has been removed."""
    won: bool
    """Whether the caller is the one to refresh. It must `finish` or `end`."""
    unanswered_since: float | None = None
    """A refresh with the same token was sent then, and nobody knows what became of it."""


class AccountStore:
    """The accounts of all providers. Every change is on the disk when its call returns."""

    def __init__(self, path: Path, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._sealer = sealer
        self._clock = clock
        self._me = here()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="accounts")
        self._connection: sqlite3.Connection | None = None

    async def all(self, provider: str | None = None) -> tuple[Account, ...]:
        """All accounts, or a provider's, by age. Those that cannot be opened are there too, without tokens."""
        return await self._do(lambda db: self._all(db, provider))

    async def add(self, provider: str, name: str, tokens: Tokens, identity: Mapping[str, str]) -> tuple[Account, bool]:
        """A login. One of the same name gets the new tokens; the second value says whether there was one."""
        return await self._do(lambda db: self._add(db, provider, name, tokens, identity))

    async def begin(self, account_id: str, generation: int) -> Begun:
        """Ask for the right to refresh the tokens of `generation`; write down that they are about to be sent."""
        return await self._do(lambda db: self._begin(db, account_id, generation))

    async def finish(self, account_id: str, generation: int, tokens: Tokens, identity: Mapping[str, str]) -> Account | None:
        """Save what was granted for `generation`, and give the right back. None: the account has been removed meanwhile.

        If another has saved a later set meanwhile (the lease had ended), that one stands and is returned.
        """
        return await self._do(lambda db: self._finish(db, account_id, generation, tokens, identity))

    async def end(self, account_id: str, generation: int, *, reason: str, state: AccountState, unanswered: bool) -> None:
        """Give the right back without tokens. `unanswered`: the request may have been heard, the answer was not."""
        await self._do(
            lambda db: db.execute(
                "update accounts set reason = ?, state = ?, holder = null, held_until = null, "
                "pending_since = case when ? then pending_since end where id = ? and generation = ? and holder = ?",
                (reason, state, unanswered, account_id, generation, self._me.text()),
            )
        )

    async def mark(self, account_id: str, generation: int, state: AccountState, reason: str) -> None:
        """Say how the account stands, unless its tokens have changed meanwhile."""
        sql = "update accounts set state = ?, reason = ? where id = ? and generation = ?"
        await self._do(lambda db: db.execute(sql, (state, reason, account_id, generation)))

    async def cool(self, account_id: str, until: float, reason: str) -> None:
        """Let the account rest until then."""
        sql = "update accounts set cool_until = ?, reason = ? where id = ?"
        await self._do(lambda db: db.execute(sql, (until, reason, account_id)))

    async def remove(self, account_id: str) -> bool:
        """Whether there was such an account."""
        return await self._do(lambda db: db.execute("delete from accounts where id = ?", (account_id,)).rowcount > 0)

    async def abandoned(self, provider: str) -> tuple[str, ...]:
        """Ids of a provider's accounts whose refresh was begun by a process that is no more: to be taken up at once."""
        return await self._do(lambda db: self._abandoned(db, provider))

    async def close(self) -> None:
        def end() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        await asyncio.get_running_loop().run_in_executor(self._thread, end)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def run() -> Result:
            try:
                return work(self._open())
            except (sqlite3.Error, OSError) as error:
                raise StoreFailed(Problem(kind="internal", code="accounts_unusable", message=self._told(error))) from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _told(self, error: sqlite3.Error | OSError) -> str:
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        what = "move it away and log in again" if damaged else "see that it can be written and that there is room"
        why = error.strerror if isinstance(error, OSError) else str(error)
        return f"the accounts in '{self._path}' cannot be used ({why}): {what}"

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files take after it
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            connection.execute(f"pragma busy_timeout = {BUSY_MS}")
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")  # a granted token must outlive a power cut
            connection.executescript(_SCHEMA)
            self._connection = connection
        return self._connection

    def _all(self, db: sqlite3.Connection, provider: str | None) -> tuple[Account, ...]:
        where, values = ("", ()) if provider is None else (" where provider = ?", (provider,))
        rows = db.execute(f"select {_COLUMNS} from accounts{where} order by made, rowid", values)  # noqa: S608 - our own words
        return tuple(self._account(row) for row in rows.fetchall())

    def _one(self, db: sqlite3.Connection, account_id: str) -> Account | None:
        row = db.execute(f"select {_COLUMNS} from accounts where id = ?", (account_id,)).fetchone()  # noqa: S608 - our own words
        return None if row is None else self._account(row)

    def _add(
        self, db: sqlite3.Connection, provider: str, name: str, tokens: Tokens, identity: Mapping[str, str]
    ) -> tuple[Account, bool]:
        with _Writing(db):
            row = db.execute("select id from accounts where provider = ? and name = ?", (provider, name)).fetchone()
            account_id = secrets.token_hex(8) if row is None else row[0]
            db.execute(
                "insert into accounts (id, provider, name, sealed, generation, state, made) values (?, ?, ?, ?, 1, 'active', ?) "
                "on conflict (id) do update set sealed = excluded.sealed, generation = generation + 1, state = 'active', "
                "reason = '', cool_until = 0, holder = null, held_until = null, pending_since = null",
                (account_id, provider, name, self._sealed(account_id, tokens, identity), self._clock()),
            )
            account = self._one(db, account_id)
        assert account is not None
        return account, row is not None

    def _begin(self, db: sqlite3.Connection, account_id: str, generation: int) -> Begun:
        now = self._clock()
        with _Writing(db):
            account = self._one(db, account_id)
            if account is None or account.generation != generation or account.tokens is None:
                return Begun(account, won=False)
            holder, held_until = db.execute("select holder, held_until from accounts where id = ?", (account_id,)).fetchone()
            if holder is not None and now < held_until <= now + LEASE_S and not surely_dead(holder, self._me):
                return Begun(account, won=False)
            db.execute(
                "update accounts set holder = ?, held_until = ?, pending_since = ifnull(pending_since, ?) where id = ?",
                (self._me.text(), now + LEASE_S, now, account_id),
            )
        return Begun(account, won=True, unanswered_since=account.pending_since)

    def _finish(
        self, db: sqlite3.Connection, account_id: str, generation: int, tokens: Tokens, identity: Mapping[str, str]
    ) -> Account | None:
        with _Writing(db):
            db.execute(
                "update accounts set sealed = ?, generation = generation + 1, state = 'active', reason = '', "
                "holder = null, held_until = null, pending_since = null where id = ? and generation = ?",
                (self._sealed(account_id, tokens, identity), account_id, generation),
            )
            return self._one(db, account_id)

    def _abandoned(self, db: sqlite3.Connection, provider: str) -> tuple[str, ...]:
        rows = db.execute(
            "select id, holder from accounts where provider = ? and state = 'active' and holder is not null", (provider,)
        ).fetchall()
        return tuple(account_id for account_id, holder in rows if surely_dead(holder, self._me))

    def _sealed(self, account_id: str, tokens: Tokens, identity: Mapping[str, str]) -> bytes:
        document = _Sealed(tokens.access, tokens.refresh, tokens.obtained_at, tokens.expires_at, dict(identity))
        return self._sealer.seal(account_id, msgspec.json.encode(document))

    def _account(self, row: _Row) -> Account:
        account_id, provider, name, sealed, generation, state, reason, cool_until, pending_since = row
        tokens: Tokens | None = None
        identity: dict[str, str] = {}
        try:
            document = msgspec.json.decode(self._sealer.unseal(account_id, sealed), type=_Sealed)
            tokens = Tokens(
                access=document.access,
                refresh=document.refresh,
                obtained_at=document.obtained_at,
                expires_at=document.expires_at,
            )
            identity = document.identity
        except CannotUnseal as error:
            state, reason = "unreadable", str(error)
        except msgspec.MsgspecError:
            state, reason = "unreadable", "it is damaged, or was written by a newer version"
        return Account(
            id=account_id,
            provider=provider,
            name=name,
            tokens=tokens,
            identity=identity,
            generation=generation,
            state=state,
            reason=reason,
            cool_until=cool_until,
            pending_since=pending_since,
        )


class _Writing:
    """One write transaction, from its first statement on: two processes never both see what only one may change."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("commit" if kind is None else "rollback")
