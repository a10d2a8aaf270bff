"""From the configuration to what calls cost: who asks for prices from the beginning."""

import pytest

from gatewright.bookkeeping import database_file
from gatewright.config import load_config
from gatewright.costing import has_money

NO_BOOKS = "ledger: {enabled: false}\n"
KEY = "{name: k, key: gw-k%s}"


def config_of(tmp_path, text: str, key: str = ""):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"{NO_BOOKS}server: {{state_dir: state}}\n{text}keys: [{KEY % key}]\n")
    return load_config(file, {"XDG_STATE_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("budgets: {everybody: [{per: day, dollars: 5}]}\n", ""),
        ("limits: [{per: day, dollars: 5}]\n", ""),
        ("organizations: {a: {budgets: [{per: day, dollars: 5}]}}\n", ""),
        ("teams: {a: {limits: [{per: day, dollars: 5}]}}\n", ""),
        ("users: {a: {budgets: [{per: day, dollars: 5}]}}\n", ""),
        ("", ", budgets: [{per: day, dollars: 5}]"),
        ("", ", limits: [{per: day, dollars: 5}]"),
        ("", ", show_cost: true"),
        ("database: 'sqlite:///principals.db'\n", ""),
    ],
)
def test_money_at_any_level_asks_for_prices(tmp_path, text, key):
    """The first request must not wait for the list to be read, whoever's budget it is that wants it."""
    assert has_money(config_of(tmp_path, text, key))


@pytest.mark.parametrize("text", ["", "limits: [{per: day, requests: 5}]\n", "teams: {a: {limits: [{concurrent: 5}]}}\n"])
def test_without_money_nobody_asks(tmp_path, text):
    """The list is large: who has no use for it does not read it."""
    assert not has_money(config_of(tmp_path, text))


def test_what_is_stored_may_limit_money(tmp_path):
    """Budgets that were made over the API are in the database."""
    config = config_of(tmp_path, "")
    assert not has_money(config)
    database_file(config).parent.mkdir(parents=True, exist_ok=True)
    database_file(config).touch()
    assert has_money(config)
