"""What the process itself uses, by the names that Prometheus' clients give it.

https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STARTED: Final = time.time()
"""Where the system does not tell when the process did."""


def of_process() -> Mapping[str, float]:
    """By family; what cannot be found out is left out."""
    used = os.times()
    found = {"process_cpu_seconds": used.user + used.system, "process_start_time_seconds": _started()}
    with suppress(OSError, ValueError, IndexError):
        found["process_resident_memory_bytes"] = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    with suppress(OSError):
        found["process_open_fds"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - nothing but how many
    return found


def _started() -> float:
    with suppress(OSError, ValueError, IndexError):
        after = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text(encoding="ascii").splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + int(after[19]) / _TICKS
    return _STARTED
