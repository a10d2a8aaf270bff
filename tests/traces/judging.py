"""What comes of a captured recording: a case under the laws of translation, and a trace in Invariant's form.

One rule: whatever was asked of a provider and answered makes a case, and the case keeps the laws; what was refused before, or has
no request of ours, is counted with its reason. Law 5 is the tolerant one: such a case's request is what the gateway wrote for the
provider, which says defaults aloud that it would write anyway, so that their deletion changes nothing.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gatewright.record.export_case import NoCase, case_folder, case_of, write_case
from gatewright.record.traces import Trace
from tests.laws import cases, laws
from tests.laws.seen import look
from tests.serving import Answer
from tests.traces.replaying import Asked, capture


@dataclass
class Found:
    cases: Counter = field(default_factory=Counter)
    """By client ← upstream."""
    refused: Counter = field(default_factory=Counter)
    """By status and message: nobody was asked."""
    redacted: list[str] = field(default_factory=list)
    """Whose bytes are not the recorded ones: something in them looks like a credential."""
    wrong: list[str] = field(default_factory=list)

    def told(self) -> str:
        pairs = " ".join(f"{pair}:{count}" for pair, count in sorted(self.cases.items()))
        lines = [f"{sum(self.cases.values())} cases ({pairs})"]
        lines += [f"{count:5} refused before anybody was asked: {reason}" for reason, count in self.refused.most_common()]
        lines += [f"{len(self.redacted):5} with something that looks like a credential: {', '.join(self.redacted[:5])}"]
        return "\n".join([*lines, f"{len(self.wrong)} wrong"])


def judge(found: Found, folder: Path, asked: Asked, answered: Answer, trace: Trace, which: str = laws.ALL) -> None:
    case = asked.seen.case
    if not trace.upstream:
        found.refused[f"{asked.client}←{case.dialect} {answered.status}: {trace.problem[:80]}"] += 1
        return
    pair = f"{asked.client}←{case.dialect}"
    try:
        document = case_of(trace)
        place = folder / case_folder(trace)
    except NoCase as error:
        found.wrong.append(f"{asked.name}: {error}")
        return
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{case.id}__{asked.client}.json"
    file.write_bytes(write_case({**document, "id": file.stem}))
    exported = cases.load("corpus", file)
    found.cases[pair] += 1
    if trace.redacted:
        found.redacted.append(asked.name)
    else:
        found.wrong += [f"{asked.name}: {line}" for line in unlike(case, exported)]
    found.wrong += [f"{asked.name}: {violation}" for violation in laws.violations(look(exported), which, tolerant=True)]
    file.unlink()


def unlike(case: cases.Case, exported: cases.Case) -> list[str]:
    """Where the answer is not the recorded one."""
    if exported.status != case.status:
        return [f"status {exported.status}, not {case.status}"]
    if case.text is None:
        return [] if exported.document == case.document else [f"another document: {json.dumps(exported.document)[:200]}"]
    return [] if exported.body == case.body else ["another stream"]


def some(wanted: list[Asked], which: str) -> Found:
    """Capture and judge them, in one gateway."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder:
        for asked, answered, trace in capture(Path(folder), wanted):
            judge(found, Path(folder) / "corpus", asked, answered, trace, which)
    return found
