"""HTTPS with the operator's certificate: answered, and an orderly end though clients keep connections."""

import asyncio
import signal
import ssl
import sys
import time
from pathlib import Path

from tests.server.test_process import free_port
from tests.transport.certificates import Authority


async def test_https_is_served_and_idle_connections_do_not_hold_up_the_end(tmp_path):
    """A goodbye by TLS waits for the other side's; a pooled connection says nothing for half a minute."""
    authority = Authority(tmp_path)
    authority.server(address="127.0.0.1")
    (tmp_path / "gatewright.yaml").write_text(
        "server: {tls_cert_file: address.pem}\nproviders: {demo: }\nkeys: [{name: t, key: gw-test-key-0123456789}]\n"
    )
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "gatewright"),
        "serve",
        "--config",
        str(tmp_path / "gatewright.yaml"),
        "--port",
        str(port),
        env={"GATEWRIGHT_HOME": str(tmp_path), "PATH": "/usr/bin"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        trust = ssl.create_default_context(cafile=authority.ca_file)
        reader, writer = await _connected(port, trust)
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, told = await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode == 0
        assert time.monotonic() - began < 5
        assert f"https://127.0.0.1:{port}".encode() in told
        writer.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _connected(port, trust):
    deadline = time.monotonic() + 15
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        except ConnectionError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
