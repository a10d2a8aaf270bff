"""Recordings through a gateway that traces: what its store holds of each, for clients of every dialect.

One rule: the client's request is the recording's own, said in the client's dialect; the provider answers with the recorded bytes.
"""

import asyncio
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gatewright.record.traces import Trace
from gatewright.stores.traces import open_traces
from tests.laws import cases
from tests.laws.cases import Case
from tests.laws.seen import Seen, client_body, see
from tests.serving import Answer, answer, call, gateway, upstream

CLIENTS = ("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse")
_KINDS = {
    "openai_chat": "kind: openai, dialects: [openai_chat], base_url: '{}/v1'",
    "openai_responses": "kind: openai, dialects: [openai_responses], base_url: '{}/v1'",
    "anthropic": "kind: anthropic, base_url: '{}'",
    "gemini": "kind: gemini, base_url: '{}'",
    "bedrock_converse": "kind: bedrock, region: us-east-1, dialects: [bedrock_converse], base_url: '{}'",
}

TRACES = "{enabled: true, index_share: 0, max_body_bytes: 67108864}"


@dataclass(frozen=True)
class Asked:
    """One recorded exchange, asked for by one client."""

    place: str
    path: Path
    client: str

    @property
    def seen(self) -> Seen:
        return see(self.place, self.path)

    @property
    def provider(self) -> str:
        """One of its own where it is over its limit: the key would rest."""
        case = self.seen.case
        return provider(case.dialect) + (f"-{zlib.crc32(self.name.encode()):x}" if case.status == 429 else "")

    @property
    def name(self) -> str:
        return f"{self.path.parent.parent.name}/{self.path.parent.name}/{self.path.stem} for {self.client}"


def every(*, place: str = "") -> Iterator[tuple[str, Path, Case]]:
    """All exchanges whose request is known and which the gateway's own dialects can say."""
    for found, path in cases.files():
        case = cases.load(found, path)
        if case.request is not None and see(found, path).request is not None and found.startswith(place):
            yield found, path, case


def provider(dialect: str) -> str:
    return "p-" + dialect.replace("_", "-")


def configuration(port: int, wanted: list[Asked], traces: str = TRACES) -> str:
    base = f"http://127.0.0.1:{port}"
    kinds = {asked.provider: _KINDS[asked.seen.case.dialect].format(base) for asked in wanted}
    lines = [f"  {name}: {{{kind}, api_key: sk-x}}" for name, kind in kinds.items()]
    return "\n".join(
        (
            "providers:",
            *lines,
            f"traces: {traces}",
            "routing: {breaker: false, retry: {tries_all: 1}, affinity: []}",
            "model_lists: {live: false}",
            "responses_state: {store: false}",
        )
    )


def wire_of(case: Case) -> bytes:
    """The recorded answer as HTTP, with its status and the headers that mean something."""
    if case.text is None:
        kind = "application/json"
    elif case.binary:
        kind = "application/vnd.amazon.eventstream"
    else:
        kind = "application/json" if case.body.lstrip().startswith((b"[", b"{")) else "text/event-stream"
    kept = "".join(
        f"{name}: {value}\r\n"
        for name, value in case.headers.items()
        if re.match(r"retry-after|x-amzn-errortype|x-ratelimit", name)
    )
    return answer(case.body, status=case.status, content_type=case.headers.get("content-type", kind), headers=kept)


def request_of(asked: Asked) -> tuple[str, dict]:
    """(path, body) of the client, for the model that answered, by the provider of its dialect."""
    seen = asked.seen
    body, _ = client_body(seen, asked.client)
    assert seen.request is not None
    model = f"{asked.provider}/{seen.request.model or cases.MODEL[seen.case.dialect]}"
    stream = seen.case.stream
    if asked.client in cases.IN_PATH:
        path = cases.path_for(asked.client, quote(model, safe="" if asked.client == "bedrock_converse" else "/:"), stream=stream)
        if seen.case.dialect == asked.client == "gemini" and "alt" not in (seen.case.call.query if seen.case.call else {}):
            path = path.replace("?alt=sse", "")
        return path, body
    body = {**body, "model": model}
    if seen.case.dialect == asked.client:
        return cases.PATH_OF[asked.client], body
    return cases.PATH_OF[asked.client], cases.streaming(asked.client, body) if stream else {**body, "stream": False}


@asynccontextmanager
async def playing(tmp_path: Path, wanted: list[Asked]):
    """Yields a function that asks one and gives the client's answer; and one that gives the traces, by id, once it is over."""
    async with upstream() as up:
        state: list[str] = []
        async with gateway(configuration(up.port, wanted), tmp_path) as gw:
            state.append(gw.house.current.config.server.state_dir)

            async def ask(asked: Asked) -> Answer:
                up.answers = [[wire_of(asked.seen.case)]]
                path, body = request_of(asked)
                return await call(gw.port, path, json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"))

            yield ask, lambda: written(state[0])


def written(state_dir: str) -> dict[str, Trace]:
    """All traces of a gateway that has ended."""
    store = open_traces(state_dir)
    try:
        return {trace.id: trace for trace in store.iterate()}
    finally:
        store.close()


async def captured(tmp_path: Path, wanted: list[Asked]) -> list[tuple[Asked, Answer, Trace]]:
    """Each with what its client was answered and what was traced of it. One gateway for all."""
    answers: list[tuple[Asked, Answer]] = []
    async with playing(tmp_path, wanted) as (ask, told):
        for asked in wanted:
            answers.append((asked, await ask(asked)))
    traces = told()
    return [(asked, answered, traces[answered.headers["x-request-id"]]) for asked, answered in answers]


def capture(tmp_path: Path, wanted: list[Asked]) -> list[tuple[Asked, Answer, Trace]]:
    return asyncio.run(captured(tmp_path, wanted))
