"""What `gatewright models` prints."""

import json
import os
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from gatewright.cli.commands import app
from gatewright.cli.models import dollars, matching, tokens
from gatewright.pipeline.model_shapes import Shown
from gatewright.providers.facts import Facts

LIST = {
    "data": [
        {"id": "gpt-5", "context_length": 400_000, "pricing": {"prompt": "0.00000125", "completion": "0.00001"}},
        {"id": "[red]x[/red]", "capabilities": ["vision"]},
    ]
}


@pytest.fixture
def provider():
    """A provider's list at a port; counts who asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            body = json.dumps(LIST).encode()
            self.send_response(200 if self.path == "/v1/models" else 500)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def run(tmp_path, monkeypatch, provider):
    """Runs `gatewright models` over a provider that answers and one that does not."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_HOME")) or name == "GATEWRIGHT_CONFIG":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*words, good=True):
        base = f"http://127.0.0.1:{provider.server_port}/{'v1' if good else 'v2'}"
        (tmp_path / "gatewright.yaml").write_text(
            f"providers: {{up: {{kind: openai, base_url: '{base}'}}, demo: }}\n"
            "models: {fast: {targets: [up/gpt-5], max_output: 16000}, 'claude-*': {ladder: {provider: up}, fallback: [demo/demo]}}\n"
            "model_lists: {live: false}\n"
        )
        return CliRunner().invoke(app, ["models", *words], catch_exceptions=False)

    return run


def test_without_live_nobody_is_asked(run, provider):
    """A ladder shows its provider."""
    result = run()
    assert result.exit_code == 0
    assert "up/… (ladder)" in result.stdout
    assert "demo/demo" in result.stdout
    assert provider.asked == []


def test_live_shows_sizes_and_prices(run, provider):
    """As a table for people; names are text and no markup. It asks though the gateway itself would not."""
    result = run("--live")
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines()}
    assert lines["fast"] == ["fast", "up", "400k", "16k", "1.25", "10"]
    assert lines["up/gpt-5"] == ["up/gpt-5", "up", "400k", "1.25", "10"]
    assert lines["up/[red]x[/red]"] == ["up/[red]x[/red]", "up", "vision"]
    assert "demo/demo" in lines
    assert provider.asked == ["/v1/models"]


def test_live_for_machines(run):
    """What is unknown is null; words narrow the list down."""
    result = run("--live", "--json", "GPT", "up")
    assert json.loads(result.stdout) == [
        {
            "model": "up/gpt-5",
            "provider": "up",
            "title": None,
            "context": 400_000,
            "max_output": None,
            "capabilities": None,
            "input_usd_per_million": "1.25",
            "output_usd_per_million": "10",
        }
    ]


def test_a_provider_that_cannot_be_asked_is_told(run):
    """On stderr; what is configured is shown all the same, and with nobody left to ask the exit code is 1."""
    result = run("--live", good=False)
    assert result.exit_code == 1
    assert result.stderr == "up: answered 500 to GET /models\n"
    assert "fast" in result.stdout


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ""),
        (512, "512"),
        (8192, "8k"),
        (131_072, "131k"),
        (999_600, "1M"),
        (1_000_000, "1M"),
        (1_048_576, "1.05M"),
        (2_000_000, "2M"),
    ],
)
def test_tokens_as_people_say_them(count, text):
    """Nobody reads 1048576."""
    assert tokens(count) == text


def test_dollars_without_idle_zeros():
    """And without exponents."""
    assert [dollars(Decimal(text)) for text in ("3.00", "0.0750", "10", "0", "100")] == ["3", "0.075", "10", "0", "100"]
    assert dollars(None) == ""


def test_every_word_must_fit():
    """Name, title or provider, case aside."""
    shown = [Shown("a/opus", "anthropic", Facts(title="Claude Opus")), Shown("b/gpt", "openai")]
    assert matching(shown, ["claude", "ANTHROPIC"]) == shown[:1]
    assert matching(shown, ["claude", "openai"]) == []
    assert matching(shown, []) == shown
