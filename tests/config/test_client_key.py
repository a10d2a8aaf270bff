"""The generated client key."""

from multiprocessing.pool import ThreadPool

from gatewright.config.client_key import client_key


def test_processes_that_start_at_once_get_one_key(tmp_path):
    """Workers race for the first start."""
    with ThreadPool(8) as pool:
        keys = pool.map(lambda _: client_key(tmp_path, {}).key.reveal(), range(32))
    assert len(set(keys)) == 1


def test_an_empty_key_file_is_nobodys_key(tmp_path):
    """A disk that was full left one behind; an empty key would let everybody in."""
    (tmp_path / "client_key").write_text("\n")
    assert len(client_key(tmp_path, {}).key.reveal()) > 40
