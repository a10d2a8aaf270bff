"""What the demo model answers, in neutral form."""

import msgspec
import pytest

from gatewright.errors import Refused
from gatewright.ir.blocks import Inline, Media, Message, Reasoning, Refusal, Text, ToolCall, ToolResult, Url
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from gatewright.ir.seal import Seal
from gatewright.transport.demo.mind import make_seal, seal_is_damaged, think

WEATHER = Tool(
    name="get_weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
        "required": ["city", "unit"],
    },
)
CLOCK = Tool(name="get_time", parameters={"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]})


def user(*blocks):
    """A user's message; strings are text."""
    return Message(role="user", blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks))


def ask(*blocks, dialect="anthropic", **fields):
    """The answer to one user message."""
    fields.setdefault("messages", (user(*blocks),))
    return think(Request(origin=dialect, model="demo", **fields), dialect).response


def text_of(response):
    return "".join(block.text for block in response.blocks if isinstance(block, Text))


def test_it_says_what_it_is_and_what_it_was_asked():
    """Nobody must take it for a model."""
    response = ask("What is the capital of France?")
    assert "demo model" in text_of(response)
    assert "What is the capital of France?" in text_of(response)
    assert response.finish.reason == "stop"
    assert response.model == "demo"


def test_the_same_question_has_the_same_answer():
    """Tests and caches can rely on it."""
    assert ask("hi") == ask("hi")
    assert ask("hi").id != ask("ho").id


def test_usage_is_counted_by_characters():
    """Figures that can be checked by hand."""
    response = ask("x" * 40)
    assert response.usage.input == 10
    assert response.usage.output == -(-len(text_of(response)) // 4)
    assert response.usage.reasoning is None


def test_a_tool_is_called_with_valid_arguments():
    """Required fields are there, and enums are kept."""
    (call,) = ask('How is it in "Oslo"?', tools=(WEATHER,)).blocks
    assert isinstance(call, ToolCall)
    assert (call.name, msgspec.json.decode(call.arguments)) == ("get_weather", {"city": "Oslo", "unit": "c"})
    assert ask("x", tools=(WEATHER,)).finish.reason == "tool_calls"


def test_the_tool_that_the_prompt_names_is_called_and_several_at_once():
    """Parallel calls can be tried by naming two tools."""
    both = (WEATHER, CLOCK)
    assert [b.name for b in ask("use get_time please", tools=both).blocks] == ["get_time"]
    assert [b.name for b in ask("get weather and get time", tools=both).blocks] == ["get_weather", "get_time"]
    assert [b.name for b in ask("get_weather and get_time", tools=both, parallel_tool_calls=False).blocks] == ["get_weather"]
    calls = ask("get_weather and get_time", tools=both).blocks
    assert len({call.id for call in calls}) == 2


def tools(*names):
    return tuple(
        Tool(name=name, parameters={"properties": {"command": {"type": "string"}}, "required": ["command"]}) for name in names
    )


def test_the_prompts_words_never_become_a_command():
    """An agent may run what it is told without asking; a question about `rm` must not remove anything."""
    (call,) = ask('use the bash tool: what does "rm -rf ~" do?', tools=tools("bash")).blocks
    assert msgspec.json.decode(call.arguments) == {"command": "demo"}


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("write a test", "read_file"),
        ("use the write tool", "write"),
        ("call Bash now", "bash"),
        ("the bash tool, please", "bash"),
        ("read file a.py", "read_file"),
        ("hi", "read_file"),
    ],
)
def test_where_none_is_named_a_tool_that_only_looks_is_called(prompt, name):
    """Common words are no tool names."""
    assert ask(prompt, tools=tools("bash", "write", "read_file")).blocks[0].name == name


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (ToolChoice(mode="auto"), ["get_weather"]),
        (ToolChoice(mode="none"), []),
        (ToolChoice(mode="required"), ["get_weather"]),
        (ToolChoice(mode="tool", names=("get_time",)), ["get_time"]),
        (ToolChoice(mode="required", names=("get_time",)), ["get_time"]),
    ],
)
def test_tool_choice_is_respected(choice, names):
    """Forced, forbidden and restricted choices."""
    blocks = ask("hi", tools=(WEATHER, CLOCK), tool_choice=choice).blocks
    assert [block.name for block in blocks if isinstance(block, ToolCall)] == names


def test_after_tool_results_it_says_what_came_back():
    """The loop of an agent ends."""
    messages = (
        user("weather?"),
        Message(role="assistant", blocks=(ToolCall(id="a", name="get_weather", arguments="{}"),)),
        user(ToolResult(call_id="a", content=(Text(text="12 degrees"),)), ToolResult(call_id="b", content=(), is_error=True)),
    )
    response = ask(messages=messages, tools=(WEATHER,))
    assert response.finish.reason == "stop"
    assert '2 tool results came back: "12 degrees"; "" (an error).' in text_of(response)


def test_a_new_question_after_results_calls_again():
    """Old results do not end a new turn."""
    messages = (
        user("weather?"),
        Message(role="assistant", blocks=(ToolCall(id="a", name="get_weather", arguments="{}"),)),
        user(ToolResult(call_id="a", content=(Text(text="12"),))),
        Message(role="assistant", blocks=(Text(text="It is 12."),)),
        user("and now?"),
    )
    assert ask(messages=messages, tools=(WEATHER,)).finish.reason == "tool_calls"


