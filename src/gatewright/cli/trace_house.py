"""A gateway for one command: the configuration's own, within this process, on a port of this machine that nobody else knows.

One rule: it keeps its books where the configuration says, as one worker more; what a replay costs is in the ledger.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

from gatewright.config import Config

HOST = "127.0.0.1"


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[str]:
    """Its base URL. Raises GatewrightError for what the configuration needs and has not."""
    from gatewright.app import generation_of  # noqa: PLC0415 - the server is needed by this command only
    from gatewright.house import House  # noqa: PLC0415 - as above
    from gatewright.server.lane import FastLane  # noqa: PLC0415 - as above

    house = House(generation_of(config, os.environ))
    gateway = house.current.gateway
    # What FastLane asks of uvicorn: where connections and tasks are counted, and the application behind it.
    state = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
    around = SimpleNamespace(loaded_app=SimpleNamespace(gateway=gateway))
    loop = asyncio.get_running_loop()
    house.current.begin()
    server = await loop.create_server(lambda: FastLane(around, state, {}, loop), HOST, 0)  # type: ignore[arg-type] # see above
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for lane in list(state.connections):
            lane.transport.abort()
        await asyncio.sleep(0)
        await house.close()
