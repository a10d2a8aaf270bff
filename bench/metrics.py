"""What metrics and request lines cost a request, beside what is settled anyway.

    python -m bench.metrics [--rounds 60]

CPU time of settling requests in blocks, on and off in turns: nothing but a recorder that does nothing, the same with metrics
around it, and with a line for each request. The figure is what a quarter of the blocks stay below, for what else runs on the
machine only ever adds to it; `on` less `off` is the cost. Lines are written by another thread, which is not in it.
Then: how long a scrape takes with as many series as may be.
"""

import argparse
import gc
import io
import statistics
import time
from typing import Final

from bench.ledger import BLOCK, exchanges
from gatewright.exchange import Exchange
from gatewright.logs_requests import RequestLines
from gatewright.logs_writer import Writer
from gatewright.record.metrics import Metrics, MetricsRule
from gatewright.record.metrics_text import rendered

MOST_US: Final = 2.0
"""What metrics may cost a request if they are to be on by default."""


class Nothing:
    def settle(self, exchange: Exchange, status: int, problem: object) -> None:
        pass


def metrics_on() -> Metrics:
    metrics = Metrics(MetricsRule(), Nothing())
    metrics.follow(("openai",), ("smart",), ("openai/gpt-5",))
    return metrics


def quick(blocks: list[float]) -> float:
    return statistics.quantiles(blocks, n=4)[0] / BLOCK * 1e6


def per_request(rounds: int) -> dict[str, float]:
    """Microseconds of CPU of each way to settle, in the thread that settles."""
    with Writer(io.BytesIO(), most=1 << 20) as writer:
        ways = {
            "off": Nothing(),
            "metrics": metrics_on(),
            "lines": RequestLines(Nothing(), writer, "all"),
            "both": RequestLines(metrics_on(), writer, "all"),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for stream in (False, True):
                some = exchanges(BLOCK)
                for one in some:
                    one.stream = stream
                    one.attempts[0].written = one.attempts[0].began
                names = list(ways)
                for name in names[number % 4 :] + names[: number % 4]:
                    way = ways[name]
                    gc.collect()
                    start = time.thread_time()
                    for one in some:
                        way.settle(one, 200, None)
                    times[name].append(time.thread_time() - start)
                    writer.flush()
        return {name: quick(blocks) for name, blocks in times.items()}


def scrape(series: int) -> tuple[float, float, int]:
    """Milliseconds of the event loop, of the thread that renders, and the bytes."""
    metrics = Metrics(MetricsRule(max_series=series, max_models=series), Nothing())
    metrics.follow(("openai",), ("smart",), ())
    for number, one in enumerate(exchanges(series)):
        one.served = one.attempts[0].target = f"openai/m{number}"
        metrics.settle(one, 200, None)
    best = [1e9, 1e9]
    for _ in range(5):
        start = time.process_time()
        counted = metrics.counted()
        between = time.process_time()
        _, body = rendered(counted, "")
        best = [min(best[0], between - start), min(best[1], time.process_time() - between)]
    return best[0] * 1e3, best[1] * 1e3, len(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    figures = per_request(rounds)
    off = figures["off"]
    print(f"metrics                    {figures['metrics'] - off:5.2f} µs of CPU a request (at most {MOST_US:.0f} by default)")
    print(f"a line for each request    {figures['lines'] - off:5.2f} µs of CPU a request, in the thread that answers")
    print(f"both                       {figures['both'] - off:5.2f} µs of CPU a request")
    for series in (100, 2000):
        loop, thread, size = scrape(series)
        print(f"a scrape of {series:4} models    {loop:5.1f} ms of the event loop, {thread:6.1f} ms of a thread, {size >> 10} KB")


if __name__ == "__main__":
    main()
