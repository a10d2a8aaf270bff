"""`gatewright serve` with a certificate: boto3 sends bearer tokens over HTTPS only."""

import contextlib
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.sdk.gateway import configuration, free_port
from tests.transport.certificates import Authority


@contextlib.contextmanager
def serving_tls(upstream: str, folder: Path, more: str = "", names: str = "") -> Iterator[tuple[str, str]]:
    """(URL, file of the authority to trust). As `gateway.serving`, by TLS; `more` is added to the providers, `names` to the models."""
    authority = Authority(folder)
    authority.server(address="127.0.0.1")  # writes address.pem, certificate and key
    port = free_port()
    state = folder / "state"
    config = folder / "gatewright.yaml"
    text = configuration(upstream, state).replace(
        f"server: {{state_dir: {state}}}", f"server: {{state_dir: {state}, tls_cert_file: address.pem}}"
    )
    text = text.replace("providers:\n", f"providers:\n{more}", 1).replace("models:\n", f"models:\n{names}", 1)
    config.write_text(text, encoding="utf-8")
    log = folder / "gatewright.log"
    command = [str(Path(sys.executable).parent / "gatewright"), "serve", "--config", str(config), "--port", str(port)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment) as process,
    ):
        try:
            url = f"https://127.0.0.1:{port}"
            _wait_for(url, authority.ca_file, process, log)
            yield url, authority.ca_file
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    told = log.read_text(encoding="utf-8", errors="replace")
    assert "Traceback" not in told, told[told.index("Traceback") :][:2000]


def _wait_for(url: str, ca_file: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    trust = ssl.create_default_context(cafile=ca_file)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        asking = urllib.request.Request(f"{url}/health")
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(asking, timeout=2, context=trust) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not come up: {log.read_text(encoding='utf-8', errors='replace')[-800:]}")
