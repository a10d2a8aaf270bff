"""Explain: `POST /v1/explain` tells what would become of a request, without calling anybody.

    body           a client's request, as it would be sent
    ?path=         where it would be sent, such as /v1/messages; else its fields say whose words they are
    ?model=        the model to ask for, in place of the body's; for Gemini's requests, whose model stands in the path

One rule: a question costs nothing and changes nothing. No permit is taken, no turn is used up, no key is touched.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from urllib.parse import parse_qsl

import msgspec

from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import Exchange, Next, Operation, Reply
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.choose import Chosen, Standings, choose
from gatewright.pipeline.explanation import Told, explanation
from gatewright.pipeline.peek import PeekStage
from gatewright.pipeline.plan import RouteStage, nowhere_to_go
from gatewright.pipeline.state import StateStage
from gatewright.pipeline.ties import kept_at
from gatewright.routing.affinity import Affinity
from gatewright.transport.strand import in_a_task
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson, decode_object, encode

JSON: Final = b"content-type: application/json\r\ncache-control: no-store\r\n"
_ANTHROPIC_BLOCKS: Final = frozenset(("tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"))
"""Types of blocks that no other dialect has a word for."""
_BEDROCK_FIELDS: Final = frozenset(("inferenceConfig", "toolConfig", "additionalModelRequestFields", "modelId"))


class Matched(Protocol):
    """What a path means, as the server reads it."""

    @property
    def operation(self) -> Operation: ...

    @property
    def dialect(self) -> DialectName: ...

    @property
    def path(self) -> str: ...

    @property
    def pin(self) -> str: ...

    @property
    def params(self) -> tuple[str, ...]: ...


class Explain:
    """Innermost stage of `explain`."""

    def __init__(
        self,
        peek: PeekStage,
        route: RouteStage,
        health: Told,
        match: Callable[[str], Matched],
        load_prices: Callable[[], Awaitable[None]],
        *,
        state: StateStage | None = None,
    ) -> None:
        """`match`: what a path means when it is posted to. `state`: where kept responses are looked up; None: there are none."""
        self.peek = peek
        self.route = route
        self.health = health
        self.match = match
        self.load_prices = load_prices
        self.state = state

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        asked = self.question(exchange)
        await in_a_task()
        await self.load_prices()
        served = ""
        if self.state is not None and asked.dialect == "openai_responses":
            served = await self.state.served(asked)
        return Reply(200, JSON, encode(self.explain(asked, served)))

    def question(self, exchange: Exchange) -> Exchange:
        """The exchange that the request in question would be. Raises Refused."""
        path, query, body = placed(exchange.call)
        matched = self.match(path)
        if matched.operation != "generate":
            raise refuse("invalid_request", f"?path={path[:200]} is no model call; expected such as /v1/messages.", param="path")
        asked = Exchange(
            request_id=exchange.request_id,
            dialect=matched.dialect,
            operation="generate",
            method="POST",
            call=Call(path=matched.path, body=body, query=query, pairs=tuple(query.items()), headers=exchange.call.headers),
            started=exchange.started,
        )
        asked.principal = exchange.principal
        asked.pin = exchange.pin or matched.pin
        asked.params = matched.params
        return asked

    def explain(self, asked: Exchange, served: str = "") -> JsonObject:
        """What would become of it. `served`: the target that gave the response it goes on with.

        Raises Refused where it would be refused before any target is chosen.
        """
        principal = asked.principal
        assert principal is not None
        self.peek.check(asked)
        route, starred = self.route.find(asked, principal)
        asked.route = route
        router = self.route.router
        offered = router.choices(route, starred)
        look = self.route.look_at(asked, route)
        # The middle of the draw: targets in the order of their weights.
        chosen = choose(offered, look, self.route.health, turn=self.route.turn_of(route), chance=lambda: 0.5)
        if served and "state" in route.policy.affinity:
            chosen = going_on(chosen, served, self.route.health)
        told = explanation(
            asked,
            route=route,
            alias=asked.model if asked.model in router.aliases and not asked.pin else None,
            offered=offered,
            chosen=chosen,
            look=look,
            health=self.health,
            facts_of=router.facts_of,
            dialects=self.route.dialects,
        )
        return {**told, "problem": None if chosen.plan else nowhere_to_go(route, chosen).message}


def going_on(chosen: Chosen, served: str, health: Standings) -> Chosen:
    """As the state stage has it: first the target that gave the response before."""
    plan = kept_at(chosen.plan, served, health)
    if len(plan) < 2 or not chosen.first:
        return chosen
    places = {id(candidate): place for place, candidate in enumerate(plan)}
    first = tuple(sorted(chosen.first, key=lambda option: places[id(option.candidate)]))
    led = f"{served.partition('/')[0]}/"
    tied = Affinity("state", issuer=served) if first[0].candidate.name.startswith(led) else chosen.tied
    return msgspec.structs.replace(chosen, first=first, tied=tied)


def placed(call: Call) -> tuple[str, Mapping[str, str], bytes]:
    """(path, query, body) of the request in question. Raises Refused where nobody can say where it would be sent."""
    try:
        document = decode_object(call.body)
    except BadJson as error:
        raise refuse("invalid_request", f"The request body is {error}.") from None
    path, _, query = call.query.get("path", "").partition("?")
    model = call.query.get("model", "")
    if path:
        if model and "model" in document:
            return path, dict(parse_qsl(query)), encode({**document, "model": model})
        return path, dict(parse_qsl(query)), call.body
    dialect = dialect_of(document, call.headers)
    if dialect is None:
        message = "Nobody can say whose request this is: it has neither messages, input nor contents. Name its path with ?path=."
        raise Refused(Problem(kind="invalid_request", param="path", message=message))
    if dialect in ("gemini", "bedrock_converse"):
        return _in_path(dialect, model, document)
    where = {"openai_responses": "/v1/responses", "anthropic": "/v1/messages"}.get(dialect, "/v1/chat/completions")
    return where, {}, encode({**document, "model": model}) if model else call.body


def _in_path(dialect: DialectName, model: str, document: JsonObject) -> tuple[str, Mapping[str, str], bytes]:
    """Where the model stands in the path, not in the body."""
    found = model or document.get("model") or document.get("modelId")
    if not isinstance(found, str) or not found:
        message = "Requests of this API name the model in the path; say which one with ?model=."
        raise Refused(Problem(kind="invalid_request", param="model", message=message))
    bare = {key: value for key, value in document.items() if key not in ("model", "modelId")}
    path = f"/v1beta/models/{found}:generateContent" if dialect == "gemini" else f"/model/{found}/converse"
    return path, {}, encode(bare)


def dialect_of(document: JsonObject, headers: Mapping[str, str]) -> DialectName | None:
    """Whose words a request is in, by its fields; None: nobody's. A plain chat that could be two dialects' is OpenAI's."""
    if "contents" in document:
        return "gemini"
    if "messages" not in document:
        return "openai_responses" if "input" in document else None
    if _BEDROCK_FIELDS & document.keys():
        return "bedrock_converse"
    if {"system", "anthropic_version", "thinking"} & document.keys() or headers.get("anthropic-version") is not None:
        return "anthropic"
    return "anthropic" if _has_anthropic_blocks(document["messages"]) else "openai_chat"


def _has_anthropic_blocks(messages: JsonValue) -> bool:
    contents = (
        message.get("content") for message in (messages if isinstance(messages, list) else ()) if isinstance(message, dict)
    )
    blocks = (block for content in contents if isinstance(content, list) for block in content)
    return any(isinstance(block, dict) and block.get("type") in _ANTHROPIC_BLOCKS for block in blocks)
