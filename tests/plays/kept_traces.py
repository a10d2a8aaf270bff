"""The traces that a gateway has written down."""

import asyncio
import time

from gatewright.stores.traces import open_traces


async def kept(gw, folder):
    """All of them in the store in `folder`, oldest first, once what was taken is written."""
    recording = gw.house.current.tracing.recording
    end = time.monotonic() + 10
    while recording.waiting or recording.taken > recording.written + recording.dropped + recording.failed:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    store = open_traces(folder)
    found = tuple(store.iterate())
    store.close()
    return found
