"""Encryption at rest: for one purpose, one row, one key."""

import stat
import subprocess
import sys

import pytest

from gatewright.stores.sealed import BadKey, CannotUnseal, Sealer, secret_key

KEY = b"k" * 43


def test_what_is_sealed_opens_for_its_row_alone():
    """Somebody who can write the file must not give one account another's tokens."""
    sealer = Sealer(KEY, "accounts")
    sealed = sealer.seal("row-1", b"a secret")
    assert b"a secret" not in sealed
    assert sealer.unseal("row-1", sealed) == b"a secret"
    with pytest.raises(CannotUnseal, match="damaged"):
        sealer.unseal("row-2", sealed)


def test_the_same_text_is_sealed_differently_each_time():
    """A nonce is never used twice."""
    sealer = Sealer(KEY, "accounts")
    assert sealer.seal("r", b"x") != sealer.seal("r", b"x")


def test_purposes_do_not_open_one_another():
    """A key for each purpose: what leaks one of them leaks no other."""
    with pytest.raises(CannotUnseal, match="another secret key"):
        Sealer(KEY, "traces").unseal("r", Sealer(KEY, "accounts").seal("r", b"x"))


def test_a_wrong_key_is_told_from_damage():
    """The operator must know whether to look for the key or for a backup."""
    sealer = Sealer(KEY, "accounts")
    sealed = bytearray(sealer.seal("r", b"x" * 50))
    with pytest.raises(CannotUnseal, match=r"another secret key.*GATEWRIGHT_SECRET_KEY"):
        Sealer(b"o" * 43, "accounts").unseal("r", bytes(sealed))
    for place in (25, len(sealed) - 1):
        broken = bytearray(sealed)
        broken[place] ^= 1
        with pytest.raises(CannotUnseal, match="damaged"):
            sealer.unseal("r", bytes(broken))
    for cut in (b"", bytes(sealed[:10]), b"\x02" + bytes(sealed[1:])):
        with pytest.raises(CannotUnseal, match="damaged"):
            sealer.unseal("r", cut)


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path):
    """On first use, without being asked for."""
    folder = tmp_path / "state"
    key = secret_key(folder, {})
    assert len(key) == 43
    assert secret_key(folder, {}) == key
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["secret_key"]


def test_the_variable_wins_and_makes_no_file(tmp_path):
    """Containers bring their key along."""
    assert secret_key(tmp_path, {"GATEWRIGHT_SECRET_KEY": " " + "v" * 40 + "\n"}) == b"v" * 40
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["short", "x" * 31])
def test_a_short_key_is_refused_without_being_shown(given, tmp_path):
    """A password is no key."""
    with pytest.raises(BadKey, match="openssl rand -base64 32") as caught:
        secret_key(tmp_path, {"GATEWRIGHT_SECRET_KEY": given})
    assert given not in str(caught.value).replace("too short", "")


def test_a_key_that_others_can_read_is_refused(tmp_path):
    """As ssh does with its own."""
    secret_key(tmp_path, {})
    (tmp_path / "secret_key").chmod(0o640)
    with pytest.raises(BadKey, match="chmod 600"):
        secret_key(tmp_path, {})


def test_a_key_cut_short_is_refused_and_left_alone(tmp_path):
    """A new one in its place would lose every login."""
    path = tmp_path / "secret_key"
    path.write_text("abc")
    path.chmod(0o600)
    with pytest.raises(BadKey, match="cut short"):
        secret_key(tmp_path, {})
    assert path.read_text() == "abc"


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    """With the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BadKey, match="set GATEWRIGHT_SECRET_KEY"):
        secret_key(tmp_path / "file" / "state", {})


def test_processes_that_start_at_once_get_the_same_key(tmp_path):
    """Workers do."""
    code = "import sys; from pathlib import Path; from gatewright.stores.sealed import secret_key; print(secret_key(Path(sys.argv[1]), {}).decode())"
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate(timeout=30)[0] for process in started}) == 1
