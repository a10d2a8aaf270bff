"""A Redis of our own, in a folder that is thrown away: one that may be killed. It writes down what it is told, as one would that
counts money.
"""

import asyncio
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.test_process import free_port


class Redis:
    """Killed and started again as often as one likes; `url` stays."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            why = "needs redis-server or valkey-server: one that may be killed is made of it"
            if os.environ.get("CI") == "true":
                pytest.fail(why)
            pytest.skip(why)
        folder.mkdir()
        self.program = program
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--appendonly", "yes",
                 "--save", ""],
                stdout=log, stderr=log,
            )  # fmt: skip

    async def answers(self, within_s: float = 20.0) -> None:
        for _ in range(int(within_s / 0.05)):
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"PING\r\n")
                told = await reader.readline()
                writer.close()
                if told == b"+PONG\r\n":
                    return
            await asyncio.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def close(self) -> None:
        self.kill()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
