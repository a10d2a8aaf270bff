"""What Explorer is pushed of a recording, beside what the reference's converters make of what its client sent and was answered.

One rule: what is expected is made from the client's own JSON, by converters and readers of streams that know nothing of the gateway
(`tests/invariant/oracle.py`, `streams.py`); where no comparison can be made, there is a reason, and it is counted.
"""

import asyncio
import json
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.identity import serving
from tests.invariant import oracle
from tests.laws.cases import Case
from tests.laws.seen import differences
from tests.plays import invariant_scene
from tests.plays.invariant_scene import key_lines, scene
from tests.plays.scene import whole
from tests.serving import Answer, answer, call, gateway, upstream
from tests.traces.replaying import Asked, configuration, request_of, wire_of
from tests.traces.streams import Broken, put_together

DATASET = "harbours"
LAST = json.dumps({"model": "p-last/m", "messages": [{"role": "user", "content": "the last one"}]}).encode()
"""Asked for after all others: once it was pushed, whatever is pushed was."""


@dataclass
class Pushes:
    cases: int = 0
    same: Counter = field(default_factory=Counter)
    """By client ← upstream."""
    mended: Counter = field(default_factory=Counter)
    """Of those, by what the reference has wrong: as it would be if it were right."""
    excused: Counter = field(default_factory=Counter)
    """By the reason why nothing can be compared."""
    different: list[str] = field(default_factory=list)

    def add(self, other: "Pushes") -> None:
        self.cases += other.cases
        self.same += other.same
        self.mended += other.mended
        self.excused += other.excused
        self.different += other.different

    def told(self) -> str:
        pairs = " ".join(f"{pair}:{count}" for pair, count in sorted(self.same.items()))
        lines = [f"{self.cases} cases, {sum(self.same.values())} compared and equal ({pairs})"]
        lines += [
            f"{count:5} of them with what the reference has wrong made right: {why}" for why, count in self.mended.most_common()
        ]
        lines += [f"{count:5} not compared: {reason}" for reason, count in self.excused.most_common()]
        return "\n".join([*lines, f"{len(self.different)} different"])


def judge(found: Pushes, asked: Asked, sent: dict, answered: Answer, pushed: dict | None, *, dataset: str = DATASET) -> None:
    """`pushed`: the body that Explorer was sent of it. None: nothing."""
    found.cases += 1
    if answered.status >= 400:
        if pushed is None:
            found.excused["an error was the answer, and nothing is pushed"] += 1
        else:
            found.different.append(f"{asked.name}: pushed, though it was answered {answered.status}")
        return
    try:
        document, streamed = document_of(asked, answered)
        wrong = ""
        wanted = oracle.messages(asked.client, sent, document)
    except Broken as why:
        found.excused[str(why)] += 1
        return
    except oracle.Lost as why:
        wrong = str(why)
        try:
            wanted = oracle.messages(asked.client, sent, document, mended=True)
        except oracle.Lost:
            found.excused[f"the reference cannot tell it: {why}"] += 1
            return
    except Exception as error:
        found.different.append(f"{asked.name}: the oracle fails: {error!r}")
        return
    if pushed is None:
        found.different.append(f"{asked.name}: nothing was pushed")
        return
    told = pushed["messages"]
    if streamed and asked.client == "openai_chat":
        answers = len(document["choices"])
        told = [[*said[:-answers], *map(of_a_stream, said[-answers:])] for said in told]
    beside = {key: value for key, value in pushed["metadata"][0].items() if not key.startswith("gatewright_")}
    wanted_beside = oracle.metadata(asked.client, sent, None if streamed else document)
    if streamed:
        beside, wanted_beside = without_answer(beside), without_answer(wanted_beside)
    if len(told) == 1 and (told[0], beside, pushed["dataset"]) == (wanted, wanted_beside, dataset):
        found.same[f"{asked.client}←{asked.seen.case.dialect}"] += 1
        if wrong:
            found.mended[wrong] += 1
    else:
        where = [*differences(wanted, told[0]), *differences(wanted_beside, beside, "metadata")]
        found.different.append(f"{asked.name}: {'; '.join(where[:4])}")


def without_answer(metadata: dict) -> dict:
    """Of a stream the reference tells no usage and no model that answered; we do."""
    return {key: value for key, value in metadata.items() if key not in ("usage", "model", "modelVersion")}


