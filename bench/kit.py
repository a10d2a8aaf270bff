"""The measuring kit: load generator, fake upstream and the runner that interleaves the candidates.

It lies beside the checkout (`../shared/bench`) or where $GATEWRIGHT_BENCH_KIT says.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("BENCH_WORK", ROOT / ".bench-work"))


def kit() -> Path:
    """The kit's folder; exits with what to do when it is not there."""
    path = Path(os.environ.get("GATEWRIGHT_BENCH_KIT", ROOT.parent / "shared" / "bench"))
    if not (path / "run.py").is_file():
        sys.exit(f"no measuring kit at {path}; set GATEWRIGHT_BENCH_KIT to the folder that holds run.py")
    return path


def need(*programs: str) -> None:
    """Exit naming the programs that are missing."""
    missing = [p for p in programs if shutil.which(p) is None and not Path("/usr/sbin", p).exists()]
    if missing:
        sys.exit(f"missing: {', '.join(missing)} (Debian: apt-get install nginx-light haproxy gcc)")


def measure(candidates: str, scenarios: str, *, rounds: int, seconds: float, out: Path, kind: str = "plain") -> dict[str, Any]:
    """Run the kit and give its raw figures: candidate → scenario → rounds. `kind`: of gateway, as `bench.serve` knows them."""
    environ = {**os.environ, "BENCH_WORK": str(WORK), "GATEWRIGHT": f"{sys.executable} {ROOT / 'bench' / 'serve.py'} {kind}"}
    WORK.mkdir(exist_ok=True)
    command = [sys.executable, str(kit() / "run.py"), "--cands", candidates, "--scen", scenarios]
    command += ["--rounds", str(rounds), "--secs", str(seconds), "--out", str(out)]
    subprocess.run(command, check=True, env=environ)
    return json.loads(out.read_text())
