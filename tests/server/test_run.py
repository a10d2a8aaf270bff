"""Stopping and taking over: under load no request fails, and no connection is refused while anybody holds the socket."""

import asyncio
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.load import answering, under_load
from tests.server.test_process import answers, free_port, served
from tests.serving import KEY, upstream

from gatewright.server.run import handed_over


def yaml(port: int) -> str:
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream-key}}
models:
  m: {{targets: [up/m]}}
"""


async def test_draining_under_load_fails_no_request(tmp_path):
    """Clients that keep their connections are told with their last answer that it was the last."""
    async with upstream() as up, served(tmp_path, yaml(up.port)) as gw:
        answering(up)
        async with under_load(gw.port, clients=16, again=False) as load:
            await asyncio.sleep(0.5)
            gw.stop()
            assert await gw.stopped(10) == 0, (tmp_path / "log").read_text()
            await asyncio.sleep(0.1)
            assert load.ended == 16
        assert load.failed == []
        assert load.good > 50


class Manager:
    """What a service manager does: it listens, hands the socket to a service, and waits for its word."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listening.getsockname()[1]
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify.bind(str(tmp_path / "notify"))
        self.services: list[subprocess.Popen[bytes]] = []

    async def start(self, workers: int) -> subprocess.Popen[bytes]:
        """A service that has said it is ready."""

        gatewright = [sys.executable, "-m", "gatewright", "serve", "--quiet", "--config", str(self.tmp_path / "gatewright.yaml")]
        number = self.listening.fileno()
        taking = f'LISTEN_PID=$$ exec "$@" 3<&{number} {number}<&-' if number != 3 else 'LISTEN_PID=$$ exec "$@"'
        command = ["bash", "-c", taking, "bash", *gatewright, "--workers", str(workers)]
        environ = {
            **os.environ,
            "GATEWRIGHT_HOME": str(self.tmp_path),
            "LISTEN_FDS": "1",
            "NOTIFY_SOCKET": str(self.tmp_path / "notify"),
        }
        with (self.tmp_path / "log").open("ab") as log:
            service = subprocess.Popen(command, env=environ, pass_fds=(number,), stdout=log, stderr=log)
        self.services.append(service)
        async with asyncio.timeout(30):
            while True:
                try:
                    assert self.notify.recv(100) == b"READY=1"
                except BlockingIOError:
                    assert service.poll() is None, (self.tmp_path / "log").read_text()
                    await asyncio.sleep(0.02)
                else:
                    return service

    async def stopped(self, service: subprocess.Popen[bytes]) -> int:
        service.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(service.wait, 15)

    def close(self) -> None:
        for service in self.services:
            if service.poll() is None:
                service.kill()
                service.wait()
        self.listening.close()
        self.notify.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_another_process_takes_the_socket_over_and_no_connection_is_refused(tmp_path, workers):
    """The new one is started beside the old one, on the same socket; when it is ready, the old one is stopped."""
    async with upstream() as up:
        answering(up)
        (tmp_path / "gatewright.yaml").write_text(f"{yaml(up.port)}\nkeys: [{{name: test, key: {KEY}}}]\n")
        manager = Manager(tmp_path)
        try:
            old = await manager.start(workers)
            async with under_load(manager.port, clients=12) as load:
                await manager.start(workers)
                assert await manager.stopped(old) == 0, (tmp_path / "log").read_text()
                before = load.good
                await asyncio.sleep(0.3)
                assert load.good > before
            assert load.failed == []
            print(f"{load.good} requests")
        finally:
            manager.close()


async def test_a_restart_without_overlap_makes_connections_wait_and_refuses_none(tmp_path):
    """Between the old and the new there is nobody; whoever comes then is answered by the new."""
    async with upstream() as up:
        answering(up)
        (tmp_path / "gatewright.yaml").write_text(f"{yaml(up.port)}\nkeys: [{{name: test, key: {KEY}}}]\n")
        manager = Manager(tmp_path)
        try:
            old = await manager.start(1)
            async with under_load(manager.port) as load:
                assert await manager.stopped(old) == 0
                await manager.start(1)
                before = load.good
                await asyncio.sleep(0.5)
                assert load.good > before
            assert load.failed == []
        finally:
            manager.close()


async def test_sockets_that_are_meant_for_another_process_are_left_alone(tmp_path, monkeypatch):
    """`LISTEN_PID` names whom they are for; variables do not go on to children."""
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert handed_over() == []
    assert "LISTEN_FDS" not in os.environ
    assert "LISTEN_PID" not in os.environ


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_terminal_that_is_closed_ends_what_was_started_from_it(tmp_path, workers):
    """SIGHUP means "read your configuration" to a service, and "your terminal is gone" to what runs in one."""
    (tmp_path / "gatewright.yaml").write_text(f"providers: {{demo: {{kind: demo}}}}\nkeys: [{{name: test, key: {KEY}}}]\n")
    port = free_port()
    serve = [
        "-m",
        "gatewright",
        "serve",
        "-q",
        "-c",
        str(tmp_path / "gatewright.yaml"),
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    ours, theirs = pty.openpty()
    # The child of a new session gets the terminal that it opens first.
    command = ["bash", "-c", f'exec {sys.executable} "$@" <{os.ttyname(theirs)} >{tmp_path}/log 2>&1', "bash", *serve]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "GATEWRIGHT_HOME": str(tmp_path)}, start_new_session=True
    )
    try:
        await answers(process, port, tmp_path)
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(5):
            while "taken over" not in (tmp_path / "log").read_text():
                await asyncio.sleep(0.05)
        os.close(theirs)
        os.close(ours)
        assert await asyncio.wait_for(process.wait(), 10) == 0, (tmp_path / "log").read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
