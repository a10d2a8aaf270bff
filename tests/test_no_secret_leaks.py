"""No secret of five hundred comes out: not in a log, an answer, a metric, a trace, an export, an error, or a byte of the state.

One gateway, as `gatewright serve` runs it, has them all: by value, by variable and by file. It is led through success, errors,
streams, guards, traces, metrics, the admin API and reloads by a provider that tells everybody what it was sent; then everything
that it said or wrote is searched.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from typer.testing import CliRunner

from gatewright.account import Tokens
from gatewright.cli import commands
from gatewright.cli.administration import add_to
from gatewright.logins import open_accounts
from tests.leaks.asking import Client
from tests.leaks.echoing import MODES, Provider, echoing
from tests.leaks.searching import Search
from tests.leaks.seeded import Seeded, write
from tests.redis_here import redis_url

CONFIG = "gatewright.yaml"


class Scene(SimpleNamespace):
    """The gateway, its secrets, and everything that was heard."""

    heard: dict[str, bytes]

    def keep(self, where: str, *said: str | bytes) -> None:
        whole = b"\n".join(one if isinstance(one, bytes) else one.encode("utf-8", "replace") for one in said)
        self.heard[where] = self.heard.get(where, b"") + whole + b"\n"

    def command(self, *words: str) -> None:
        """A command of ours, and what it says."""
        with mock.patch.dict(os.environ, self.environ | {"GATEWRIGHT_CONFIG": str(self.file)}, clear=True):
            done = CliRunner().invoke(commands.app, list(words))
        self.keep(f"gatewright {' '.join(words)}", done.stdout, done.stderr, repr(done.exception or ""))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    seeded = Seeded()
    with echoing() as upstream:
        environ = {
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "NO_COLOR": "1",
            "COLUMNS": "400",
            "GATEWRIGHT_HOME": str(folder / "state"),
        }
        document = seeded.configuration(folder, upstream, environ, redis_url())
        file = folder / CONFIG
        write(document, file)
        played = Scene(
            folder=folder, seeded=seeded, environ=environ, file=file, document=document, upstream=upstream, heard={}, port=free_port(), statuses=[],
        )  # fmt: skip
        asyncio.run(log_in(played))
        log = (folder / "stderr").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "gatewright", "serve", "--config", str(file), "--port", str(played.port)],
            env=environ, stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
        try:
            play(played, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            log.close()
        played.keep("the log", (folder / "stderr").read_bytes())
        after(played)
    return played


async def log_in(scene: Scene) -> None:
    """Thirty accounts, as logins leave them."""
    book = open_accounts(str(scene.folder / "state"), scene.environ)
    for number, (access, refresh) in enumerate(scene.seeded.logins):
        tokens = Tokens(access=access, refresh=refresh, obtained_at=time.time(), expires_at=time.time() + 3600)
        await book.add("login", f"user{number}@example.test", tokens, {})
    await book.close()


def play(scene: Scene, process: subprocess.Popen) -> None:
    client = Client(scene.port)
    ends = time.monotonic() + 60
    while True:
        try:
            client.get("/health")
            break
        except OSError:
            assert process.poll() is None, (scene.folder / "stderr").read_text()
            assert time.monotonic() < ends
            time.sleep(0.05)
    calls(scene, client)
    quotations(scene, client)
    strangers(scene, client)
    administration(scene, client)
    processes(scene, process)
    reloads(scene, client)
    time.sleep(1.5)  # traces and rows are written each second; what is not yet is at the end
    for name, path in (("metrics", "/metrics"), ("usage", "/admin/v1/usage?by=key,model&limit=1000")):
        scene.keep(name, client.get(path, headers={"authorization": f"Bearer {scene.seeded.admin}"}).content)


def ask(
    scene: Scene,
    client: Client,
    model: str,
    *,
    key: str,
    text: str = "hi",
    stream: bool = False,
    headers=None,
    dialect="openai",
):
    """One model call; what came back is heard, head and body, but for what a model itself said."""
    messages = [{"role": "user", "content": text}]
    head = {"authorization": f"Bearer {key}", **(headers or {})}
    path, body = {
        "openai": ("/v1/chat/completions", {"model": model, "messages": messages, "stream": stream}),
        "anthropic": ("/v1/messages", {"model": model, "max_tokens": 9, "messages": messages, "stream": stream}),
        "gemini": (
            f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}",
            {"contents": [{"role": "user", "parts": [{"text": text}]}]},
        ),
        "responses": ("/v1/responses", {"model": model, "input": text, "stream": stream}),
    }[dialect]
    got = client.post(path, body, headers=head)
    scene.statuses.append((model, got.status))
    scene.keep("answers' heads", got.head)
    if not model.endswith("tells"):
        scene.keep("answers", got.content)
    return got


def calls(scene: Scene, client: Client) -> None:
    """Every provider, every way to answer; every client's dialect; with every key by turns."""
    keys = [secret for secrets in scene.seeded.keys.values() for secret in secrets]
    dialects = ("openai", "anthropic", "gemini", "responses")
    for number, name in enumerate(scene.document["providers"]):
        for turn in range(2):
            mode, dialect = MODES[(number * 2 + turn) % len(MODES)], dialects[(number + turn) % 4]
            if dialect == "responses" and mode == "tells":
                dialect = "openai"
            header = {
                "x-session-secret": scene.seeded.sent[(number * 2 + turn) % len(scene.seeded.sent)],
                "cookie": f"s={scene.seeded.sent[number % 20]}",
            }
            if name == "theirs":
                header |= {"x-gatewright-key": keys[0]}
            ask(
                scene, client, f"{name}/{mode}", key=keys[1 + (number + turn) % (len(keys) - 1)], stream="stream" in mode or turn == 1,
                headers=header, dialect=dialect,
            )  # fmt: skip
    for mode in MODES:
        for dialect in dialects:
            if (mode, dialect) == ("tells", "responses"):
                continue  # what a model says is its client's, and Responses are kept for them as they were said
            for name in ("p0", "p1"):
                ask(scene, client, f"{name}/{mode}", key=keys[5], stream="stream" in mode or mode == "tells", dialect=dialect)
    for number, own in enumerate(scene.seeded.own):
        head = {"x-gatewright-key": keys[number % 30 + 31]}
        ask(
            scene,
            client,
            f"theirs/{MODES[number % len(MODES)]}",
            key=own,
            headers=head,
            dialect="anthropic",
            stream=number % 2 == 0,
        )
    for _ in range(3):
        ask(scene, client, "several", key=keys[0])
        ask(scene, client, "kept", key=keys[4])
    assert ask(scene, client, "p0/ok", key=keys[5], text="GIRAFFE7").status == 400
    for path in ("/v1/embeddings", "/p0/v1/files", "/v1/moderations"):
        got = client.post(path, {"model": "p0/fail-401", "input": "x"}, headers={"authorization": f"Bearer {keys[3]}"})
        scene.keep("answers", got.content, got.head)


