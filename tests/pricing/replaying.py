"""A real gateway before an upstream that says what was recorded: what its books hold of each call, for clients of every dialect.

One rule: the request is the least of the client's dialect; what a call costs comes of the answer.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import quote

from tests.laws import cases
from tests.laws.cases import Case
from tests.plays.books import books
from tests.plays.scene import asking, path_of, send
from tests.pricing.oracle import HOSTS
from tests.serving import answer, gateway, upstream

CLIENTS = ("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse")
_KINDS = {
    "openai_chat": "kind: openai, dialects: [openai_chat], base_url: '{}/v1'",
    "openai_responses": "kind: openai, dialects: [openai_responses], base_url: '{}/v1'",
    "anthropic": "kind: anthropic, base_url: '{}'",
    "gemini": "kind: gemini, base_url: '{}'",
    "bedrock_converse": "kind: bedrock, region: us-east-1, dialects: [bedrock_converse], base_url: '{}'",
}


@dataclass(frozen=True)
class Asked:
    """One recorded answer, asked for by one client."""

    case: Case
    model: str
    """As the provider names it."""
    client: str


def _provider(case: Case) -> str:
    return f"{HOSTS[case.provider]}-{case.dialect.replace('_', '-')}"


def configuration(port: int, wanted: Iterable[Asked]) -> str:
    """A provider for each host and dialect, whose prices are that host's, and a name for each of its models."""
    base, providers, models, prices = f"http://127.0.0.1:{port}", {}, {}, {}
    for one in wanted:
        name = _provider(one.case)
        providers[name] = f"  {name}: {{{_KINDS[one.case.dialect].format(base)}, api_key: sk-x}}"
        models[name_of(one)] = (
            f"  {json.dumps(name_of(one))}: {{targets: [{json.dumps(f'{name}/{one.model}')}], retry: {{tries_all: 1}}}}"
        )
        prices[name] = f'    "{name}/*": {{like: "{HOSTS[one.case.provider]}/*"}}'
    lines = ("providers:", *providers.values(), "models:", *models.values(), "pricing:", "  models:", *prices.values())
    return "\n".join((*lines, "routing: {breaker: false}", "model_lists: {live: false}"))


def name_of(one: Asked) -> str:
    return f"{_provider(one.case)}.{one.model}".replace("/", ".").replace(":", ".")


def wire_of(case: Case) -> bytes:
    """The recorded answer as HTTP."""
    if case.text is None:
        return answer(case.body)
    kind = (
        "application/vnd.amazon.eventstream"
        if case.binary
        else "application/json"
        if case.body.startswith(b"[")
        else "text/event-stream"
    )
    return answer(case.body, content_type=kind)


@asynccontextmanager
async def playing(tmp_path, wanted: list[Asked]):
    """Yields a function that asks one, and one that tells what the books hold of all: request id → its attempts."""
    async with upstream() as up, gateway(configuration(up.port, wanted), tmp_path) as gw:

        async def ask(one: Asked) -> str:
            """The request's id."""
            up.answers = [[wire_of(one.case)]]
            stream = one.case.text is not None
            name = name_of(one)
            if one.client == "bedrock_converse":
                path, body = (
                    f"/model/{quote(name, safe='')}/converse{'-stream' if stream else ''}",
                    cases.minimal_body("bedrock_converse"),
                )
            else:
                path, body = path_of(one.client, quote(name, safe=""), stream=stream), asking(one.client, name, stream=stream)
            if one.client == "gemini" and one.case.dialect == "gemini" and one.case.body.startswith(b"["):
                path = path.replace("?alt=sse", "")
            return (await send(gw, path, body)).headers["x-request-id"]

        def told() -> dict[str, list[SimpleNamespace]]:
            found: dict[str, list[SimpleNamespace]] = {}
            for row in books(gw).attempts:
                found.setdefault(row.request_id, []).append(row)
            return found

        yield ask, told


def every() -> Iterator[Case]:
    """All cases of both places that were answered."""
    for place, path in cases.files():
        case = cases.load(place, path)
        if not case.failed:
            yield case
