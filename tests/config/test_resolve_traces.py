"""The settings of traces: nothing is kept unasked, and what cannot be done is told before it is needed."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.record.trace_rule import TraceRule


@pytest.fixture
def load(tmp_path):
    def loaded(text: str):
        file = tmp_path / "gatewright.yaml"
        file.write_text(text)
        return load_config(file, {})

    return loaded


def test_nothing_is_kept_unless_somebody_says_so(load):
    """Bodies are others' words; the schema's defaults are the rule's."""
    assert load("").traces == TraceRule()
    assert not load("").traces.enabled


def test_every_setting_is_taken_over(load):
    """Days become seconds, names of headers lower case, each once."""
    rule = load(
        "traces: {enabled: true, sample: 0.5, max_body_bytes: 2048, retention_days: 2, max_bytes: 0, encrypt: false, index_share: 0,"
        " queue_size: 5, queue_bytes: 2097152, headers: [X-Run, x-run, X-Agent], redact: [{kind: pii}]}"
    ).traces
    assert rule == TraceRule(
        enabled=True, sample=0.5, max_body_bytes=2048, keep_s=172_800, max_bytes=0, index_share=0, queue_size=5, queue_bytes=2 << 20,
        headers=("x-run", "x-agent"), redact=(("pii", {}),),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["Authorization", "x-api-KEY", "Set-Cookie", "x-amz-signature", "x-session-token"])
def test_a_header_that_sounds_like_a_credential_is_refused(load, name):
    """No trace holds one, whoever asks for it."""
    with pytest.raises(ConfigError, match=r"traces\.headers\[0\].*may hold a credential"):
        load(f"traces: {{headers: [{name}]}}")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{}", r'traces\.redact\[0\].*missing key "kind"'),
        ("{kind: pie}", r'traces\.redact\[0\]\.kind.*unknown kind "pie".*pii'),
        ("{kind: patterns, patterns: ['(']}", r"traces\.redact\[0\]"),
        ("{kind: pii, no_such: 1}", r"traces\.redact\[0\]"),
        ("{kind: flows, flow: []}", r"traces\.redact\[0\]"),
        ("{kind: webhook, url: 'https://a.test/'}", r"traces\.redact\[0\]\.kind.*asks somebody.*such as `pii`"),
        ("{kind: tools, deny: [x]}", r"judges whole conversations"),
    ],
)
def test_a_rule_that_cannot_replace_texts_is_told_at_its_place(load, rule, told):
    """At the start, and not when the first trace is to be written."""
    with pytest.raises(ConfigError, match=told):
        load(f"traces: {{redact: [{rule}]}}")


@pytest.mark.parametrize(
    "text", ["sample: 2", "retention_days: 0", "queue_size: 0", "max_body_bytes: 1", "index_share: -1", "keep: 1"]
)
def test_what_cannot_be_meant_is_refused(load, text):
    with pytest.raises(ConfigError, match="traces"):
        load(f"traces: {{{text}}}")
