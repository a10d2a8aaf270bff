"""Media by URL for upstreams that take none: fetched and put inline, where the operator allows it."""

import base64

import msgspec

from gatewright.errors import refuse
from gatewright.ir.blocks import Block, DialectName, Inline, Media, Message, ToolResult, Url
from gatewright.ir.request import Request
from gatewright.transport.fetch import FetchRefused, MediaFetcher

TAKES_NO_URL: dict[DialectName, frozenset[str]] = {
    "openai_chat": frozenset(("document", "audio", "video")),
    "openai_responses": frozenset(("audio", "video")),
    "anthropic": frozenset(),
    "gemini": frozenset(("image", "audio", "video", "document")),
    "bedrock_converse": frozenset(("image", "audio", "video", "document")),
}
"""Kinds of media that an upstream of the dialect wants as bytes."""

OWN_URLS: dict[DialectName, tuple[str, ...]] = {
    "gemini": ("https://generativelanguage.googleapis.com/", "gs://", "https://www.youtube.com/", "https://youtu.be/"),
    "bedrock_converse": ("s3://",),
}
"""URLs that the provider itself can read all the same."""

MAX_FETCHES = 20
replace = msgspec.structs.replace


async def inline_media(request: Request, dialect: DialectName, fetcher: MediaFetcher) -> Request:
    """The request with every URL that `dialect` cannot take fetched. Raises Refused naming the block that could not be."""
    kinds = TAKES_NO_URL[dialect]
    left = [MAX_FETCHES]

    async def mended(block: Block) -> Block:
        if isinstance(block, ToolResult):
            return replace(block, content=tuple([await mended(part) for part in block.content]))
        if not (isinstance(block, Media) and block.kind in kinds and isinstance(block.source, Url)):
            return block
        if block.source.url.startswith(OWN_URLS.get(dialect, ("data:",))):
            return block
        left[0] -= 1
        if left[0] < 0:
            raise refuse("invalid_request", f"More than {MAX_FETCHES} URLs would have to be fetched.", param=block.at)
        try:
            media_type, data = await fetcher.fetch(block.source.url)
        except FetchRefused as refused:
            raise refuse("invalid_request", f"{block.at}: this URL was not fetched: {refused}.", param=block.at) from None
        return replace(
            block, source=Inline(media_type=block.source.media_type or media_type, data=base64.b64encode(data).decode("ascii"))
        )

    messages: list[Message] = []
    for message in request.messages:
        blocks = tuple([await mended(block) for block in message.blocks])
        messages.append(message if blocks == message.blocks else replace(message, blocks=blocks))
    return replace(request, messages=tuple(messages))
