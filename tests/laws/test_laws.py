"""The laws of translation over every case: the project's own corpus always, recorded provider traffic where it is at hand.

One rule: a test is a case file; its message lists all that the case violates. `python -m tests.laws.report` groups them.
"""

import difflib
import os
from pathlib import Path

import pytest

from tests.laws import cases, golden, laws
from tests.laws.seen import see

FILES = list(cases.files())
CORPUS = [path for place, path in FILES if place == "corpus"]


@pytest.mark.parametrize(("place", "path"), FILES, ids=[f"{place}/{path.parent.name}/{path.stem}" for place, path in FILES])
def test_every_law_holds(place: str, path: Path):
    """Nothing is lost, nothing is invented, and whatever cannot be said is told: laws 1 to 7 and the errors, all pairs."""
    found = laws.violations(see(place, path))
    assert not found, f"{len(found)} violations in {path}:\n" + "\n".join(f"  {violation}" for violation in found[:40])


@pytest.mark.parametrize("path", CORPUS, ids=[f"{path.parent.name}/{path.stem}" for path in CORPUS])
def test_cross_renderings_change_only_by_review(path: Path):
    """Law 8: what a case becomes in the other dialects is what the golden files say; `make golden` writes them anew."""
    seen = see("corpus", path)
    changed: list[str] = []
    for name in laws.others(seen):
        file = golden.file_of(seen.case.dialect, name, seen.case.id)
        kept = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        now = golden.rendering(seen, name).splitlines()
        changed += difflib.unified_diff(kept, now, str(file.relative_to(cases.ROOT)), "now", lineterm="")
    assert not changed, "run `make golden` and review:\n" + "\n".join(changed[:200])


def test_no_golden_file_is_left_without_its_case():
    """A golden file whose case is gone guards nothing."""
    known = {
        golden.file_of(see("corpus", path).case.dialect, name, path.stem)
        for path in CORPUS
        for name in laws.others(see("corpus", path))
    }
    assert set(golden.ROOT.glob("*/*.json")) == known


def test_recorded_traffic_is_at_hand():
    """Skipping the recordings is said aloud, and never happens in CI."""
    if cases.recordings_root() is not None:
        assert any(place == "recordings" for place, _ in FILES)
        return
    message = "NO RECORDED TRAFFIC: set GATEWRIGHT_RECORDINGS to its folder; only the corpus was checked"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
