"""Who is asked for a list of models, and whose prices hold."""

import pytest

from gatewright.config import load_config
from gatewright.endpoints import endpoints_of
from gatewright.listing import lists_of
from gatewright.pipeline.live_lists import domain

CONFIG = """
providers:
  openai: {api_key: sk-1}
  mirror: {kind: openai, base_url: "https://llm.example.com/v1", api_key: sk-2}
  res: {kind: azure, resource: res, api_key: k}
  databricks: {account: dbc-1.cloud.databricks.com, api_key: k}
  ob: {kind: openrouter, api_key: k}
  demo:
models:
  "claude-*": {ladder: {provider: ob}}
"""


@pytest.fixture
def lists(tmp_path):
    """Of a configuration with a bit of everything."""
    file = tmp_path / "gatewright.yaml"

    def lists(more="", **how):
        file.write_text(CONFIG + more)
        config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})
        return lists_of(config, endpoints_of(config, {})[0], **how)

    return lists


def test_everybody_with_a_list_is_asked(lists):
    """The demo model and hosts without a list are not."""
    assert lists().known.providers() == ("openai", "mirror", "res", "ob")


def test_with_live_lists_off_only_ladders_ask(lists):
    """Unless somebody says at the command line that all are to be asked."""
    off = "model_lists: {live: false}\n"
    assert lists(off).known.providers() == ("ob",)
    assert lists(off, live=True).known.providers() == ("openai", "mirror", "res", "ob")


def test_the_price_list_holds_for_a_kinds_own_host(lists):
    """Behind another's base URL other prices may hold; none is told then."""
    it = lists()
    it.prices.load()
    assert it.price_of("openai", "gpt-5-mini").input_usd is not None
    assert it.price_of("res", "gpt-5-mini").input_usd is not None
    assert it.price_of("mirror", "gpt-5-mini").input_usd is None
    assert it.price_of("nobody", "gpt-5-mini").input_usd is None


@pytest.mark.parametrize(
    ("url", "labels"),
    [
        ("https://api.openai.com/v1", "openai.com"),
        ("https://{resource}.openai.azure.com", "azure.com"),
        ("http://localhost:1", "localhost"),
        ("", ""),
    ],
)
def test_the_domain_of_a_url(url, labels):
    """The last two labels."""
    assert domain(url) == labels
