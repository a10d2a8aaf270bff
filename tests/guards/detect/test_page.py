"""The page about kinds says what there is: every kind, every setting, every name; and its examples are configurations."""

import re
from pathlib import Path

import msgspec
import pytest

from gatewright.config import load_config
from gatewright.guards.detect.injection_rows import WEIGHTS
from gatewright.guards.detect.pii_rows import ROWS as PII
from gatewright.guards.detect.secret_rows import ROWS as SECRETS
from gatewright.guards.kinds import KINDS
from gatewright.pipeline.guard_kinds import ASKED_KINDS

PAGE = Path(__file__).parents[3] / "docs" / "guards-kinds.md"
TEXT = PAGE.read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
LISTS = {
    "secrets": ", ".join(f"`{kind}`" for kind in dict.fromkeys(row.kind for row in SECRETS)) + ".",
    "pii": ", ".join(f"`{kind}`" for kind in dict.fromkeys(row.kind for row in PII)) + ".",
    "weights": ", ".join(f"`{kind}` {weight}" for kind, weight in WEIGHTS.items()) + ".",
}
STUB = "providers: {claude: {kind: anthropic, api_key: x}}\nmodels: {m: {targets: [claude/m]}}\n"


@pytest.mark.parametrize("example", EXAMPLES, ids=[re.search(r"kind: (\w+)", example)[1] for example in EXAMPLES])
def test_the_examples_are_configurations(example, tmp_path):
    (tmp_path / "gatewright.yaml").write_text(STUB + example)
    config = load_config(tmp_path / "gatewright.yaml", {"LAKERA_API_KEY": "k"})
    assert len(config.guards.rules) == example.count("name: ") - example.count("{name: ticket")


@pytest.mark.parametrize(("kind", "where"), sorted({**KINDS, **ASKED_KINDS}.items()))
def test_every_kind_and_setting_is_told(kind, where):
    assert f"[`{kind}`]" in TEXT
    if kind == "invariant":
        return
    section = TEXT.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    module = __import__(where.partition(":")[0], fromlist=["Settings"])
    for field in msgspec.structs.fields(module.Settings):
        assert f"`{field.encode_name}`" in section, (kind, field.encode_name)


@pytest.mark.parametrize("name", LISTS)
def test_names_are_all_told(name):
    """To write them anew: python -m tests.guards.detect.test_page."""
    assert f"<!-- {name} -->\n{LISTS[name]}\n<!-- /{name} -->" in TEXT


if __name__ == "__main__":
    text = TEXT
    for name, said in LISTS.items():
        text = re.sub(
            rf"<!-- {name} -->\n.*?<!-- /{name} -->",
            lambda _, n=name, s=said: f"<!-- {n} -->\n{s}\n<!-- /{n} -->",
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text)
