"""What `gatewright prices` shows, and how a newer list comes in."""

import json

import pytest
from typer.testing import CliRunner

from gatewright.cli.commands import app
from gatewright.ir.response import Usage
from gatewright.providers.price_rules import PriceRules
from gatewright.providers.prices import FILE_NAME, PriceBook
from gatewright.providers.pricing import Prices

CONFIG = """
providers:
  openai: {api_key: sk-x}
  mine: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: sk-x}
pricing: {models: {"mine/*": {like: "openai/*", factor: 0.5}}}
"""


def listed(model="gpt-5", **prices):
    """A list of one model."""
    match = {"id": model, "match": {"equals": model}, "prices": {"input_mtok": 1.25, "output_mtok": 10, **prices}}
    return [{"id": "openai", "name": "OpenAI", "api_pattern": "https://api\\.openai\\.com", "models": [match]}]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in a folder of its own; gives its result."""
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gatewright.yaml").write_text(CONFIG)

    def run(*words, document=None):
        if document is not None:
            (tmp_path / "new.json").write_text(document if isinstance(document, str) else json.dumps(document))
        return CliRunner().invoke(app, ["prices", *words])

    return run


def test_a_model_of_the_list(run):
    """By its name, with the host; nothing where it has no price of its own."""
    shown = run("show", "gpt-5", "--host", "openai")
    assert shown.exit_code == 0
    assert shown.stdout.split("\n")[1].split() == ["openai", "gpt-5", "1.25", "0.125", "10"]
    assert "genai-prices" in shown.stderr


def test_a_configured_target_has_the_operators_price(run):
    """As it is billed: half of the list's."""
    (row,) = json.loads(run("show", "mine/gpt-5", "--json").stdout)
    assert (row["host"], row["input"], row["output"], row["cache_write_5m"]) == ("mine", "0.625", "5", None)
    assert row["source"].startswith("configuration, by genai-prices")


def test_a_part_of_a_name_finds_many(run):
    """And a name of the catalogue means a host, too."""
    rows = json.loads(run("show", "claude", "--host", "bedrock", "--json").stdout)
    assert len(rows) > 5
    assert {row["host"] for row in rows} == {"aws"}


def test_what_is_in_no_list_is_told(run):
    """With what to do."""
    shown = run("show", "no-such-model")
    assert shown.exit_code == 1
    assert '"no-such-model" is not in genai-prices' in shown.stderr
    assert "pricing.models" in shown.stderr


def test_a_newer_list_is_used_from_then_on(run, tmp_path):
    """What changes is told; a gateway that starts reads it, and the ledger says which list it was."""
    done = run("update", "--from", "new.json", "--force", document=listed(input_mtok=7))
    assert done.exit_code == 0, done.output
    assert "changed: openai/gpt-5: 1.25 in, 10 out, cache_read 0.125 → 7 in, 10 out" in done.stdout
    assert "0 new, " in done.stdout
    assert "1 changed" in done.stdout
    prices = Prices(PriceBook(tmp_path / FILE_NAME), PriceRules(hosts={"o": "openai"}))
    priced = prices.price("o", "gpt-5", Usage(input=1000, output=0), 1_790_000_000_000_000)
    assert (priced.micros, priced.source.startswith(f"{FILE_NAME} of 20")) == (7000, True)
    assert run("show", "gpt-5").stderr.startswith(FILE_NAME)
    assert run("reset").exit_code == 0
    assert run("show", "gpt-5").stderr.startswith("genai-prices")
    assert "already" in run("reset").stdout


def test_a_dry_run_writes_nothing(run, tmp_path):
    """It only tells."""
    done = run("update", "--from", "new.json", "--dry-run", "--force", document=listed(model="gpt-9"))
    assert "new:     openai/gpt-9: 1.25 in, 10 out" in done.output or "1 new" in done.output
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is no list of hosts"),
        ('{"openai": 1}', "it is no list of hosts"),
        ("[1]", "it is no price list of genai-prices"),
        ("[" * 100_000, "it is no"),
        (listed(input_mtok=-1), "openai/gpt-5: input_mtok is below 0"),
        (listed(input_mtok=1e9), "above a million dollars"),
        (listed(input_mtok="a lot"), "it is no price list of genai-prices"),
        (listed(input_mtok=float("nan")), "it is no"),
        (listed(input_mtok={"base": 1, "tiers": [{"start": "x", "price": 2}]}), "it is no price list"),
        (listed(), "it looks like a part of one"),
    ],
    ids=["no JSON", "empty", "no list", "numbers", "deep", "negative", "dear", "words", "NaN", "bad tiers", "a part"],
)
def test_a_list_that_is_no_good_changes_nothing(run, tmp_path, document, told):
    """The exit code is 2 and the old list stays."""
    (tmp_path / FILE_NAME).write_text("what was there")
    done = run("update", "--from", "new.json", document=document)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert (tmp_path / FILE_NAME).read_text() == "what was there"


def test_a_list_that_has_gone_bad_is_passed_over(tmp_path, caplog):
    """A gateway starts all the same, with the list that comes with it, and says so."""
    (tmp_path / FILE_NAME).write_text("{")
    book = PriceBook(tmp_path / FILE_NAME)
    book.load()
    assert book.find("openai", "gpt-5") is not None
    assert "is not used" in caplog.text


def test_a_file_that_is_not_there(run):
    """By its name."""
    done = run("update", "--from", "none.json")
    assert done.exit_code == 2
    assert "none.json: No such file" in done.stderr
