"""The ledger's settings, and the database's URL as the gateway uses it.

One rule: a URL is followed here; whether somebody answers there is found out when it is needed.
"""

from pathlib import Path

from gatewright.config.references import Desk
from gatewright.config.schema_ledger import LedgerSection
from gatewright.config.secrets import Secret, is_reference
from gatewright.record.ledger import LedgerRule

SCHEMES = ("postgresql", "postgres", "sqlite")


def resolve_ledger(section: LedgerSection) -> LedgerRule:
    return LedgerRule(
        enabled=section.enabled,
        retention_days=section.retention_days,
        journal_bytes=section.journal_bytes,
        on_failure=section.on_failure,
        fsync_ms=section.fsync_ms,
    )


def resolve_database(written: Secret | None, desk: Desk) -> Secret | None:
    """The URL. None: a file in the state folder."""
    if written is None:
        return None
    text = desk.text(written.reveal(), ("database",))
    if text is None:
        return None
    text = text.strip()
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in SCHEMES:
        desk.wrong(("database",), "expected postgresql://user@host/name, or sqlite:////absolute/path")
        return None
    if scheme == "sqlite":
        path = rest.removeprefix("/")
        if not path or path.startswith(":"):
            desk.wrong(("database",), "expected the path of a file, such as sqlite:////var/lib/gatewright/gatewright.db")
            return None
        return Secret(f"sqlite:///{desk.base.absolute() / Path(path).expanduser()}")
    if not is_reference(written.reveal()) and ":" in rest.partition("@")[0] and "@" in rest:
        desk.warn(("database",), "a literal secret; better a reference: env:NAME or file:/path")
    return Secret(text)
