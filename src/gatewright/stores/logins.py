"""Where somebody has logged in, without opening any account: no key is needed, and nothing is made.

One rule: never raises; a file that cannot be read is nobody's login, and whoever uses the accounts will hear why.
"""

import sqlite3
from pathlib import Path
from typing import Final

FILE_NAME: Final = "accounts.db"


def logged_in(state_dir: Path) -> tuple[str, ...]:
    """The providers that have an account, by name."""
    path = state_dir / FILE_NAME
    if not path.is_file():
        return ()
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            return tuple(name for (name,) in connection.execute("select distinct provider from accounts order by provider"))
        finally:
            connection.close()
    except sqlite3.Error:
        return ()
