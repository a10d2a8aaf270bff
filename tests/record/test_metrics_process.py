"""What the process uses, against what the system says of it."""

import os
import time
from pathlib import Path

from gatewright.record.metrics_process import of_process


def test_the_figures_are_those_of_the_system():
    """In base units: seconds and bytes, not ticks and pages."""
    found = of_process()
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert abs(found["process_resident_memory_bytes"] - int(told["VmRSS"].split()[0]) * 1024) < 16 << 20
    assert time.time() - 86_400 < found["process_start_time_seconds"] <= time.time()
    files = [Path(os.devnull).open() for _ in range(20)]  # noqa: SIM115 - closed below
    assert of_process()["process_open_fds"] >= found["process_open_fds"] + 20
    for file in files:
        file.close()
    while of_process()["process_cpu_seconds"] < found["process_cpu_seconds"] + 0.05:
        pass
