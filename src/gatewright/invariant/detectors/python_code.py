"""`python_code(text)`: what a piece of Python imports and calls. Read as a tree; nothing is ever run.

One rule: what cannot be read as Python is a syntax error of the text, whatever the parser makes of it.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/code-validation.md
"""

import ast
import builtins
import re
import warnings
from threading import Lock

from gatewright.jsontypes import JsonObject, JsonValue

MAX_CHARS = 100_000
"""Longer texts are not parsed: the parser's cost is not bounded by the policy's own count."""
_BUILTINS = frozenset(dir(builtins))
_QUIET = Lock()
"""Filters of warnings are the process's: two threads that change them at once would leave them changed."""
_MAGIC = re.compile(r"^\s*(?:[%!?].*|.*\?{1,2}\s*)$")
"""Lines that only IPython knows: `%timeit x`, `!ls`, `x?`."""


def python_code(text: str, *, ipython: bool = False) -> JsonObject:
    """`imports`, `builtins`, `function_calls` (as they are written: `os.system`), `syntax_error`, `syntax_error_exception`."""
    if len(text) > MAX_CHARS:
        return _record(error=f"more than {MAX_CHARS} characters are not read")
    code = "\n".join("pass" if _MAGIC.match(line) else line for line in text.split("\n")) if ipython else text
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code that is read, such as `"\d"`
            tree = ast.parse(code)
        return _read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return _record(error=str(error) or type(error).__name__)


def _read(tree: ast.Module) -> JsonObject:
    imports: list[str] = []
    used: list[str] = []
    calls: dict[str, None] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imports += [alias.name for alias in names]
            case ast.ImportFrom(module=module, level=level):
                imports.append("." * level + (module or ""))
            case ast.Name(id=name) if name in _BUILTINS:
                used.append(name)
            case ast.Call(func=function):
                calls[_written(function)] = None
    return _record(imports, used, list(calls))


def _written(function: ast.expr) -> str:
    """`os.path.join` of a call; what is called by another way is `…` before its last name."""
    names: list[str] = []
    while isinstance(function, ast.Attribute):
        names.append(function.attr)
        function = function.value
    names.append(function.id if isinstance(function, ast.Name) else "…")
    return ".".join(reversed(names))


def _record(
    imports: list[str] | None = None, used: list[str] | None = None, calls: list[str] | None = None, error: str | None = None
) -> JsonObject:
    def listed(words: list[str] | None) -> list[JsonValue]:
        return list(words or ())

    return {
        "imports": listed(imports),
        "builtins": listed(used),
        "function_calls": listed(calls),
        "syntax_error": error is not None,
        "syntax_error_exception": error,
    }
