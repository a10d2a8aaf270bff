"""No file: the environment says which providers there are, and a client key is made."""

import stat
from pathlib import Path

import pytest

from gatewright.account import Tokens
from gatewright.config import ConfigError, from_environment, load_config, with_client_key
from gatewright.stores.accounts import PURPOSE, AccountStore
from gatewright.stores.sealed import Sealer


@pytest.fixture
def environ(tmp_path):
    return {"GATEWRIGHT_HOME": str(tmp_path / "state")}


def test_providers_are_those_with_a_key_and_the_demo(environ):
    """One variable is enough; the second usual name counts as well."""
    config = from_environment(environ | {"OPENAI_API_KEY": "sk-1", "GOOGLE_API_KEY": "g-1", "MISTRAL_API_KEY": "  "})
    assert list(config.providers) == ["openai", "gemini", "demo"]
    assert config.providers["gemini"].api_key.reveal() == "g-1"
    assert (config.server.host, config.source) == ("127.0.0.1", "environment")
    assert config.warnings == ()


def test_with_nothing_set_there_is_the_demo(environ):
    """Everything can be tried without an account."""
    config = from_environment(environ)
    assert list(config.providers) == ["demo"]
    assert config.providers["demo"].auth == "none"


def test_base_urls_come_from_the_environment_too(environ):
    """Proxies and local servers are set up so; a local server needs no key."""
    found = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "https://eu.api.openai.com/v1", "VLLM_BASE_URL": "http://gpu:8000/v1"}
    config = from_environment(environ | found)
    assert config.providers["openai"].base_url == "https://eu.api.openai.com/v1"
    assert config.providers["openai"].api_key.reveal() == "sk-1"
    assert config.providers["vllm"].api_key is None


def test_a_bad_base_url_names_the_provider(environ):
    """The message leads to the variable's provider."""
    with pytest.raises(ConfigError, match=r"providers.openai.base_url: expected an http:// or https:// URL"):
        from_environment(environ | {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "api.openai.com"})


def test_an_identity_that_cannot_be_used_keeps_nobody_from_starting(environ, tmp_path):
    """Its variables are set for other programs, too; a key that is there for us alone is another matter."""
    stray = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "gone.json"), "GOOGLE_CLOUD_PROJECT": "p"}
    config = from_environment(environ | {"OPENAI_API_KEY": "sk-1"} | stray)
    assert list(config.providers) == ["openai", "demo"]
    (line,) = config.warnings
    assert line.startswith("GOOGLE_APPLICATION_CREDENTIALS is set, but Vertex AI is left out: cannot read file")
    with pytest.raises(ConfigError, match=r"providers\.openai\.base_url"):
        from_environment(environ | {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "nowhere"} | stray)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4000/v1", "http://localhost:4000"])
def test_the_gateway_never_calls_itself(environ, url):
    """A shell set up for the gateway's clients is often the shell it is started from."""
    config = from_environment(environ | {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": url})
    assert list(config.providers) == ["demo"]
    assert "OPENAI_BASE_URL points at this gateway itself" in config.warnings[0]
    assert "openai" in from_environment(environ | {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": url}, port=4001).providers


def test_worker_processes_learn_the_port_from_the_environment(environ):
    """They make the configuration anew and must leave out the same providers."""
    looping = environ | {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:4321/v1", "GATEWRIGHT_PORT": "4321"}
    config = from_environment(looping)
    assert (config.server.port, list(config.providers)) == (4321, ["demo"])
    assert from_environment(environ | {"GATEWRIGHT_PORT": "x"}).server.port == 4000


def test_the_client_key_is_made_once_and_kept_for_the_owner_alone(environ):
    """Clients are set up with it: it must be the same after a restart."""
    first, second = from_environment(environ).keys, from_environment(environ).keys
    assert first == second
    value = first[0].key.reveal()
    assert value.startswith("gw-")
    assert len(value) >= 43
    path = Path(environ["GATEWRIGHT_HOME"]) / "client_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["client_key"]


def test_the_operators_own_client_key_wins_and_is_not_written(environ):
    """Containers are given one."""
    config = from_environment(environ | {"GATEWRIGHT_KEY": "gw-mine"})
    assert config.keys[0].key.reveal() == "gw-mine"
    assert not Path(environ["GATEWRIGHT_HOME"]).exists()


def test_a_file_without_keys_gets_the_generated_one(tmp_path, environ):
    """Deny by default, but never lock the operator out on the first day."""
    (tmp_path / "g.yaml").write_text("providers: {demo: }")
    config, made = with_client_key(load_config(tmp_path / "g.yaml", environ), environ)
    assert config.keys == (made,)
    (tmp_path / "g.yaml").write_text("keys: [{name: a, key: 0123456789abcdef}]")
    config, made = with_client_key(load_config(tmp_path / "g.yaml", environ), environ)
    assert made is None
    assert [key.name for key in config.keys] == ["a"]


def test_vendors_names_may_be_asked_for_bare(tmp_path):
    """Somebody with one key writes what the vendor's documentation says."""
    config = from_environment({"ANTHROPIC_API_KEY": "sk-ant", "HOME": str(tmp_path)})
    assert config.models["claude-*"].targets[0].provider == "anthropic"
    assert config.models["claude-*"].targets[0].model == "claude-*"
    assert "*" not in config.models


def test_the_demo_model_takes_every_name_only_while_it_is_alone(tmp_path):
    """Any client can be tried before a key is there; with one, a wrong name is an error again."""
    config = from_environment({"HOME": str(tmp_path)})
    assert config.models["*"].targets[0].model == "demo"


async def test_a_host_that_somebody_logged_in_to_needs_no_configuration(tmp_path):
    """`gatewright login ob1 && gatewright serve`."""
    environ = {"GATEWRIGHT_HOME": str(tmp_path), "GATEWRIGHT_KEY": "gw-0123456789abcdef"}
    assert "ob1" not in from_environment(environ).providers
    store = AccountStore(tmp_path / "accounts.db", Sealer(b"k" * 43, PURPOSE))
    await store.add("ob1", "ann", Tokens(access="a", obtained_at=0), {})
    await store.close()
    config = from_environment(environ)
    assert config.providers["ob1"].auth == "account"
    assert config.models["claude-*"].ladder.provider == "ob1"
    assert from_environment({**environ, "ANTHROPIC_API_KEY": "sk-ant"}).models["claude-*"].targets[0].provider == "anthropic"
    assert config.warnings == ()
