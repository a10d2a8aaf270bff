"""`gatewright usage verify`, as a person and as cron runs it."""

import subprocess
import sys
import time

import pytest
import sqlalchemy as sa
from tests.record.entries import settled, tried
from tests.record.test_ingest import append

from gatewright.cli.verify import budget_meters
from gatewright.config import load_config
from gatewright.record.ingest import Tail
from gatewright.record.journal import Journal
from gatewright.stores import sql
from gatewright.stores.ledger_tables import REQUESTS

BUDGETS = """
budgets: {everybody: [{per: month, dollars: 50}]}
teams: {red: {budgets: [{per: day, dollars: 5}, {per: {rolling: 7d}, dollars: 20}]}}
"""


@pytest.fixture
def engine(tmp_path):
    engine = sql.engine_of(sql.sqlite_url(tmp_path / "gatewright.db"))
    sql.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def verify(tmp_path, engine):
    def run(more: str = "", *options: str) -> subprocess.CompletedProcess:
        file = tmp_path / "gatewright.yaml"
        file.write_text(f"server: {{state_dir: {tmp_path}}}\nproviders: {{demo: {{kind: demo}}}}\n{more}")
        command = [sys.executable, "-m", "gatewright", "usage", "verify", "--config", str(file), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def spend(engine, tmp_path, micros: int) -> None:
    """A request of team red's, now."""
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    journal.open()
    attempt = tried(cost=micros, price_source="a list")
    append(journal, settled(f"req_{micros}", attempt, at=time.time_ns() // 1000))
    Tail(journal.folder).write(engine)
    journal.close()


def test_good_is_0_and_a_disagreement_is_1_and_a_line(verify, engine):
    """What disagrees is on stderr; the last line says how many, or that all is good."""
    good = verify()
    assert (good.returncode, good.stdout.split(":")[0], good.stderr) == (0, "good", "")
    with sql.writing(engine) as connection:
        connection.execute(sa.insert(REQUESTS).values(id="alone", attempts=1))
    bad = verify()
    assert bad.returncode == 1
    assert "alone" in bad.stderr
    assert bad.stdout.splitlines()[-1].endswith("disagreements")


def test_what_a_dead_process_left_is_taken_over_first(verify, engine, tmp_path):
    """So that what is said holds for all that ever happened."""
    journal = Journal(tmp_path / "journal", max_bytes=1 << 20)
    journal.open()
    append(journal, settled("left behind", tried()))
    journal.close()
    assert verify().stdout.startswith("good: 1 requests and 1 attempts")
    assert list((tmp_path / "journal").iterdir()) == []


def test_budgets_that_have_counted_too_little_are_told_and_mended(verify, engine, tmp_path):
    """As after a loss of power; once they are mended all is good."""
    spend(engine, tmp_path, 1_500_000)
    told = verify(BUDGETS)
    assert told.returncode == 1
    lines = told.stderr.splitlines()
    assert len(lines) == 3
    assert all("its counter has 0 micro-dollars, the ledger 1500000" in line for line in lines)
    mended = verify(BUDGETS, "--mend")
    assert mended.returncode == 0, mended.stderr
    assert mended.stdout.count("; mended") == 3
    assert verify(BUDGETS).stdout.startswith("good")


def test_every_budget_is_looked_at(tmp_path, engine):
    """Of everybody and of each level, declared in the file."""
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"server: {{state_dir: {tmp_path}}}\n{BUDGETS}")
    meters = budget_meters(load_config(file, {}), engine)
    assert sorted((meter.level, meter.id, meter.period) for meter in meters) == [
        ("all", "", "month"),
        ("team", "red", "day"),
        ("team", "red", "rolling"),
    ]


def test_a_database_that_does_not_answer_is_told(verify):
    """And nothing is said about the books."""
    away = verify("database: postgresql://nobody@127.0.0.1:1/nothing")
    assert away.returncode == 2
    assert "the database cannot be asked" in away.stderr
