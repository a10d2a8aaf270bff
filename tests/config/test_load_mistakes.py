"""What is said of a `gatewright.yaml` that is wrong: every problem, once, with its place and what to do."""

import re

import pytest


def test_all_problems_come_at_once_in_the_files_order(complaints):
    """One run of `gatewright check` must be enough."""
    assert complaints("""
server: {port: 70000, hots: x}
providers:
  openai: {api_key: env:OPENAI_KEY}
  mine: {base_url: "http://h/v1"}
  other: {kind: opnai}
  bad: {kind: openai, base_url: "htp://x", api_key: file:/nowhere/key}
models:
  fast: {targets: [opnai/gpt-5, openai]}
  slow: {targets: []}
  "a*": {targets: ["openai/*-*"]}
  lost: {targets: [groq/x]}
aliases: {fast: slow, x: nope}
keys: [{name: a, key: env:CI_KEY, models: [fats]}]
""") == [
        "gatewright.yaml:2:16 server.port: expected 65535 or less, got 70000",
        'gatewright.yaml:2:23 server.hots: unknown key; did you mean "host"?',
        'gatewright.yaml:4:21 providers.openai.api_key: environment variable "OPENAI_KEY" is not set; did you mean "OPENAI_API_KEY"?',
        'gatewright.yaml:5:3 providers.mine: missing key "kind" (such as openai): "mine" is no catalogue name; did you mean "gemini"?',
        'gatewright.yaml:6:17 providers.other.kind: unknown kind "opnai"; did you mean "openai"?',
        'gatewright.yaml:7:33 providers.bad.base_url: expected an http:// or https:// URL, got "htp://x"',
        'gatewright.yaml:7:53 providers.bad.api_key: cannot read file "/nowhere/key": No such file or directory',
        'gatewright.yaml:9:20 models.fast.targets[0]: unknown provider "opnai"; did you mean "openai"?',
        'gatewright.yaml:9:33 models.fast.targets[1]: expected "provider/model", got "openai"',
        "gatewright.yaml:10:19 models.slow.targets: expected at least one entry, got an empty list",
        'gatewright.yaml:11:20 models["a*"].targets[0]: at most one "*" can be carried over from the model\'s name',
        'gatewright.yaml:12:20 models.lost.targets[0]: provider "groq" is not configured; add it under "providers"',
        'gatewright.yaml:13:11 aliases.fast: "fast" is a model as well; which one is meant?',
        'gatewright.yaml:13:26 aliases.x: unknown model "nope"; known: a*, fast, lost, slow, x',
        'gatewright.yaml:14:44 keys[0].models[0]: unknown model "fats"; did you mean "fast"?',
    ]


