"""The README's commands are run, not believed."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from gatewright.config import load_config
from tests.docs.check import ROOT, broken_links, documents, stale_pages
from tests.docs.generate import PAGES

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The gateway as `make run` starts it: no configuration, no provider key."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "gatewright", "serve", "--port", str(port)],
        env=environ,
        cwd=home,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port, environ
    process.terminate()
    _, said = process.communicate(timeout=20)
    assert "gatewright" in said.lower()
    assert process.returncode in (0, -15)


def test_the_four_curls_are_streamed_answers(served):
    """One minute after the clone, every dialect answers."""
    port, environ = served
    script = next(block for block in blocks("sh") if "curl" in block)
    pieces = re.split(r"\n(?=# )", script)
    setup, calls = pieces[0], pieces[1:]
    assert len(calls) == 4
    for command in calls:
        run = subprocess.run(
            ["bash", "-c", setup + "\n" + command.replace("127.0.0.1:4000", f"127.0.0.1:{port}")],
            env=environ, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        events = [line for line in run.stdout.splitlines() if line.startswith("data: ")]
        assert len(events) > 3, run.stdout + run.stderr
        assert '"error":{' not in run.stdout.replace(" ", "")


def test_the_yaml_is_a_configuration(tmp_path):
    """What the README shows an operator is accepted."""
    file = tmp_path / "gatewright.yaml"
    file.write_text(blocks("yaml")[0])
    config = load_config(file, {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2", "GATEWRIGHT_KEY": "gw-1"})
    assert set(config.models) == {"fast", "claude-*"}


def test_the_configuration_page_shows_a_configuration(tmp_path):
    """So is what the reference page shows."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    file = tmp_path / "gatewright.yaml"
    file.write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    config = load_config(file, {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2", "CI_KEY": "gw-1"})
    assert config.models["smart"].losses == "refuse"


def test_make_run_and_make_test_are_the_two_commands():
    """They exist and do what they say."""
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run:.*\n\t.*gatewright serve", makefile, re.MULTILINE)
    assert re.search(r"^test:.*\n\t.*pytest", makefile, re.MULTILINE)


@pytest.mark.parametrize("document", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    """A page that names a file names one that is there."""
    assert broken_links(document) == []


def test_generated_pages_are_current():
    """A setting or a host that is not documented fails here."""
    assert PAGES
    assert stale_pages() == []
