"""The log of a process: lines for machines or for people, with nothing in them that is not theirs to read."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from io import BytesIO, TextIOWrapper

import pytest

import gatewright.logs as logs
from gatewright.config import load_config
from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord
from gatewright.guards.terms import Finding
from gatewright.logs_lines import as_json, renderer, stamp
from gatewright.logs_requests import RequestLines
from gatewright.logs_scrub import Scrub
from tests.record.exchanged import Heard, exchanged

CONFIG = """
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: env:UP_KEY}}
keys: [{{name: ci, key: gw-0123456789abcdef-ci}}]
database: postgresql://gw:hunter22@127.0.0.1/none
budgets: {{webhook: "https://hooks.test/T01/XyZ0123456789XyZ"}}
logging: {{{more}}}
"""
ENVIRON = {"UP_KEY": "provider-key-of-no-known-form", "GATEWRIGHT_HOME": "/nonexistent"}


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Set up a log; (it, what it has written)."""
    root, made = logging.getLogger(), []
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in logs.OURS}

    logging.captureWarnings(capture=False)  # whoever had them captured in this process before
    uvicorns = {}
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # a server in this process may have set them up for itself
        one = logging.getLogger(name)
        uvicorns[name] = one.handlers[:], one.propagate
        one.handlers[:], one.propagate = [], True

    def begin(more: str = "", **how):
        file = tmp_path / "gatewright.yaml"
        file.write_text(CONFIG.format(more=more))
        config = load_config(file, ENVIRON)
        sink = BytesIO()
        monkeypatch.setattr(logs, "_current", None)
        made.append(logs.set_up(config, TextIOWrapper(sink, "utf-8"), **how))

        def lines() -> list[str]:
            made[-1].writer.flush()
            return sink.getvalue().decode().splitlines()

        return made[-1], lines

    yield begin
    for one in made:
        one.writer.close()
    for name, (handlers, propagate) in uvicorns.items():
        logging.getLogger(name).handlers[:], logging.getLogger(name).propagate = handlers, propagate
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)


def test_whatever_is_logged_is_a_document_a_line(log):
    """Ours, uvicorn's, another library's and Python's warnings; a traceback is one field."""
    _, lines = log(pid=True)
    logging.getLogger("gatewright").warning("%s: not told: %s", "worker", "line\nbreak")
    logging.getLogger("uvicorn.error").error("socket")
    logging.getLogger("sqlalchemy.engine").info("SELECT what nobody asked to see")
    logging.getLogger("asyncio").warning("slow")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    try:
        raise ValueError("of ours")  # noqa: TRY301
    except ValueError:
        logging.getLogger("gatewright").exception("request %s failed", "req_1")
    told = [json.loads(line) for line in lines()]
    assert [one["event"].split("\n")[0].split(": ")[0] for one in told[:3]] == ["worker", "socket", "slow"]
    assert told[0]["event"] == "worker: not told: line\nbreak"
    assert [one["logger"] for one in told] == ["gatewright", "uvicorn.error", "asyncio", "py.warnings", "gatewright"]
    assert [one["level"] for one in told] == ["warning", "error", "warning", "warning", "error"]
    assert all(list(one)[:4] == ["timestamp", "level", "logger", "event"] and one["pid"] == os.getpid() for one in told)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["timestamp"]) for one in told)
    assert told[-1]["exception"].startswith("Traceback")
    assert told[-1]["exception"].endswith("ValueError: of ours")


def test_levels_are_as_configured_and_follow_a_reload(log, tmp_path):
    """Of ours; what others tell is told from a warning on."""
    _, lines = log("level: info")
    logging.getLogger("gatewright").info("seen")
    logging.getLogger("gatewright").debug("not seen")
    logging.getLogger("other").info("not seen")
    file = tmp_path / "gatewright.yaml"
    file.write_text(CONFIG.format(more="level: error"))
    logs.set_up(load_config(file, ENVIRON))
    logging.getLogger("gatewright").warning("not seen any more")
    assert [json.loads(line)["event"] for line in lines()] == ["seen"]


def test_people_read_words_and_terminals_show_colours(log):
    """`format: pretty` without a terminal has no colours."""
    _, lines = log("format: pretty")
    logging.getLogger("gatewright").warning("the words")
    (line,) = lines()
    assert "the words" in line
    assert "\x1b" not in line
    coloured = renderer(pretty=True, colors=True)({"timestamp": "t", "level": "warning", "event": "the words"})
    assert "\x1b[" in coloured


@pytest.mark.parametrize("terminal", [False, True])
def test_format_is_chosen_by_where_it_goes(terminal):
    """JSON for a pipe, words for a terminal."""
    script = (
        "import logging, sys, gatewright.logs as logs; from gatewright.logs_rule import LoggingRule\n"
        "log = logs.Log(LoggingRule(), sys.stderr); log.begin(); logging.getLogger('gatewright').warning('said'); log.writer.close()"
    )
    if terminal:
        ours, theirs = pty.openpty()
        subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True, env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        told = os.read(ours, 4096).decode()
        os.close(ours)
        assert "said" in told
        assert "\x1b[" in told
    else:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        assert json.loads(done.stderr)["event"] == "said"


