"""Rules of the file: compiled, or told where and why not."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.config.resolve_guards import NOT_TOLD
from gatewright.guards.kinds import KINDS, compile_kind
from gatewright.pipeline.guard_terms import GuardsConfig


def resolved(tmp_path, rules: str, *, more: str = "") -> GuardsConfig:
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers: {{openai: {{api_key: sk-x}}}}\nguards:\n{more}  rules:\n{rules}\n")
    return load_config(file, {"WORD": "xyzzy", "GATEWRIGHT_HOME": str(tmp_path)}).guards


def refused(tmp_path, rules: str, *, more: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        resolved(tmp_path, rules, more=more)
    return str(caught.value)


def test_a_rule_has_what_its_kind_says_where_it_says_nothing(tmp_path):
    (one,) = resolved(tmp_path, "    - {name: a, kind: patterns, patterns: [abc]}").rules
    assert (one.rule.action, one.rule.directions, one.rule.dry) == ("block", {"request", "answer"}, False)
    assert one.rule.longest == 3
    assert one.maker is None


def test_the_window_is_as_long_as_the_longest_match(tmp_path):
    """At least 512 characters; a rule that only tells needs none."""
    assert resolved(tmp_path, "    - {name: a, kind: patterns, patterns: [abc]}").terms.window == 512
    assert resolved(tmp_path, "    - {name: a, kind: patterns, patterns: ['a{700}']}").terms.window == 700
    assert resolved(tmp_path, "    - {name: a, kind: patterns, patterns: ['a{700}'], action: flag}").terms.window == 512
    assert resolved(tmp_path, "    - {name: a, kind: patterns, patterns: [a]}", more="  window_chars: 64\n").terms.window == 64


def test_a_match_without_a_bound_needs_one(tmp_path):
    """Where it could hold a stream: not in a request, and not where it only tells."""
    endless = "    - {name: a, kind: patterns, patterns: ['a.*b']"
    assert "gatewright.yaml:4:7" in (told := refused(tmp_path, f"{endless}}}"))
    assert "say max_chars" in told
    for more in ("max_chars: 100", "direction: request", "action: log", "dry_run: true"):
        assert resolved(tmp_path, f"{endless}, {more}}}").rules


def test_a_bound_beyond_the_window_is_told(tmp_path):
    told = refused(tmp_path, "    - {name: a, kind: patterns, patterns: ['a.*'], max_chars: 100}", more="  window_chars: 64\n")
    assert "gatewright.yaml:5:63" in told
    assert "guards.window_chars, which is 64" in told


def test_settings_of_a_kind_are_told_with_their_place(tmp_path):
    told = refused(tmp_path, "    - name: a\n      kind: patterns\n      patterns:\n        - fine\n        - '(?=no)'")
    assert "gatewright.yaml:8:11 guards.rules[0].patterns[1]" in told
    told = refused(tmp_path, "    - {name: a, kind: patterns, patterns: [x], caseless: true}")
    assert "gatewright.yaml:4:7 guards.rules[0]" in told
    assert "caseless" in told


def test_a_kind_that_is_none_names_those_there_are(tmp_path):
    told = refused(tmp_path, "    - {name: a, kind: pattern, patterns: [x]}")
    assert 'did you mean "patterns"?' in told
    assert "gatewright.yaml:4:23" in told


def test_two_rules_of_one_name_are_told(tmp_path):
    rule = "    - {name: a, kind: patterns, patterns: [x]}\n"
    assert 'two rules are called "a"' in refused(tmp_path, rule * 2)


def test_what_cannot_be_done_is_told(tmp_path):
    """Only what was replaced comes back; and a rule over conversations finds no place to replace."""
    assert "only what is redacted" in refused(tmp_path, "    - {name: a, kind: patterns, patterns: [x], reversible: true}")
    tools = "    - {name: a, kind: tools, deny: ['rm*'], action: redact}"
    assert "finds no place to redact" in refused(tmp_path, tools)


@pytest.mark.parametrize("rule", ["kind: webhook, url: 'https://check.test/'", "kind: judge, model: openai/m, rule: 'Not rude.'"])
def test_who_is_asked_cannot_redact_and_the_file_is_told_what_can(tmp_path, rule):
    """A verdict names no place in a text: a rule that seems to redact, and does not, would be worse than none."""
    for more in ("", ", reversible: true"):
        told = refused(tmp_path, f"    - {{name: a, action: redact, {rule}{more}}}")
        assert "gatewright.yaml:4:25 guards.rules[0].action:" in told
        assert f'"{rule.split(",")[0].removeprefix("kind: ")}" asks somebody who says whether, not where' in told
        assert "or redact with a kind that finds the place: patterns, secrets, pii, presidio or topics" in told
    assert resolved(tmp_path, f"    - {{name: a, action: block, {rule}}}").rules


def test_every_kind_that_is_proposed_finds_a_place():
    """Of those that can be installed here."""
    words = NOT_TOLD.partition("place: ")[2].replace(" or ", ", ").split(", ")
    for kind, settings in {"patterns": {"patterns": ["x"]}, "secrets": {}, "pii": {}, "topics": {"topics": {"a": ["x"]}}}.items():
        assert kind in words
        assert compile_kind(kind, settings).detector is not None
    assert set(words) <= set(KINDS)


def test_settings_may_refer_to_variables(tmp_path):
    (one,) = resolved(tmp_path, "    - {name: a, kind: patterns, patterns: ['env:WORD']}").rules
    assert one.rule.check.detector is not None
    assert one.rule.check.detector.find("say xyzzy")
    told = refused(tmp_path, "    - {name: a, kind: patterns, patterns: ['env:NOT_THERE']}")
    assert "NOT_THERE" in told


def test_rules_of_a_model_are_for_it_alone(tmp_path):
    file = tmp_path / "gatewright.yaml"
    rule = "{name: a, kind: patterns, patterns: [x]}"
    file.write_text(
        f"providers: {{openai: {{api_key: sk-x}}}}\nmodels: {{fast: {{targets: [openai/gpt-5], guards: [{rule}]}}}}\n"
    )
    (one,) = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)}).guards.rules
    assert one.rule.scope.models == ("fast",)


def test_nothing_is_guarded_where_nothing_is_said(tmp_path):
    file = tmp_path / "gatewright.yaml"
    file.write_text("providers: {openai: {api_key: sk-x}}\n")
    assert not load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)}).guards.configured
    file.write_text("providers: {openai: {api_key: sk-x}}\nguards: {reasoning: drop}\n")
    assert load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)}).guards.configured
