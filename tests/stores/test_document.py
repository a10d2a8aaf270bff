"""A small file that is replaced whole."""

import stat

from gatewright.stores.document import Document


def test_what_is_written_is_read(tmp_path):
    """Its owner's alone, in a folder that is made where it is missing."""
    document = Document(tmp_path / "new" / "x.json", max_bytes=100)
    assert document.read() is None
    assert document.write(b"one")
    assert document.write(b"two")
    assert document.read() == b"two"
    assert stat.S_IMODE(document.path.stat().st_mode) == 0o600
    assert [file.name for file in document.path.parent.iterdir()] == ["x.json"]


def test_nothing_longer_than_it_may_be(tmp_path):
    """Neither written nor read."""
    document = Document(tmp_path / "x", max_bytes=3)
    assert not document.write(b"four")
    (tmp_path / "x").write_bytes(b"four")
    assert document.read() is None


def test_a_path_that_is_no_folders_is_no_error(tmp_path):
    """A file in the folder's place: the lists are asked for anew, that is all."""
    (tmp_path / "file").write_bytes(b"")
    document = Document(tmp_path / "file" / "x", max_bytes=9)
    assert not document.write(b"x")
    assert document.read() is None
