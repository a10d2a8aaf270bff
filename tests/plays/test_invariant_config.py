"""The section `invariant`: what is wrong with it is told with its place, and its variables count only where it is switched on."""

import pytest

from gatewright.config import ConfigError, load_config

ON = "invariant: {enabled: true}\n"


def read(tmp_path, text, environ=None):
    file = tmp_path / "gatewright.yaml"
    file.write_text(text)
    return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), **(environ or {})})


def test_defaults_are_those_of_invariants_gateway(tmp_path):
    """The vendors' own hosts, Explorer's, and nobody is let in without a key."""
    config = read(tmp_path, ON)
    assert {name: provider.base_url for name, provider in config.providers.items()} == {
        "invariant-openai": "https://api.openai.com/v1",
        "invariant-anthropic": "https://api.anthropic.com",
        "invariant-gemini": "https://generativelanguage.googleapis.com",
    }
    section = config.invariant
    assert (section.explorer_url, section.guardrails_url) == ("https://explorer.invariantlabs.ai",) * 2
    assert (section.open, section.remote, section.passes, section.push) == (False, False, False, "always")
    assert not any("no providers" in warning for warning in config.warnings)


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("invariant: {enabled: true, openai_url: 'ftp://x'}", {}, "invariant.openai_url: expected an http:// or https:// URL"),
        ("invariant: {enabled: true, explorer_url: nowhere}", {}, "invariant.explorer_url: expected an http"),
        (ON, {"INVARIANT_API_URL": "file:///etc/passwd"}, r"\$INVARIANT_API_URL: expected an http"),
        (ON, {"GUARDRAILS_API_URL": "http://a:b@c"}, r"\$GUARDRAILS_API_URL: a URL with credentials"),
        (ON, {"GUARDRAILS_FILE_PATH": "/nowhere/policy.gr"}, "invariant.guardrails_file: cannot read file"),
        ("invariant: {enabled: true, key: env:NOT_SET}", {}, "invariant.key: "),
        ("invariant: {enabled: true, guardrails: elsewhere}", {}, "invariant.guardrails: "),
        ("invariant: {enabled: true, oepn: true}", {}, 'invariant.oepn: unknown key.*did you mean "open"|invariant.oepn: unknown key'),
        (ON + "providers: {invariant-openai: {kind: openai, api_key: sk-x}}", {}, "is the name of a provider that `invariant` makes"),
        ("traces: {explorer: {key: k, dataset: d, url: x}}", {}, "traces.explorer.url: "),
        ("traces: {explorer: {dataset: d}}", {}, "traces.explorer: missing key|traces.explorer.key: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(tmp_path, text, environ, words):
    """All at once, and before anything is served."""
    with pytest.raises(ConfigError, match=words) as caught:
        read(tmp_path, text, environ)
    assert str(caught.value).startswith(str(tmp_path / "gatewright.yaml"))


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True), ("10.0.0.7", True)])
@pytest.mark.parametrize("opened", [True, False])
def test_open_to_a_network_is_warned_about(tmp_path, host, warned, opened):
    """It works; but it should be meant."""
    config = read(tmp_path, f"server: {{host: {host}}}\ninvariant: {{enabled: true, open: {str(opened).lower()}}}")
    assert any("invariant.open: whoever reaches" in warning for warning in config.warnings) is (warned and opened)


def test_a_variable_opens_no_path(tmp_path):
    """Where the section is off, nothing of the environment is read, be it wrong or right."""
    environ = {"INVARIANT_API_URL": "nonsense", "GUARDRAILS_FILE_PATH": "/nowhere", "INVARIANT_API_KEY": "inv"}
    config = read(tmp_path, "providers: {demo: {kind: demo}}", environ)
    assert not config.invariant.enabled
    assert config.invariant.key is None


def test_versions_at_the_end_of_a_base_are_left_out(tmp_path):
    """Where the dialects' own paths bring them along."""
    config = read(tmp_path, "invariant: {enabled: true, anthropic_url: 'http://a/v1', gemini_url: 'http://g/v1beta/'}")
    assert config.providers["invariant-anthropic"].base_url == "http://a"
    assert config.providers["invariant-gemini"].base_url == "http://g"


def test_a_policy_that_the_service_judges_is_not_read_here(tmp_path):
    """It may say what only the service knows."""
    (tmp_path / "policy.gr").write_text("whatever the service takes")
    config = read(tmp_path, "invariant: {enabled: true, guardrails: remote, guardrails_file: policy.gr}")
    assert config.invariant.policy == "whatever the service takes"
    with pytest.raises(ConfigError, match=r"policy\.gr:1:"):
        read(tmp_path, "invariant: {enabled: true, guardrails_file: policy.gr}")


def test_secrets_are_not_shown(tmp_path):
    """Of what is resolved."""
    config = read(
        tmp_path, "invariant: {enabled: true, key: inv-very-secret}\ntraces: {explorer: {key: inv-secret-too, dataset: d}}"
    )
    assert config.invariant.key.reveal() == "inv-very-secret"
    assert "secret" not in repr(config.invariant) + repr(config.explorer)
