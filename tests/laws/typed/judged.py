"""Which laws judge which side of a dialect, over all that the vendors' types allow."""

from collections.abc import Iterator

from tests.laws import cases, laws
from tests.laws.cases import Case
from tests.laws.finder import Violation
from tests.laws.seen import look
from tests.laws.typed import exchanges

SIDES = {
    "request": (exchanges.requests, "157"),
    "answer": (exchanges.answers, "124567P"),
    "stream": (exchanges.streams, "1234567P"),
}


def every(dialect: str, sides: str, *, full: bool) -> Iterator[tuple[Case, str]]:
    for name in cases.MODEL:
        for side, (make, which) in SIDES.items():
            if dialect in ("", name) and sides in ("", side):
                yield from ((case, which) for case in make(name, full=full))


def judge(case: Case, which: str) -> list[Violation]:
    seen = look(case)
    found = laws.violations(seen, which)
    if case.request is None and seen.problem is not None and "!" not in case.file.name:
        found.append(Violation("4", case.id, case.dialect, f"what the types allow is refused: {seen.problem.message[:150]}"))
    return found
