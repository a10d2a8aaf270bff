"""Where spans go: the configuration first, then OpenTelemetry's variables, and nobody's key to another's endpoint."""

import pytest

from gatewright.record.otlp_rule import NoEndpoint, is_disabled, otlp_rule, pairs, resource_of

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=s3cret,x-a=b%20c"}


def test_the_environment_fills_in_what_is_left_unsaid():
    """Base endpoint plus path; headers percent-decoded; a timeout in milliseconds."""
    rule = otlp_rule({**BASE, "OTEL_EXPORTER_OTLP_TIMEOUT": "2500"})
    assert (rule.url, rule.timeout_s) == ("http://collector:4318/v1/traces", 2.5)
    assert rule.headers == {"api-key": "s3cret", "x-a": "b c"}


def test_what_is_said_of_traces_comes_before_what_is_said_of_all():
    """A signal's own endpoint is taken as it stands."""
    rule = otlp_rule({**BASE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:1/in", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=1"})
    assert (rule.url, dict(rule.headers)) == ("http://t:1/in", {"a": "1"})


def test_another_endpoint_is_not_given_the_environments_key():
    """The variables' headers are for the variables' collector."""
    assert otlp_rule(BASE, endpoint="http://other:4318").headers == {}
    assert otlp_rule(BASE, endpoint="http://collector:4318/").headers["api-key"] == "s3cret"
    assert otlp_rule({"OTEL_EXPORTER_OTLP_HEADERS": "a=1"}, endpoint="http://other:4318").headers == {"a": "1"}
    assert otlp_rule(BASE, endpoint="http://collector:4318", headers={"API-KEY": "mine"}).headers["api-key"] == "mine"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        ("https://cloud.langfuse.com/api/public/otel", "https://cloud.langfuse.com/api/public/otel/v1/traces"),
    ],
)
def test_the_path_of_traces_is_added_once(endpoint, url):
    """As exporters do with a base endpoint."""
    assert otlp_rule({}, endpoint=endpoint).url == url


def test_langfuse_is_known_by_its_path_or_by_name():
    """Elsewhere its attributes would be noise."""
    assert otlp_rule({}, endpoint="http://localhost:3000/api/public/otel").langfuse
    assert not otlp_rule({}, endpoint="http://localhost:4318").langfuse
    assert otlp_rule({}, endpoint="http://localhost:4318", langfuse=True).langfuse


@pytest.mark.parametrize("endpoint", ["ftp://x", "collector:4318", "http://user:pw@x", "http://", "http://x:port"])
def test_an_endpoint_that_is_none_is_refused(endpoint):
    """A credential in a URL would stand in logs."""
    with pytest.raises(NoEndpoint, match="expected an http"):
        otlp_rule({}, endpoint=endpoint)
    with pytest.raises(NoEndpoint):
        otlp_rule({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})


def test_without_any_endpoint_what_to_say_is_said():
    """Both ways."""
    with pytest.raises(NoEndpoint, match=r"traces\.otlp\.endpoint.*OTEL_EXPORTER_OTLP_ENDPOINT"):
        otlp_rule({})


def test_a_rule_does_not_print_its_headers():
    """They hold credentials."""
    assert "s3cret" not in repr(otlp_rule(BASE))


def test_who_sends_is_said_by_the_environment():
    """OTEL_SERVICE_NAME wins over the attribute."""
    said = resource_of({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,host=b%2Cc,junk", "OTEL_SERVICE_NAME": "z"}, "1.2")
    assert said == {"service.name": "z", "service.version": "1.2", "host": "b,c"}
    assert pairs("=x,a,,b=") == {"b": ""}


def test_the_environment_can_turn_it_off():
    """As every SDK is turned off."""
    assert is_disabled({"OTEL_SDK_DISABLED": "TRUE"})
    assert is_disabled({"OTEL_TRACES_EXPORTER": "none"})
    assert not is_disabled({})
