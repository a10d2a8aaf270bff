"""Inline data and files, both ways.

One rule: inside the house base64 is the standard alphabet with padding; Google's clients also send URL-safe and unpadded, and
get it back so.
https://ai.google.dev/api/caching#Blob  https://ai.google.dev/api/caching#FileData
"""

import base64
from typing import Literal

from gatewright.dialects.gemini.proto import Proto, Speller, dotted
from gatewright.ir.blocks import FileRef, Inline, Media, Source, Url
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject

Kind = Literal["image", "audio", "video", "document"]

MEDIA_TYPE: dict[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aiff": "audio/aiff",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mov": "video/mov",
    "webm": "video/webm",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}
"""By a file name's extension, for URLs whose origin does not say what is behind them."""

DEFAULT_TYPE: dict[Kind, str] = {
    "image": "image/jpeg",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "document": "application/pdf",
}
_VIDEO_HOSTS = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/", "https://m.youtube.com/")
_OWN_FILES = ("https://generativelanguage.googleapis.com/", "gs://", "files/")


def guess_type(name: str) -> str | None:
    """The media type that a URL's or a file's name promises; None when it promises nothing."""
    path = name.split("?", 1)[0].split("#", 1)[0]
    return MEDIA_TYPE.get(path.rsplit(".", 1)[-1].lower()) if "." in path else None


def kind_of_media(media_type: str | None, uri: str = "") -> Kind:
    if uri.startswith(_VIDEO_HOSTS):
        return "video"
    match (media_type or guess_type(uri) or "").split("/", 1)[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def parse_media(part: Proto, inner: Proto, key: str, seal: Seal | None) -> Media:
    """The Media of a part whose `inlineData` or `fileData` (`key`) is `inner`."""
    form = [key]
    uri = ""
    source: Source
    if key == "fileData":
        media_type = inner.text("mimeType")
        uri = inner.need_text("fileUri")
        if uri.startswith(("https://", "http://")) and not uri.startswith(_OWN_FILES):
            source = Url(url=uri, media_type=media_type)
        else:
            source = FileRef(id=uri, origin="gemini", media_type=media_type)
    else:
        media_type = inner.need_text("mimeType")
        data = inner.need_text("data")
        plain = data.replace("-", "+").replace("_", "/")
        if plain != data:
            form.append("urlsafe")
        if missing := -len(plain) % 4:
            form.append(f"unpadded{missing}")
            plain += "=" * missing
        source = Inline(media_type=media_type, data=plain)
    title = inner.text("displayName")
    return Media(
        kind=kind_of_media(media_type, uri),
        source=source,
        title=title,
        seal=seal,
        at=part.at,
        form=(*form, *part.snakes, *inner.snakes),
        extras={**part.rest(), **dotted(key, inner.rest())},
    )


def render_media(media: Media) -> tuple[str, JsonObject]:
    """The key and the object of a part; extras, seal and title are the caller's. Not for files of another dialect."""
    spell = Speller(media.form)
    match media.source:
        case Url(url=url, media_type=media_type):
            inner: JsonObject = {spell("fileUri"): url}
            if "fileData" not in media.form:  # abroad the type is required; at home the client chose
                media_type = (
                    media_type or guess_type(url) or DEFAULT_TYPE[kind_of_media(None, url) if _known(url) else media.kind]
                )
            if media_type is not None:
                inner[spell("mimeType")] = media_type
            return spell("fileData"), inner
        case FileRef(id=uri, media_type=media_type):
            inner = {spell("fileUri"): uri}
            if media_type is not None:
                inner[spell("mimeType")] = media_type
            return spell("fileData"), inner
        case Inline(media_type=media_type, data=data, text=text):
            if text:
                data = base64.b64encode(data.encode()).decode("ascii")
                media_type = media_type or "text/plain"
            for word in media.form:
                if word.startswith("unpadded"):
                    data = data[: -int(word[8:])]
            if "urlsafe" in media.form:
                data = data.replace("+", "-").replace("/", "_")
            elif "inlineData" not in media.form:
                data = data.replace("\n", "").replace("\r", "")
            inner = {spell("data"): data}
            if media_type or "inlineData" in media.form:
                inner[spell("mimeType")] = media_type
            else:
                inner["mimeType"] = DEFAULT_TYPE[media.kind]
            return spell("inlineData"), inner


def _known(url: str) -> bool:
    return url.startswith(_VIDEO_HOSTS)
