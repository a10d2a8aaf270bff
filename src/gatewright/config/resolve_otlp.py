"""Where traces are sent, as configured. One rule: what cannot be used is told here, with its place, and not when a trace ends."""

from importlib.util import find_spec

from gatewright.config.model import OtlpConfig
from gatewright.config.references import Desk
from gatewright.config.schema_otlp import OtlpSection
from gatewright.config.secrets import Secret
from gatewright.config.tree import KeyPath
from gatewright.record.otlp_rule import NoEndpoint, otlp_rule

_PATH: KeyPath = ("traces", "otlp")


def resolve_otlp(section: OtlpSection | None, desk: Desk) -> OtlpConfig | None:
    """None: nothing is sent."""
    if section is None:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.proto") is None:
        desk.wrong(_PATH, "needs the extra `otel`: pip install 'gatewright[otel]'", key=True)
    endpoint = None if section.endpoint is None else desk.url(section.endpoint, (*_PATH, "endpoint"))
    if endpoint is None and section.endpoint is not None:
        return None
    try:
        otlp_rule(desk.environ, endpoint=endpoint)
    except NoEndpoint as error:
        desk.wrong(_PATH, str(error), key=True)
    return OtlpConfig(
        endpoint=endpoint,
        headers=_headers(section, desk),
        content=section.content,
        langfuse=section.langfuse,
        timeout_s=section.timeout_s,
        queue_size=section.queue_size,
        propagate=section.propagate,
    )


def _headers(section: OtlpSection, desk: Desk) -> tuple[tuple[str, Secret], ...]:
    found: list[tuple[str, Secret]] = []
    for name, written in section.headers.items():
        at: KeyPath = (*_PATH, "headers", name)
        if not name or not all(c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~") for c in name):
            desk.wrong(at, "not a header's name", key=True)
            continue
        value = desk.text(written.reveal(), at)
        if value is not None and not (value.isascii() and value.isprintable()):
            desk.wrong(at, "a header's value may hold printable ASCII only")
        elif value is not None:
            found.append((name.lower(), Secret(value)))
    return tuple(found)