def quotations(scene: Scene, client: Client) -> None:
    """A client shows a model what it has found in the gateway's own settings: traces are to keep the question without it."""
    key = scene.seeded.keys["value"][5]
    for number, secret in enumerate(scene.seeded.quoted):
        for model in ("p0/ok", "p0/fail-400"):
            ask(scene, client, model, key=key, text=f"QUOTED{number} {secret} of our settings", stream=number % 2 == 0)


def strangers(scene: Scene, client: Client) -> None:
    """Keys that nobody knows, in all places where keys may be."""
    for number, secret in enumerate(scene.seeded.strangers):
        head = (
            {"authorization": f"Bearer {secret}"},
            {"x-api-key": secret},
            {"x-goog-api-key": secret},
            {"authorization": f"Basic {secret}"},
            {},
        )[number % 5]
        path = ("/v1/models", "/v1/messages", "/metrics", "/admin/v1/keys", f"/v1/models?key={secret}")[number % 5]
        got = client.request("POST" if path == "/v1/messages" else "GET", path, headers=head)
        assert got.status in (400, 401, 403), (path, got.content)
        scene.keep("refusals", got.content, got.head)
    with socket.create_connection(("127.0.0.1", scene.port)) as raw:  # no HTTP at all
        raw.sendall(
            f"GET /v1/models?key={scene.seeded.strangers[0]} HTTP/9.9\r\nauthorization: {scene.seeded.strangers[1]}\r\n\r\n".encode()
        )
        scene.keep("refusals", raw.recv(65536))


def administration(scene: Scene, client: Client) -> None:
    """Everything an admin can read; and a key that is made, which its maker alone is told."""
    head = {"authorization": f"Bearer {scene.seeded.admin}"}
    made = client.post("/admin/v1/keys", {"name": "made"}, headers=head).json()
    scene.made = made.get("key") or made.get("secret")
    assert isinstance(scene.made, str), made
    client.get("/v1/models", headers={"authorization": f"Bearer {scene.made}"})
    paths = [path for path in client.get("/admin/v1/openapi.json", headers=head).json()["paths"] if "{" not in path]
    assert len(paths) > 8
    for path in (*paths, "/v1/health/targets", "/v1/usage", "/v1/models", "/metrics", "/admin/v1/traces?limit=100"):
        got = client.get(path, headers=head | {"accept": "application/openmetrics-text"} if path == "/metrics" else head)
        scene.keep(f"GET {path}", got.content, got.head)
    for model in ("several", "kept", "p3/ok", "aws0/m", "login/m", "no-such"):
        asked = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        scene.keep("explain", client.post("/v1/explain", asked, headers=head).content)


def processes(scene: Scene, process: subprocess.Popen) -> None:
    """What `ps` shows to everybody on the machine."""
    listed = Path(f"/proc/{process.pid}/cmdline").read_bytes() + Path(f"/proc/{process.pid}/comm").read_bytes()
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        listed += Path(f"/proc/{child}/cmdline").read_bytes()
    assert b"gatewright" in listed
    scene.keep("the list of processes", listed)


