"""`gatewright usage reconcile`: a company's bill against the ledger, from its file to the exit code."""

import json
from datetime import UTC, datetime

import pytest
from tests.billing.bills import ANTHROPIC_USAGE, OPENAI_COSTS, OPENAI_USAGE
from tests.record.entries import settled, tried
from typer.testing import CliRunner

from gatewright.cli.commands import app
from gatewright.record.rows import Cost, Rows
from gatewright.stores import ledger_sql
from gatewright.stores.ledger_rows import Mark
from gatewright.stores.sql import engine_of, migrate, sqlite_url

CONFIG = """
server: {{state_dir: {state}}}
providers:
  openai: {{kind: openai, api_key: sk-x}}
  second: {{kind: openai, api_key: sk-y}}
  claude: {{kind: anthropic, api_key: sk-z}}
"""


def at(day: int, hour: int = 12) -> int:
    return int(datetime(2025, 11, day, hour, tzinfo=UTC).timestamp()) * 1_000_000


def used(name: str, target: str, when: int, read: int, written: int, cached: int | None = None):
    usage = (read, cached, None, None, None, written, None, None)
    return settled(name, tried(target, usage=usage), at=when, served=target)


OURS = [
    used("a", "openai/gpt-5-2025-08-07", at(20), 600, 150, 300),
    used("b", "openai/gpt-5", at(20, 23), 100, 50),
    used("c", "second/gpt-5", at(20), 24, 6),
    used("d", "openai/gpt-5-mini", at(21), 50, 60),
    used("e", "claude/claude-sonnet-4-5", at(20), 4124, 55),
    used("f", "claude/claude-haiku-4-5-20251001", at(21), 7, 9),
]


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gatewright.yaml"
    file.write_text(CONFIG.format(state=tmp_path / "state"))
    engine = engine_of(sqlite_url(tmp_path / "state" / "gatewright.db"))
    migrate(engine)
    rows = Rows("j", lambda *_: Cost(1113, "list", ""))
    for entry in OURS:
        rows.settled(entry, in_flight=False)
    ledger_sql.write(engine, rows.done(), Mark(), Mark(1, 1), host="h", pid=1, records=1)
    engine.dispose()
    return file


def run(config, company: str, bill: str, *words: str, code: int = 0) -> str:
    file = config.with_name("bill.csv")
    file.write_text(bill)
    done = CliRunner().invoke(
        app, ["usage", "reconcile", company, str(file), *words, "--config", str(config)], env={"COLUMNS": "150", "TERM": "dumb"}
    )
    assert done.exit_code == code, done.output
    return done.output


def test_a_bill_that_agrees_is_good(config):
    """Tokens from the cache are among the input there, and apart here; both providers of the kind count."""
    said = run(
        config,
        "openai",
        OPENAI_USAGE.replace(",,3,,", ",,2,,").replace(",,2,,,gpt-5-mini", ",,1,,,gpt-5-mini"),
        "--tolerance",
        "0",
    )
    assert "good: 2 days and models agree within 0 %" in said


def test_costs_agree_to_the_cent(config):
    """Three calls of $0.001113 against $0.00334, with the searches told apart."""
    said = run(config, "openai", OPENAI_COSTS)
    assert "good" in said
    assert "$0.25 for other services" in said


def test_anthropics_bill_agrees(config):
    """By the names of models that it uses."""
    assert "good: 2 days and models agree" in run(config, "anthropic", ANTHROPIC_USAGE, "--tolerance", "0")


def test_what_disagrees_is_a_line_with_its_reason_and_exit_code_1(config):
    """A thousand tokens more are billed than went through here."""
    said = run(config, "openai", OPENAI_USAGE.replace(",1000,200,", ",2000,200,"), code=1)
    assert "2025-11-20  gpt-5  " in said
    assert "2,024" in said
    assert "requests that did not go through this gateway" in said
    told = json.loads(run(config, "openai", OPENAI_USAGE.replace(",1000,200,", ",2000,200,"), "-f", "json", code=1))
    assert told["agrees"] is False
    read = next(one for one in told["differences"] if one["what"] == "read")
    assert (read["day"], read["model"], read["bill"], read["ledger"]) == ("2025-11-20", "gpt-5", 2024, 1024)


def test_one_provider_may_be_named(config):
    """Where a bill is of one account among several."""
    run(config, "openai", OPENAI_COSTS.replace("0.0012800000000000000", "0.5"), "--provider", "second", code=1)


def test_a_file_that_is_no_bill_is_told(config):
    """With what was expected, and exit code 2."""
    assert "expected an export of OpenAI" in run(config, "openai", ANTHROPIC_USAGE, code=2)
    assert "line 2, input_tokens" in run(config, "openai", OPENAI_USAGE.replace(",1000,", ",x,"), code=2)
    done = CliRunner().invoke(app, ["usage", "reconcile", "openai", "nowhere.csv", "--config", str(config)])
    assert (done.exit_code, "cannot be read" in done.output) == (2, True)
