"""The Redis or Valkey that tests may use, each with keys of its own. Where there is none they skip loudly; in CI they fail."""

import os
import socket
from urllib.parse import urlsplit

import pytest

URL = os.environ.get("GATEWRIGHT_TEST_REDIS") or "redis://127.0.0.1:6379/0"


def redis_url() -> str:
    """Its URL. Skips the test, or fails it in CI, where there is none."""
    url = urlsplit(URL)
    try:
        socket.create_connection((url.hostname, url.port or 6379), timeout=1).close()
    except OSError as error:
        why = f"needs a Redis or Valkey at {URL} (GATEWRIGHT_TEST_REDIS says where): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return URL
