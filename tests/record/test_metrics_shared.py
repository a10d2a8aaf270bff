"""Metrics of several workers: whoever is asked tells all, and what a worker has counted outlives it, once."""

import os
import subprocess
import sys
import time

from gatewright.record.metrics_cells import Counted
from gatewright.record.metrics_shared import FORGOTTEN_S, Shared

LEFT = ("gatewright_clients_left", ("generate", "anthropic"))
DIES = """
import os, sys
from pathlib import Path
from gatewright.record.metrics_shared import Shared
one = Shared(Path(sys.argv[1]), "run")
one.open()
one.write({"gatewright_clients_left": {("generate", "anthropic"): int(sys.argv[2])}, "gatewright_workers": {(): 1}})
os.kill(os.getpid(), 9)
"""


def counted(count: int) -> Counted:
    return {LEFT[0]: {LEFT[1]: count}, "gatewright_workers": {(): 1}}


def told(shared: Shared) -> tuple[float, float]:
    """The counter, and how many workers there are."""
    found = shared.all()
    return found.get(LEFT[0], {}).get(LEFT[1], 0), found.get("gatewright_workers", {}).get((), 0)


def killed(root, count: int) -> None:
    """A worker that counted so many and was killed."""
    subprocess.run([sys.executable, "-c", DIES, str(root), str(count)], check=False)


def test_each_tells_all(tmp_path):
    """Sums, whichever is asked; of its own run alone."""
    one, two, other = Shared(tmp_path, "run"), Shared(tmp_path, "run"), Shared(tmp_path, "elsewhere")
    for shared, count in ((one, 1), (two, 10), (other, 100)):
        shared.open()
        shared.write(counted(count))
    assert told(one) == told(two) == (11, 2)
    assert told(other) == (100, 1)
    for shared in (one, two, other):
        shared.close()


def test_the_dead_are_counted_and_are_no_workers(tmp_path):
    """A counter does not go back because a process was killed; its gauges are of nobody."""
    one = Shared(tmp_path, "run")
    one.open()
    killed(tmp_path, 5)
    one.write(counted(1))
    assert told(one) == (6, 1)
    one.close()


def test_whoever_comes_takes_the_dead_ones_over_once(tmp_path):
    """Their files are gone, and their numbers are in its own; a reader that was slow does not count them twice."""
    one = Shared(tmp_path, "run")
    one.open()
    one.write(counted(1))
    for count in (5, 50):
        killed(tmp_path, count)
    dead = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.counts") if path.stem != one.name}
    assert told(one) == (56, 1)
    two = Shared(tmp_path, "run")
    two.open()
    assert told(one) == (56, 1)
    two.write(counted(1000))
    assert told(one) == told(two) == (1056, 2)
    assert len(list((tmp_path / "run").glob("*.counts"))) == 2
    for path, content in dead.items():  # as a reader saw it that had listed the folder before, or a takeover that was killed
        path.write_bytes(content)
    assert told(one) == told(two) == (1056, 2)
    three = Shared(tmp_path, "run")
    three.open()
    assert told(one)[0] == told(three)[0] == 1056
    for shared in (one, two, three):
        shared.close()


def test_counters_never_go_back_while_workers_come_and_go(tmp_path):
    """Ten generations of workers, each of which is killed."""
    one = Shared(tmp_path, "run")
    one.open()
    one.write(counted(0))
    before = 0.0
    for number in range(10):
        killed(tmp_path, number + 1)
        now, _ = told(one)
        assert now == before + number + 1
        before = now
        if number % 3 == 0:
            heir = Shared(tmp_path, "run")
            heir.open()
            assert told(one)[0] == before
            heir.close()
    one.close()


def test_runs_that_are_over_are_removed(tmp_path):
    """A minute behind their end; those that live stay."""
    killed(tmp_path, 1)
    lives = Shared(tmp_path, "lives")
    lives.open()
    lives.write(counted(1))
    old = time.time() - FORGOTTEN_S - 10
    for folder in ("run", "lives"):
        os.utime(tmp_path / folder, (old, old))
    new = Shared(tmp_path, "new")
    new.open()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lives", "new"]
    for shared in (lives, new):
        shared.close()


def test_nobody_else_can_look(tmp_path):
    """Models and routes are nobody's business but the operator's."""
    one = Shared(tmp_path / "metrics", "run")
    one.open()
    one.write(counted(1))
    for folder in (tmp_path / "metrics", tmp_path / "metrics" / "run"):
        assert oct(folder.stat().st_mode)[-3:] == "700"
    one.close()
