"""What is shown at start."""

import pytest

from gatewright.cli.banner import banner, base_url, example_model, started
from gatewright.config import Config, from_environment, load_config

ENVIRON = {"GATEWRIGHT_KEY": "gw-generated", "HOME": "/nowhere"}


@pytest.fixture
def configured(tmp_path):
    (tmp_path / "g.yaml").write_text(
        "providers: {demo: , openai: {api_key: sk-upstream-1}}\nmodels: {'gpt-*': {targets: ['openai/gpt-*']}, fast: {targets: [demo/demo]}}\n"
        "keys: [{name: ci, key: gw-declared-0123456789}]"
    )
    return load_config(tmp_path / "g.yaml", ENVIRON)


def test_without_a_file_it_says_all_that_a_newcomer_needs():
    """Where, which key, and a line to paste for every client."""
    text = banner(from_environment(ENVIRON), version="1.2", host="127.0.0.1", port=4000, generated_key="gw-generated")
    assert "Gatewright 1.2 on http://127.0.0.1:4000" in text
    assert "client key gw-generated" in text
    for title in ("curl", "OpenAI SDK", "Anthropic SDK", "Google SDK", "Claude Code", "Codex", "Gemini CLI"):
        assert f"# {title}\n" in text
    assert "demo/demo" in text


def test_declared_keys_and_upstream_keys_are_not_shown(configured):
    """The banner lands in logs."""
    text = banner(configured, version="1", host="0.0.0.0", port=80)
    assert "gw-declared" not in text
    assert "sk-upstream" not in text.replace("***", "")
    assert "client key declared: ci" in text
    assert "$GATEWRIGHT_KEY" in text
    assert "http://127.0.0.1:80/v1/chat/completions" in text
    assert '"model":"fast"' in text
    assert "warning" in text


def test_the_example_is_a_name_that_leads_somewhere(configured):
    """A pattern is no name."""
    assert example_model(configured) == "fast"
    assert example_model(from_environment(ENVIRON)) == "demo/demo"
    assert example_model(Config(source="x")) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://127.0.0.1:1"),
        ("::1", "http://[::1]:1"),
        ("gw.lan", "http://gw.lan:1"),
    ],
)
def test_the_url_is_one_that_this_machine_can_call(host, url):
    """`0.0.0.0` is an address to listen on, not to call."""
    assert base_url(host, 1) == url


def test_a_gateway_with_a_certificate_is_shown_by_https(tmp_path):
    """What is pasted must work."""
    (tmp_path / "gw.pem").write_text("a certificate")
    (tmp_path / "g.yaml").write_text("server: {tls_cert_file: gw.pem}\nproviders: {demo: }\n")
    text = banner(load_config(tmp_path / "g.yaml", ENVIRON), version="1", host="127.0.0.1", port=4000)
    assert "https://127.0.0.1:4000" in text
    assert "http://127.0.0.1:4000" not in text


def test_the_line_for_machines_has_no_key_in_it():
    """Generated or not: it is kept where logs are."""
    text = started(
        from_environment({**ENVIRON, "GATEWRIGHT_KEY": "gw-not-to-be-seen"}), version="1.2", host="127.0.0.1", port=4000
    )
    assert text.startswith("Gatewright 1.2 on http://127.0.0.1:4000: ")
    assert "\n" not in text
    assert "gw-not-to-be-seen" not in text
