"""The file that comes out: valid, commented, and complete."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.importing.bench import carry, drafted

from gatewright.config.tree import read_yaml
from gatewright.importing import imported
from gatewright.importing.draft import Draft, Target
from gatewright.importing.result import told, whole_weights
from gatewright.importing.source import read_source

FILES = {"litellm": "litellm.yaml", "bifrost": "bifrost.json", "portkey": "portkey.json"}
HERE = Path(__file__).parent / "files"
QUIET = {
    "litellm": ["model_list.1.model_info.mode"],
    "bifrost": [
        "$schema",
        "providers.openai.keys.1.name",
        "providers.openai.keys.1.weight",
        "providers.azure.keys.0.id",
        "providers.azure.keys.0.weight",
        "providers.azure.keys.0.azure_key_config.deployments.gpt-5",
        "providers.azure.keys.1.id",
        "providers.bedrock.keys.0.name",
        "providers.bedrock.keys.0.models",
        "providers.bedrock.keys.0.weight",
        "providers.vertex.keys.0.name",
        "providers.vertex.keys.0.models",
        "providers.vllm-local.keys.0.name",
        "providers.vllm-local.keys.0.models",
        "providers.ollama.keys.0.name",
        "providers.ollama.keys.0.value",
        "governance.virtual_keys.0.id",
        "governance.virtual_keys.0.is_active",
        "governance.virtual_keys.0.provider_configs.0.allowed_models",
    ],
    "portkey": ["strategy.mode"],
}
"""Keys that may go without a word: they name what has no name here, or say what holds anyway."""


def paths(value, at=()):
    """Every key and every item of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from paths(inner, (*at, i))


def without(document, path):
    changed = copy.deepcopy(document)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed


@pytest.mark.parametrize("gateway", FILES)
def test_what_is_written_is_a_good_configuration(gateway, tmp_path):
    """A file as people have them comes out as one that `check` takes."""
    login = tmp_path / "google.json"
    login.write_text('{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}')
    config, draft = carry(gateway, (HERE / FILES[gateway]).read_bytes(), FILES[gateway], VERTEX_CREDENTIALS=str(login))
    assert config.providers
    assert config.models
    assert draft.left


@pytest.mark.parametrize("gateway", FILES)
def test_nothing_goes_without_a_word(gateway):
    """Take any key out of the source, and the result changes, or the list of what was left does, or it is an error."""
    document = read_source(FILES[gateway], (HERE / FILES[gateway]).read_bytes()).top
    whole = {name: document.take(name) for name in document.names()}

    def outcome(value):
        try:
            draft = drafted(gateway, json.dumps(value), "f.json")
        except Exception as error:
            return str(error)
        return imported(draft, gateway).text, sorted((one.path, one.why) for one in draft.left)

    before = outcome(whole)
    left = [path for path, _ in before[1]]
    untold = (path for path in paths(whole) if not any(path[: len(above)] == above for above in left))
    assert [".".join(map(str, path)) for path in untold if outcome(without(whole, path)) == before] == QUIET[gateway]


TEXT = st.text(max_size=20)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        TEXT.filter(bool), st.recursive(TEXT | st.booleans() | st.integers() | st.none(), st.lists, max_leaves=4), min_size=1
    )
)
def test_every_text_survives_the_writing(values):
    """Quotes, colons, words that YAML takes for something else, and characters that it does not take at all."""
    draft = Draft(read_source("f", b"a: 1"))
    draft.sections["server"] = {key.encode("utf-8", "replace").decode(): _encodable(value) for key, value in values.items()}
    draft.leave(("a",), "a reason\nwith: a break # and a mark\x85\x00\x1b[31m", "models", "m")
    tree = read_yaml(imported(draft, "x\ny").text)
    assert tree.troubles == ()
    assert tree.value["server"] == draft.sections["server"]


def _encodable(value):
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_encodable(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("weights", "whole"),
    [
        ([1.0, 1.0], [1, 1]),
        ([0.7, 0.3], [7, 3]),
        ([480.0, 160.0], [3, 1]),
        ([0.0, 2.0], [0, 1]),
        ([0.0, 0.0], [1, 1]),
        ([1.0, 1e9], [1, 10_000]),
        ([1 / 3, 2 / 3], [1, 2]),
        ([], []),
    ],
)
def test_shares_as_whole_numbers(weights, whole):
    """In the same proportions, as small as can be; shares of nothing are equal shares."""
    assert whole_weights(weights) == whole


def test_remarks_stand_where_they_belong_and_the_rest_at_the_end():
    """And all of them in the order of the source, for the summary."""
    draft = Draft(read_source("f.yaml", b"a: 1\nb: 2\nc: 3"))
    draft.provider("demo", {})
    draft.model("m").targets += [Target("demo", "x"), Target("demo", "x"), Target("demo", "y", 2.0)]
    draft.leave(("c",), "last")
    draft.leave(("a",), "first", "models", "m")
    draft.remark("models", "m", "a remark")
    draft.remark("models", "m", "a remark")
    result = imported(draft, "Other")
    assert result.text.splitlines() == [
        "# Made from f.yaml (Other). Check it with: gatewright check",
        "",
        "providers:",
        "  demo: {}",
        "",
        "models:",
        "  # a remark",
        "  # not carried over: line 1, a: first",
        "  m: {targets: [demo/x, demo/y]}",
        "",
        "# Not carried over:",
        "#   line 3, c: last",
    ]
    assert [told(draft, one) for one in result.left] == ["f.yaml:1:1 a: first", "f.yaml:3:1 c: last"]
    assert result.counts == ((1, "provider"), (1, "model"), (0, "key"))
