"""How each client is told where the gateway is: lines to paste, and settings files to edit. Data and pure functions.

One rule: a client is one row; what it needs was seen to work with the version named beside it.
"""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from gatewright.jsontypes import JsonObject

Format = Literal["json", "toml", "dotenv"]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What a client must know."""

    url: str
    """`http://127.0.0.1:4000`, without a version: what Anthropic and Google clients take."""
    key: str
    model: str

    @property
    def openai_url(self) -> str:
        """What OpenAI clients take."""
        return f"{self.url}/v1"


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A settings file and what it must say; everything else in it stays."""

    path: Path
    format: Format
    changes: JsonObject


class Client(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    title: str
    lines: Callable[[Address], str]
    """What to paste."""
    edits: Callable[[Address, Mapping[str, str]], tuple[Edit, ...]] | None = None
    """The files that `--write` edits, given the environment. None: it has no settings file."""


def _curl(a: Address) -> str:
    body = msgspec.json.encode({"model": a.model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}).decode()
    return (
        f"curl -N {a.openai_url}/chat/completions -H {_quoted(f'Authorization: Bearer {a.key}')} \\\n"
        f"  -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )


def _openai_sdk(a: Address) -> str:
    return f"export OPENAI_BASE_URL={a.openai_url} OPENAI_API_KEY={_quoted(a.key)}   # model={a.model!r}"


def _anthropic_sdk(a: Address) -> str:
    return f"export ANTHROPIC_BASE_URL={a.url} ANTHROPIC_API_KEY={_quoted(a.key)}   # model={a.model!r}"


def _google_sdk(a: Address) -> str:
    return f"export GOOGLE_GEMINI_BASE_URL={a.url} GEMINI_API_KEY={_quoted(a.key)}   # model={a.model!r}"


def _claude_code(a: Address) -> str:
    model = shlex.quote(a.model)
    return (
        f"ANTHROPIC_BASE_URL={a.url} ANTHROPIC_AUTH_TOKEN={_quoted(a.key)} "
        f"ANTHROPIC_MODEL={model} ANTHROPIC_DEFAULT_HAIKU_MODEL={model} claude"
    )


def _codex(a: Address) -> str:
    settings = {
        "model_provider": "gatewright",
        "model_providers.gatewright.name": "Gatewright",
        "model_providers.gatewright.base_url": a.openai_url,
        "model_providers.gatewright.env_key": "GATEWRIGHT_KEY",
        "model_providers.gatewright.wire_api": "responses",
    }
    options = " ".join(f"-c {name}={shlex.quote(f'{chr(34)}{value}{chr(34)}')}" for name, value in settings.items())
    given = "" if a.key == "$GATEWRIGHT_KEY" else f"GATEWRIGHT_KEY={_quoted(a.key)} "
    return f"{given}codex {options} -m {shlex.quote(a.model)}"


def _gemini_cli(a: Address) -> str:
    return f"GOOGLE_GEMINI_BASE_URL={a.url} GEMINI_API_KEY={_quoted(a.key)} gemini -m {shlex.quote(a.model)}"


def _opencode(a: Address) -> str:
    return msgspec.json.format(msgspec.json.encode(_opencode_settings(a)), indent=2).decode()


def _quoted(text: str) -> str:
    """For a shell: variables stay variables."""
    return f'"{text}"' if "$" in text else shlex.quote(text)


def home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """The client's own variable for its folder, else its usual place."""
    return Path(environ[variable]) if environ.get(variable) else home(environ) / default


def _claude_code_edits(a: Address, environ: Mapping[str, str]) -> tuple[Edit, ...]:
    env: JsonObject = {
        "ANTHROPIC_BASE_URL": a.url,
        "ANTHROPIC_AUTH_TOKEN": a.key,
        "ANTHROPIC_MODEL": a.model,
        # Small side tasks go to a Haiku by name, which the gateway need not serve.
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": a.model,
    }
    return (Edit(path=_folder(environ, "CLAUDE_CONFIG_DIR", ".claude") / "settings.json", format="json", changes={"env": env}),)


def _codex_edits(a: Address, environ: Mapping[str, str]) -> tuple[Edit, ...]:
    folder = _folder(environ, "CODEX_HOME", ".codex")
    provider: JsonObject = {"name": "Gatewright", "base_url": a.openai_url, "env_key": "GATEWRIGHT_KEY", "wire_api": "responses"}
    changes: JsonObject = {"model": a.model, "model_provider": "gatewright", "model_providers": {"gatewright": provider}}
    return (
        Edit(path=folder / "config.toml", format="toml", changes=changes),
        Edit(path=folder / ".env", format="dotenv", changes={"GATEWRIGHT_KEY": a.key}),
    )


def _gemini_cli_edits(a: Address, environ: Mapping[str, str]) -> tuple[Edit, ...]:
    folder = _folder(environ, "GEMINI_CLI_HOME", "") / ".gemini"
    env: JsonObject = {"GOOGLE_GEMINI_BASE_URL": a.url, "GEMINI_API_KEY": a.key, "GEMINI_MODEL": a.model}
    # Without a chosen way to sign in it asks, and fails where nobody can answer.
    chosen: JsonObject = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    return (
        Edit(path=folder / ".env", format="dotenv", changes=env),
        Edit(path=folder / "settings.json", format="json", changes=chosen),
    )


def _opencode_settings(a: Address) -> JsonObject:
    return {
        "$schema": "https://opencode.ai/config.json",
        "model": f"gatewright/{a.model}",
        "provider": {
            "gatewright": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Gatewright",
                "options": {"baseURL": a.openai_url, "apiKey": a.key},
                "models": {a.model: {"name": a.model}},
            }
        },
    }


def _opencode_edits(a: Address, environ: Mapping[str, str]) -> tuple[Edit, ...]:
    folder = _folder(environ, "XDG_CONFIG_HOME", ".config") / "opencode"
    return (Edit(path=folder / "opencode.json", format="json", changes=_opencode_settings(a)),)


CLIENTS: tuple[Client, ...] = (
    Client(name="claude-code", title="Claude Code", lines=_claude_code, edits=_claude_code_edits),  # 2.1.330
    Client(name="codex", title="Codex", lines=_codex, edits=_codex_edits),  # 0.169.0
    Client(name="gemini-cli", title="Gemini CLI", lines=_gemini_cli, edits=_gemini_cli_edits),  # 0.61.0
    Client(name="opencode", title="opencode", lines=_opencode, edits=_opencode_edits),  # 1.18.33
    Client(name="openai-sdk", title="OpenAI SDK", lines=_openai_sdk),
    Client(name="anthropic-sdk", title="Anthropic SDK", lines=_anthropic_sdk),
    Client(name="google-sdk", title="Google Gen AI SDK", lines=_google_sdk),
    Client(name="curl", title="curl", lines=_curl),
)
BY_NAME: dict[str, Client] = {client.name: client for client in CLIENTS}


def snippet(name: str, address: Address) -> str:
    """Lines to paste for the client `name`."""
    return BY_NAME[name].lines(address)