def test_custom_and_hosted_tools():
    """Free-form tools get text; hosted ones are the provider's to run, and the demo has none."""
    (call,) = ask('patch "a b"', tools=(Tool(name="patch", kind="custom"),)).blocks
    assert (call.kind, call.arguments) == ("custom", "demo")
    assert ask("x", tools=(Tool(name="web_search", kind="hosted", hosted="web_search"),)).finish.reason == "stop"


@pytest.mark.parametrize(
    ("thinking", "reasons"),
    [
        (None, False),
        (Thinking(enabled=True, budget=1024), True),
        (Thinking(effort="low"), True),
        (Thinking(adaptive=True), True),
        (Thinking(enabled=False), False),
        (Thinking(effort="none"), False),
        (Thinking(budget=0), False),
    ],
)
def test_reasoning_is_shown_when_asked(thinking, reasons):
    """And counted on its own axis."""
    response = ask("hi", thinking=thinking)
    assert isinstance(response.blocks[0], Reasoning) == reasons
    assert (response.usage.reasoning is not None) == reasons


@pytest.mark.parametrize("dialect", ["anthropic", "openai_responses", "gemini"])
def test_a_seal_that_comes_back_unchanged_is_accepted_and_a_damaged_one_refused(dialect):
    """What a gateway must carry faithfully can be seen to arrive."""
    block = ask("hi", dialect=dialect, thinking=Thinking(enabled=True)).blocks[0]
    assert block.seal.dialect == dialect
    follow = (user("hi"), Message(role="assistant", blocks=(block,)), user("go on"))
    assert ask(messages=follow, dialect=dialect).finish.reason == "stop"
    broken = msgspec.structs.replace(block, seal=msgspec.structs.replace(block.seal, data=block.seal.data[:-8] + "AAAAAAA="))
    with pytest.raises(Refused, match="changed on its way"):
        ask(messages=(user("hi"), Message(role="assistant", blocks=(broken,)), user("go on")), dialect=dialect)


def test_seals_of_others_are_not_judged():
    """A client may send what another provider made."""
    assert not seal_is_damaged("skip_thought_signature_validator")
    assert not seal_is_damaged("RXFRQg==")
    assert not seal_is_damaged(make_seal("anthropic", "x").data)
    foreign = Reasoning(text="t", seal=Seal(dialect="anthropic", data="RXFRQg=="))
    assert ask(messages=(Message(role="assistant", blocks=(foreign,)), user("hi"))).finish.reason == "stop"


def test_json_output_is_valid_against_its_schema():
    """Structured output works without a model."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}, "ok": {"type": "boolean"}},
        "required": ["n", "ok"],
    }
    text = text_of(ask("hi", output=OutputFormat(kind="json_schema", schema=schema)))
    assert msgspec.json.decode(text) == {"n": 3, "ok": True}
    assert msgspec.json.decode(text_of(ask("hi", output=OutputFormat(kind="json_object"))))["answer"] == "hi"


def test_media_are_acknowledged_with_kind_and_size():
    """What arrived can be compared with what was sent."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAAAAAAAAA="))
    link = Media(kind="document", source=Url(url="https://example.com/a.pdf"), title="a.pdf")
    text = text_of(ask("look", image, link))
    assert 'You sent an image (image/png, 8 bytes); a document "a.pdf" (by URL).' in text


def test_stop_sequences_and_limits_cut_the_answer():
    """The finish says why."""
    response = ask("hi", sampling=Sampling(stop=("needs", "of Gate")))
    assert (text_of(response), response.finish.reason, response.finish.sequence) == (
        "This is the demo model ",
        "stop_sequence",
        "of Gate",
    )
    response = ask("hi", max_tokens=2)
    assert (text_of(response), response.finish.reason) == ("This is ", "length")
    assert response.usage.output == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "authentication"), (429, "rate_limit"), (500, "upstream"), (529, "overloaded"), (418, "invalid_request")],
)
def test_errors_come_to_order(status, kind):
    """People try how their client bears them."""
    with pytest.raises(Refused) as caught:
        ask(f"please demo:error {status}")
    problem = caught.value.problem
    assert (problem.http_status, problem.kind) == (status, kind)
    assert (problem.retry_after_s is not None) == (kind in ("rate_limit", "overloaded"))


@pytest.mark.parametrize("prompt", ["demo:error", "demo:error 200", "demo:error 999"])
def test_an_error_that_is_none_is_a_500(prompt):
    """A wrong number still gives an error, never a success."""
    with pytest.raises(Refused) as caught:
        ask(prompt)
    assert caught.value.problem.http_status == 500


def test_refusals_filters_waits_and_cuts_come_to_order():
    """Every end of an answer can be tried."""
    assert isinstance(ask("demo:refuse").blocks[0], Refusal)
    assert ask("demo:refuse").finish.reason == "refusal"
    assert ask("demo:filter").finish.reason == "content_filter"
    request = Request(origin="gemini", model="demo", messages=(user("demo:wait 5"),))
    assert think(request, "gemini").wait_s == 5
    assert think(msgspec.structs.replace(request, messages=(user("demo:cut"),)), "gemini").cut


def test_long_questions_are_echoed_from_their_end():
    """Agents put pages before the question."""
    text = text_of(ask("x" * 5000 + " the question"))
    assert "the question" in text
    assert len(text) < 1000
