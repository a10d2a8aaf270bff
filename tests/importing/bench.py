"""An importer at work: its result, read as the gateway would read it."""

import re
from pathlib import Path

from gatewright.config.load import resolve_config
from gatewright.config.tree import read_yaml, show_path
from gatewright.importing import Draft, imported
from gatewright.importing.bifrost import read_bifrost
from gatewright.importing.litellm import read_litellm
from gatewright.importing.portkey import read_portkey
from gatewright.importing.source import read_source

READERS = {"litellm": read_litellm, "bifrost": read_bifrost, "portkey": read_portkey}
ALWAYS = {
    f"{name}_API_KEY": f"sk-{name.lower()}"
    for name in ("OPENAI", "ANTHROPIC", "GROQ", "MISTRAL", "TOGETHER", "OPENROUTER", "GEMINI", "COHERE", "DEEPSEEK")
}


def drafted(gateway: str, text: str | bytes, file: str = "config.yaml") -> Draft:
    draft = Draft(read_source(file, text if isinstance(text, bytes) else text.encode()))
    READERS[gateway](draft)
    return draft


def carry(gateway: str, text: str | bytes, file: str = "config.yaml", **variables: str):
    """(the configuration that the result makes, the draft). Every variable that the result names is set."""
    draft = drafted(gateway, text, file)
    written = imported(draft, gateway).text
    environ = ALWAYS | {name: f"value-of-{name}" for name in re.findall(r"\benv:([A-Za-z_0-9]+)", written)} | ALWAYS | variables
    return resolve_config(read_yaml(written), "gatewright.yaml", Path("/nowhere"), environ), draft


def reasons(draft: Draft) -> dict[str, str]:
    """What was left → why."""
    return {show_path(one.path): one.why for one in draft.left}
