"""The seam: header lines that cannot break out."""

import pytest

from gatewright.transport import header_lines
from gatewright.transport.seam import FRAMING


def test_lines_are_ready_for_the_wire():
    """Order, case and bytes stay; text is latin-1."""
    assert (
        header_lines([("X-A", "1"), (b"x-b", b"\xff"), ("x-c", "é"), ("x-d", "")])
        == b"X-A: 1\r\nx-b: \xff\r\nx-c: \xe9\r\nx-d: \r\n"
    )
    assert header_lines([]) == b""


@pytest.mark.parametrize("name", sorted(FRAMING))
def test_the_framing_is_not_the_callers(name):
    """Two content-lengths or a foreign host are how requests are smuggled."""
    assert header_lines([(name.decode().title(), "evil"), ("x", "y")]) == b"x: y\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "a\x00"])
def test_a_name_must_be_a_token(name):
    """Anything else is a way to write a second header."""
    with pytest.raises(ValueError, match="not a header name"):
        header_lines([(name, "x")])


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\n", "\r", "a\x00b"])
def test_a_value_stays_in_its_line(value):
    """And the message does not repeat it: it may be a key."""
    with pytest.raises(ValueError, match="line break") as caught:
        header_lines([("authorization", f"hunter2{value}")])
    assert "hunter2" not in str(caught.value)
