"""A gateway of several workers under load, whose processes are killed; and the books of what its clients saw.

One rule: a client writes down an answer when its last byte is there, and nothing before. Whatever it wrote down must be in the
ledger, once.
"""

import asyncio
import json
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from gatewright.config import load_config
from gatewright.limiting import counters_of, everybody, now_us
from gatewright.limits.meters import meters_of
from gatewright.record.budgets import compare
from gatewright.record.verify import Verified, verify
from gatewright.stores import sql
from gatewright.stores.ledger_tables import IN_FLIGHT, REQUESTS
from tests.plays.wires import TEXT, told
from tests.server.load import answering, asked
from tests.server.test_process import free_port
from tests.serving import KEY, Upstream, call, read_answer

CLIENTS = 12


class Site:
    """One state folder, one gateway at a time, one upstream."""

    def __init__(
        self, folder: Path, up: Upstream, *, workers: int = 2, database: str = "", counters: str = "", chance: random.Random
    ) -> None:
        self.folder = folder
        self.up = up
        self.workers = workers
        self.chance = chance
        self.database = database
        self.counters = counters
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.seen: list[str] = []
        """Requests whose whole answer a client has seen."""
        self.unanswered = 0
        self.refused = 0
        self.wrong: list[str] = []
        self.above: list[str] = []
        """Budgets that have counted more than the ledger, at the last look."""
        self.stopping = False
        self.root = folder / "journal"
        url = f"database: {database}\n" if database else ""
        url += f"counters: {counters}\n" if counters else ""
        (folder / "gatewright.yaml").write_text(
            f"{url}server: {{state_dir: {folder}, drain_s: 2}}\nkeys: [{{name: test, key: {KEY}}}]\n"
            f"providers:\n  up: {{kind: openai, base_url: 'http://127.0.0.1:{up.port}/v1', dialects: [openai_chat], api_key: sk-x}}\n"
            "models:\n  m: {targets: [up/m]}\n"
            "pricing: {models: {'up/m': {input: 100, output: 200}}}\n"
            "budgets: {everybody: [{per: total, dollars: 1000000000}]}\n"
        )
        answering(up)

    def engine(self) -> sa.Engine:
        engine = sql.engine_of(self.database or sql.sqlite_url(self.folder / "gatewright.db"))
        sql.migrate(engine)
        return engine

    async def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gatewright", "serve", "-q", "--config", str(self.folder / "gatewright.yaml"),
                "--port", str(self.port), "--workers", str(self.workers),
                env={**os.environ, "NO_COLOR": "1"}, stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(1200):
            assert self.process.returncode is None, (self.folder / "log").read_text()[-3000:]
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                if (await asyncio.wait_for(call(self.port, "/ready", b"", method="GET"), 2)).status == 200:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def worker_pids(self) -> list[int]:
        """Of the processes that answer."""
        assert self.process is not None
        assert self.process.returncode is None, f"the supervisor is gone: {(self.folder / 'log').read_text()[-3000:]}"
        if self.workers == 1:
            return [self.process.pid]
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = []
        for pid in children:
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        return found

    def kill_a_worker(self) -> None:
        pids = self.worker_pids()
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(pids), signal.SIGKILL)

    async def kill_all(self) -> None:
        """The supervisor first, so that it replaces nobody."""
        assert self.process is not None
        pids = [] if self.workers == 1 else self.worker_pids()
        self.process.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()
        for pid in pids:
            for _ in range(200):
                if not Path(f"/proc/{pid}").exists():
                    break
                await asyncio.sleep(0.01)
        self.process = None

    async def stop(self) -> None:
        """In order."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 30)
            except TimeoutError:
                await self.kill_all()
            self.process = None

    # -- the clients ---------------------------------------------------------------------------------------------------------

    async def load(self, seconds: float) -> None:
        """So many clients, each asking again and again, in turn whole and streamed."""
        self.stopping = False
        tasks = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        await asyncio.sleep(seconds)
        self.stopping = True
        await asyncio.gather(*tasks)

    async def _client(self, turn: int) -> None:
        while not self.stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                while not self.stopping:
                    turn += 1
                    stream = turn % 3 == 0
                    writer.write(asked(stream=stream))
                    got = await asyncio.wait_for(read_answer(reader), 20)
                    self._saw(got, stream=stream)
                    if got.broken or got.headers.get("connection") == "close":
                        break
                    if turn % 7 == 0:  # one that leaves in the middle
                        writer.write(asked(stream=True))
                        await asyncio.sleep(self.chance.random() * 0.03)
                        break
            except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
                self.unanswered += 1
            finally:
                writer.close()

    def _saw(self, got, *, stream: bool) -> None:
        if got.broken:
            self.unanswered += 1
        elif got.status in (429, 503):
            self.refused += 1
        elif got.status != 200 or (stream and told("openai_chat", got.body) != ("stop", TEXT)):
            self.wrong.append(f"{got.status} {got.body[-200:]!r}")
        else:
            self.seen.append(got.headers["x-request-id"])

    # -- the books -----------------------------------------------------------------------------------------------------------

    async def caught_up(self, within_s: float = 30.0) -> None:
        """Until the tables know what the running journals know."""
        engine = self.engine()
        try:
            for _ in range(int(within_s / 0.1)):
                found = await asyncio.to_thread(verify, engine, self.root, sums=False)
                with engine.connect() as connection:
                    running = connection.execute(sa.select(sa.func.count()).select_from(IN_FLIGHT)).scalar_one()
                if not found.waiting and not running:
                    return
                await asyncio.sleep(0.1)
            raise AssertionError(f"still waiting: {found}; {(self.folder / 'log').read_text()[-2000:]}")
        finally:
            engine.dispose()

    def audit(self) -> Verified:
        """Everything that clients saw is in the ledger, once, and all of it adds up. Fails where not."""
        engine = self.engine()
        try:
            found = verify(engine, self.root)
            assert found.problems == (), "\n".join(found.problems)
            with engine.connect() as connection:
                rows = list(
                    connection.execute(sa.select(REQUESTS.c.id, REQUESTS.c.outcome, REQUESTS.c.status, REQUESTS.c.output))
                )
        finally:
            engine.dispose()
        known = {row[0]: row for row in rows}
        assert len(known) == len(rows)
        assert len(set(self.seen)) == len(self.seen)
        missing = [one for one in self.seen if one not in known]
        assert missing == [], f"{len(missing)} of {len(self.seen)} answers are not in the ledger, such as {missing[:3]}"
        renamed = [one for one in known if "~" in one]
        assert renamed == [], renamed[:3]
        unsettled = [one for one in self.seen if known[one][1] != "ok"]
        assert unsettled == [], f"whole answers that are not recorded as such: {[known[one] for one in unsettled[:3]]}"
        assert self.wrong == [], self.wrong[:3]
        return found

    async def audit_budgets(self) -> None:
        """No budget has counted less than was spent."""
        engine = self.engine()
        settings = load_config(self.folder / "gatewright.yaml", {})
        meters = [meter for meter in meters_of(everybody(settings)) if meter.is_budget]
        counters = counters_of(settings)
        try:
            for left in reversed(range(50)):
                found = await compare(engine, counters, meters, now_us())
                # A store that was killed may take a moment to be asked again, and a settlement a moment to come there.
                if not found.problems and not any("do not answer" in note for note in found.notes):
                    break
                assert left, found
                await asyncio.sleep(0.1)
            self.above = [note for note in found.notes if "stays spent" in note]
        finally:
            await counters.close()
            engine.dispose()

    def outcomes(self) -> dict[str, int]:
        engine = self.engine()
        try:
            with engine.connect() as connection:
                counted = sa.select(REQUESTS.c.outcome, sa.func.count()).group_by(REQUESTS.c.outcome)
                return {row[0]: row[1] for row in connection.execute(counted)}
        finally:
            engine.dispose()


def summary(site: Site) -> str:
    return json.dumps(
        {
            "seen whole": len(site.seen),
            "unanswered": site.unanswered,
            "refused": site.refused,
            "in the ledger": site.outcomes(),
            "budgets": site.above,
        }
    )
