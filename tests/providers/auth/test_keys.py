"""Fixed keys as header lines."""

import pytest

from gatewright.providers.auth.keys import key_lines


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ("bearer", b"authorization: Bearer k\r\n"), ("x-api-key", b"x-api-key: k\r\n"), ("api-key", b"api-key: k\r\n"),
        ("x-goog-api-key", b"x-goog-api-key: k\r\n"), ("google", b"authorization: Bearer k\r\n"),
    ],
)  # fmt: skip
def test_each_way_of_travelling_has_its_header(auth, line):
    """A client's own token for a host of identities is a bearer."""
    assert key_lines(auth, "k") == line
