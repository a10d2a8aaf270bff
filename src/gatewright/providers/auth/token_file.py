"""A token that somebody else keeps in a file and replaces there: Kubernetes' service account tokens and their like."""

from pathlib import Path
from typing import Final

from gatewright.errors import Problem, UpstreamFailed

MAX_FILE_BYTES: Final = 64 << 10


def read_token_file(path: str) -> str:
    """A token that somebody else writes to a file. Raises UpstreamFailed. Blocks: call it in a thread."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE_BYTES).decode("utf-8", "replace").strip()
    except OSError as error:
        raise UpstreamFailed(Problem(kind="upstream", message=f'cannot read file "{path}": {error.strerror}')) from None
    if not text:
        raise UpstreamFailed(Problem(kind="upstream", message=f'file "{path}" is empty; its issuer has written no token'))
    return text
