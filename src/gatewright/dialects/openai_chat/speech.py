"""Spoken answers in a stream: transcript and sound come in pieces, the sound becomes one block at the end."""

import base64
import binascii

from gatewright.ir.blocks import Inline, Media
from gatewright.jsontypes import JsonObject


class Speech:
    """Collects `delta.audio`."""

    def __init__(self) -> None:
        self._sound: list[str] = []
        self.rest: JsonObject = {}
        """What is told beside sound and transcript."""

    def add(self, audio: JsonObject) -> str:
        """Takes one delta; gives its piece of the transcript."""
        data, words = audio.get("data"), audio.get("transcript")
        if isinstance(data, str) and data:
            self._sound.append(data)
        self.rest |= {key: value for key, value in audio.items() if key not in {"data", "transcript"} and value not in ("", None)}
        return words if isinstance(words, str) else ""

    def block(self) -> Media | None:
        """The whole sound; None when there was none."""
        if not self._sound:
            return None
        try:
            # Each piece is padded on its own: joined as text they would be no base64.
            data = base64.b64encode(b"".join(base64.b64decode(piece) for piece in self._sound)).decode("ascii")
        except (binascii.Error, ValueError):
            data = "".join(self._sound)
        return Media(kind="audio", source=Inline(media_type="", data=data), form=("audio",), extras=self.rest)
