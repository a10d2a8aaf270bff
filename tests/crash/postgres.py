"""A PostgreSQL of our own, in a folder that is thrown away: one that may be killed."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.server.test_process import free_port

PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/opt/homebrew/bin"))


def binaries() -> Path | None:
    """Where `initdb` and `postgres` are."""
    found = shutil.which("initdb")
    places = ((Path(found).parent,) if found else ()) + PLACES
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


class Postgres:
    """Killed and started again as often as one likes; `url` stays."""

    def __init__(self) -> None:
        place = binaries()
        if place is None:
            why = "needs PostgreSQL's own programs (initdb, postgres): one that may be killed is made of them"
            if os.environ.get("CI") == "true":
                pytest.fail(why)
            pytest.skip(why)
        self.place = place
        # Not beneath pytest's folder: that is its owner's alone, and another session of its sees to it.
        self.folder = Path(tempfile.mkdtemp(prefix="gatewright-pg-"))
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen | None = None
        self.as_other: dict = {}
        if os.geteuid() == 0:  # PostgreSQL will not run as root
            shutil.chown(self.folder, "postgres", "postgres")
            self.as_other = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: PLW1510 - looked at below
            [str(self.place / program), *arguments], cwd=self.folder, capture_output=True, text=True, **self.as_other
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)  # whoever was killed has left it
        settings = ("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.place / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *settings],
                cwd=self.folder, stdout=log, stderr=log, process_group=0, **self.as_other,
            )  # fmt: skip

    async def answers(self, within_s: float = 30.0) -> None:
        for _ in range(int(within_s / 0.1)):
            try:
                await asyncio.to_thread(lambda: psycopg.connect(self.url, connect_timeout=2).close())
            except psycopg.OperationalError:
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """All its processes, at once."""
        if self.process is None:
            return
        pid = self.process.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for one in (pid, *children):  # each leads a session of its own
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.process.wait()
        self.process = None
        for child in children:  # one that lives holds the shared memory, and no other server starts
            while Path(f"/proc/{child}").exists():
                time.sleep(0.01)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
