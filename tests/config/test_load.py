"""`gatewright.yaml`: what loads, and what it becomes."""

import contextlib
import random
import re
from pathlib import Path

import pytest

from gatewright.config import ConfigError, json_schema, load_config
from gatewright.config.load import resolve_config
from gatewright.config.tree import read_yaml

DOCUMENTED = """
server:
  host: 127.0.0.1
  port: 4000
  workers: 1
providers:
  openai:
    api_key: env:OPENAI_API_KEY
  chat-only:
    kind: openai
    base_url: http://127.0.0.1:9101/v1
    dialects: [openai_chat]
    api_key: sk-literal
  claude:  {kind: anthropic, base_url: "http://127.0.0.1:9201", api_key: sk-ant-literal}
  google:  {kind: gemini, base_url: "http://127.0.0.1:9301", api_key: AIza-literal}
models:
  fast:
    targets: [openai/gpt-5-mini]
  smart:
    targets:
      - {target: claude/claude-sonnet-4-5, weight: 3}
      - {target: openai/gpt-5.1, weight: 1}
    fallback: [google/gemini-2.5-pro]
    losses: warn
    overrides: {max_tokens: 8192}
  "claude-*": {targets: ["claude/claude-*"]}
aliases: {gpt-4o: smart}
keys:
  - {name: ci, key: env:CI_KEY, models: ["fast", "smart"]}
media_fetch:
  enabled: false
  allow_hosts: []
timeouts: {connect_s: 5, headers_s: 600, first_event_s: 600, idle_s: 120, total_s: 3600}
"""


def test_the_documented_file_loads(load):
    """Acceptance and benchmark configurations are written against these names."""
    config = load(DOCUMENTED)
    assert config.providers["openai"].api_key.reveal() == "sk-openai"
    assert config.providers["openai"].dialects == ("openai_responses", "openai_chat")
    assert config.providers["openai"].base_url == "https://api.openai.com/v1"
    assert config.providers["chat-only"].dialects == ("openai_chat",)
    assert config.providers["chat-only"].auth == "bearer"
    assert config.providers["claude"].bases == {"anthropic": "http://127.0.0.1:9201"}
    assert (config.providers["claude"].auth, config.providers["google"].auth) == ("x-api-key", "x-goog-api-key")
    smart = config.models["smart"]
    assert [(t.provider, t.model, t.weight) for t in smart.targets] == [
        ("claude", "claude-sonnet-4-5", 3),
        ("openai", "gpt-5.1", 1),
    ]
    assert [(t.provider, t.model) for t in smart.fallback] == [("google", "gemini-2.5-pro")]
    assert (smart.losses, smart.overrides) == ("warn", {"max_tokens": 8192})
    assert config.models["claude-*"].targets[0].model == "claude-*"
    assert config.aliases == {"gpt-4o": "smart"}
    assert [(k.name, k.key.reveal(), k.models) for k in config.keys] == [("ci", "gw-ci-key-0123456789", ("fast", "smart"))]
    assert (config.server.host, config.server.port, config.server.workers) == ("127.0.0.1", 4000, 1)
    assert config.timeouts.idle_s == 120


def test_literal_secrets_are_warned_about_with_their_place(load):
    """They work, and the operator hears of each; references are silent."""
    warnings = load(DOCUMENTED).warnings
    assert [re.sub(r".*gatewright.yaml:", "", w).split(":")[0] for w in warnings] == ["13", "14", "15"]
    assert all("literal secret" in w and "sk-" not in w for w in warnings)


def test_no_secret_is_in_the_configuration_as_printed(load):
    """The whole tree may land in a log."""
    shown = repr(load(DOCUMENTED))
    assert "***" in shown
    assert not re.search(r"sk-|AIza|gw-ci", shown)


def test_a_missing_file_is_a_configuration_error(tmp_path):
    """`gatewright check` exits 2, not with a traceback."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.yaml", {})


def test_the_environments_key_goes_only_to_the_kinds_own_host(load):
    """A mirror or a test server must not be handed the real credential unasked."""
    config = load("providers: {openai: , mine: {kind: openai, base_url: 'http://127.0.0.1:1/v1'}, two: {kind: openai}}")
    assert config.providers["openai"].api_key.reveal() == "sk-openai"
    assert config.providers["two"].api_key.reveal() == "sk-openai"
    assert config.providers["mine"].api_key is None


def test_bases_of_other_dialects_follow_the_base_url(load):
    """A second dialect under another path moves along with the host."""
    config = load("""
