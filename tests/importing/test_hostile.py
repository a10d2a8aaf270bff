"""Whatever stands in a file: a result that reads back, or one line that says what is wrong. Never anything else."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.importing.bench import drafted
from tests.importing.test_result import FILES, HERE, paths

from gatewright.config.tree import read_yaml
from gatewright.importing import CannotImport, imported
from gatewright.importing.source import read_source

WORDS = [
    "openai",
    "openai/gpt-4o",
    "azure/x",
    "anthropic/*",
    "*",
    "a*b*c",
    "env.X",
    "os.environ/Y",
    "0.5",
    "true",
    "fallback",
    "@groq-x",
]
WORDS += ["http://h", "\n# injected: {}", '": {}', "\x00", "é\u2028", "x" * 300, "", "a: b", "- a", "{", "1e3", "~"]
LEAVES = st.none() | st.booleans() | st.sampled_from([0, -1, 10**18, 0.5, -0.0]) | st.sampled_from(WORDS)
VALUES = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.sampled_from([*WORDS, "model", "value"]), LEAVES, max_size=2)


def whole(gateway):
    top = read_source(FILES[gateway], (HERE / FILES[gateway]).read_bytes()).top
    return {name: top.take(name) for name in top.names()}


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize("gateway", FILES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_with_nonsense_in_it_is_carried_or_told(gateway, data):
    """Types in the wrong places, stars, references, text that would break out of its line; up to three at once."""
    document = whole(gateway)
    for _ in range(data.draw(st.integers(1, 3))):
        document = changed(document, data.draw(st.sampled_from(list(paths(document)))), data.draw(VALUES))
    refusal = ""
    try:
        draft = drafted(gateway, json.dumps(document), "f.json")
    except CannotImport as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("f.json:")
        assert refusal.isprintable()
        return
    tree = read_yaml(imported(draft, gateway).text)
    assert tree.troubles == ()
    assert set(tree.value) <= {"providers", "models", "aliases", "keys", "timeouts", "server"}
