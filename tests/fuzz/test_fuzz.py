"""A short run of the fuzzer with a fixed seed, every time; `make fuzz` runs longer ones with seeds of their own."""

from itertools import islice

import pytest

from gatewright.ir.events import MessageStop
from tests.fuzz import mutants, streams
from tests.fuzz.run import CLIMB_BYTES, Tally, judge, run, table
from tests.laws.dialects import DIALECTS

SEED = 20261121
MUTANTS = 3000


@pytest.fixture(scope="module")
def tally() -> Tally:
    return run(MUTANTS, SEED)


def test_no_mutant_breaks_a_promise(tally: Tally):
    """Whatever a client or a provider sends: refused with words, or rendered; streams end in the grammar; cuts are errors."""
    assert tally.done == MUTANTS
    assert not tally.faults, table(tally)


def test_every_kind_of_mutant_reaches_the_code_it_is_for(tally: Tally):
    """A fuzzer whose mutants are all refused at the door tests the door."""
    for dialect in DIALECTS:
        for kind, outcome in (
            ("request", "read"),
            ("request", "refused"),
            ("answer", "read"),
            ("stream", "stopped"),
            ("cut", "error"),
        ):
            assert tally.outcomes[kind, dialect, outcome] > 0, f"no {kind} of {dialect} was {outcome}"


def test_memory_does_not_climb(tally: Tally):
    """Nothing is kept of a mutant that has been judged."""
    assert tally.climb < CLIMB_BYTES, table(tally)


def test_a_mutant_can_be_made_again():
    """A fault is told by its number; the number must make the same bytes."""
    assert [mutants.mutant(SEED, n).wire for n in range(50)] == [mutants.mutant(SEED, n).wire for n in range(50)]


class _Crashing:
    """A dialect whose parser falls over and whose streams end well whatever comes."""

    def __init__(self, honest):
        self._honest = honest

    def __getattr__(self, name):
        return getattr(self._honest, name)

    def parse_request(self, call):
        raise KeyError("role")

    def stream_parser(self, asked):
        honest = self._honest.stream_parser(asked)

        class Parser:
            def feed(self, data):
                return [event for event in honest.feed(data) if not isinstance(event, MessageStop)]

            def close(self):
                told = honest.close()
                return [MessageStop(finish=None)] if told and not isinstance(told[-1], MessageStop) else told

        return Parser()


def test_the_fuzzer_can_fail(monkeypatch):
    """A dialect that crashes and one that ends every cut stream cleanly are found within a few mutants."""
    monkeypatch.setitem(DIALECTS, "anthropic", _Crashing(DIALECTS["anthropic"]))
    tally = Tally(SEED)
    numbers = (
        n for n in range(5000) if (one := mutants.mutant(SEED, n)).dialect == "anthropic" and one.kind in ("request", "cut")
    )
    for number in islice(numbers, 40):
        judge(tally, number)
    found = tally.faults
    assert any("KeyError" in words for words in found)
    assert any("cut stream ended cleanly" in words or "grammar" in words for words in found)


def test_a_cut_is_known_by_where_the_end_is_told():
    """The oracle for cuts rests on this: the place where the first event that can end the stream is complete."""
    wire = b'data: {"choices":[]}\n\ndata: {"finish_reason": "stop"}\n\ndata: [DONE]\n\n'
    assert streams.end_told_at("openai_chat", wire) == wire.index(b"\n\ndata: [DONE]")
    assert streams.end_told_at("openai_chat", wire[:20]) == 20
