"""Memory of open streams with TLS to the upstream: `python -m bench.tls`. Plain first, then the same over TLS."""

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.kit import WORK, kit, need

STREAMS = 500
PORT = 8190
CONFIG = """
providers:
  hold: {{kind: openai, base_url: "{url}", api_key: sk-upstream{tls}}}
models:
  m-hold: {{targets: [hold/m-hold]}}
keys:
  - {{name: bench, key: sk-bench-1234}}
"""


def build(name: str) -> Path:
    """A program of the kit, compiled once."""
    program = WORK / "run" / name
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O2", "-o", str(program), str(kit() / "c" / f"{name}.c")], check=True)
    return program


def certificate() -> Path:
    """Certificate and key in one file, for localhost."""
    pem = WORK / "run" / "tls.pem"
    pem.parent.mkdir(parents=True, exist_ok=True)
    if not pem.exists():
        key, crt = pem.with_suffix(".key"), pem.with_suffix(".crt")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(crt)]
        subprocess.run(command, check=True, capture_output=True)
        pem.write_bytes(key.read_bytes() + crt.read_bytes())
    return pem


def pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def kb_per_stream(url: str, tls: str) -> float:
    """PSS that STREAMS open streams add to a gateway that was warm."""
    config = WORK / "run" / "hold.yaml"
    config.write_text(CONFIG.format(url=url, tls=tls))
    gateway = subprocess.Popen([sys.executable, "-m", "gatewright", "serve", "-q", "--config", str(config), "--port", str(PORT)])
    load = [
        str(build("load")),
        "-p",
        str(PORT),
        "-u",
        "/v1/chat/completions",
        "-b",
        str(kit() / "bodies" / "m-hold_oai_1k_s.json"),
    ]
    load += ["-H", "Authorization: Bearer sk-bench-1234", "-S", "-O", "-w", "0"]
    try:
        time.sleep(3)
        subprocess.run([*load, "-c", "20", "-d", "2"], check=True, capture_output=True)
        before = pss_kb(gateway.pid)
        held = subprocess.Popen([*load, "-c", str(STREAMS), "-d", "6"], stdout=subprocess.PIPE, text=True)
        time.sleep(5)
        after = pss_kb(gateway.pid)
        said, _ = held.communicate()
        count = int(json.loads(said)["open"])
        return (after - before) / max(1, count)
    finally:
        gateway.terminate()
        gateway.wait()


def main() -> None:
    need("haproxy", "openssl", "gcc")
    pem = certificate()
    settings = WORK / "run" / "tls.cfg"
    settings.write_text((kit() / "conf" / "tls.cfg").read_text().replace("@RUN@", str(WORK / "run")))
    upstream = subprocess.Popen([str(build("upstream")), "9103:chunks=60,interval=1000000,ts=1"], stderr=subprocess.DEVNULL)
    proxy = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", str(settings)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        plain = kb_per_stream("http://127.0.0.1:9103/v1", "")
        secure = kb_per_stream("https://localhost:9443/v1", f', ca_file: "{pem.with_suffix(".crt")}"')
    finally:
        upstream.terminate()
        proxy.terminate()
    print("| KB per open stream | | target |\n|---|--:|--:|")
    print(f"| plain | {plain:.1f} | 25 |\n| TLS to the upstream | {secure:.1f} | 80 |")


if __name__ == "__main__":
    main()
