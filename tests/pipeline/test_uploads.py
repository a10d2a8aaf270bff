"""Google's uploads through the gateway: both calls, and the URL between them."""

import asyncio
import io
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from google import genai
from google.genai import types
from tests.plays.scene import message_of, send
from tests.serving import KEY, answer, call, gateway, upstream

NARROW = "gw-narrow-key"
KEYS = f'{{name: narrow, key: {NARROW}, models: ["google/gemini-2.5-pro"]}}, {{name: google-only, key: gw-google, models: ["google/*"]}}'
FILE = json.dumps({"file": {"name": "files/abc", "uri": "https://g/v1beta/files/abc", "mimeType": "text/plain"}}).encode()
BEGUN = (
    "x-goog-upload-status: active\r\nx-goog-upload-chunk-granularity: 262144\r\nx-other: 1\r\n"
    "x-goog-upload-url: https://generativelanguage.googleapis.com/upload/v1beta/files?key=AIza&upload_id=ab%2Bc&upload_protocol=resumable\r\n"
)
START = "x-goog-upload-protocol: resumable\r\nx-goog-upload-command: start\r\nx-goog-upload-header-content-type: text/plain\r\n"


def config(port: int, more: str = "") -> str:
    return f"""
providers:
  google: {{kind: gemini, base_url: "http://127.0.0.1:{port}", api_key: AIza}}
  talk: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-up}}
{more}"""


async def begin(gw, up, headers: str = START, path: str = "/upload/v1beta/files", **more):
    up.answers = [
        [answer(b"", content_type="text/plain", headers=BEGUN)],
        [answer(FILE, headers="x-goog-upload-status: final\r\n")],
    ]
    return await send(gw, path, {"file": {"display_name": "x"}}, headers=headers, **more)


async def test_the_file_goes_where_the_first_answer_leads(tmp_path):
    """Both calls reach the provider under its own key; the client sees its own key only, and comes back here."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        got = await begin(gw, up)
        assert got.status == 200
        head = up.head().lower()
        assert head.startswith(b"post /upload/v1beta/files http/1.1")
        assert b"x-goog-api-key: aiza" in head
        assert START.encode().strip() in head
        assert (got.headers["x-goog-upload-status"], got.headers["x-goog-upload-chunk-granularity"]) == ("active", "262144")
        assert "x-other" not in got.headers
        url = urlsplit(got.headers["x-goog-upload-url"])
        assert (url.scheme, url.path) == ("http", "/google/upload/v1beta/files")
        assert parse_qs(url.query) == {"upload_id": ["ab+c"], "upload_protocol": ["resumable"], "key": [KEY]}
        command = "x-goog-upload-offset: 0\r\nx-goog-upload-command: upload, finalize\r\n"
        data = b'{"model": "talk/gpt", "is": "a file like any other"}'
        done = await call(gw.port, f"{url.path}?{url.query}", data, headers=command)
        assert (done.status, done.body, done.headers["x-goog-upload-status"]) == (200, FILE, "final")
        assert up.head().startswith(b"POST /upload/v1beta/files?upload_id=ab%2Bc&upload_protocol=resumable HTTP/1.1")
        assert b"x-goog-api-key: AIza" in up.head()
        assert command.encode().strip() in up.head()
        assert KEY.encode() not in up.head()
        assert up.body() == data


@pytest.mark.parametrize(
    ("said", "scheme"), [("", "http"), ("x-forwarded-proto: https\r\n", "https"), ("x-forwarded-proto: x\r\n", "http")]
)
async def test_the_url_is_the_one_that_clients_reach(tmp_path, said, scheme):
    """Behind a proxy that speaks HTTPS, too."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        got = await begin(gw, up, headers=START + said)
        assert got.headers["x-goog-upload-url"].startswith(f"{scheme}://")


async def test_a_gateway_that_serves_https_leads_back_by_https(tmp_path):
    """Without a proxy before it; the socket of the test is a plain one."""
    (tmp_path / "own.pem").touch()
    async with upstream() as up, gateway("server: {tls_cert_file: own.pem}" + config(up.port), tmp_path) as gw:
        assert (await begin(gw, up)).headers["x-goog-upload-url"].startswith("https://x/")


async def test_uploads_need_a_key_for_the_whole_provider(tmp_path):
    """A file is anybody's of the project; nor does a body that names a model open the door."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        for body in ({"file": {}}, {"model": "google/gemini-2.5-pro"}):
            got = await send(gw, "/upload/v1beta/files", body, key=NARROW)
            assert got.status == 403
            assert "google/*" in message_of("gemini", got.json)
        assert up.requests == []
        assert (await begin(gw, up, key="gw-google")).status == 200


@pytest.mark.parametrize(
    "path", ["/upload", "/upload/v1beta", "/upload/files", "/upload/v1beta/../../v1/models", "/upload/v9/files"]
)
async def test_what_is_no_upload_reaches_nobody(tmp_path, path):
    """Not every path that begins so."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        got = await send(gw, path, {})
        assert got.status == 404
        assert up.requests == []


async def test_two_providers_with_uploads_are_told_apart_and_stay_so(tmp_path):
    """The URL that leads back names the provider that began."""
    more = '  other: {kind: gemini, base_url: "http://127.0.0.1:1", api_key: AIzb}'
    async with upstream() as up, gateway(config(up.port, more), tmp_path) as gw:
        assert (await send(gw, "/upload/v1beta/files", {})).status == 400
        got = await begin(gw, up, path="/google/upload/v1beta/files")
        assert "/google/upload/v1beta/files?" in got.headers["x-goog-upload-url"]


async def test_googles_sdk_uploads_a_file(tmp_path):
    """Unmodified: it sends no key with the pieces of the file."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [
            [answer(b"", content_type="text/plain", headers=BEGUN)],
            [answer(FILE, headers="x-goog-upload-status: final\r\n")],
        ]
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{gw.port}")

        def upload() -> types.File:
            with genai.Client(api_key=KEY, http_options=options) as client:
                return client.files.upload(file=io.BytesIO(b"hello"), config={"mime_type": "text/plain"})

        made = await asyncio.to_thread(upload)
        assert made.name == "files/abc"
        assert up.body() == b"hello"
        assert len(up.requests) == 2
