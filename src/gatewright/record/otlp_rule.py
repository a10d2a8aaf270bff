"""Where spans go and with what: the settings, completed by OpenTelemetry's own environment variables.

One rule: what the configuration says wins; a variable fills in what it leaves unsaid. Without a `traces.otlp` section nothing is
sent, whatever the environment says: bodies leave the house when the operator says so.
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

TRACES_PATH: Final = "/v1/traces"
_LANGFUSE: Final = "/api/public/otel"


class OtlpRule(msgspec.Struct, frozen=True, kw_only=True):
    """How traces are sent to a collector."""

    url: str
    """Of its traces, in full."""
    headers: Mapping[str, str] = {}
    """Credentials among them."""
    content: bool = False
    """Whether what was said is told, too."""
    langfuse: bool = False
    timeout_s: float = 10.0
    queue: int = 2_048
    """Traces that may wait."""
    resource: Mapping[str, str] = {}
    hosts: Mapping[str, str] = {}
    """Provider of the configuration → host of the catalogue."""

    def __repr__(self) -> str:
        return f"OtlpRule({self.url!r})"


class NoEndpoint(ValueError):
    """Nobody says where spans go."""


def otlp_rule(
    environ: Mapping[str, str],
    *,
    endpoint: str | None = None,
    headers: Mapping[str, str] = {},
    content: bool = False,
    langfuse: bool | None = None,
    timeout_s: float | None = None,
    queue: int = 2_048,
    hosts: Mapping[str, str] = {},
    version: str = "",
) -> OtlpRule:
    """Of what the configuration says; None: it says nothing. Raises NoEndpoint."""
    url = _url(endpoint, environ)
    named = {name.lower(): value for name, value in headers.items()}
    given = pairs(environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
    # Headers of the environment may be another collector's key: they go where the environment itself would send them.
    ours = _elsewhere(environ) in (None, url)
    return OtlpRule(
        url=url,
        headers={**({name.lower(): value for name, value in given.items()} if ours else {}), **named},
        content=content,
        langfuse=_LANGFUSE in urlsplit(url).path if langfuse is None else langfuse,
        timeout_s=timeout_s or _timeout(environ),
        queue=queue,
        resource=resource_of(environ, version),
        hosts=hosts,
    )


def _elsewhere(environ: Mapping[str, str]) -> str | None:
    """Where the environment alone would send them. None: it does not say."""
    try:
        return _url(None, environ)
    except NoEndpoint:
        return None


def _url(endpoint: str | None, environ: Mapping[str, str]) -> str:
    if endpoint is None and (own := environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()):
        return _checked(own, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = endpoint or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not base:
        raise NoEndpoint(
            "no collector to send traces to: say traces.otlp.endpoint, such as http://127.0.0.1:4318, "
            "or set OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    base = _checked(base, "the collector's endpoint").rstrip("/")
    return base if base.endswith(TRACES_PATH) else base + TRACES_PATH


def _checked(url: str, what: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise NoEndpoint(f"{what}: expected an http:// or https:// URL without credentials, such as http://127.0.0.1:4318")
    return url


def _timeout(environ: Mapping[str, str]) -> float:
    written = environ.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or environ.get("OTEL_EXPORTER_OTLP_TIMEOUT") or ""
    try:  # milliseconds
        return min(max(float(written) / 1000, 0.1), 600.0) if written else 10.0
    except ValueError:
        return 10.0


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment wants no spans from anybody."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return off or environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "none"


def resource_of(environ: Mapping[str, str], version: str) -> dict[str, str]:
    """Who sends: `service.name` and what else the environment says."""
    said = {"service.name": "gatewright", "service.version": version, **pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))}
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        said["service.name"] = name
    return said


def pairs(text: str) -> dict[str, str]:
    """`a=1,b=2`, percent-encoded, as OpenTelemetry's variables have it. What is no pair is passed over."""
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            yield unquote(name.strip()), unquote(value.strip())
