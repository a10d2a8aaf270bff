"""The settings of traces. One rule: what is to be replaced is tried here, so that a slip is told with its place."""

from typing import Final

from gatewright.config.references import Desk
from gatewright.config.schema_traces import TracesSection
from gatewright.config.suggest import hint
from gatewright.guards.kinds import KINDS, compile_kind
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.guard_kinds import ASKED_KINDS
from gatewright.record.trace_rule import TraceRule

_SECRET_WORDS: Final = ("auth", "key", "token", "secret", "cookie", "password", "credential", "signature")


def resolve_traces(section: TracesSection, desk: Desk) -> TraceRule:
    for i, name in enumerate(section.headers):
        if any(word in name.lower() for word in _SECRET_WORDS):
            desk.wrong(("traces", "headers", i), f'"{name}" may hold a credential, which no trace does')
    found = (_tried(dict(written), i, desk) for i, written in enumerate(section.redact))
    return TraceRule(
        enabled=section.enabled,
        sample=section.sample,
        max_body_bytes=section.max_body_bytes,
        keep_s=section.retention_days * 86_400,
        max_bytes=section.max_bytes,
        encrypt=section.encrypt,
        index_share=section.index_share,
        queue_size=section.queue_size,
        queue_bytes=section.queue_bytes,
        headers=tuple(dict.fromkeys(name.lower() for name in section.headers)),
        redact=tuple(pair for pair in found if pair is not None),
    )


def _tried(settings: JsonObject, i: int, desk: Desk) -> tuple[str, JsonObject] | None:
    """Compiled once, to see whether it can be; kept as it is written, so that the same is known as the same."""
    kind = settings.pop("kind", None)
    if not isinstance(kind, str):
        desk.wrong(("traces", "redact", i), 'missing key "kind"; expected one that finds texts, such as `pii` or `patterns`')
        return None
    try:
        compiled = compile_kind(kind, settings)
    except KeyError:
        asks = (
            f'"{kind}" asks somebody who says whether, not where; expected a kind that finds texts, such as `pii` or `patterns`'
        )
        told = asks if kind in ASKED_KINDS else f'unknown kind "{kind}"{hint(kind, KINDS)}'
        desk.wrong(("traces", "redact", i, "kind"), told)
        return None
    except ValueError as error:
        desk.wrong(("traces", "redact", i), str(error))
        return None
    if compiled.detector is None:
        desk.wrong(("traces", "redact", i, "kind"), f'"{kind}" judges whole conversations; expected a kind that finds texts')
    return kind, settings
