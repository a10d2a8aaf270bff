"""Word among the processes of one machine that share a state folder: workers, and a new version beside the old one.

    tell(topic, payload)                 to every other process that is there now
    subscribe(topic, hear, standing)     what it means is the subscriber's; who comes later asks for what stands

Each process has a socket of Unix datagrams in the folder; listing the folder finds the others, and what nobody listens on any
more is removed. The folder is its owner's alone, so nobody else can send. One rule: nobody waits for a word, and nobody relies
on one: what is told must do no harm when it is lost, late or heard twice.
https://man7.org/linux/man-pages/man7/unix.7.html
"""

import asyncio
import hashlib
import logging
import os
import re
import secrets
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

log = logging.getLogger("gatewright.peers")

FOLDER: Final = "peers"
"""Within the state folder."""
MOST_BYTES: Final = 32 << 10
"""Of notes in one datagram, so of one note."""
MOST_WAITING: Final = 1024
"""Notes that wait for one peer to read. With one more all are dropped, and the peer is told to ask what stands."""
MOST_STANDING: Final = 512
"""Notes that a newcomer is told by each of its peers: half as many, so that it is never told to ask again for having asked."""
RETRY_S: Final = 0.01
"""A peer's queue is full: by default the kernel keeps ten datagrams. The pause doubles each time, …"""
LONGEST_RETRY_S: Final = 1.0
"""… up to this."""
LISTED_S: Final = 0.1
"""How long who was there is taken to be there still, for what is told to all: a provider may refuse a thousand times a second."""
AT_ONCE: Final = 32
"""Datagrams that are read in one turn of the loop."""
FORGOTTEN_S: Final = 30 * 86_400.0
"""A socket of another boot of this machine, or of another machine, is removed when it is this old."""

_ASK: Final = "?"
"""The topic of who wants to know what stands."""

