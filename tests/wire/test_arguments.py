"""Arguments that stream: what is not one JSON object never reaches a client."""

import pytest

from gatewright.wire.arguments import ArgumentsGate


@pytest.mark.parametrize(
    ("pieces", "flows", "rest"),
    [
        (['{"a"', ": 1}"], '{"a": 1}', ""),
        (["", " \n", '{"a": "}{"}'], '{"a": "}{"}', ""),
        (['{"a": "\\', '"}"}'], '{"a": "\\"}"}', ""),
        (["{}", '{"a": 1}'], "{}", '{"a": 1}'),
        (["[1]"], "", "[1]"),
        (["sorry", " no"], "", "sorry no"),
        (['{"a": [{"b": {}}]}'], '{"a": [{"b": {}}]}', ""),
    ],
)
def test_one_object_flows_and_all_else_is_held_back(pieces, flows, rest):
    gate = ArgumentsGate()
    assert "".join(gate.feed(piece) for piece in pieces) == flows
    assert gate.rest == rest
    assert gate.started == bool(flows)
