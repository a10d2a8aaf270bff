"""Files are looked at, not listened to: half a file is no change, and neither is a new time."""

import os

from gatewright.config.watch import FileWatch, stamp_of


def watch(*files) -> FileWatch:
    return FileWatch({str(file): stamp_of(file) for file in files})


def looks(watched: FileWatch, count: int = 3) -> list[bool]:
    return [watched.changed() for _ in range(count)]


def test_a_change_counts_once_and_when_it_lies_still(tmp_path):
    """An editor that writes in two steps is waited for."""
    file = tmp_path / "f"
    file.write_text("one")
    watched = watch(file)
    assert looks(watched) == [False, False, False]
    file.write_text("")
    assert watched.changed() is False
    file.write_text("two and more")
    assert looks(watched) == [False, True, False]


def test_a_file_that_is_replaced_has_changed(tmp_path):
    """By a rename, or by a link that leads elsewhere, whatever the times say."""
    for name, content in (("a", "one"), ("b", "two")):
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, ns=(1, 1))
    link = tmp_path / "link"
    link.symlink_to("a")
    watched = watch(link)
    link.unlink()
    link.symlink_to("b")
    assert looks(watched) == [False, True, False]


def test_the_same_content_is_no_change(tmp_path):
    """Touched, or away for a moment."""
    file = tmp_path / "f"
    file.write_text("one")
    watched = watch(file)
    os.utime(file, ns=(5, 5))
    assert looks(watched) == [False, False, False]
    file.unlink()
    assert watched.changed() is False
    file.write_text("one")
    assert looks(watched) == [False, False, False]


def test_a_file_that_goes_away_has_changed(tmp_path):
    """Whoever reads it then says so."""
    file, other = tmp_path / "f", tmp_path / "g"
    file.write_text("one")
    other.write_text("one")
    watched = watch(file, other)
    other.unlink()
    assert looks(watched) == [False, True, False]


def test_what_changed_before_the_watch_began_is_seen(tmp_path):
    """Between reading a file and watching it there is time."""
    file = tmp_path / "f"
    file.write_text("one")
    stamp = stamp_of(file)
    file.write_text("other")
    assert looks(FileWatch({str(file): stamp})) == [False, True, False]
