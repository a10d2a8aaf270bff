"""Which block of a stream is open.

One rule: one block is open at a time; another kind closes it, and tool calls that wait come out before anything else begins.
"""

from gatewright.dialects.openai_chat.stream_calls import Calls
from gatewright.ir.blocks import Block
from gatewright.ir.events import BlockStart, BlockStop, SealDelta, StreamEvent
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject


class OpenBlocks:
    """The part of the parser that turns kinds into block starts and stops."""

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._index = -1
        self._kind: object = None
        """What the open block is; None: no block is open, or a tool call is."""
        self._seal: Seal | None = None
        self._stop_extras: JsonObject = {}
        self._blocks: list[Block] = []
        """All that began, as they began."""
        self._calls = Calls()

    def _open(self, kind: object, block: Block | None = None) -> None:
        """Makes `block` the open one, unless a block of its kind is open already."""
        if kind is not None and self._kind == kind:
            return
        self._close()
        self._emit(self._calls.finish())
        if block is None:
            return
        self._kind = kind
        self._emit([BlockStart(self._index + 1, block)])

    def _whole(self, block: Block) -> None:
        self._open(None)
        self._emit([BlockStart(self._index + 1, block), BlockStop(self._index + 1)])

    def _close(self) -> None:
        """Closes the open block, if it is no tool call."""
        if self._kind is None:
            return
        self._kind = None
        if self._seal is not None:
            self._events.append(SealDelta(self._index, self._seal))
            self._seal = None
        self._events.append(BlockStop(self._index, self._stop_extras))
        self._stop_extras = {}

    def _emit(self, events: list[StreamEvent]) -> None:
        for event in events:
            if isinstance(event, BlockStart):
                self._index = event.index
                self._blocks.append(event.block)
        self._events += events
