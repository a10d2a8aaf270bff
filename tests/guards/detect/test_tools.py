import pytest

from gatewright.guards.detect.tools import compiled
from gatewright.ir.blocks import ToolCall
from gatewright.ir.request import Request, Tool
from tests.guards.detect.talks import answer, call, calls, gives, native, talk, user

DENY_MAIL = {"deny": [{"tool": "send_*", "arguments": {"to": {"not_matches": r"@example\.com$"}}}]}


def found(settings: dict, request: Request, said=None) -> list[tuple[str, str]]:
    return [(finding.kind, finding.path) for finding in compiled(settings).judge.judge(request, said)]


def test_a_denied_tool_may_not_be_offered_or_called():
    """By its name or a glob, in capitals or not; of the request what was called before, of an answer what it calls."""
    settings = {"deny": ["delete_*"]}
    asked = talk(user("hi"), calls(call("Delete_All"), call("search")), tools=("search", "delete_file"))
    assert found(settings, asked) == [("tool_denied", "messages[1].content[0]"), ("tool_denied", "tools[1]")]
    assert found(settings, asked, answer(call("delete_file"), call("x"))) == [("tool_denied", "content[0]")]
    assert found(settings, asked, answer(call("search"))) == []


def test_where_some_are_allowed_no_others_are():
    settings = {"allow": ["search", "read_*"]}
    assert found(settings, talk(tools=("search", "read_file", "write_file"))) == [("tool_not_allowed", "tools[2]")]
    assert found(settings, talk(), answer(call("exec"))) == [("tool_not_allowed", "content[0]")]


def test_arguments_make_the_difference():
    """A tool with conditions may be offered; how it is called decides."""
    asked = talk(tools=("send_email",))
    assert found(DENY_MAIL, asked) == []
    assert found(DENY_MAIL, asked, answer(call("send_email", to="boss@example.com"))) == []
    assert found(DENY_MAIL, asked, answer(call("send_email", to="x@evil.example"))) == [("tool_denied", "content[0]")]
    allow = {"allow": [{"tool": "read_file", "arguments": {"path": "^/work/"}}]}
    assert found(allow, talk(tools=("read_file",)), answer(call("read_file", path="/work/a"))) == []
    assert found(allow, talk(), answer(call("read_file", path="/etc/passwd"))) == [("tool_not_allowed", "content[0]")]
    assert found(allow, talk(), answer(call("read_file"))) == [("tool_not_allowed", "content[0]")]


def test_arguments_that_cannot_be_read_are_denied():
    """Where anything is said of them."""
    broken = ToolCall(id="1", name="send_email", arguments='{"to": "boss@example.com"')
    twice = ToolCall(id="1", name="send_email", arguments='{"to":"a@example.com","to":"b@evil.example"}')
    for each in (broken, twice):
        [finding] = compiled(DENY_MAIL).judge.judge(talk(), answer(each))
        assert "cannot be read" in finding.message
    assert found({"deny": ["exec"]}, talk(), answer(broken)) == []


def test_other_ways_to_call_are_calls():
    """A custom tool's input, a provider's own tools, the further choices of an answer."""
    custom = ToolCall(id="1", name="sql", arguments="DROP TABLE x", kind="custom")
    assert found({"deny": [{"tool": "sql", "arguments": {"input": "(?i)drop"}}]}, talk(), answer(custom))
    hosted = native(type="server_tool_use", name="web_search", input={"query": "x"})
    assert found({"deny": ["web_search"]}, talk(), answer(hosted))
    assert found({"deny": ["web_search"]}, talk(), answer(native(type="web_search_call", action={"query": "x"})))
    choice = {"message": {"tool_calls": [{"function": {"name": "exec", "arguments": '{"cmd": "ls"}'}}]}}
    assert found({"deny": [{"tool": "exec", "arguments": {"cmd": "ls"}}]}, talk(), answer(others=(choice,)))
    gemini = {"content": {"parts": [{"functionCall": {"name": "exec", "args": {"cmd": "ls"}}}]}}
    assert found({"deny": ["exec"]}, talk(), answer(others=(gemini,)))
    offered = Request(origin="openai_responses", model="m", tools=(Tool(name="", kind="hosted", hosted="web_search"),))
    assert found({"deny": ["web_search"]}, offered) == [("tool_denied", "tools[0]")]
    assert found({"allow": ["search"]}, offered) == [("tool_not_allowed", "tools[0]")]
    assert found({"allow": ["web_search"]}, offered) == []


def test_what_is_looked_at_is_chosen():
    asked = talk(calls(call("exec", "1")), gives("1", "done"), tools=("exec",))
    assert found({"deny": ["exec"], "in": ["results"]}, asked) == [("tool_denied", "messages[1].content[0]")]
    assert found({"deny": ["exec"], "in": ["definitions"]}, asked) == [("tool_denied", "tools[0]")]
    assert len(found({"deny": ["exec"], "in": ["definitions", "calls", "results"]}, asked)) == 3


def test_findings_never_hold_arguments():
    [finding] = compiled(DENY_MAIL).judge.judge(talk(), answer(call("send_email", to="secret@evil.example")))
    assert "evil" not in finding.message
    assert "send_email" in finding.message


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "something must be denied or allowed"),
        ({"deny": [""]}, r"must not be empty.*\$.deny\[0\]"),
        ({"deny": [{"tool": "x", "arguments": {"a": "("}}]}, r"\$.deny\[0\].arguments.a.matches"),
        ({"deny": ["x"], "in": []}, r"\$.in"),
        ({"deny": ["x"], "in": ["call"]}, r"\$.in"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(settings, says):
    with pytest.raises(ValueError, match=says):
        compiled(settings)
