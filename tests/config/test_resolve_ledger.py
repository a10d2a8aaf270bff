"""The ledger's settings, and the database's URL."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.record.ledger import LedgerRule


@pytest.fixture
def load(tmp_path):
    def loaded(text: str, environ: dict[str, str] | None = None):
        file = tmp_path / "gatewright.yaml"
        file.write_text(text)
        return load_config(file, environ or {})

    return loaded


def test_books_are_kept_unless_somebody_says_otherwise(load):
    """In the state folder, and requests that cannot be written down are refused."""
    config = load("")
    assert config.ledger == LedgerRule()
    assert config.ledger.enabled
    assert config.ledger.on_failure == "refuse"
    assert config.database is None


def test_every_setting_is_taken_over(load):
    """The rule is what was written."""
    config = load("ledger: {enabled: false, retention_days: 7, journal_bytes: 2097152, on_failure: serve, fsync_ms: 50}")
    assert config.ledger == LedgerRule(enabled=False, retention_days=7, journal_bytes=2 << 20, on_failure="serve", fsync_ms=50)


def test_a_database_is_a_url_or_where_one_stands(load, tmp_path):
    """A path of SQLite is relative to the file's folder."""
    config = load("database: env:DB", {"DB": "postgresql://someone:hunter2@db/gateway?sslmode=require"})
    assert config.database is not None
    assert config.database.reveal() == "postgresql://someone:hunter2@db/gateway?sslmode=require"
    assert "hunter2" not in repr(config)
    assert config.warnings == load("").warnings
    relative = load("database: sqlite:///books.db").database
    assert relative is not None
    assert relative.reveal() == f"sqlite:///{tmp_path}/books.db"
    absolute = load("database: sqlite:////var/lib/books.db").database
    assert absolute is not None
    assert absolute.reveal() == "sqlite:////var/lib/books.db"


def test_a_password_in_the_file_is_warned_about(load):
    """As any literal secret."""
    warned = load("database: postgresql://someone:hunter2@db/gateway").warnings
    assert any("literal secret" in line and "hunter2" not in line for line in warned)


@pytest.mark.parametrize("url", ["mysql://x/y", "gateway.db", "sqlite:///:memory:", "sqlite://", "env:NOT_SET"])
def test_a_database_of_no_known_kind_is_a_problem_of_the_file(load, url):
    """Told with what to write, at its place."""
    with pytest.raises(ConfigError, match="database"):
        load(f"database: {url}")


@pytest.mark.parametrize("text", ["retention_days: 0", "journal_bytes: 1000", "on_failure: pray", "fsync_ms: -1", "unknown: 1"])
def test_what_cannot_be_meant_is_refused(load, text):
    """At the start, and not when the disk is full."""
    with pytest.raises(ConfigError, match="ledger"):
        load(f"ledger: {{{text}}}")