def test_half_a_character_is_told_all_the_same():
    """Clients cut names where they like."""
    assert json.loads(as_json({"event": "\ud800", "n": 1})) == {"event": "\ud800", "n": 1}


def test_times_are_rfc_3339():
    assert stamp(0.0) == "1970-01-01T00:00:00.000Z"
    assert stamp(1763754758.1239) == "2025-11-21T19:52:38.123Z"


def test_secrets_are_taken_out_by_value_and_by_form(log):
    """What the configuration knows, whatever it looks like; and what looks like a credential, whoever's it is."""
    _, lines = log()
    ours = logging.getLogger("gatewright")
    ours.warning("provider said: bad key provider-key-of-no-known-form")
    ours.warning("cannot connect: password hunter22 for gw")
    ours.warning("404 for XyZ0123456789XyZ at 127.0.0.1")
    ours.warning("redis://:s3cretpass@10.0.0.1:6379/0 is away")
    ours.warning("sent authorization: Bearer abcdefgh12345678 and x-api-key: qwertyuiop")
    ours.warning("sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAAA ghp_0123456789abcdefghij0123456789abcdef AKIAIOSFODNN7EXAMPLE")
    ours.warning("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl")
    try:
        raise ValueError("gw-0123456789abcdef-ci")  # noqa: TRY301
    except ValueError:
        ours.exception("failed")
    text = "\n".join(lines())
    for secret in (
        "provider-key-of", "hunter22", "XyZ0123", "s3cretpass", "abcdefgh1234", "qwertyuiop", "sk-ant-api03-A", "ghp_0123", "AKIAIOS", "eyJhbG",
        "gw-0123",
    ):  # fmt: skip
        assert secret not in text, secret
    assert "10.0.0.1:6379/0 is away" in text
    assert text.count("***") >= 11


def test_words_stay_words():
    """A line that says nothing secret is what it was."""
    for line in (
        "request req_0123456789abcdef0123 failed on a bug of ours",
        "https://api.openai.com/v1/models answered 500",
        'the key "ci" has `role: member` and may not do this',
        "2cbd4278f3a1c0ffee00112233445566778899aa is a commit, 550e8400-e29b-41d4-a716-446655440000 an id",
    ):  # fmt: skip
        assert Scrub(("short", ""))(line) == line


class Lines:
    """A writer that keeps lines."""

    def __init__(self) -> None:
        self.lines: list[dict] = []

    def put(self, render, what, *, urgent=False) -> None:
        self.lines.append(json.loads(render(what)))


def test_a_line_for_each_request_says_what_it_was():
    """Who, what, where to, how long, how much; and nothing of what was said."""
    lines = Lines()
    one = exchanged(stream=True, findings=(Finding("openai_key", rule="no-keys", action="flag"),))
    one.attempts[0].cost_micros, one.attempts[0].price_source = 1234, "genai-prices"
    RequestLines(Heard(), lines, "all").settle(one, 200, None)
    (told,) = lines.lines
    assert told["request_id"] == "req_1"
    assert (told["principal"], told["model"], told["target"], told["route"]) == ("ci", "smart", "openai/gpt-5", "smart")
    assert (told["client"], told["upstream"], told["stream"], told["status"], told["outcome"]) == (
        "anthropic",
        "openai_chat",
        True,
        200,
        "ok",
    )
    assert (told["input_tokens"], told["output_tokens"], told["cost_micros"], told["attempts"]) == (10, 20, 1234, 1)
    assert told["ttft_ms"] == 310
    assert told["findings"] == ["no-keys flag"]
    assert "body" not in told


def test_a_failure_is_told_by_its_kind_and_never_in_the_providers_words():
    """A provider may echo what it was sent, in codes and messages alike."""
    lines = Lines()
    failed = AttemptRecord(
        "openai/gpt-5", "openai_chat", 100.0, status=401, cause="our_credential", message="bad key sk-secret", ended=100.1
    )
    problem = Problem(kind="authentication", code="sk-secret", message="bad key sk-secret", origin="openai_chat")
    RequestLines(Heard(), lines, "errors").settle(exchanged(attempts=[failed], served=""), 401, problem)
    RequestLines(Heard(), lines, "errors").settle(exchanged(), 200, None)
    (told,) = lines.lines
    assert (told["error"], told["level"], told["outcome"]) == ("authentication", "warning", "error")
    assert told["failed"] == ["openai/gpt-5 our_credential 401"]
    assert "sk-secret" not in json.dumps(told)


def test_the_ledger_is_told_first():
    """Whatever becomes of the line."""
    heard = Heard()

    class Full:
        def put(self, *_what, **_how) -> None:
            assert heard.told

    RequestLines(heard, Full(), "all").settle(exchanged(), 200, None)
    assert heard.told
