"""A few rounds of `make crash`: every answer that a client saw whole is in the ledger, once, whoever was killed."""

import pytest

from tests.crash.rounds import run


@pytest.mark.parametrize("database", [False, True], ids=["sqlite", "postgresql"])
async def test_whoever_is_killed_every_answer_seen_whole_is_in_the_ledger_once(tmp_path, database):
    """A worker, the whole gateway, the database and the counters die under load; books, sums and budgets agree after each."""
    print(await run(tmp_path, 4 if database else 3, seed=7, database=database))
