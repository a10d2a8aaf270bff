"""`make profile`: where the gateway's time goes under load, by function, for one scenario."""

import argparse
import collections
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.kit import WORK, kit, need
from bench.tls import build

PORT = 8191
CONFIG = """
providers:
  up: {kind: openai, base_url: "http://127.0.0.1:9181/v1", api_key: sk-upstream}
models:
  m-burst: {targets: [up/m-burst]}
keys:
  - {name: bench, key: sk-bench-1234}
"""
SCENARIOS: dict[str, tuple[str, str, str, list[str]]] = {
    "plain": ("size=300,chunks=200", "m-burst_oai_1k", "/v1/chat/completions", ["-c", "32"]),
    "burst": ("chunks=200", "m-burst_oai_1k_s", "/v1/chat/completions", ["-c", "16", "-S"]),
    "paced": ("chunks=200,interval=20000,ts=1", "m-burst_oai_1k_s", "/v1/chat/completions", ["-c", "100", "-S"]),
    "translated": ("chunks=200", "m-burst_ant_1k_s", "/v1/messages", ["-c", "16", "-S"]),
}
"""What the upstream does, the body, the path, the load."""


def folded(samples: str) -> list[tuple[float, float, str]]:
    """(own %, with callees %, function) of collapsed stacks, the most expensive first."""
    own: collections.Counter[str] = collections.Counter()
    cumulated: collections.Counter[str] = collections.Counter()
    total = 0
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)", ")", frame) for frame in stack.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            cumulated[frame] += int(count)
    return [(own[f] * 100 / total, n * 100 / total, f) for f, n in cumulated.most_common()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="?", default="plain", choices=SCENARIOS)
    parser.add_argument("--secs", type=int, default=6)
    parser.add_argument("--top", type=int, default=40)
    arguments = parser.parse_args()
    need("gcc", "taskset")
    behaviour, body, path, how = SCENARIOS[arguments.scenario]
    config = WORK / "run" / "profile.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(CONFIG)
    upstream = subprocess.Popen(["taskset", "-c", "1", str(build("upstream")), f"9181:{behaviour}"], stderr=subprocess.DEVNULL)
    serve = [
        "taskset",
        "-c",
        "0",
        sys.executable,
        "-m",
        "gatewright",
        "serve",
        "-q",
        "--config",
        str(config),
        "--port",
        str(PORT),
    ]
    gateway = subprocess.Popen(serve)
    load = [
        "taskset",
        "-c",
        "1",
        str(build("load")),
        "-p",
        str(PORT),
        "-u",
        path,
        "-b",
        str(kit() / "bodies" / f"{body}.json"),
        *how,
    ]
    load += ["-H", "Authorization: Bearer sk-bench-1234", "-d", str(arguments.secs + 3), "-w", "0"]
    samples = WORK / "run" / "profile.txt"
    spy = [
        str(Path(sys.executable).with_name("py-spy")),
        "record",
        "-p",
        str(gateway.pid),
        "-d",
        str(arguments.secs),
        "-r",
        "400",
    ]
    try:
        time.sleep(3)
        loading = subprocess.Popen(load, stdout=subprocess.DEVNULL)
        time.sleep(1)
        subprocess.run([*spy, "-f", "raw", "-o", str(samples)], check=True, capture_output=True)
        loading.wait()
    finally:
        gateway.terminate()
        upstream.terminate()
    print("   own  cumulated")
    for own, cumulated, function in folded(samples.read_text())[: arguments.top]:
        print(f"{own:5.1f}%  {cumulated:5.1f}%  {function}")


if __name__ == "__main__":
    main()
