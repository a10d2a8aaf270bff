"""The words of traces: SQLite's FTS5, or PostgreSQL's tsvector, behind one set of questions.

    tool error "no such file" calcul*      all of these, anywhere in the texts; a row of words; a beginning

One rule: what somebody looks for is words and nothing else; no operator of either engine can be written.
https://www.sqlite.org/fts5.html, https://www.postgresql.org/docs/current/textsearch.html
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa
import zstandard
from sqlalchemy.engine import Connection

from gatewright.stores.trace_tables import TEXTS, TRACES

MOST_TERMS: Final = 20
LARGEST_TEXT: Final = 256 << 10
"""Characters of a trace that are in the index: PostgreSQL takes no more than a megabyte of words."""
AROUND: Final = 60
"""Characters of a snippet on either side."""

_TERM: Final = re.compile(r'"([^"]*)"?(\*?)|(\S+)')
_WORD: Final = re.compile(r"\w+")
_TOO_LONG: Final = 2000
"""Bytes of a word that PostgreSQL takes no longer."""


class Terms(tuple[tuple[tuple[str, ...], bool], ...]):
    """Rows of words that must all be there; whether the last of a row is but a beginning."""

    __slots__ = ()


def terms_of(text: str) -> Terms:
    """What is looked for. Empty: nothing that could be found."""
    found: list[tuple[tuple[str, ...], bool]] = []
    for row, row_open, single in _TERM.findall(text):
        words = tuple(_WORD.findall(row or single))
        if words:
            found.append((words, bool(row_open) or (bool(single) and single.endswith("*"))))
    return Terms(found[:MOST_TERMS])


def fts5(terms: Terms) -> str:
    """The query, every word quoted."""
    return " AND ".join(f'"{" ".join(words)}"{"*" if is_open else ""}' for words, is_open in terms)


def tsquery(terms: Terms) -> str:
    rows = []
    for words, is_open in terms:
        quoted = [f"'{word}'" for word in words]
        rows.append("(" + " <-> ".join(quoted) + (":*" if is_open else "") + ")")
    return " & ".join(rows)


def put(connection: Connection, texts: Sequence[tuple[int, str]]) -> None:
    """Texts of traces, by number, into the index. One that is in it already must not come again."""
    compressor = zstandard.ZstdCompressor(level=3)
    clipped = [(number, _clean(text)) for number, text in texts]
    rows = [(number, compressor.compress(text.encode()), text) for number, text in clipped]
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("insert or ignore into trace_texts (number, text) values (?, ?)", [row[:2] for row in rows])
        connection.exec_driver_sql("insert into trace_words (rowid, text) values (?, ?)", [(n, text) for n, _, text in rows])
        return
    insert = sa.text(
        "insert into trace_texts (number, text, words) values (:number, :text, to_tsvector('simple', :plain))"
        " on conflict (number) do nothing"
    )
    connection.execute(insert, [{"number": n, "text": data, "plain": _shortened(text)} for n, data, text in rows])


def remove(connection: Connection, numbers: Iterable[int]) -> None:
    """Traces are no more."""
    wanted = list(numbers)
    for first in range(0, len(wanted), 500):
        some = wanted[first : first + 500]
        if connection.dialect.name == "sqlite":
            rows = connection.execute(sa.select(TEXTS.c.number, TEXTS.c.text).where(TEXTS.c.number.in_(some))).all()
            gone = [("delete", number, _plain(data)) for number, data in rows]
            if gone:
                connection.exec_driver_sql("insert into trace_words (trace_words, rowid, text) values (?, ?, ?)", gone)
        connection.execute(TEXTS.delete().where(TEXTS.c.number.in_(some)))


def matches(terms: Terms, dialect: str) -> tuple[sa.FromClause, sa.ColumnElement[int], sa.ColumnElement[bool]]:
    """Where traces with these words are found: a table, the traces' numbers in it, and the condition.

    Ordered by those numbers, both engines give the youngest without finding all.
    """
    if dialect == "sqlite":
        words = sa.table("trace_words", sa.column("rowid", sa.Integer), sa.column("trace_words", sa.Text))
        return words, words.c.rowid, words.c.trace_words.op("match", is_comparison=True)(fts5(terms))
    found = sa.literal_column("trace_texts.words").op("@@", is_comparison=True)(sa.func.to_tsquery("simple", tsquery(terms)))
    return TEXTS, TEXTS.c.number, found


def snippets(connection: Connection, numbers: Sequence[int], terms: Terms) -> dict[int, str]:
    """What stands around the first of the words in each."""
    rows = connection.execute(sa.select(TEXTS.c.number, TEXTS.c.text).where(TEXTS.c.number.in_(list(numbers)))).all()
    words = "|".join(re.escape(word) for row, _ in terms for word in row)
    looked_for = re.compile(rf"(?<!\w)(?:{words})", re.IGNORECASE)
    return {number: _around(_plain(data), looked_for) for number, data in rows}


def unread(connection: Connection) -> int:
    """Traces whose texts are not in the index yet."""
    return connection.execute(sa.select(sa.func.count()).select_from(TRACES).where(TRACES.c.unread == 1)).scalar_one()


def _around(text: str, looked_for: re.Pattern[str]) -> str:
    found = looked_for.search(text)
    if found is None:  # written with other accents
        return " ".join(text[: 2 * AROUND].split())
    start, end = found.span()
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return " ".join(f"{before}\x01{text[start:end]}\x02{after}".split())


def _clean(text: str) -> str:
    """PostgreSQL's texts hold no NUL; marks of ours are nobody else's."""
    return text[:LARGEST_TEXT].translate(_NOT_KEPT).encode("utf-8", "replace").decode()


_NOT_KEPT: Final = {0: " ", 1: " ", 2: " "}


def _shortened(text: str) -> str:
    """Without words that PostgreSQL would refuse: base64 and the like."""
    return _LONG_WORD.sub(" ", text)


_LONG_WORD: Final = re.compile(rf"\S{{{_TOO_LONG // 4},}}")


def _plain(data: bytes) -> str:
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=LARGEST_TEXT * 4).decode("utf-8", "replace")