PROVIDERS = "providers: {openai: {api_key: env:OPENAI_API_KEY}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provders: {}", 'provders: unknown key; did you mean "providers"?'),
        ("server: [1]", "server: expected a mapping, got a list"),
        ("server: {port: '4000'}", "server.port: expected a whole number, got text"),
        ("server: {port: 0}", "server.port: expected 1 or more, got 0"),
        ("server: {workers: 1.5}", "server.workers: expected a whole number, got a number"),
        ("providers: {openai: {api_key: 5}}", "providers.openai.api_key: expected text, got a number"),
        ("providers: {openai: {verify_tls: yes, api_key: x}}", "providers.openai.verify_tls: expected true or false, got text"),
        (
            "providers: {openai: {dialects: [chat], api_key: x}}",
            'providers.openai.dialects[0]: expected one of the known words, got "chat"',
        ),
        ("providers: {openai: {dialects: [], api_key: x}}", "expected at least one entry, got an empty list"),
        ("providers: {openai: {dialects: [openai_chat, openai_chat], api_key: x}}", '"openai_chat" is listed twice'),
        ("providers: {openai: {forward: [embedings], api_key: x}}", 'got "embedings"; did you mean "embeddings"?'),
        ("providers: {c: {kind: qqqq}}", 'unknown kind "qqqq"; docs/providers lists them, and "custom" is any other'),
        ("providers: {c: {kind: custom}}", 'providers.c: missing key "base_url": kind "custom" has none of its own'),
        ("providers: {a/b: {kind: openai, api_key: x}}", "stands in paths"),
        ("providers: {v1: {kind: openai, api_key: x}}", '"v1" begins paths of the API itself'),
        ("providers: {openai: {api_key: x, headers: {Host: h}}}", "belongs to the connection"),
        ("media_fetch: {allow_hosts: ['https://h/']}", "media_fetch.allow_hosts[0]: expected a host's exact name"),
        (PROVIDERS + "models: {m: {targets: [openai/x], overrides: {max_token: 5}}}", 'did you mean "max_tokens"?'),
        (PROVIDERS + "models: {m: {targets: [openai/x], overrides: {effort: hihg}}}", 'got "hihg"; did you mean "high"?'),
        (
            PROVIDERS + "models: {m: {targets: [openai/x], overrides: {temperature: hot}}}",
            "overrides.temperature: expected a number",
        ),
        ("providers: {groq: }", 'missing key "api_key" (or set GROQ_API_KEY): Groq answers nobody without'),
        ("providers: {openai: {api_key: x, ca_file: nope.pem}}", 'providers.openai.ca_file: cannot read file "'),
        ("providers: {openai: {api_key: x, proxy: 'socks5://h:1'}}", "expected an http:// or https:// URL"),
        ("providers: {openai: {api_key: x, timeouts: {idle_s: 0}}}", "providers.openai.timeouts.idle_s: expected more than 0"),
        ("providers: {openai: {api_key: x, timeouts: {idel_s: 1}}}", 'did you mean "idle_s"?'),
        ("providers: {openai: {api_key: x, headers: {'a b': c}}}", "not a header's name"),
        ('providers: {openai: {api_key: x, headers: {x-a: "b\\r\\nx: y"}}}', "printable ASCII only"),
        ('providers: {openai: {api_key: "a\\nb"}}', "may not contain line breaks"),
        (
            "providers: {openai: {api_key: x, base_urls: {gemini: 'http://h'}}}",
            "a base for a dialect that the provider does not speak",
        ),
        ("providers: {openai: {api_key: x, base_url: 'http://h/v1/chat/completions'}}", 'leave out "/chat/completions"'),
        ("providers: {openai: {api_key: x, base_url: 'https://u:sk-1@h/v1'}}", "a URL with credentials in it"),
        ("providers: {openai: {api_key: x, base_url: 'https://h/v1?a=b'}}", "a query or a fragment"),
        ("providers: {openai: {api_key: x, base_url: 'https://h:port/v1'}}", "not a URL"),
        ("providers: {openai: {api_key: x, base_url: 'https:///v1'}}", "a URL without a host"),
        (PROVIDERS + "models: {m: }", 'models.m: missing key "targets"'),
        (
            PROVIDERS + "models: {m: {targets: [openai/x], losses: wran}}",
            'expected "warn" or "refuse", got "wran"; did you mean "warn"?',
        ),
        (
            PROVIDERS + "models: {m: {targets: [{target: openai/x, wieght: 1}]}}",
            'models.m.targets[0].wieght: unknown key; did you mean "weight"?',
        ),
        (PROVIDERS + "models: {m: {targets: [5]}}", 'expected "provider/model" or a mapping with "target", got a number'),
        (
            PROVIDERS + "models: {m: {targets: [{target: openai/x, weight: -1}]}}",
            "models.m.targets[0].weight: expected 0 or more, got -1",
        ),
        (PROVIDERS + "models: {m: {targets: [{target: openai/x, weight: 0}]}}", "no target would ever be chosen"),
        (PROVIDERS + "models: {m: {targets: ['openai/*']}}", 'a "*" in the target needs one in the model\'s name, which is "m"'),
        (PROVIDERS + "models: {'*-*': {targets: ['openai/*']}}", 'at most one "*"'),
        (PROVIDERS + "models: {'*': {targets: ['*/x']}}", "the provider must be named"),
        (PROVIDERS + "models: {m: {targets: [openai/x]}, n: {targets: [m]}}", "models do not lead to models"),
        (PROVIDERS + "aliases: {a: b, b: c, c: a}", "aliases.a: an alias that leads back to itself: a → b → c → a"),
        (PROVIDERS + "aliases: {a: a}", "a → a"),
        (PROVIDERS + "aliases: {'a*': openai/x}", "an alias is one name"),
        (PROVIDERS + "aliases: {a: 'openai/*'}", "an alias leads to one name"),
        (PROVIDERS + "keys: [{name: a, key: k1}, {name: a, key: k2}]", 'keys[1].name: a key named "a" is already there'),
        (PROVIDERS + "keys: [{name: a, key: k1}, {name: b, key: k1}]", 'keys[1].key: the same key as "a"'),
        (PROVIDERS + "keys: [{name: gatewright-probe, key: k1}]", 'keys[0].name: "gatewright-probe" is the gateway\'s own'),
        (PROVIDERS + "keys: [{name: a, key: 'k 1'}]", "printable ASCII without spaces"),
        (PROVIDERS + "keys: [{name: a}]", 'keys[0]: missing key "key"'),
        (PROVIDERS + "keys: [{name: a, key: k, models: []}]", "keys[0].models: expected at least one entry"),
        ("timeouts: {connect_s: fast}", "timeouts.connect_s: expected a number, got text"),
        ("a: 1\na: 2", "a: this key is already there, at line 1"),
        ("a: [", "not valid YAML"),
    ],
)
def test_each_mistake_is_told_in_its_own_words(complaints, text, said):
    """Who, where, what was expected, what came, what to do."""
    lines = complaints(text)
    assert any(said in line for line in lines), lines
    assert all(re.match(r"gatewright.yaml:\d+:\d+ ", line) for line in lines)
    assert not any("sk-1" in line for line in lines)


