"""What traces cost: full capture against none under load, and how fast a hundred thousand of them are searched.

    python -m bench.traces load [--rounds 5] [--seconds 8]      500 requests/s beside 200 streams of 50 events/s each
    python -m bench.traces search [--traces 100000]             SQLite, and PostgreSQL where there is one

Load: gateways that differ in `traces:` alone take turns on one core, the kit's upstream and load generator on the other; each
begins anew in each round. The figure is the CPU time of a gateway's whole process tree, the process that reads traces for the
search among them, in the middle of a load that lasts. After the last round the store is counted: what was answered to the end
must be in it.
"""

import argparse
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from bench.kit import ROOT, WORK, kit, need
from gatewright.stores import sql
from gatewright.stores.trace_terms import Message, Trace, TraceFilter, UpstreamCall
from gatewright.stores.traces import open_traces
from gatewright.stores.traces_sql import Lesson

MOST_MORE = 0.15
"""Share of CPU that full capture may add."""
MOST_MS = 300.0
"""Of a search over a hundred thousand traces."""
CONFIGURATIONS = {"none": "", "captured": "traces: {enabled: true, index_share: 0}", "captured+read": "traces: {enabled: true}"}
CONFIG = """
server: {state_dir: STATE}
providers:
  burst: {kind: openai, base_url: "http://127.0.0.1:9301/v1", api_key: sk-upstream}
  paced: {kind: openai, base_url: "http://127.0.0.1:9302/v1", api_key: sk-upstream}
models:
  m-burst: {targets: [burst/m-burst]}
  m-int: {targets: [paced/m-int]}
keys: [{name: bench, key: sk-bench-1234}]
"""
PORT = 8301
RATE, STREAMS = 500, 200
WARM_S = 3.0
"""Of the load, before it is measured."""
EVENTS_OF_A_REQUEST = 3
"""What a whole request costs without traces, in events of a stream: a machine that is shared may not get through all the load."""


def build(run: Path) -> None:
    need("gcc")
    for name in ("load", "upstream"):
        if not (run / name).exists():
            subprocess.run(["gcc", "-O2", "-o", run / name, kit() / "c" / f"{name}.c"], check=True)


def tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Of all threads of the tree that live."""
    spent = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            spent += sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{one}/task").iterdir())
    return spent / 1e9


@contextlib.contextmanager
def gateway(run: Path, name: str) -> Iterator[int]:
    """One of a configuration, on the first core: its process."""
    state, file = run / f"traces-{name}", run / f"traces-{name}.yaml"
    file.write_text(CONFIG.replace("STATE", str(state)) + CONFIGURATIONS[name])
    command = [
        *["taskset", "-c", "0"],
        sys.executable,
        *["-m", "gatewright", "serve", "--config"],
        str(file),
        "--port",
        str(PORT),
    ]
    with file.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    try:
        wait(PORT)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def wait(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                sys.exit(f"nothing answers at port {port}; its log is in {WORK / 'run'}")
            time.sleep(0.1)
        else:
            return


def loaded(run: Path, pid: int, seconds: float) -> tuple[list[dict[str, Any]], float]:
    """Both loads at the same time: what their generators tell, and the microseconds of CPU that the gateway took for an event, in
    `seconds` of it.
    """
    lasts = WARM_S + seconds + 0.5
    start = ["taskset", "-c", "1", str(run / "load"), *f"-p {PORT} -u /v1/chat/completions -w 0 -d {lasts}".split()]
    start += ["-H", "Authorization: Bearer sk-bench-1234"]
    bodies = kit() / "bodies"
    calls = [
        [*start, "-b", str(bodies / "m-burst_oai_1k.json"), "-c", "64", "-r", str(RATE)],
        [*start, "-b", str(bodies / "m-int_oai_1k_s.json"), "-c", str(STREAMS), "-S"],
    ]
    running = [subprocess.Popen(call, stdout=subprocess.PIPE) for call in calls]
    time.sleep(WARM_S)
    before, at = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    spent = (cpu_s(pid) - before) * seconds / (time.monotonic() - at)
    told = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in running]
    work = told[0]["ok"] * EVENTS_OF_A_REQUEST + told[1]["events"]
    return told, spent / (work * seconds / lasts) * 1e6


def load(rounds: int, seconds: float) -> bool:
    """Each time a gateway of its own: two processes of the same code differ by some percent, by where their memory lies."""
    run = WORK / "run"
    run.mkdir(parents=True, exist_ok=True)
    build(run)
    for name in CONFIGURATIONS:
        shutil.rmtree(run / f"traces-{name}", ignore_errors=True)
        (run / f"traces-{name}.log").unlink(missing_ok=True)
    ports = ["9301:size=300,chunks=200", "9302:chunks=200,interval=20000,ts=1"]
    upstream = subprocess.Popen(["taskset", "-c", "1", str(run / "upstream"), *ports], stderr=subprocess.DEVNULL)
    spent: dict[str, list[float]] = {name: [] for name in CONFIGURATIONS}
    waits: dict[str, list[float]] = {name: [] for name in CONFIGURATIONS}
    answered = dict.fromkeys(CONFIGURATIONS, 0)
    good = True
    try:
        wait(9302)
        for number in range(rounds):
            for name in list(CONFIGURATIONS)[:: -1 if number % 2 else 1]:
                with gateway(run, name) as pid:
                    told, cost = loaded(run, pid, seconds)
                spent[name].append(cost)
                waits[name].append(told[0]["lat_p99"] / 1000)
                answered[name] += sum(one["ok"] for one in told)
                if any(one["non200"] + one["connerr"] + one["short"] for one in told):
                    print(f"{name}: failures {told}")
                    good = False
        for name, configured in CONFIGURATIONS.items():
            if configured:
                good &= counted(name, run / f"traces-{name}", answered[name])
    finally:
        upstream.terminate()
    base = statistics.median(spent["none"])
    for name, some in spent.items():
        pairs = [one / other - 1 for one, other in zip(some, spent["none"], strict=True)]
        more, cost = statistics.median(pairs), statistics.median(some)
        told = f"{cost:6.2f} µs an event ({more:+6.1%} by pairs, {min(pairs):+.1%} to {max(pairs):+.1%}; {cost / base - 1:+6.1%})"
        print(f"{name:14} {told}, p99 {statistics.median(waits[name]):.1f} ms")
        good &= more <= MOST_MORE
    return good


def counted(name: str, state: Path, answered: int) -> bool:
    """Whether every answer is in the store."""
    store = open_traces(state)
    store.catch_up()
    with store.engine.connect() as connection:
        counts = sa.text("select outcome, count(*) from traces group by outcome")
        rows = {row[0]: row[1] for row in connection.execute(counts)}
        unread = connection.execute(sa.text("select count(*) from traces where unread = 1")).scalar_one()
        size = connection.execute(sa.text("select sum(size) from trace_blobs")).scalar_one()
    store.close()
    log = (state.parent / f"{state.name}.log").read_text()
    kept = rows.get("ok", 0)
    print(f"{name:14} {kept} of {answered} answers kept ({rows}), {unread} unread, {size / 1e6:.1f} MB compressed")
    if "dropped" in log:
        print(log)
    return kept >= answered and "dropped" not in log


# -- search --------------------------------------------------------------------------------------------------------------------

WORDS = re.findall(
    r"\w+",
    "agent tool call result file error deploy invoice customer weather berlin python function class import return value index "
    "search query token budget limit retry stream gateway provider model prompt answer system user secret policy review merge",
)


def filled(url: str, count: int) -> None:
    """Traces of a few hundred words each, every one read."""
    chance = random.Random(7)
    store = open_traces(url)
    number = 0
    while number < count:
        some, texts = [], {}
        for _ in range(min(500, count - number)):
            said = " ".join(chance.choices(WORDS, k=150)) + f" unique{number} {'needle' if number % 1000 == 0 else ''}"
            body = json.dumps({"messages": [{"role": "user", "content": said}]}).encode()
            message = Message(body=body, size=len(body))
            call = UpstreamCall(attempt=0, target="p/m", dialect="openai_chat", request=message, status=200, answer=message)
            trace = Trace(
                id=f"req_{number:08}", at=number * 1000, key_id=f"key{number % 50}", team=f"team{number % 7}", status=200,
                request=message, answer=message, upstream=(call,),
            )  # fmt: skip
            some.append(trace)
            texts[trace.id] = said
            number += 1
        store.write(some)
        while unread := store.unread(500):
            store.learn([
                Lesson(
                    number=n, trace=one.id, at=one.at, owner=one.key_id, session=one.id, link="", parent="", title="t",
                    text=texts[one.id],
                )
                for n, one in unread
            ])  # fmt: skip
    store.close()


QUESTIONS = {
    "a rare word": ("needle", TraceFilter()),
    "one of a kind": ("unique4711", TraceFilter()),
    "a word in all": ("agent", TraceFilter()),
    "two common words": ("agent deploy", TraceFilter()),
    "a row of words": ('"agent tool"', TraceFilter()),
    "a beginning": ("uniq*", TraceFilter()),
    "a common word of a team": ("agent", TraceFilter(within=(("team", "team3"),))),
    "a rare word of a key": ("needle", TraceFilter(key="key7")),
    "nothing": ("absent", TraceFilter()),
}


def search(count: int, url: str) -> bool:
    began = time.perf_counter()
    filled(url, count)
    print(f"  {count} traces written and read in {time.perf_counter() - began:.0f} s")
    good = True
    store = open_traces(url)
    if store.engine.dialect.name == "postgresql":  # as its autovacuum does within a minute
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("vacuum analyze"))
    for name, (text, where) in QUESTIONS.items():
        times = []
        for _ in range(7):
            start = time.perf_counter()
            found = store.search(text, where)
            times.append((time.perf_counter() - start) * 1000)
        worst = max(times)
        told = f"median {statistics.median(times):7.1f} ms, first {times[0]:7.1f}, worst {worst:7.1f}"
        print(f"  {name:26} {len(found.items):3} found  {told}")
        good &= worst < MOST_MS
    start = time.perf_counter()
    page = store.list(TraceFilter(team="team3", min_took_us=1))
    print(f"  a list that finds {len(page.items)} after a look at all: {(time.perf_counter() - start) * 1000:.1f} ms")
    store.close()
    return good


def both(count: int, postgres: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite")
        good = search(count, f"sqlite:///{folder}/traces.db")
    schema = f"bench_{secrets.token_hex(4)}"
    around = sql.engine_of(postgres)
    try:
        with sql.writing(around) as connection:
            connection.execute(sa.schema.CreateSchema(schema))
    except sql.DatabaseError as error:
        print(f"no PostgreSQL: {str(error).splitlines()[0]}")
        return good
    try:
        print("PostgreSQL")
        url = make_url(postgres).update_query_dict({"options": f"-csearch_path={schema}"})
        return search(count, url.render_as_string(hide_password=False)) and good
    finally:
        with sql.writing(around) as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["load", "search"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--postgres", default=os.environ.get("GATEWRIGHT_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/test"))
    chosen = parser.parse_args()
    good = load(chosen.rounds, chosen.seconds) if chosen.what == "load" else both(chosen.traces, chosen.postgres)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
