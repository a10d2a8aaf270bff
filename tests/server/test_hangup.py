"""A hang-up that comes while a server starts is remembered, not died of."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.server.test_process import answers, free_port
from tests.serving import KEY, call


def catches_hangups(pid: int) -> bool:
    """Whether the process has said what to do on SIGHUP, as the kernel sees it."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask.split()[1], 16) & 1 << signal.SIGHUP - 1)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_server_that_is_told_to_read_again_while_it_starts_reads_again_and_lives(tmp_path, workers):
    """From its first lines on, through imports, configuration and the start of its workers; and all of them read."""
    (tmp_path / "gatewright.yaml").write_text(f"providers: {{demo: {{kind: demo}}}}\nkeys: [{{name: test, key: {KEY}}}]\n")
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gatewright", "serve", "-q", "-c", str(tmp_path / "gatewright.yaml"), "--port", str(port),
            "--workers", str(workers), env={**os.environ, "GATEWRIGHT_HOME": str(tmp_path)}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        while not catches_hangups(process.pid):
            assert process.returncode is None
            await asyncio.sleep(0.001)
        with pytest.raises(ConnectionRefusedError):
            await call(port, "/ready", b"", method="GET")
        ready = asyncio.create_task(answers(process, port, tmp_path))
        sent = 0
        while not ready.done():
            process.send_signal(signal.SIGHUP)
            sent += 1
            await asyncio.sleep(0.02)
        await ready
        assert sent > 1
        ends = time.monotonic() + 20
        while log.read_text().count("taken over") < workers:
            assert time.monotonic() < ends, log.read_text()
            await asyncio.sleep(0.05)
        assert (await call(port, "/v1/models", b"", method="GET")).status == 200
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0, log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=20).stdout


def test_what_came_early_is_told_once():
    """Whoever takes the signal over acts on it, and no second one does."""
    program = """
import os, signal
from gatewright.server import hangup
print(hangup.came_early())
hangup.remember()
os.kill(os.getpid(), signal.SIGHUP)
hangup.remember()
print(hangup.came_early(), hangup.came_early())
"""
    assert run(program).split() == ["False", "True", "False"]


def test_hearing_it_early_loads_nothing():
    """Or the early moments would be over before it is heard."""
    program = """
import sys
from gatewright.server.hangup import remember
remember()
print([name for name in sys.modules if name.split(".")[0] in ("asyncio", "uvicorn", "msgspec", "typer", "pydantic")])
"""
    assert run(program).strip() == "[]"


def test_other_commands_end_when_their_terminal_does():
    """`gatewright login` in a terminal that is closed must not stay behind."""
    program = """
import signal, sys
sys.argv = ["gatewright", "version"]
from gatewright.cli import main
try:
    main()
except SystemExit:
    pass
print(signal.getsignal(signal.SIGHUP) is signal.SIG_DFL)
"""
    assert run(program).split()[-1] == "True"
