"""Looks for secrets in everything that a gateway has let out: plain, percent-encoded, in base64, and within what is compressed."""

import base64
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import re2
import zstandard

ZSTD = b"\x28\xb5\x2f\xfd"


class Search:
    """For all of some secrets at once."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.of: dict[bytes, str] = {}
        for secret in secrets:
            plain = secret.encode()
            pair = base64.b64encode(f"agent:{secret}".encode()).rstrip(b"=")
            for form in (
                plain,
                quote(secret, safe="").encode(),
                base64.b64encode(plain).rstrip(b"="),
                pair,
                plain.hex().encode(),
            ):
                self.of[form] = secret
        options = re2.Options()
        options.max_mem = 256 << 20
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        self._any = re2.compile(b"|".join(re2.escape(form) for form in sorted(self.of, key=len, reverse=True)), options)

    def found(self, wire: bytes) -> set[str]:
        return {self.of[match] for match in self._any.findall(wire)}

    def in_folder(self, folder: Path) -> dict[str, set[str]]:
        """File → what is in it, in its bytes and in what is compressed within them or in its tables."""
        found: dict[str, set[str]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            hits = set().union(*(self.found(wire) for wire in contents(path)))
            if hits:
                found[str(path.relative_to(folder))] = hits
        return found


def contents(path: Path) -> Iterator[bytes]:
    wire = path.read_bytes()
    yield wire
    yield from unpacked(wire)
    if wire.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                try:
                    rows = database.execute(f'select * from "{table}"')
                except sqlite3.OperationalError:  # a table of the full-text index has no rows of its own
                    continue
                for row in rows:
                    for value in row:
                        if isinstance(value, bytes):
                            yield value
                            yield from unpacked(value)
        database.close()


def unpacked(wire: bytes) -> Iterator[bytes]:
    """Every frame of zstd within; what only looks like one is not."""
    at = wire.find(ZSTD)
    while at >= 0:
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(wire[at:])
        at = wire.find(ZSTD, at + 1)
