"""Packages of Node, installed from a lock file into a cache outside the checkout.

One rule: no package runs a script when it is installed.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path


class NpmMissing(Exception):
    """There is no npm here, or it could not install the packages."""


def installed(source: Path, name: str, within_s: int = 420) -> Path:
    """The folder with the `node_modules` that the lock file in `source` names; installs them when it is new. Raises NpmMissing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NpmMissing(f"node and npm are needed for {name}")
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatewright-tests" / f"{name}-{digest}"
    if (cache / "done").exists():
        return cache
    cache.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(source / file, cache / file)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        raise NpmMissing(f"npm ci took more than {within_s} s for {name}") from None
    if done.returncode:
        raise NpmMissing(f"npm ci failed for {name}: {done.stderr[-500:]}")
    (cache / "done").touch()
    return cache
