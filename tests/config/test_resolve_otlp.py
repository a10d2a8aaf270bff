"""`traces.otlp`: what cannot be used is told with its place before anything is served."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.config.secrets import Secret


@pytest.fixture
def load(tmp_path):
    def loaded(section, environ=None):
        file = tmp_path / "gatewright.yaml"
        file.write_text(f"traces:\n  otlp: {section}\n")
        return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), **(environ or {})})

    return loaded


def test_nothing_is_sent_unless_it_is_asked_for(tmp_path, load):
    """Whatever the environment is set up for."""
    file = tmp_path / "gatewright.yaml"
    file.write_text("traces: {enabled: true}\n")
    environ = {"GATEWRIGHT_HOME": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}
    assert load_config(file, environ).otlp is None
    assert load("{}", environ).otlp.endpoint is None


def test_headers_may_be_references(load):
    """A key stands in a variable or a file, and prints as stars."""
    otlp = load('{endpoint: "http://c:4318/", headers: {Authorization: env:AUTH, x-v: "4"}}', {"AUTH": "Basic abc"}).otlp
    assert otlp.endpoint == "http://c:4318"
    assert otlp.headers == (("authorization", Secret("Basic abc")), ("x-v", Secret("4")))
    assert "abc" not in repr(otlp)
    assert (otlp.content, otlp.langfuse, otlp.queue_size) == (False, None, 2048)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{}", "traces.otlp: no collector to send traces to"),
        ("{endpoint: collector}", "traces.otlp.endpoint: expected an http:// or https:// URL"),
        ('{endpoint: "http://me:pw@c:4318"}', "traces.otlp.endpoint: a URL with credentials in it"),
        ('{endpoint: "http://c", headers: {"a b": x}}', "not a header's name"),
        ('{endpoint: "http://c", headers: {a: env:NOBODY_SETS_THIS}}', "NOBODY_SETS_THIS"),
        ('{endpoint: "http://c", headers: {a: "x\\ny"}}', "printable ASCII only"),
        ('{endpoint: "http://c", contents: true}', "content"),
        ('{endpoint: "http://c", queue_size: 0}', "queue_size"),
        ('{endpoint: "http://c", timeout_s: 0}', "timeout_s"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(load, section, words):
    """As file:line:column, the key's path, and what was expected."""
    with pytest.raises(ConfigError) as raised:
        load(section)
    told = str(raised.value)
    assert words in told
    assert "gatewright.yaml:2:" in told