def test_one_slip_is_told_once(complaints):
    """A model whose entry is wrong still exists: what names it is not wrong too."""
    assert complaints(PROVIDERS + "models: {fast: {targets: [openai/x], losess: warn}}\naliases: {f: fast}\n") == [
        'gatewright.yaml:2:38 models.fast.losess: unknown key; did you mean "losses"?'
    ]
    assert (
        len(complaints("providers: {openai: {kind: opnai}}\nmodels: {m: {targets: [openai/x]}}\naliases: {a: b, b: nope}")) == 2
    )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("providers: {groq: {credentials: clinet}}", "credentials"),
        ("providers: {groq: {api_key: 12}}", "api_key"),
        ("providers: {groq: {api_keys: sk-1}}", "api_keys"),
        ("providers: {azure: {api_key: env:OPENAI_API_KEY, resource: a b}}", "resource"),
        ("providers: {bedrock: {api_key: env:OPENAI_API_KEY, region: us east}}", "region"),
    ],
)
def test_what_is_wrong_is_not_missing_too(complaints, text, at):
    """The operator has written it; telling them to write it leads away from the slip."""
    (line,) = complaints(text)
    assert f".{at}: " in line


def test_a_ladder_leads_somewhere(complaints):
    """And one rule for a name is enough."""
    assert complaints(
        """\
providers: {demo: {}}
models:
  a: {ladder: {provider: dmo}}
  b: {ladder: {provider: openai}}
  c: {ladder: {provider: demo}, targets: [demo/demo]}
  d: {losses: warn}
  e: {targets: [demo/demo], capabilities: [visoin]}
"""
    ) == [
        'gatewright.yaml:3:26 models.a.ladder.provider: unknown provider "dmo"; did you mean "demo"?',
        'gatewright.yaml:4:26 models.b.ladder.provider: provider "openai" is not configured; add it under "providers"',
        'gatewright.yaml:5:7 models.c.ladder: "targets" say already where calls go; one of the two',
        'gatewright.yaml:6:6 models.d: missing key "targets" (or "ladder")',
        'gatewright.yaml:7:44 models.e.capabilities[0]: expected one of the known words, got "visoin"; did you mean "vision"?',
    ]
