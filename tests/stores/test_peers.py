"""Word among processes of one machine: who is there hears it, who comes later asks, and nobody waits for anybody."""

import asyncio
import errno
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from gatewright.stores import peers as module
from gatewright.stores.peers import Letter, Note, Peers


class Heard(list):
    """What came, as (payload, from whom)."""

    def __call__(self, payload: bytes, sender: str) -> None:
        self.append((payload, sender))

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self]


@pytest.fixture
async def opened(tmp_path):
    """Makes peers in one folder, listening to `news`."""
    made: list[Peers] = []

    def make(standing=tuple) -> tuple[Peers, Heard]:
        peers, heard = Peers(tmp_path / "state" / "peers"), Heard()
        peers.subscribe("news", heard, standing)
        peers.open()
        made.append(peers)
        return peers, heard

    yield make
    for peers in made:
        peers.close()


async def until(seen, within_s: float = 10.0) -> None:
    ends = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < ends
        await asyncio.sleep(0.005)


async def test_what_one_tells_all_others_hear_once_and_in_order(opened):
    """The teller itself does not; a topic that nobody has subscribed to is passed over."""
    (a, heard_a), (b, heard_b), (_, heard_c) = opened(), opened(), opened()
    assert len(a.tell("news", b"one")) == 2
    a.tell("else", b"nobody listens")
    a.tell("news", b"two")
    await until(lambda: len(heard_b) == len(heard_c) == 2)
    assert heard_b == heard_c == [(b"one", a.name), (b"two", a.name)]
    b.tell("news", b"back", to=a.name)
    await until(lambda: heard_a)
    assert heard_a == [(b"back", b.name)]
    assert len(heard_c) == 2, "told to one is told to no other"


async def test_a_newcomer_is_told_what_stands(opened):
    """By each that is there; they hear nothing of it."""
    _, heard_a = opened(lambda: [b"a1", b"a2"])
    _, heard_b = opened(lambda: [b"b1"])
    heard_b.clear()
    _, heard_c = opened()
    await until(lambda: len(heard_c) == 3)
    assert sorted(heard_c.payloads) == [b"a1", b"a2", b"b1"]
    assert heard_a == []


async def test_one_that_has_died_is_removed(opened, tmp_path):
    """A process that was killed leaves its socket; the next word to it takes it away."""
    folder = tmp_path / "state" / "peers"
    a, _ = opened()
    program = f"""
import asyncio, os
from pathlib import Path
from gatewright.stores.peers import Peers
async def main():
    peers = Peers(Path({str(folder)!r}))
    peers.open()
    os._exit(0)
asyncio.run(main())
"""
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True)
    assert len(a.present()) == 1
    a.tell("news", b"hello")
    await until(lambda: not a.present())
    assert [path.name for path in folder.iterdir()] == [a.name]


async def test_a_peer_that_does_not_read_costs_nobody_anything_and_catches_up(opened):
    """Its queue in the kernel is full: what is told waits within bounds; beyond these it is dropped, and the peer asks what stands."""
    a, _ = opened(lambda: [b"this stands"])
    b, heard = opened()
    await until(lambda: heard)
    heard.clear()
    loop = asyncio.get_running_loop()
    loop.remove_reader(b._socket)
    for i in range(200):
        a.tell("news", b"%d" % i + b"." * 20_000)
        await asyncio.sleep(0)
    assert len(a._outboxes[b.name].notes) > 100
    loop.add_reader(b._socket, b._readable)
    await until(lambda: len(heard) == 200)
    assert [int(payload.rstrip(b".")) for payload in heard.payloads] == list(range(200)), "nothing lost, nothing twice, in order"
    heard.clear()
    loop.remove_reader(b._socket)
    for i in range(module.MOST_WAITING + 500):
        a.tell("news", b"%d" % i)
    assert len(a._outboxes[b.name].notes) <= module.MOST_WAITING
    loop.add_reader(b._socket, b._readable)
    await until(lambda: b"this stands" in heard.payloads)
    assert heard.payloads[-2:] == [b"%d" % (module.MOST_WAITING + 499), b"this stands"]


async def test_whoever_asks_is_told_within_bounds_and_never_has_to_ask_again_for_it(opened):
    """What stands may be much; asking for it must not overflow what makes one ask."""
    opened(lambda: [b"%d" % i for i in range(5000)])
    _, heard = opened()
    await until(lambda: len(heard) == module.MOST_STANDING)
    await asyncio.sleep(0.1)
    assert len(heard) == module.MOST_STANDING


async def test_nobody_else_can_send():
    """The folder is the owner's alone, whatever it was before, and so are the sockets."""
    with tempfile.TemporaryDirectory() as made:  # pytest's own folders are closed to others anyway
        Path(made).chmod(0o755)
        folder = Path(made) / "peers"
        folder.mkdir()
        folder.chmod(0o777)
        peers, heard = Peers(folder), Heard()
        peers.subscribe("news", heard)
        peers.open()
        try:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / peers.name).stat().st_mode) == 0o600
            if os.geteuid() == 0:  # only root can be somebody else for a moment
                letter = msgspec.msgpack.encode(Letter(f"{peers.name[:8]}-{'0' * 16}.sock", (Note("news", b"forged"),)))
                assert await asyncio.to_thread(_sent_by_nobody, letter, folder / peers.name) == "permission denied"
                await asyncio.sleep(0.05)
                assert heard == []
        finally:
            peers.close()