def broken(scene: Scene) -> list[str]:
    """Configurations that are wrong right beside a secret."""
    a, b, c, d, e, f, g, h, i, j = scene.seeded.broken
    return [
        f"keys: [{{name: x, key: {{{a}: 1}}}}]",
        f"keys: [{{name: x, key: [{b}]}}]",
        f"keys:\n  - name: x\n    key: '{c}\n  unfinished",
        f"providers: {{up: {{kind: openai, base_url: 'http://user:{d}@127.0.0.1:1/v1', api_key: x}}}}",
        f"providers: {{up: {{kind: openai, api_key: x, headers: {{'bad name': {e}}}}}}}",
        f"providers: {{up: {{kind: openai, api_key: {f}, proxy: 'ftp://u:{f}@h'}}}}",
        f"database: 'mysql://u:{g}@h/db'",
        *(f"providers: {{up: {{kind: openai, api_key: x, proxy: 'http://u:{p}@h'}}}}" for p in scene.seeded.proxies[1:]),
        f"cache: {{url: 'http://u:{h}@h'}}",
        f"budgets: {{webhook: '{i}'}}",
        f"keys: [{{name: x, key: {j}}}, {{name: y, key: {j}}}]\nproviders: {{up: {{kind: nope}}}}",
    ]


def reloads(scene: Scene, client: Client) -> None:
    """What cannot be used is refused, in words; what can is told by its names."""
    head = {"authorization": f"Bearer {scene.seeded.admin}"}
    whole = scene.file.read_text()
    for text in broken(scene)[:4]:
        scene.file.write_text(text)
        got = client.post("/admin/v1/reload", headers=head)
        assert got.status == 422, got.content
        scene.keep("reloads", got.content)
    scene.file.write_text(whole)
    got = client.post("/admin/v1/reload", headers=head)
    assert got.status == 200, got.content
    scene.keep("reloads", got.content)


def after(scene: Scene) -> None:
    """Commands, beside what the gateway has left."""
    add_to(commands.app)
    for words in (
        ("check",), ("models",), ("models", "--json"), ("accounts", "list"), ("explain", "several"), ("usage",), ("usage", "verify"),
        ("keys", "list"), ("traces", "list", "--format", "json"), ("traces", "export", "--format", "jsonl"), ("connect", "curl", "--key", "shown"),
        ("traces", "search", "hello"), ("config", "schema"),
    ):  # fmt: skip
        scene.command(*words)
    for number, text in enumerate(broken(scene)):
        wrong = scene.folder / f"wrong{number}.yaml"
        wrong.write_text(text)
        scene.command("check", "--config", str(wrong))


def test_the_play_was_played(scene):
    """The provider saw what it was to be sent, and said it; all outcomes were there: else nothing would be proved."""
    statuses = [status for _, status in scene.statuses]
    assert len(statuses) > 400
    assert statuses.count(200) > 100
    assert {400, 401, 403, 429, 502} <= set(statuses)
    sent = " ".join(Provider.seen)
    expected = (
        [s for kinds in scene.seeded.providers.values() for kind in kinds for s in kind] + scene.seeded.headers + scene.seeded.own
    )
    assert sum(secret in sent for secret in expected) >= 0.95 * len(expected)
    assert scene.seeded.otlp in sent
    assert scene.seeded.otlp_env in sent
    assert scene.seeded.guard in sent
    log = scene.heard["the log"].decode()
    assert log.count('"event":"request"') > 400
    assert '"level":"info"' in log
    assert "gatewright_requests_total" in scene.heard["metrics"].decode()
    exported = scene.heard["gatewright traces export --format jsonl"]
    assert len(exported) > 100_000
    assert all(f"QUOTED{number} [redacted:secret] of our".encode() in exported for number in range(len(scene.seeded.quoted)))
    assert (scene.folder / "state" / "gatewright.db").stat().st_size > 100_000


def test_nothing_that_was_said_holds_a_secret(scene):
    """Logs, answers, errors, metrics, lists, exports, commands, the list of processes."""
    search = Search([*scene.seeded.all, scene.made])
    assert sum(b"gen_ai" in one for one in Provider.collected) > 5
    scene.keep("the collector", *Provider.collected)
    told = {where: sorted(found) for where, said in scene.heard.items() if (found := search.found(said))}
    assert told == {}


def test_no_byte_of_the_state_is_a_secret(scene):
    """Ledger, journals, traces, counters, kept answers, and logins, which are sealed."""
    search = Search([*scene.seeded.all, scene.made])
    assert (scene.folder / "state" / "accounts.db").stat().st_size > 4096
    assert search.in_folder(scene.folder / "state") == {}


def test_what_is_planted_is_found(scene):
    """In each thing that was heard, and in each file: a search that finds nothing is one that could have."""
    search = Search(scene.seeded.all)
    secret = scene.seeded.sent[-1]
    for where, said in scene.heard.items():
        middle = len(said) // 2
        assert search.found(said[:middle] + secret.encode() + said[middle:]) == {secret}, where
    planted = scene.folder / "state" / "gatewright.db"
    before = planted.read_bytes()
    planted.write_bytes(before + secret.encode())
    try:
        assert search.in_folder(scene.folder / "state") == {"gatewright.db": {secret}}
    finally:
        planted.write_bytes(before)
