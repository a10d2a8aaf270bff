"""What an operator says of routing becomes rules; what he does not say stays as it was."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.pipeline.conditions import EVERY_DAY, Hours, When
from gatewright.pipeline.policy import ALL_KINDS, CacheRule, Policy
from gatewright.routing.breaker import Rule as BreakerRule
from gatewright.routing.hedge import Rule as HedgeRule
from gatewright.routing.retry import Rule as RetryRule

PROVIDERS = """
providers:
  a: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: env:K}
  b: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: env:K}
"""


@pytest.fixture
def load(tmp_path):
    def load(text, head=PROVIDERS, **environ):
        (tmp_path / "gatewright.yaml").write_text(head + text, encoding="utf-8")
        return load_config(tmp_path / "gatewright.yaml", {"K": "sk-k", **environ})

    return load


@pytest.fixture
def complaints(load, tmp_path):
    """The lines of the error that a text gives, without the folder and the place."""

    def complaints(text, head=PROVIDERS, **environ):
        with pytest.raises(ConfigError) as caught:
            load(text, head, **environ)
        lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
        assert all(line.startswith("gatewright.yaml:") for line in lines)
        return [line.split(" ", 1)[1] for line in lines]

    return complaints


def warned(config) -> list[str]:
    return [line.split(" ", 1)[1] for line in config.warnings]


def test_a_file_that_says_nothing_means_what_it_meant(load):
    """One weighted tier, and a tier for each fallback: tried in the order in which they are written."""
    model = load("models: {m: {targets: [{target: a/x, weight: 3}, b/y], fallback: [a/z, b/z]}}").models["m"]
    assert model.policy == Policy()
    assert [tier.strategy for tier in model.tiers] == ["weighted"] * 3
    assert [[(t.model, t.weight, t.when, t.context) for t in tier.targets] for tier in model.tiers] == [
        [("x", 3, None, None), ("y", 1, None, None)],
        [("z", 1, None, None)],
        [("z", 1, None, None)],
    ]


def test_the_whole_of_it(load):
    """Everything that can be said at once."""
    config = load(
        """
routing:
  retry: {tries_each: 3, tries_all: 9, base_s: 0.1, cap_s: 4, patience_s: 10}
  deadline_s: 60
  affinity: [session]
  breaker: {in_a_row: 2, share: 0.9, least_calls: 5, half_life_s: 3, open_s: 1, longest_s: 9, probes: 2, closing: 1}
cache: {max_bytes: 1000, url: env:REDIS_URL}
models:
  plain: {targets: [a/x]}
  own:
    strategy: cheapest
    targets: [{target: a/x, context: 100, capabilities: [tools, tools, vision], priority: 2}, b/y]
    fallback:
      - {target: b/z, when: {tags: [beta]}}
      - {strategy: least_busy, targets: [a/c, {target: b/d, weight: 2}], when: {dialects: [anthropic], headers: {X-Team: "red*"}}}
    retry: {tries_all: 2}
    deadline_s: 5
    affinity: []
    hedge: {share: 0.1, percentile: 0.5, least_s: 0.2, unknown_s: 2, hedges: 2}
    on_cut: resume
    cache: {ttl_s: 60}