providers:
  openrouter: {api_key: env:OPENAI_API_KEY}
  deepseek: {api_key: env:OPENAI_API_KEY, base_url: "https://mirror.example/ds/"}
  local: {kind: ollama, base_url: "http://gpu:11434/v1"}
  split: {kind: openai, base_url: "http://h/v1", base_urls: {openai_chat: "http://h/chat/v1"}, dialects: [openai_chat, openai_responses]}
""")
    assert config.providers["openrouter"].bases["anthropic"] == "https://openrouter.ai/api"
    assert config.providers["deepseek"].bases["openai_chat"] == "https://mirror.example/ds"
    assert config.providers["deepseek"].bases["anthropic"] == "https://mirror.example/anthropic"
    assert config.providers["local"].bases["anthropic"] == "http://gpu:11434"
    assert config.providers["split"].bases == {"openai_chat": "http://h/chat/v1", "openai_responses": "http://h/v1"}


def test_a_version_that_the_dialect_brings_along_is_left_out(load):
    """`/v1/v1/messages` is the most common mistake of all."""
    config = load("providers: {a: {kind: anthropic, base_url: 'http://h/v1'}, g: {kind: gemini, base_url: 'http://h/v1beta/'}}")
    assert (config.providers["a"].base_url, config.providers["g"].base_url) == ("http://h", "http://h")
    assert len(config.warnings) == 2


def test_base_urls_and_headers_may_be_references(load, tmp_path):
    """Containers get their addresses by environment; a header may hold a secret."""
    (tmp_path / "ca.pem").write_text("x")
    config = load(
        "providers: {c: {kind: custom, base_url: 'env:URL', headers: {X-Team: ml, X-Auth: 'env:TOKEN'}, ca_file: ca.pem}}",
        {"URL": "http://h:1/v1/", "TOKEN": "token-98765"},
    )
    provider = config.providers["c"]
    assert provider.base_url == "http://h:1/v1"
    assert [(name, value.reveal()) for name, value in provider.headers] == [("x-team", "ml"), ("x-auth", "token-98765")]
    assert Path(provider.ca_file) == tmp_path / "ca.pem"
    assert "98765" not in repr(config)


def test_a_providers_timeouts_lie_over_the_common_ones(load):
    """A slow host gets patience without giving it to all."""
    config = load("timeouts: {idle_s: 30, connect_s: 2}\nproviders: {demo: {timeouts: {idle_s: 300}}}")
    timeouts = config.providers["demo"].timeouts
    assert (timeouts.idle_s, timeouts.connect_s, timeouts.total_s) == (300, 2, 3600)


def test_a_provider_that_is_the_gateway_itself_is_warned_about(load):
    """Calls would go in a circle."""
    config = load(
        "server: {port: 4100}\nproviders: {me: {kind: openai, base_url: 'http://localhost:4100/v1'}, no: {kind: openai, base_url: 'http://h:4100/v1'}}"
    )
    assert ["providers.me.base_url: points at port 4100" in line for line in config.warnings] == [True]


def test_the_way_the_credential_travels_can_be_set(load):
    """Proxies and clouds put the key elsewhere than the vendor does."""
    config = load(
        "providers: {a: {kind: anthropic, base_url: 'http://h', auth: bearer}, z: {kind: openai, base_url: 'http://h/v1', auth: api-key}}"
    )
    assert (config.providers["a"].auth, config.providers["z"].auth) == ("bearer", "api-key")


def test_aliases_of_aliases_are_followed_at_load(load):
    """Nobody follows chains for each request."""
    config = load(
        "providers: {openai: {api_key: env:OPENAI_API_KEY}}\nmodels: {'gpt-*': {targets: ['openai/gpt-*']}}\naliases: {a: b, b: openai/x, c: gpt-9}"
    )
    assert config.aliases == {"a": "openai/x", "b": "openai/x", "c": "gpt-9"}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "providers:\nmodels:\nkeys:\nserver:\n"])
def test_an_empty_file_loads_and_says_that_it_serves_nothing(load, text):
    """Keys without a value are keys left out."""
    config = load(text)
    assert config.server.port == 4000
    assert any("no providers" in line for line in config.warnings)


def test_state_lies_where_the_operator_says(load, tmp_path):
    """$GATEWRIGHT_HOME, then XDG, then the home folder; the file itself wins."""
    assert load("", {"HOME": "/home/op"}).server.state_dir == "/home/op/.local/state/gatewright"
    assert load("", {"HOME": "/h", "XDG_STATE_HOME": "/x"}).server.state_dir == "/x/gatewright"
    assert load("", {"XDG_STATE_HOME": "/x", "GATEWRIGHT_HOME": "/g"}).server.state_dir == "/g"
    assert load("server: {state_dir: st}", {"GATEWRIGHT_HOME": "/g"}).server.state_dir == str(tmp_path / "st")


def test_the_json_schema_knows_every_key_and_refuses_others():
    """Editors complete and check from the same types that the gateway loads by."""
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {
        "server", "providers", "models", "aliases", "keys", "media_fetch", "timeouts", "responses_state", "model_lists",
        "routing", "cache", "limits", "budgets", "counters", "ledger", "pricing", "database", "organizations", "teams", "users", "auth",
        "guards", "traces", "invariant", "metrics", "logging",
    }  # fmt: skip
    provider = schema["$defs"]["ProviderSection"]["properties"]
    assert provider["api_key"]["anyOf"][0]["examples"]
    targets = schema["$defs"]["ModelSection"]["properties"]["targets"]["anyOf"][0]
    assert {"type": "string"} in targets["items"]["anyOf"]


def test_every_setting_is_described_for_editors():
    """A key without words is a key that nobody uses rightly."""
    obvious = {"host", "port", "name", "targets", "enabled"}
    schema = json_schema()
    for section in (schema, *schema["$defs"].values()):
        if not section:  # any JSON at all
            continue
        assert section["description"], section["title"]
        if "Override" in section["title"]:
            continue
        for name, field in section["properties"].items():
            assert name in obvious or "$ref" in field or "description" in field, (section["title"], name)


BITS = (
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "  ",
    "*a",
    "&a ",
    "<<: *a",
    "~",
    "1",
    ".nan",
    "'",
    '"',
    "|",
    "!!x ",
    "#",
    "\t",
    "\x00",
    "x/y",
    "env:X",
)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_typed_gives_a_configuration_or_a_list_of_problems(seed):
    """A half-written file under an editor's watch must never end in a traceback."""
    chance = random.Random(seed)
    for _ in range(40):
        text = DOCUMENTED
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(BITS) + text[at + chance.choice((0, 1, 10)) :]
        with contextlib.suppress(ConfigError):
            resolve_config(read_yaml(text), "g.yaml", Path(), {"OPENAI_API_KEY": "sk-openai", "CI_KEY": "gw-ci-key-0123456789"})


LADDERS = """\
providers: {demo: {}}
models:
  "claude-*":
    ladder: {provider: demo, families: [Haiku, opus], preferred: [demo]}
    fallback: [demo/other]
    context: 200000
    max_output: 64000
    capabilities: [vision, tools, vision]
    defaults: {temperature: 0.2}
"""


def test_a_ladder_stands_in_place_of_targets(load):
    """With all that a model may say beside it."""
    model = load(LADDERS).models["claude-*"]
    assert model.targets == ()
    assert (model.ladder.provider, model.ladder.families, model.ladder.vendors) == ("demo", ("haiku", "opus"), ("anthropic",))
    assert (model.facts.context, model.facts.max_output, model.facts.capabilities) == (200_000, 64_000, ("vision", "tools"))
    assert (model.defaults, model.overrides) == ({"temperature": 0.2}, {})
    assert load("providers: {demo: {}}\nmodels: {x: {targets: [demo/demo]}}").models["x"].facts.capabilities is None