PeerName: TypeAlias = str
Hear: TypeAlias = Callable[[bytes, PeerName], None]
"""(payload, who told it). Called in the event loop; must not block."""
Standing: TypeAlias = Callable[[], Iterable[bytes]]
"""Payloads that bring someone who has heard nothing up to date."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    topic: str
    payload: bytes


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """One datagram."""

    sender: PeerName
    notes: tuple[Note, ...]


class _Outbox(msgspec.Struct, eq=False):
    notes: deque[Note]
    retry_s: float = RETRY_S
    timer: asyncio.TimerHandle | None = None


class Peers:
    """This process among its peers. Everything happens in the event loop that it was opened in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = _boot()
        self._name_like = re.compile(rf"{self._boot}-[0-9a-f]{{16}}\.sock")
        self.name: PeerName = ""
        """Empty: nobody can write to it."""
        self._at = -1
        self._base = ""
        """The folder, opened, and its path by that handle: the kernel takes 107 bytes, and folders of state lie deep."""
        self._socket: socket.socket | None = None
        self._listed_at = -LISTED_S
        self._present: tuple[PeerName, ...] = ()
        """Who was there then."""
        self._topics: dict[str, tuple[Hear, Standing]] = {}
        self._outboxes: dict[PeerName, _Outbox] = {}
        self._decoder = msgspec.msgpack.Decoder(Letter)
        self._encoder = msgspec.msgpack.Encoder()

    def open(self) -> None:
        """Listen, and ask who is there for what stands. Within the event loop. Raises OSError: then nothing is shared."""
        self._at = _private(self._folder)
        by_handle = f"/proc/self/fd/{self._at}"
        self._base = by_handle if Path(by_handle).exists() else str(self._folder)
        try:
            self._bind()
            self._sweep()
        except OSError:
            self.close()
            raise
        self.tell(_ASK, b"")

    def close(self) -> None:
        """Be gone. Idempotent; what was not sent yet is not sent."""
        for box in self._outboxes.values():
            if box.timer is not None:
                box.timer.cancel()
        self._outboxes.clear()
        self._unbind()
        self._present, self._listed_at = (), -LISTED_S
        if self._at >= 0:
            os.close(self._at)
            self._at = -1

    def subscribe(self, topic: str, hear: Hear, standing: Standing = tuple) -> None:
        """Have `hear` called for what others tell of `topic`; `standing` says what a newcomer should know of it."""
        self._topics[topic] = (hear, standing)

    def tell(self, topic: str, payload: bytes, to: PeerName = "") -> tuple[PeerName, ...]:
        """Tell all who are there now, or one of them; the names of those told. Nothing happens where it is not open.

        Sent in the loop's next turn, with what else is told until then. `payload`: at most `MOST_BYTES`, else ValueError.
        """
        if len(payload) > MOST_BYTES:
            raise ValueError(f"a note of {len(payload)} bytes: a datagram bears {MOST_BYTES}")
        present = self.present() if to or topic == _ASK else self._lately_present()
        told = present if not to else (to,) if to in present else ()
        for name in told:
            box = self._outboxes.get(name)
            if box is None:
                box = self._outboxes[name] = _Outbox(deque())
            if len(box.notes) >= MOST_WAITING:
                box.notes.clear()
                box.notes.append(Note(_ASK, b"again"))
            box.notes.append(Note(topic, payload))
            if box.timer is None:
                box.timer = asyncio.get_running_loop().call_later(0, self._send, name)
        return told

    def _lately_present(self) -> tuple[PeerName, ...]:
        """As `present`, but for those who have come just now and have not asked yet: they are told what stands."""
        now = time.monotonic()
        if not self._present or now - self._listed_at >= LISTED_S:
            self._present, self._listed_at = self.present(), now
        return self._present

    def present(self) -> tuple[PeerName, ...]:
        """The others that have a socket. One that ended without a word is among them until it is written to."""
        if self._at < 0:
            return ()
        try:
            found = [name for name in self._listed() if self._name_like.fullmatch(name)]
            if self.name not in found:  # somebody has tidied up
                self._unbind()
                self._bind()
        except OSError as error:  # no more files may be open, perhaps; the next word may go out again
            log.warning("%s: not told to other workers: %s", self._folder, error)
            return ()
        return tuple(name for name in found if name != self.name)

    # -- sending -------------------------------------------------------------------------------------------------------------

    def _send(self, name: PeerName) -> None:
        """Send what waits for a peer, as far as it takes it."""
        box = self._outboxes[name]
        box.timer = None
        while box.notes:
            if self._socket is None:
                return
            letter, count = self._letter(box.notes)
            try:
                self._socket.sendto(letter, self._path(name))
            except (BlockingIOError, InterruptedError):
                box.timer = asyncio.get_running_loop().call_later(box.retry_s, self._send, name)
                box.retry_s = min(2 * box.retry_s, LONGEST_RETRY_S)
                return
            except (ConnectionRefusedError, FileNotFoundError):  # it has ended
                self._remove(name)
                self._listed_at = -LISTED_S
                break
            except OSError as error:
                log.debug("%s: not told: %s", name, error)
                break
            box.retry_s = RETRY_S
            for _ in range(count):
                box.notes.popleft()
        del self._outboxes[name]

    def _letter(self, notes: Iterable[Note]) -> tuple[bytes, int]:
        """As many of the first notes as a datagram bears, at least one; and how many these are."""
        size = 0
        some: list[Note] = []
        for note in notes:
            size += len(note.payload) + len(note.topic) + 16
            if some and size > MOST_BYTES:
                break
            some.append(note)
        return self._encoder.encode(Letter(self.name, tuple(some))), len(some)

    # -- hearing -------------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            if self._socket is None:  # who heard it has closed
                return
            try:
                letter = self._socket.recv(2 * MOST_BYTES + 1024)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                log.debug("nothing heard: %s", error)
                return
            try:
                self._hear(self._decoder.decode(letter))
            except msgspec.DecodeError as error:  # another version's
                log.debug("not understood: %s", error)

    def _hear(self, letter: Letter) -> None:
        if self._name_like.fullmatch(letter.sender) is None or letter.sender == self.name:
            return
        for note in letter.notes:
            if note.topic == _ASK:
                self._asked(letter.sender, again=bool(note.payload))
                continue
            found = self._topics.get(note.topic)
            if found is None:
                continue
            try:
                found[0](note.payload, letter.sender)
            except Exception:
                log.exception("what a peer told of %s failed on a bug of ours", note.topic)

    def _asked(self, sender: PeerName, *, again: bool) -> None:
        """Tell a newcomer what stands; `again`: it is we who have missed something."""
        self._listed_at = -LISTED_S
        if again:
            self.tell(_ASK, b"")
            return
        notes: list[tuple[str, bytes]] = []
        for topic, (_, standing) in self._topics.items():
            try:
                notes += [(topic, payload) for payload in standing()]
            except Exception:
                log.exception("what stands of %s cannot be told, on a bug of ours", topic)
        for topic, payload in notes[:MOST_STANDING]:
            self.tell(topic, payload, to=sender)

    # -- the folder ----------------------------------------------------------------------------------------------------------

    def _path(self, name: PeerName) -> str:
        return f"{self._base}/{name}"

    def _bind(self) -> None:
        name = f"{self._boot}-{secrets.token_hex(8)}.sock"
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            bound.bind(self._path(name))
            os.chmod(name, 0o600, dir_fd=self._at)
            asyncio.get_running_loop().add_reader(bound, self._readable)
        except BaseException:
            bound.close()
            raise
        self._socket, self.name = bound, name

    def _unbind(self) -> None:
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._remove(self.name)
        self._socket.close()
        self._socket, self.name = None, ""

    def _listed(self) -> list[str]:
        return os.listdir(self._at)  # noqa: PTH208 - the folder that is open, whatever its name leads to now

    def _remove(self, name: PeerName) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._at)

    def _sweep(self) -> None:
        """Remove what earlier boots have left. Younger ones may be another machine's that shares the folder."""
        for name in self._listed():
            if name.endswith(".sock") and not name.startswith(self._boot):
                with suppress(OSError):
                    if os.stat(name, dir_fd=self._at).st_mtime < time.time() - FORGOTTEN_S:
                        self._remove(name)


def _private(folder: Path) -> int:
    """The folder, opened: ours, and nobody else can enter it. Raises OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(at)
        if found.st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")  # noqa: TRY301 - told by its opener
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(at, 0o700)
    except BaseException:
        os.close(at)
        raise
    return at


def _boot() -> str:
    """Eight hexadecimal digits for this boot of this machine: sockets of others lead nowhere."""
    try:
        told = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        told = socket.gethostname()
    return hashlib.sha256(told.encode()).hexdigest()[:8]