keys: [{name: k, key: env:K2, tags: [beta, beta], role: admin}]
""",
        REDIS_URL="redis://:secret@cache:6379/1",
        K2="gw-0123456789abcdef",
    )
    common = Policy(RetryRule(3, 9, 0.1, 4, 10), 60, frozenset({"session"}))
    assert config.routing.policy == common
    assert config.models["plain"].policy == common
    assert config.routing.breaker == BreakerRule(2, 0.9, 5, 3, 1, 9, 2, 1)
    assert config.cache.max_bytes == 1000
    assert config.cache.url is not None
    assert config.cache.url.reveal() == "redis://:secret@cache:6379/1"
    own = config.models["own"]
    assert own.policy == Policy(
        RetryRule(3, 2, 0.1, 4, 10),
        5,
        frozenset(),
        HedgeRule(share=0.1, percentile=0.5, least_s=0.2, unknown_s=2, hedges=2),
        "resume",
        CacheRule(60),
    )
    first, second, third = own.tiers
    assert first.strategy == "cheapest"
    assert (first.targets[0].context, first.targets[0].capabilities, first.targets[0].priority) == (100, ("tools", "vision"), 2)
    assert second.targets[0].when == When(tags=frozenset({"beta"}))
    assert (third.strategy, [t.weight for t in third.targets]) == ("least_busy", [1, 2])
    assert third.when == When(dialects=frozenset({"anthropic"}), headers=(("x-team", "red*"),))
    assert [(key.tags, key.role) for key in config.keys] == [(("beta",), "admin")]


def test_the_defaults_are_the_rules_own(load):
    """One place for each number: the documented default is what the rule would take."""
    config = load("")
    assert config.routing.policy == Policy()
    assert config.routing.policy.affinity == ALL_KINDS
    assert config.routing.breaker == BreakerRule()
    assert load("models: {m: {targets: [a/x, b/x], hedge: {}}}").models["m"].policy.hedge == HedgeRule()
    assert load("routing: {breaker: false}").routing.breaker is None


def test_limits_and_probes_of_a_provider(load):
    """Unlimited and unprobed unless somebody says so."""
    head = 'providers: {a: {kind: openai, base_url: "http://h/v1", api_key: env:K, %s}}\n'
    plain = load("", head % "").providers["a"]
    assert (plain.max_concurrent, plain.queue.size, plain.queue.wait_s, plain.probe) == (0, 1000, 10, None)
    bound = load("", head % "max_concurrent: 4, queue: {size: 0, wait_s: 1}, probe: {every_s: 5, model: tiny}").providers["a"]
    assert (bound.max_concurrent, bound.queue.size, bound.queue.wait_s) == (4, 0, 1)
    assert bound.probe is not None
    assert (bound.probe.every_s, bound.probe.model) == (5, "tiny")
    idle = load("", head % "queue: {size: 3}")
    assert warned(idle) == ['providers.a.queue: nothing ever waits without "max_concurrent"']


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "models: {m: {targets: [a/x], strategy: prioritty}}",
            'models.m.strategy: expected one of the known words, got "prioritty"; did you mean "priority"?',
        ),
        (
            "models: {m: {targets: [a/x], fallback: [{strategy: least_busy, targets: [{target: a/x, weight: 0}]}]}}",
            "models.m.fallback[0].targets: every weight is 0: no target would ever be chosen",
        ),
        (
            "models: {m: {targets: [a/x], fallback: [{weight: 2}]}}",
            'models.m.fallback[0]: missing key "target" (or "targets", for a tier of several)',
        ),
        (
            "models: {m: {targets: [a/x], fallback: [{target: a/y, targets: [b/x]}]}}",
            'models.m.fallback[0].target: belongs to one target; this entry is a tier of several "targets"',
        ),
        (
            "models: {m: {targets: [a/x], fallback: [{target: a/y, strategy: cheapest}]}}",
            'models.m.fallback[0].strategy: one target needs no order; list several under "targets"',
        ),
        (
            "models: {m: {targets: [a/x], fallback: [{targets: [opnai/x]}]}}",
            'models.m.fallback[0].targets[0]: unknown provider "opnai"; known: a, b',
        ),
        (
            "models: {m: {targets: [{target: a/x, when: {hours: ['Mon-Fri 8-18']}}]}}",
            'models.m.targets[0].when.hours[0]: expected hours such as "Mon-Fri 08:00-18:00 Europe/Berlin", got "Mon-Fri 8-18"',
        ),
        (
            "models: {m: {targets: [{target: a/x, when: {headers: {'a b': x}}}]}}",
            'models.m.targets[0].when.headers["a b"]: not a header\'s name',
        ),
        (
            "models: {m: {targets: [{target: a/x, when: {needs: [visoin]}}]}}",
            'models.m.targets[0].when.needs[0]: expected one of the known words, got "visoin"; did you mean "vision"?',
        ),
        (
            "models: {m: {targets: [a/x], fallback: [3]}}",
            'models.m.fallback[0]: expected "provider/model" or a mapping with "target", got a number',
        ),
        ("routing: {breaker: 5}", "routing.breaker: expected a mapping or false, got a number"),
        ("routing: {breaker: true}", "routing.breaker: expected a mapping or false, got a boolean"),
        ("routing: {breaker: {share: 0}}", "routing.breaker.share: expected more than 0.0, got 0"),
        (
            "routing: {affinity: [sesion]}",
            'routing.affinity[0]: expected one of the known words, got "sesion"; did you mean "session"?',
        ),
        ("models: {m: {targets: [a/x], cache: {}}}", 'models.m.cache: missing key "ttl_s"'),
        ("models: {m: {targets: [a/x], hedge: {percentile: 1}}}", "models.m.hedge.percentile: expected less than 1.0, got 1"),
        ("cache: {url: env:NOWHERE}", 'cache.url: environment variable "NOWHERE" is not set'),
        ("cache: {url: 'http://h'}", "cache.url: expected the URL of a Redis or Valkey, such as redis://127.0.0.1:6379/0"),
        (
            "keys: [{name: k, key: env:K, role: root}]",
            'keys[0].role: expected one of the known words, got "root"; known: admin, member, team_admin, viewer',
        ),
    ],
)
def test_a_slip_is_told_where_it_is(complaints, text, complaint):
    """With its place, what was expected and what came."""
    assert complaint in complaints(text)


def test_a_probe_needs_a_model(complaints):
    """It is a call."""
    head = 'providers: {a: {kind: openai, base_url: "http://h/v1", api_key: env:K, probe: {every_s: 5}}}\n'
    assert complaints("", head) == ['providers.a.probe: missing key "model": a probe is a call, and needs a model']


@pytest.mark.parametrize(
    ("model", "warning"),
    [
        ("{targets: [a/x], hedge: {}}", "models.m.hedge: there is no second target that could be asked"),
        ("{targets: [a/x], strategy: cheapest}", 'models.m.strategy: one target needs no order; "cheapest" has no effect'),
        (
            "{targets: [{target: a/x, priority: 1}, b/x]}",
            'models.m.targets: priorities count for the strategy "priority" only; this one is "weighted"',
        ),
    ],
)
def test_what_has_no_effect_is_warned_of(load, model, warning):
    """It is not wrong, but it is not what was meant."""
    assert warned(load(f"models: {{m: {model}}}")) == [warning]


def test_a_password_in_the_file_is_warned_of(load):
    """A URL without one is no secret."""
    assert warned(load("cache: {url: 'redis://:pw@h'}")) == [
        "cache.url: a literal secret; better a reference: env:NAME or file:/path"
    ]
    assert warned(load("cache: {url: 'redis://h'}")) == []


def test_hours_are_read_when_the_file_is(load):
    """What they mean is decided once."""
    text = "models: {m: {targets: [{target: a/x, when: {hours: ['22:00-06:00', 'Mon 08:00-12:00 Europe/Berlin']}}, b/x]}}"
    when = load(text).models["m"].targets[0].when
    assert when is not None
    assert when.hours == (Hours(EVERY_DAY, 1320, 360), Hours(frozenset({0}), 480, 720, "Europe/Berlin"))


def test_an_empty_condition_is_none(load):
    """So that nothing is asked for it."""
    assert load("models: {m: {targets: [{target: a/x, when: {tags: []}}]}}").models["m"].targets[0].when is None
