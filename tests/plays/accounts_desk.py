"""A desk for plays about accounts: the stand-ins, a configuration for them, commands as people type them."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import asynccontextmanager
from unittest import mock

from typer.testing import CliRunner

from gatewright.cli.commands import app
from tests.plays.workos import Ob1, WorkOS, listening
from tests.serving import KEY, call

MESSAGE = json.dumps(
    {"model": "ob1/anthropic/claude-sonnet-4.5", "max_tokens": 50, "messages": [{"role": "user", "content": "ping"}]}
).encode()
AS_ANTHROPIC = f"x-api-key: {KEY}\r\nanthropic-version: 2023-06-01\r\n"


def config(workos: WorkOS, ob1: Ob1, more: str = "") -> str:
    return (
        f"providers: {{ob1: {{base_url: '{ob1.url}/api/v1', {more} "
        f"oauth: {{device_url: '{workos.url}/device', token_url: '{workos.url}/token'}}}}}}"
    )


LOOSE = ("_API_KEY", "_BASE_URL", "_HOME", "_TOKEN")
"""Ends of variables that would make this machine's own accounts count."""


def environment(tmp_path, more: dict[str, str] | None = None) -> dict[str, str]:
    """A person's environment, with nothing of this machine's in it."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith(LOOSE) and not name.startswith("GATEWRIGHT_")}
    own = {"GATEWRIGHT_HOME": str(tmp_path), "HOME": str(tmp_path), "NO_COLOR": "1", "CI": "1", "COLUMNS": "200"}
    return {**kept, **own, **(more or {})}


async def command(tmp_path, *words: str, given: bytes = b"", environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a `gatewright` command, run beside the loop that the stand-ins live in."""

    def run():
        with mock.patch.dict(os.environ, environment(tmp_path, environ), clear=True):
            return CliRunner().invoke(app, list(words), input=given, catch_exceptions=False)

    result = await asyncio.to_thread(run)
    return result.exit_code, result.stdout, result.stderr


async def process(tmp_path, *words: str) -> asyncio.subprocess.Process:
    """The same in a process of its own, which hears Ctrl-C though this one may have been told not to, as by `nohup` or `&`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gatewright", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(tmp_path),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


async def log_in(tmp_path, workos: WorkOS, ob1: Ob1, user: str = "ann", more: str = "") -> None:
    """By the command line, as a person does."""
    file = tmp_path / "login.yaml"
    file.write_text(config(workos, ob1, more))
    workos.user = user
    code, out, err = await command(tmp_path, "login", "ob1", "--config", str(file))
    assert (code, out.strip().removesuffix(" again")) == (0, f"ob1: logged in as {user}@example.com (Seven)"), err
    assert f"{workos.url}/activate?code=ABCD-EFGH" in err
    assert "dc-" not in out + err
    assert "at-" not in out + err


async def ask(port: int):
    return await call(port, "/v1/messages", MESSAGE, headers=AS_ANTHROPIC)


def kept(tmp_path) -> list[tuple]:
    with sqlite3.connect(tmp_path / "accounts.db") as db:
        return db.execute("select name, generation, state, pending_since is null from accounts order by made, rowid").fetchall()


@asynccontextmanager
async def stage():
    workos = WorkOS()
    ob1 = Ob1(workos)
    async with listening(workos, ob1):
        yield workos, ob1
