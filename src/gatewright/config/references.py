"""Following what a file refers to: variables, secret files, URLs, paths. Problems are collected, never raised.

One rule: whoever asks gets a value to go on with, or None when there is none, and the problem is on the list.
"""

from collections.abc import Container, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gatewright.config.problems import ConfigProblem
from gatewright.config.secrets import BadReference, Secret, is_reference, resolve
from gatewright.config.tree import KeyPath, Tree, show_path
from gatewright.config.watch import Stamp, stamp_of

FORBIDDEN = frozenset("\r\n\0")
"""What would end a header early."""


def url_fault(text: str) -> str | None:
    """Why this cannot be the base of other URLs; None when it can. Never shows credentials that stand in it."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises when it is no number
    except ValueError:
        return "not a URL"
    if "@" in parts.netloc:
        return 'a URL with credentials in it; they belong in "api_key" or "headers"'
    if parts.scheme not in ("http", "https"):
        return f'expected an http:// or https:// URL, got "{text}"'
    if any(c.isspace() for c in text):
        return "a URL with spaces in it"
    if not parts.hostname:
        return "a URL without a host"
    if parts.query or parts.fragment:
        return "a URL with a query or a fragment; expected a base that paths are added to"
    return None


class Desk:
    """Where problems and warnings come in while a file is resolved."""

    def __init__(self, tree: Tree, file: str, base: Path, environ: Mapping[str, str]) -> None:
        self.tree = tree
        self.file = file
        self.base = base
        self.environ = environ
        self.problems: list[ConfigProblem] = []
        self.warnings: list[str] = []
        self.files: dict[str, Stamp] = {}
        """What was read on the way."""

    def wrong(self, path: KeyPath, message: str, *, key: bool = False) -> None:
        self.problems.append(ConfigProblem(place=self.tree.place(path, key=key), path=path, message=message))

    def keys_at(self, path: KeyPath) -> frozenset[str]:
        """The keys that stand in the mapping at `path`, whole or not."""
        return frozenset(str(key[-1]) for key in self.tree.keys if key[:-1] == path)

    def told(self, path: KeyPath, keys: Container[str]) -> bool:
        """Whether something was found wrong with one of these keys of the mapping at `path`, so that it is not missing too."""
        above = len(path)
        return any(
            problem.path[:above] == path and len(problem.path) > above and problem.path[above] in keys
            for problem in self.problems
        )

    def warn(self, path: KeyPath, message: str) -> None:
        place = self.tree.place(path)
        line = f"{self.file}:{place.line}:{place.column} {show_path(path)}: {message}"
        if line not in self.warnings:
            self.warnings.append(line)

    def text(self, written: str, path: KeyPath) -> str | None:
        """What a plain setting stands for: itself, or the variable or file it refers to."""
        if written.startswith("file:"):
            self._note(self.base / Path(written.removeprefix("file:")).expanduser())
        try:
            return resolve(written, self.environ, self.base)
        except BadReference as error:
            self.wrong(path, str(error))
            return None

    def secret(self, written: Secret, path: KeyPath) -> Secret | None:
        """The secret itself. A literal is accepted and warned about."""
        text = written.reveal()
        if not is_reference(text):
            self.warn(path, "a literal secret; better a reference: env:NAME or file:/path")
        value = self.text(text, path)
        if value is None:
            return None
        if FORBIDDEN & set(value):
            self.wrong(path, "a secret may not contain line breaks")
            return None
        return Secret(value)

    def url(self, written: str, path: KeyPath) -> str | None:
        """An http(s) URL that may be the base of others, without a slash at the end."""
        text = self.text(written, path)
        if text is None:
            return None
        text = text.strip().rstrip("/")
        if (fault := url_fault(text)) is not None:
            self.wrong(path, fault)
            return None
        return text

    def existing_file(self, written: str, path: KeyPath) -> str | None:
        """The absolute path of a file that can be read."""
        place = self.base / Path(written).expanduser()
        self._note(place)
        try:
            with place.open("rb"):
                return str(place.resolve())
        except OSError as error:
            self.wrong(path, f'cannot read file "{place}": {error.strerror}')
            return None

    def _note(self, file: Path) -> None:
        self.files[str(file.absolute())] = stamp_of(file)
