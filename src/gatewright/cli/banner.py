"""What is shown at start: what is served, and lines to paste for every client. Pure.

One rule: a declared key is never shown; the generated one is, because nobody else can tell it.
"""

from collections.abc import Sequence

from gatewright.cli.clients import Address, snippet
from gatewright.config import Config

SHOWN: tuple[tuple[str, str], ...] = (
    ("curl", "curl"),
    ("openai-sdk", "OpenAI SDK"),
    ("anthropic-sdk", "Anthropic SDK"),
    ("google-sdk", "Google SDK"),
    ("claude-code", "Claude Code"),
    ("codex", "Codex"),
    ("gemini-cli", "Gemini CLI"),
)
"""Client → its name for people, in the order of the banner."""
PLACEHOLDER = "$GATEWRIGHT_KEY"
MAX_NAMES = 12


def banner(config: Config, *, version: str, host: str, port: int, generated_key: str | None = None) -> str:
    """The text. `generated_key`: the client key, if it was generated; declared ones stay hidden."""
    url = base_url(host, port, scheme(config))
    address = Address(url=url, key=generated_key or PLACEHOLDER, model=example_model(config) or "provider/model")
    lines = [f"Gatewright {version} on {url}", ""]
    lines += [f"  providers  {_named(list(config.providers)) or 'none'}"]
    lines += [f"  models     {_models(config)}"]
    lines += [f"  client key {_key(config, generated_key)}"]
    lines += [f"  warning    {warning}" for warning in config.warnings]
    for client, title in SHOWN:
        lines += ["", f"# {title}", *snippet(client, address).splitlines()]
    lines += ["", "# More: gatewright connect --help   (--write puts these into the client's own settings)"]
    return "\n".join(lines) + "\n"


def started(config: Config, *, version: str, host: str, port: int) -> str:
    """The same for machines, in a line that is kept: no key is in it, generated or not."""
    known = f"{_named(list(config.providers)) or 'no providers'}; {_models(config)}"
    return f"Gatewright {version} on {base_url(host, port, scheme(config))}: {known}"


def base_url(host: str, port: int, scheme: str = "http") -> str:
    """Where clients on this machine reach a gateway that listens on `host`."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared with, not bound
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def scheme(config: Config) -> str:
    """How it is reached: by TLS where there is a certificate."""
    return "https" if config.server.tls_cert_file else "http"


def example_model(config: Config) -> str | None:
    """A model name that surely leads somewhere, for examples; None when the configuration names none."""
    concrete = next((name for name in config.models if "*" not in name), None)
    if concrete is not None:
        return concrete
    if config.aliases:
        return next(iter(config.aliases))
    return next((f"{name}/demo" for name, provider in config.providers.items() if provider.kind == "demo"), None)


def _models(config: Config) -> str:
    any_model = f"{next(iter(config.providers), 'provider')}/…"
    names = _named([*config.models, *config.aliases])
    return f"{names}; and provider/model: {any_model}" if names else f"any provider/model, such as {any_model}"


def _key(config: Config, generated_key: str | None) -> str:
    if generated_key is not None:
        return generated_key
    names = _named([key.name for key in config.keys])
    return f"declared: {names}" if names else "none: every call is refused"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES])
    return f"{shown} and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else shown
