"""`gatewright usage`: exact figures for people, spreadsheets and programs."""

import csv
import io
import json
from decimal import Decimal

import pytest
from tests.record.entries import settled, tried
from tests.stores.traffic import NOON, lots, written
from typer.testing import CliRunner

from gatewright.cli.commands import app
from gatewright.cli.usage import BAR, bar, cost
from gatewright.record.usage_document import COLUMNS, usd
from gatewright.stores.sql import engine_of, migrate, sqlite_url

SINCE = ("--since", "2024-10-01", "--until", "2024-10-31")
"""Around `NOON`."""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"server: {{state_dir: {tmp_path / 'state'}}}\nproviders: {{demo: {{kind: demo}}}}\n")
    return file


@pytest.fixture
def ledger(config, tmp_path):
    engine = engine_of(sqlite_url(tmp_path / "state" / "gatewright.db"))
    migrate(engine)
    yield engine
    engine.dispose()


def run(config, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["usage", *words, "--config", str(config)], env={"COLUMNS": "160", "TERM": "dumb"})
    assert done.exit_code == code, done.output
    return done.output


def test_all_three_forms_tell_the_same(config, ledger):
    """A table may shorten tokens; its costs have every digit."""
    written(ledger, lots())
    told = json.loads(run(config, "--by", "team,model", *SINCE, "-f", "json"))
    rows = list(csv.DictReader(io.StringIO(run(config, "--by", "team,model", *SINCE, "-f", "csv"))))
    table = run(config, "--by", "team,model", *SINCE)
    assert len(told["lines"]) == len(rows) > 5
    for line, row in zip(told["lines"], rows, strict=True):
        assert {name: "" if value is None else str(value) for name, value in line.items()} == row
        if line["cost_usd"] is not None:
            assert f"${Decimal(line['cost_usd']).normalize():f}".rstrip("0") in table
    assert sum(int(row["requests"]) for row in rows) == told["total"]["requests"] == 400
    assert sum(Decimal(row["cost_usd"] or 0) for row in rows) == Decimal(told["total"]["cost_usd"])
    assert [*rows[0]] == ["team", "model", *COLUMNS]


def test_a_table_says_what_is_to_be_known_of_it(config, ledger):
    """Unknown costs, errors, answers from the cache, and the totals."""
    written(ledger, lots())
    table = run(config, "--by", "model", *SINCE)
    lines = table.splitlines()
    assert [word for word in ("requests", "errors", "from cache", "read", "written", "cost") if word not in lines[0]] == []
    claude = next(line for line in lines if line.startswith("claude-4.5"))
    assert "?" in claude
    assert "█" in table
    assert next(line for line in lines if line.startswith("total")).split()[1] == "400"
    assert "the cost is not known" in table
    assert "pricing.models" in table


def test_a_status_may_be_asked_for_as_it_is_told(config, ledger):
    """`4xx`, as the table has it; all of them together are all requests."""
    written(ledger, lots())
    counts = {
        status: json.loads(run(config, "--by", "status", "--filter", f"status={status}", *SINCE, "-f", "json"))["lines"]
        for status in ("2xx", "4xx", "5xx")
    }
    assert [line["status"] for lines in counts.values() for line in lines] == ["2xx", "4xx"]
    assert sum(line["requests"] for lines in counts.values() for line in lines) == 400


def test_a_cost_of_which_nothing_is_known_is_never_0(config, ledger):
    """Not even where calls that cost nothing are among those without a price."""
    free = tried("x/m", status=500, cause="server", usage=None)
    entry = settled("a", free, tried("x/claude-4.5"), at=NOON * 3_600_000_000, served="x/claude-4.5")
    written(ledger, [entry], parts=1)
    told = json.loads(run(config, "--by", "provider", *SINCE, "-f", "json"))["total"]
    assert (told["cost_usd"], told["unpriced_attempts"], told["attempts"]) == (None, 1, 2)


def test_an_empty_ledger_says_what_to_do(config, ledger):
    """In words, and not with an empty table; programs get an empty list."""
    said = run(config)
    assert "Nothing was used since" in said
    assert "gatewright serve" in said
    assert "filters" in run(config, "--filter", "key=nobody")
    assert json.loads(run(config, "-f", "json"))["lines"] == []
    assert run(config, "-f", "csv").startswith("model,requests,")


def test_it_works_before_the_gateway_ever_ran(config):
    """There is not even a database."""
    assert "Nothing was used" in run(config)


def test_a_ledger_that_is_off_says_so(config):
    """Else one would wait for figures that never come."""
    config.write_text(config.read_text() + "ledger: {enabled: false}\n")
    assert "ledger: {enabled: true}" in run(config)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "colour"), "'colour'"),
        (("--since", "soon"), "'soon' is no time"),
        (("--filter", "colour=red"), "no filter"),
        (("--since", "2026-02-01", "--until", "2026-01-01"), "ends before it begins"),
    ],
)
def test_what_cannot_be_meant_is_told(config, words, said):
    """With what could be; exit code 2, as for other mistakes."""
    assert said in run(config, *words, code=2)


def test_a_database_that_cannot_be_asked_is_told(config):
    """In one line, with no traceback and no password."""
    config.write_text(config.read_text() + "database: postgresql://me:secret-word@127.0.0.1:9/none?connect_timeout=2\n")
    said = run(config, code=2)
    assert "the database cannot be asked" in said
    assert "secret-word" not in said


def test_a_models_name_is_no_formula_in_a_spreadsheet_and_no_markup_in_a_table(config, ledger):
    """Clients choose it."""
    entry = settled("a", tried("x/=cmd()[red]"), at=NOON * 3_600_000_000, served="x/=cmd()[red]")
    written(ledger, [entry], parts=1)
    assert "\n'=cmd()[red]," in run(config, *SINCE, "-f", "csv")
    assert "=cmd()[red]" in run(config, *SINCE)


def test_bars_are_in_proportion_and_never_vanish():
    """Half is half; the least that is not nothing can be seen."""
    assert bar(100, 100) == "█" * BAR
    assert bar(50, 100) == "█" * (BAR // 2)
    assert bar(1, 10**12) == "▏"
    assert bar(0, 100) == bar(5, 0) == ""
    assert [len(bar(n, 97, 7)) <= 7 for n in range(98)] == [True] * 98


def test_money_is_told_to_the_last_digit():
    """No float comes near it."""
    assert usd(1) == "0.000001"
    assert usd(12_345_678_901_234_567) == "12345678901.234567"
    assert usd(-1_500_000) == "-1.500000"
    assert cost({"cost_micros": 1_234_567, "unknown": 0}) == "$1.234567"
    assert cost({"cost_micros": 0, "unknown": 2}) == "?"
    assert cost({"cost_micros": 1_000_000, "unknown": 2}) == "$1.00 + ?"
