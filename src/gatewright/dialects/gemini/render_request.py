"""The neutral form → generateContent requests.

One rule: a request of this very dialect comes back as it was, content by content; all others become alternating turns.
https://ai.google.dev/api/generate-content#request-body
"""

from gatewright.dialects.gemini.models import abilities
from gatewright.dialects.gemini.proto import Speller, merge
from gatewright.dialects.gemini.render_generation import generation_config
from gatewright.dialects.gemini.render_parts import PartWriter
from gatewright.dialects.gemini.render_tools import foreign_tools, home_tools, tool_config
from gatewright.dialects.gemini.request import SYSTEM
from gatewright.dialects.gemini.route import upstream_path
from gatewright.dialects.gemini.seals import SKIP
from gatewright.dialects.gemini.turns import says_nothing, write_turns
from gatewright.ir.blocks import Message, Text, ToolCall
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.jsontypes import JsonObject, JsonValue

TIER: dict[str, str] = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
"""Other dialects' service tiers → Gemini's."""


def render_request(request: Request, target: Target) -> Rendered:
    losses = Losses("gemini")
    can = abilities(target.model)
    home = request.origin == "gemini"
    spell = Speller(request.form)
    writer = PartWriter(losses, request.origin, issuer=target.issuer, media_in_results=can.mixes_tools)
    body: JsonObject = {}
    if home:
        _home_messages(request, writer, body, spell, sentinel=can.wants_signatures)
        tools = home_tools(request.tools)
    else:
        _foreign_messages(request, writer, body, sentinel=can.wants_signatures)
        tools = foreign_tools(request, can, losses)
    if tools:
        body["tools"] = tools[0] if "tools{}" in request.form else tools
    if config := tool_config(request, can, losses):
        body[spell("toolConfig")] = config
    if generation := generation_config(request, target.model, can, losses):
        body[spell("generationConfig")] = generation
    _top_level(request, body, spell, losses)
    merge(body, losses.extras(request, origin=request.origin), spell, ("toolConfig",))
    return Rendered(
        body=body,
        losses=losses.done(),
        path=upstream_path(target.model, stream=bool(request.stream)),
        asked=Asked(issuer=target.issuer, model=target.model),
    )


def _top_level(request: Request, body: JsonObject, spell: Speller, losses: Losses) -> None:
    """Neutral fields that Gemini has another word for, or none."""
    if (tier := request.service_tier) is not None:
        told = tier if request.origin == "gemini" else TIER.get(tier)
        if told is not None:
            body[spell("serviceTier")] = told
        else:
            losses.hint(path_of(request, "service_tier"), "gemini has no such tier", tier)
    unsaid: tuple[tuple[str, JsonValue], ...] = (
        ("user", request.user),
        ("metadata", request.metadata or None),
        ("cache_key", request.cache_key),
        ("store", request.store),
    )
    for field, value in unsaid:
        if value is not None:
            losses.hint(path_of(request, field), "gemini has no word for it", value)
    if request.verbosity is not None:
        losses.dropped(path_of(request, "verbosity"), "gemini has no word for it", request.verbosity)


def _home_messages(request: Request, writer: PartWriter, body: JsonObject, spell: Speller, *, sentinel: bool) -> None:
    contents: list[JsonValue] = []
    system: JsonValue = None
    for message in request.messages:
        if message.role != "system":
            contents.append(_content(message, writer, sentinel=sentinel))
        elif "bare" in message.form and isinstance(text := message.blocks[0], Text):
            system = text.text
        else:
            system = _content(message, writer)
    if system is not None:
        body[spell(SYSTEM)] = system
    if contents:
        body["contents"] = contents[0] if "contents{}" in request.form else contents


def _content(message: Message, writer: PartWriter, *, sentinel: bool = False) -> JsonObject:
    """A content as it was. `sentinel`: the first call must be signed; if another API made it, its seal is not Gemini's."""
    parts: list[JsonValue] = []
    called = False
    for block in message.blocks:
        for part in writer.parts(block):
            if isinstance(block, ToolCall):
                unread = block.seal is not None and not {"thoughtSignature", "thought_signature"} & part.keys()
                parts.append({**part, "thoughtSignature": SKIP} if sentinel and unread and not called else part)
                called = True
            else:
                parts.append(part)
    content: JsonObject = {}
    if parts:
        content["parts"] = parts[0] if "parts{}" in message.form else parts
    role = next((word[5:] for word in message.form if word.startswith("role=")), None)
    if role is not None:
        content["role"] = role
    elif message.role != "system" and "norole" not in message.form:
        content["role"] = "model" if message.role == "assistant" else "user"
    return merge(content, message.extras, Speller(message.form))


def _foreign_messages(request: Request, writer: PartWriter, body: JsonObject, *, sentinel: bool) -> None:
    losses = writer.losses
    system: list[JsonValue] = []
    spoken: list[Message] = []
    for message in request.messages:
        if message.role != "system":
            spoken.append(message)
            continue
        losses.extras(message, origin=request.origin)
        if message.name is not None:
            losses.dropped(join(message.at, "name"), "gemini has no names of participants", message.name)
        if spoken:
            losses.approximated(message.at, "gemini has system instructions at the start only: moved there")
        for block in message.blocks:
            system += [part for part in writer.parts(block) if not says_nothing(part, block, writer)]
    contents = write_turns(spoken, writer, sentinel=sentinel)
    if system:
        body[SYSTEM] = {"parts": system}
    if not contents:
        losses.approximated(path_of(request, "messages"), "gemini wants something to answer: an empty user turn")
        contents = [{"role": "user", "parts": [{"text": " "}]}]
    body["contents"] = contents
