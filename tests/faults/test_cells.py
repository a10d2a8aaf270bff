"""Every fault in a share of the lab's cells; `make faults` plays them all.

The rows are played together before the first test, since most of their time is waiting; each test judges one.
"""

import asyncio
import collections
import os

import pytest

from tests.faults.cells import some_of
from tests.faults.rows import ROWS
from tests.faults.run import Outcome, outcomes


@pytest.fixture(scope="module")
def played() -> dict[str, list[Outcome]]:
    """Row → its outcomes. `FAULTS_TURN` chooses another share of the cells."""
    turn = int(os.environ.get("FAULTS_TURN", "0"))
    found: dict[str, list[Outcome]] = collections.defaultdict(list)
    for outcome in asyncio.run(outcomes([(fault, some_of(fault, i + turn)) for i, fault in enumerate(ROWS)])):
        found[f"{outcome.fault.part}: {outcome.fault.name}"].append(outcome)
    return found


@pytest.mark.parametrize("name", [f"{fault.part}: {fault.name}" for fault in ROWS])
def test_what_a_client_sees_of_a_fault_is_what_its_cause_wants(played, name):
    """Status or end of the stream, calls of each target, time, attempts: all as the causes' table has it."""
    assert played[name]
    wrong = [f"{outcome.cell}: {line}" for outcome in played[name] for line in outcome.wrong]
    assert not wrong, "\n".join(wrong)
