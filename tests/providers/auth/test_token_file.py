"""A token in a file, replaced there by its issuer."""

import pytest

from gatewright.errors import UpstreamFailed
from gatewright.providers.auth.token_file import read_token_file


def test_the_token_without_its_line_break(tmp_path):
    """As `kubectl` and others write it."""
    file = tmp_path / "token"
    file.write_text("abc.def\n")
    assert read_token_file(str(file)) == "abc.def"


def test_what_is_wrong_with_it_is_told_with_its_path(tmp_path):
    """Missing, empty, a folder."""
    (tmp_path / "empty").write_text("\n")
    for name, said in (("none", "No such file"), ("empty", "is empty"), (".", "Is a directory")):
        with pytest.raises(UpstreamFailed, match=said):
            read_token_file(str(tmp_path / name))
