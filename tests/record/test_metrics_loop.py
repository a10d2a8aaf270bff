"""The loop's lag: what held the loop up is in the histogram."""

import asyncio
import time

from gatewright.record.metrics_families import OWN_SECONDS
from gatewright.record.metrics_loop import EVERY_S, SECOND, LoopClock


async def test_whoever_blocks_the_loop_is_seen():
    """As long as it did; and the clock goes on."""
    clock = LoopClock(lambda: None)
    clock.start()
    clock.start()
    await asyncio.sleep(EVERY_S / 2)
    time.sleep(0.4)
    while sum(clock.lag[:-1]) < 3:
        await asyncio.sleep(0.01)
    clock.stop()
    slow = sum(clock.lag[[bound > 0.25 for bound in OWN_SECONDS].index(True) : -1])
    assert slow >= 1
    assert clock.lag[-1] >= 0.3
    told = sum(clock.lag[:-1])
    await asyncio.sleep(2 * EVERY_S)
    assert sum(clock.lag[:-1]) == told


async def test_each_second_is_called_and_its_failure_is_told(caplog):
    """What fails once is asked again."""
    called = []

    def each_second() -> None:
        called.append(1)
        raise ValueError("of ours")

    clock = LoopClock(each_second)
    for _ in range(2 * SECOND):
        clock._tick()
    clock.stop()
    assert len(called) == 2
    assert caplog.text.count("failed on a bug of ours") == 2
