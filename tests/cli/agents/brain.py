"""The model that the agents talk to: it plays one small task with whatever tools it is given.

One rule: what it writes is made of what it read, so that only results that really came back end the task.
"""

import dataclasses
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from tests.upstreams.script import MINDS, Ask, Piece, Plan, Say, Thought, Tokens, Use

SECRET = re.compile(r"(?:first|second)-[a-z]+-\d{4}")
"""What stands in the two notes; nobody can guess it."""

Hand: TypeAlias = Callable[[Mapping[str, str]], Use]
"""A tool of an agent: what it is called, and how it takes `path`, `text` or `line`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hands:
    """What an agent can do, in its own tools."""

    read: Hand
    write: Hand
    run: Hand


Work: TypeAlias = Generator[tuple[Piece, ...], tuple[str, ...], str]
"""Gives the calls of a turn, takes their results, returns the last text."""


def summary(hands: Hands, folder: Path) -> Work:
    """Read two notes at once, write what they say into a third file, then count its letters with a command."""
    results = yield (
        Say("I will read both notes. \u2028"),
        hands.read({"path": str(folder / "one.txt")}),
        hands.read({"path": str(folder / "two.txt")}),
    )
    secrets = sorted(
        found[0] if (found := SECRET.search(result)) else "nothing" for result in results
    )  # agents answer in any order
    yield (hands.write({"path": str(folder / "summary.txt"), "text": f"{' and '.join(secrets)} — größer 👋\n"}),)
    counted = yield (hands.run({"line": "wc -c < summary.txt"}),)
    number = re.findall(r"(?<!\d)\d{2}(?!\d)", counted[0])
    return f"The notes say {' and '.join(secrets)}, in {number[-1] if number else 'no'} bytes."


class Brain:
    """Answers the turns of one task. What was wrong with a request, if anything, stands in `complaints`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._given: tuple[str, ...] | None = None
        self._said: tuple[Piece, ...] = ()
        self.asks: list[Ask] = []
        """Every turn of the task, not the side questions."""
        self.complaints: list[str] = []
        self.finished = False

    def __call__(self, ask: Ask) -> Plan | None:
        """None for what is no turn of the task: titles, verdicts, summaries."""
        if not ask.tools or ask.schema is not None or (self._given and not ask.results):
            return None
        self.asks.append(ask)
        if ask.results != self._given:  # the same results twice: the client asks again
            self._given = ask.results
            self._said = self._next(ask.results)
        calls = [piece for piece in self._said if isinstance(piece, Use)]
        self.complaints += [problem for call in calls for problem in misfits(call, ask.tools)]
        thought = (Thought("First the notes.\nThen the summary."),) if ask.thinks else ()
        tokens = Tokens(fresh=200, output=40, reasoning=12 if ask.thinks else 0)
        return Plan(pieces=(*thought, *self._said), end="tools" if calls else "stop", tokens=tokens)

    def _next(self, results: tuple[str, ...]) -> tuple[Piece, ...]:
        try:
            return self._work.send(results) if results else next(self._work)
        except StopIteration as end:
            self.finished = True
            return (Say(end.value),)


def misfits(call: Use, tools: tuple[tuple[str, dict], ...]) -> list[str]:
    """Why the call does not fit what was declared; the declaration came through a translation."""
    schema = dict(tools).get(call.name)
    if schema is None:
        return [f"{call.name} is not declared, but {', '.join(name for name, _ in tools)}"]
    known = schema.get("properties", {})
    return [f"{call.name}: {key} is required" for key in schema.get("required", ()) if key not in call.arguments] + [
        f"{call.name}: {key} is unknown" for key in call.arguments if key not in known
    ]


@contextmanager
def thinking(work: Work) -> Iterator[Brain]:
    """The strict upstream answers with this work until the block ends."""
    brain = Brain(work)
    MINDS.append(brain)
    try:
        yield brain
    finally:
        MINDS.remove(brain)
