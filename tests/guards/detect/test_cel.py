import subprocess
import sys

import msgspec
import pytest

from gatewright.exchange import Principal
from gatewright.guards.detect.cel import compiled
from gatewright.guards.terms import Text
from gatewright.ir import blocks
from tests.guards.detect.talks import answer, talk, user


class Asker(msgspec.Struct):
    request_id: str = "r"
    principal: Principal | None = None


async def kinds(expression: str, request=None, said=None, texts=(), principal=None) -> list[str]:
    rule = compiled({"expression": expression})
    return [f.kind for f in await rule.asked.ask(request or talk(user("hi")), said, texts, Asker(principal=principal))]


async def test_an_expression_speaks_of_what_is_asked_and_answered():
    """Each of the six names, as the neutral form has it."""
    asked = talk(user("hi"), tools=("a", "b"))
    assert await kinds("size(tools) > 1", asked) == ["cel"]
    assert await kinds("size(tools) > 2", asked) == []
    assert await kinds("request.model == 'm'", asked) == ["cel"]
    assert await kinds("messages.exists(m, m.role == 'user')", asked) == ["cel"]
    assert await kinds("answer == null", asked) == ["cel"]
    assert await kinds("answer != null && answer.blocks[0].text.contains('x')", asked, answer(blocks.Text(text="axb"))) == ["cel"]
    assert await kinds("texts.exists(t, t.part == 'user' && t.text.matches('^h'))", texts=[Text("user", "p", "hello")]) == ["cel"]


async def test_it_knows_who_calls():
    """By name, team and tags; nobody has none."""
    somebody = Principal(name="ci", tags=("batch",), team="t1")
    assert await kinds("'batch' in principal.tags && principal.team == 't1'", principal=somebody) == ["cel"]
    assert await kinds("principal.name == ''") == ["cel"]


async def test_what_fails_or_gives_no_truth_is_a_finding():
    """An expression that cannot say no does not say no."""
    assert await kinds("request.nothing.at_all == 1") == ["cel_failed"]
    assert await kinds("size(messages)") == ["cel_failed"]
    assert await kinds("size(messages) > unknown") == ["cel_failed"]


@pytest.mark.parametrize(
    ("expression", "says"),
    [("a.b >", "not an expression"), ("1 == 1", "speaks of none of"), ("(" * 5000, "not an expression"), ("", "not an")],
)
def test_what_is_wrong_is_told_with_its_place(expression, says):
    with pytest.raises(ValueError, match=rf"{says}.*\$.expression"):
        compiled({"expression": expression})


def test_without_the_extra_its_name_is_told():
    """In a process that has not the package."""
    code = (
        "import sys; sys.modules['cel'] = None\n"
        "from gatewright.guards.detect.cel import compiled\n"
        "try: compiled({'expression': 'size(tools) > 1'})\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'gatewright[cel]'" in done.stdout