def of_a_stream(message: dict) -> dict:
    """What the reference takes of OpenAI's streams; what we tell beside (reasoning, refusals, fields of hosts) it has not."""
    return {key: value for key, value in message.items() if key in ("role", "content", "tool_calls")}


def document_of(asked: Asked, answered: Answer) -> tuple[dict, bool]:
    """The answer as one document, and whether it was a stream. Raises Broken."""
    kind = answered.headers.get("content-type", "")
    if not kind.startswith("application/json") or answered.body.lstrip().startswith(b"["):
        return put_together(asked.client, answered.body), True
    document = json.loads(answered.body)
    if not isinstance(document, dict) or document.get("error"):
        raise Broken("the answer is an error behind a 200")
    for choice in document.get("choices") or ():
        if "error" in choice:
            raise Broken("the answer broke off, and says so behind a 200")
        if "message" not in choice:
            raise Broken("a choice without a message (a content filter's)")
    return document, False


async def pushed(tmp_path: Path, wanted: list[Asked]) -> list[tuple[Asked, dict, Answer, dict | None]]:
    """Each with what its client sent and was answered, and what was pushed of it over a socket. One gateway for all."""
    pushes: dict[str, dict] = {}
    came = asyncio.Event()

    def explorer(asked) -> tuple[int, dict]:
        body = json.loads(asked.body)
        pushes[body["metadata"][0]["gatewright_trace"]] = body
        came.set()
        return 200, {"id": ["1"]}

    told: list[tuple[Asked, dict, Answer]] = []
    async with upstream() as up, serving(explorer) as port:
        pushed_to = f"{{url: 'http://127.0.0.1:{port}', key: inv-1, dataset: {DATASET}}}"
        written = configuration(up.port, wanted, f"{{max_body_bytes: 67108864, explorer: {pushed_to}}}")
        last = f"p-last: {{kind: openai, dialects: [openai_chat], base_url: 'http://127.0.0.1:{up.port}/v1', api_key: sk-x}}"
        written = written.replace("providers:\n", f"providers:\n  {last}\n")
        async with gateway(written, tmp_path) as gw:
            for asked in wanted:
                up.answers = [[wire_of(asked.seen.case)]]
                path, body = request_of(asked)
                said = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
                told.append((asked, body, await call(gw.port, path, said)))
            up.answers = [[answer(json.dumps(whole("openai_chat", "done")).encode())]]
            end = (await call(gw.port, "/v1/chat/completions", LAST)).headers["x-request-id"]
            async with asyncio.timeout(60):
                while end not in pushes:
                    came.clear()
                    await came.wait()
    return [(asked, sent, answered, pushes.get(answered.headers["x-request-id"])) for asked, sent, answered in told]


async def at_the_paths(tmp_path: Path, exchanges: list[tuple[str, Path, Case]]) -> Pushes:
    """The same at Invariant's own paths: each recording of their dialects for a client of its own, its bytes passing."""
    found = Pushes()
    async with scene(tmp_path, deadline_s=30) as s:
        for place, path, case in exchanges:
            if case.dialect not in invariant_scene.DIALECTS:
                continue
            asked = Asked(place, path, case.dialect)
            assert case.request is not None
            s.up.answers = [[wire_of(case)]]
            said = json.dumps(case.request, ensure_ascii=False).encode("utf-8", "surrogatepass")
            before = len(s.explorer.traces)
            answered = await call(s.port, path_of(asked), said, headers=key_lines(case.dialect))
            body = None
            if answered.status < 400:
                with suppress(TimeoutError):
                    body = await s.explorer.trace(before + 1)
            judge(found, asked, case.request, answered, body, dataset=invariant_scene.DATASET)
        counts = s.gw.house.current.exploring.explorer.counts
        assert (counts.dropped, counts.failed) == (0, 0)
    return found


def path_of(asked: Asked) -> str:
    """Of Invariant's paths. Gemini's stream is asked for as it was answered: as events, or as one array."""
    case = asked.seen.case
    told = invariant_scene.path_of(case.dialect, stream=case.stream)
    return told.replace("?alt=sse", "") if case.body.startswith(b"[") else told


def some_at_the_paths(exchanges: list[tuple[str, Path, Case]]) -> Pushes:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(at_the_paths(Path(folder), exchanges))


def some(wanted: list[Asked]) -> Pushes:
    """Ask for them, in one gateway, and compare."""
    found = Pushes()
    with tempfile.TemporaryDirectory() as folder:
        for one in asyncio.run(pushed(Path(folder), wanted)):
            judge(found, *one)
    return found