def _sent_by_nobody(letter: bytes, to: Path) -> str:
    program = f"""
import os, socket
os.setgid(65534); os.setuid(65534)
try:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto({letter!r}, {str(to)!r})
except PermissionError:
    print("permission denied", end="")
"""
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


async def test_another_users_folder_is_not_used(tmp_path, monkeypatch):
    """Whoever owns it could put sockets there that listen."""
    (tmp_path / "peers").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    peers = Peers(tmp_path / "peers")
    with pytest.raises(PermissionError, match="belongs to another user"):
        peers.open()
    assert peers.tell("news", b"") == (), "and it does no harm to tell"


async def test_what_nobody_can_read_does_no_harm(opened):
    """Nonsense, senders with paths for names, and subscribers that fail: the next word is heard."""
    a, heard = opened()
    b, _ = opened()
    to = a._path(a.name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for letter in (
            b"",
            b"\xc1nonsense",
            msgspec.msgpack.encode(["../../etc/passwd", [["?", b""]]]),
            msgspec.msgpack.encode([b.name, [["news", "text where bytes belong"]]]),
            msgspec.msgpack.encode(Letter("0.sock", (Note("news", b"forged"),))),
        ):
            stranger.sendto(letter, to)

    def fails(_payload: bytes, _sender: str) -> None:
        raise RuntimeError("on purpose")

    a.subscribe("fails", fails)
    b.tell("fails", b"")
    b.tell("news", b"good")
    await until(lambda: heard)
    assert heard == [(b"good", b.name)]


async def test_a_note_that_no_datagram_bears_is_refused_where_it_is_told(opened):
    """It would be lost later, where nobody knows why."""
    a, _ = opened()
    _, heard = opened()
    with pytest.raises(ValueError, match="bears"):
        a.tell("news", b"x" * (module.MOST_BYTES + 1))
    a.tell("news", b"x" * module.MOST_BYTES)
    await until(lambda: heard)
    assert len(heard[0][0]) == module.MOST_BYTES


async def test_a_folder_that_was_tidied_up_is_entered_again(opened, tmp_path):
    """With its next word a process has a socket again."""
    a, _ = opened()
    for path in (tmp_path / "state" / "peers").iterdir():
        path.unlink()
    b, heard_b = opened()
    a.tell("news", b"still here")
    await until(lambda: heard_b)
    assert a.present() == (b.name,)
    assert b.present() == (a.name,)


async def test_a_moment_without_files_to_open_is_only_a_moment(opened, monkeypatch, caplog):
    """A crowd of clients may use up what a process may open; what is told then is lost, and the next word is not."""
    a, _ = opened()
    _, heard = opened()

    def none_left(_at: object) -> list[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", none_left)
        assert a.tell("news", b"lost") == ()
    assert "Too many open files" in caplog.text
    a.tell("news", b"heard")
    await until(lambda: heard)
    assert heard.payloads == [b"heard"]


async def test_leftovers_of_other_boots_are_left_alone_until_they_are_old(opened, tmp_path):
    """They may be another machine's, which shares the folder by network and cannot be heard by this one."""
    folder = tmp_path / "state" / "peers"
    folder.mkdir(parents=True)
    for name, age_s in (("00000000-0123456789abcdef.sock", 0), ("00000000-fedcba9876543210.sock", 31 * 86_400)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age_s,) * 2)
    a, _ = opened()
    assert a.present() == ()
    assert {path.name for path in folder.iterdir()} == {a.name, "00000000-0123456789abcdef.sock"}


async def test_the_clock_that_events_are_told_by_is_the_same_in_every_process():
    """`CLOCK_MONOTONIC` counts since the boot of the machine, not since the start of a process."""
    before = time.monotonic()
    told = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", "import time; print(time.monotonic())"], check=True, capture_output=True
    )
    assert before <= float(told.stdout) <= time.monotonic()


async def test_what_is_told_a_thousand_times_lists_the_folder_a_few_times(opened, monkeypatch):
    """A provider's refusals come in floods; and whoever comes meanwhile misses nothing."""
    (a, _), (_, b_heard) = opened(), opened()
    await asyncio.sleep(0.05)
    listed = 0
    inner = a._listed

    def counted() -> list[str]:
        nonlocal listed
        listed += 1
        return inner()

    monkeypatch.setattr(a, "_listed", counted)
    for _ in range(200):
        a.tell("news", b"x")
    assert listed <= 3
    _, late = opened()
    await until(lambda: a._listed_at < 0)
    a.tell("news", b"y")
    await until(lambda: b"y" in late.payloads and b"y" in b_heard.payloads)
