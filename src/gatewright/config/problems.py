"""What is wrong with a configuration file, where, and what to do: all of it at once.

One rule: a problem says the place as `file:line:col`, the key's path, what was expected, what came; never a secret's value.
"""

import msgspec

from gatewright.config.tree import KeyPath, Place, show_path


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One problem. Ordered by place, so that a list of them reads from top to bottom."""

    place: Place
    path: KeyPath = ()
    """Keys and indices from the top. Empty: the file as a whole."""
    message: str

    def show(self, file: str) -> str:
        """`gatewright.yaml:14:7 models.fast.targets[1]: unknown provider "opnai"; did you mean "openai"?`"""
        where = f"{file}:{self.place.line}:{self.place.column}"
        return f"{where} {show_path(self.path)}: {self.message}" if self.path else f"{where} {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used. `str()` is one line a problem, in the order of the file."""

    def __init__(self, file: str, problems: tuple[ConfigProblem, ...]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.place, show_path(problem.path), problem.message)))
        super().__init__("\n".join(problem.show(file) for problem in self.problems))
