"""What it takes to add an OpenAI-compatible host, counted."""

import ast
import json

import pytest

from gatewright.config import from_environment, load_config
from gatewright.providers import environment
from gatewright.providers.catalog import CATALOG, HOSTS
from gatewright.providers.catalog.host import Host
from tests.docs.hosts import index, page
from tests.plays import wires
from tests.plays.hosts.answers import http, text, written
from tests.plays.hosts.stand_in import world
from tests.serving import call, gateway
from tests.transport.certificates import Authority

ROW = """
Host(
    name="acme",
    title="Acme",
    base_url="https://api.acme.example/v1",
    dialects=("openai_chat",),
    env_keys=("ACME_API_KEY",),
    env_base_urls=("ACME_BASE_URL",),
    docs="https://docs.acme.example",
)
"""
"""All that anybody writes."""


@pytest.fixture
def acme(monkeypatch):
    """The catalogue with this row at its end."""
    host = eval(ROW.strip(), {"Host": Host})
    monkeypatch.setitem(HOSTS, "acme", host)
    monkeypatch.setattr(environment, "CATALOG", (*CATALOG, host))
    return host


def test_it_is_one_row():
    """One expression, of what the host's own page says in its first lines."""
    (row,) = ast.parse(ROW).body
    assert isinstance(row, ast.Expr)
    assert isinstance(row.value, ast.Call)
    assert len(row.value.keywords) <= 7


def test_the_documents_grow_by_one_line_and_a_page_that_nobody_writes(acme):
    """The line is the index's; both are made from the row."""
    before, after = index().splitlines(), index((*CATALOG, acme)).splitlines()
    assert len(after) - len(before) == 1
    assert [line for line in after if line not in before] == ["| [`acme`](acme.md) | Acme | Chat Completions | `ACME_API_KEY` |"]
    assert "https://api.acme.example/v1" in page(acme)


def test_the_environment_is_enough(acme, tmp_path):
    """Its key is found, and nothing else is needed."""
    config = from_environment({"GATEWRIGHT_HOME": str(tmp_path), "ACME_API_KEY": "sk-acme"})
    assert list(config.providers) == ["demo", "acme"]
    assert config.providers["acme"].base_url == "https://api.acme.example/v1"


def test_so_is_its_name_in_a_file(acme, tmp_path):
    """A catalogue name needs no more than its credential."""
    file = tmp_path / "gatewright.yaml"
    file.write_text("providers: {acme: {}}\n")
    config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), "ACME_API_KEY": "sk-acme"})
    assert config.providers["acme"].api_key.reveal() == "sk-acme"


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "anthropic", "gemini"])
async def test_every_client_can_use_it(acme, client, tmp_path):
    """Whole and streamed, over TLS, at its own address."""
    authority = Authority(tmp_path)
    async with world(authority) as host:
        section = {"api_key": "sk-acme", "proxy": f"http://127.0.0.1:{host.port}", "ca_file": authority.ca_file}
        async with gateway(f"providers: {json.dumps({'acme': section})}\n", tmp_path) as gw:
            for stream in (False, True):
                host.answer = http(*written("acme", "openai_chat", stream=stream))
                path, document = wires.request(client, "acme/m-1", stream=stream)
                got = await call(gw.port, path, json.dumps(document).encode())
                assert text(client, got.body) == wires.TEXT
                assert host.seen[-1].url == "https://api.acme.example/v1/chat/completions"
                assert host.seen[-1].headers["authorization"] == "Bearer sk-acme"
                assert host.seen[-1].json["model"] == "m-1"
