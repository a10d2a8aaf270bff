"""Requests for a Gemini upstream, from other dialects."""

import pytest

from gatewright.errors import Refused
from gatewright.ir.blocks import (
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Message,
    Native,
    Reasoning,
    Text,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from gatewright.ir.seal import Seal
from tests.dialects.gemini.asking import losses_of, rendered


def chat(*messages, **more):
    return Request(origin="openai_chat", model="m", messages=messages, **more)


def user(*blocks):
    return Message(role="user", blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks), at="messages[0]")


def assistant(*blocks):
    return Message(role="assistant", blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks), at="messages[1]")


def call(id_, name="f", arguments="{}", **more):
    return ToolCall(id=id_, name=name, arguments=arguments, at=f"call.{id_}", **more)


def result(id_, text="ok", **more):
    return ToolResult(call_id=id_, content=(Text(text=text),), at=f"result.{id_}", **more)


def responses(turn):
    return [part["functionResponse"] for part in turn["parts"] if "functionResponse" in part]


def test_the_path_asks_for_events():
    """Upstream streams are always server-sent events, whatever the client reads."""
    assert (
        rendered(chat(user("Hi"), stream=True), "openai/x y").path == "/v1beta/models/openai/x%20y:streamGenerateContent?alt=sse"
    )
    assert rendered(chat(user("Hi"))).path == "/v1beta/models/gemini-2.5-flash:generateContent"


def test_neighbours_of_one_role_are_one_turn():
    """Gemini's turns alternate."""
    body = rendered(chat(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))).body
    assert [(turn["role"], len(turn["parts"])) for turn in body["contents"]] == [("user", 2), ("model", 2), ("user", 1)]


def test_results_follow_the_order_of_their_calls_with_their_names():
    """Chat sends one message a result, in any order, without names."""
    body = rendered(
        chat(user("go"), assistant(call("1", "a"), call("2", "b")), user(result("2", "two")), user(result("1", "one"), "and?"))
    ).body
    answers = responses(body["contents"][2])
    assert [(a["name"], a["id"], a["response"]) for a in answers] == [
        ("a", "1", {"result": "one"}),
        ("b", "2", {"result": "two"}),
    ]
    assert body["contents"][2]["parts"][2] == {"text": "and?"}


def test_every_call_gets_a_response():
    """Gemini refuses a turn with fewer responses than calls."""
    out = rendered(chat(user("go"), assistant(call("1"), call("2")), user(result("2"))))
    assert [a["response"] for a in responses(out.body["contents"][2])] == [{"error": "no result was given"}, {"result": "ok"}]
    assert losses_of(out)["call.1"] == "approximated"


def test_calls_without_ids_pair_by_name_and_order():
    """Several hosts give no ids."""
    body = rendered(
        chat(user("go"), assistant(call("", "a"), call("", "b")), user(result("", "B", name="b"), result("", "A", name="a")))
    ).body
    assert [a["response"]["result"] for a in responses(body["contents"][2])] == ["A", "B"]


def test_a_result_without_its_call_is_told_as_text():
    """Gemini refuses a function response that follows no call."""
    out = rendered(chat(user("hi"), assistant("ho"), user(result("9", "lost"))))
    assert out.body["contents"][2]["parts"] == [{"text": "Result of 9: lost"}]
    assert losses_of(out)["result.9"] == "approximated"


def test_failures_are_errors():
    """`is_error` has its own key."""
    body = rendered(chat(user("go"), assistant(call("1")), user(result("1", "bad", is_error=True)))).body
    assert responses(body["contents"][2])[0]["response"] == {"error": "bad"}


@pytest.mark.parametrize(("model", "inside"), [("gemini-3-pro-preview", True), ("gemini-2.5-pro", False)])
def test_media_in_results(model, inside):
    """Gemini 3 takes it within the response, older models beside it; then it is told."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"), at="image")
    out = rendered(chat(user("go"), assistant(call("1")), user(ToolResult(call_id="1", content=(image,), at="r"))), model)
    turn = out.body["contents"][2]
    assert ("parts" in responses(turn)[0]) is inside
    assert any("inlineData" in part for part in turn["parts"]) is not inside
    assert ("image" in losses_of(out)) is not inside


@pytest.mark.parametrize(
    ("model", "expected"), [("gemini-3-flash-preview", "skip_thought_signature_validator"), ("gemini-2.5-flash", None)]
)
def test_gemini_3_gets_the_sentinel_on_the_first_call_of_a_turn(model, expected):
    """It refuses unsigned calls; older models know no sentinel."""
    turn = rendered(chat(user("go"), assistant(call("1"), call("2"))), model).body["contents"][1]
    assert [part.get("thoughtSignature") for part in turn["parts"]] == [expected, None]


def test_an_own_seal_goes_back_to_the_part_it_signed():
    """Clients that have no place on a call carry the seal as empty reasoning before it."""
    seal = Seal(dialect="gemini", data="QUJD", issuer="google")
    turn = rendered(chat(user("go"), assistant(Reasoning(seal=seal), call("1"))), "gemini-3-pro-preview").body["contents"][1]
    assert turn["parts"] == [{"functionCall": {"name": "f", "id": "1", "args": {}}, "thoughtSignature": "QUJD"}]


def test_foreign_reasoning_stays_behind_and_says_so():
    """No other provider's signature can be read here."""
    out = rendered(chat(user("go"), assistant(Reasoning(text="hm", seal=Seal(dialect="anthropic", data="x"), at="r"), "yes")))
    assert out.body["contents"][1]["parts"] == [{"text": "yes"}]
    assert {loss.weight for loss in out.losses} == {"hint", "dropped"}


def test_invalid_arguments_survive():
    """`args` must be an object: anything else is wrapped and told."""
    out = rendered(chat(user("go"), assistant(call("1", arguments='{"a":'))))
    assert out.body["contents"][1]["parts"][0]["functionCall"]["args"] == {"_raw": '{"a":'}
    assert losses_of(out)["call.1"] == "approximated"


def test_system_messages_stand_in_front_and_late_ones_are_told():
    """Gemini has one place for instructions."""
    late = Message(role="system", blocks=(Text(text="B"),), at="messages[1]")
    out = rendered(chat(Message(role="system", blocks=(Text(text="A"),)), user("hi"), late))
    assert out.body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert losses_of(out) == {"messages[1]": "approximated"}


def test_instructions_alone_get_something_to_answer():
    """Gemini refuses a request without contents."""
    assert rendered(chat(Message(role="system", blocks=(Text(text="A"),)))).body["contents"] == [
        {"role": "user", "parts": [{"text": " "}]}
    ]


def test_another_providers_file_is_refused():
    """Answering without it would be worse."""
    with pytest.raises(Refused, match="cannot read anthropic files"):
        rendered(chat(user(Media(kind="image", source=FileRef(id="file_1", origin="anthropic"), at="messages[0].content[0]"))))


def test_urls_get_a_media_type():
    """fileData wants one; a URL mostly tells it."""
    body = rendered(chat(user(Media(kind="image", source=Url(url="https://example.org/a.webp?x=1"))))).body
    assert body["contents"][0]["parts"][0] == {
        "fileData": {"fileUri": "https://example.org/a.webp?x=1", "mimeType": "image/webp"}
    }


def test_foreign_schemas_lose_only_what_gemini_refuses_and_say_so():
    """Unknown keywords go into the description, references stay."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "a": {"type": "string", "pattern": "^x$", "description": "An a"},
            "b": {"$ref": "#/definitions/b"},
            "c": {"const": 3},
        },
        "definitions": {"b": {"type": "integer", "exclusiveMinimum": 0}},
        "additionalProperties": False,
    }
    out = rendered(chat(user("go"), tools=(Tool(name="f", parameters=schema, at="tools[0].function"),)))
    assert out.body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": 'An a (pattern: "^x$")'},
            "b": {"$ref": "#/$defs/b"},
            "c": {"enum": [3]},
        },
        "$defs": {"b": {"type": "integer", "description": "exclusiveMinimum: 0"}},
        "additionalProperties": False,
    }
    assert losses_of(out) == {
        "tools[0].function.parameters.$schema": "hint",
        "tools[0].function.parameters.properties.a.pattern": "approximated",
        "tools[0].function.parameters.definitions.b.exclusiveMinimum": "approximated",
    }


def test_hosted_tools_get_an_equivalent_or_a_loss():
    """Gemini searches the web itself; it generates no images by tool."""
    search = Tool(name="web_search", kind="hosted", hosted="web_search", native={"type": "web_search"}, at="tools[0]")
    draw = Tool(name="draw", kind="hosted", hosted="image_generation", native={"type": "image_generation"}, at="tools[1]")
    out = rendered(chat(user("go"), tools=(search, draw)))
    assert out.body["tools"] == [{"googleSearch": {}}]
    assert losses_of(out) == {"tools[0]": "approximated", "tools[1]": "dropped"}


def test_free_form_tools_become_functions_of_one_text():
    """And their calls too."""
    out = rendered(
        chat(
            user("go"),
            assistant(call("1", "patch", "*** text", kind="custom")),
            tools=(Tool(name="patch", kind="custom", native={"x": 1}, at="t"),),
        )
    )
    declaration = out.body["tools"][0]["functionDeclarations"][0]
    assert declaration["parametersJsonSchema"]["required"] == ["input"]
    assert out.body["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "*** text"}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="auto", names=("a", "b")), {"mode": "VALIDATED", "allowedFunctionNames": ["a", "b"]}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="tool", names=("a",)), {"mode": "ANY", "allowedFunctionNames": ["a"]}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
    ],
)
def test_tool_choice(choice, config):
    """AUTO takes no names; VALIDATED does."""
    assert rendered(chat(user("go"), tool_choice=choice)).body["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        ("gemini-3-pro-preview", Thinking(effort="minimal"), {"thinkingLevel": "low"}),
        ("gemini-3-flash-preview", Thinking(effort="xhigh"), {"thinkingLevel": "high"}),
        ("gemini-3-flash-preview", Thinking(enabled=True, budget=2000), {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-2.5-flash", Thinking(enabled=True, budget=2000), {"thinkingBudget": 2000, "includeThoughts": True}),
        ("gemini-2.5-flash", Thinking(enabled=False), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Thinking(enabled=False), {"thinkingBudget": 128}),
        ("gemini-2.5-pro", Thinking(enabled=True, adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", Thinking(effort="high"), {"thinkingBudget": 16384}),
        ("gemini-2.5-flash", Thinking(budget=100000), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", Thinking(effort="low", summary="none"), {"thinkingBudget": 2048, "includeThoughts": False}),
        ("gemini-2.0-flash", Thinking(effort="high"), None),
    ],
)
def test_thinking_fits_the_model(model, thinking, config):
    """Levels for Gemini 3, budgets within bounds for 2.5, nothing before."""
    body = rendered(chat(user("go"), thinking=thinking), model).body
    assert body.get("generationConfig", {}).get("thinkingConfig") == config


def test_bounds_of_sampling():
    """Five stop sequences, seeds of 32 bits, one answer."""
    out = rendered(chat(user("go"), sampling=Sampling(stop=tuple("abcdefg"), seed=2**40, n=3, top_logprobs=0)))
    assert out.body["generationConfig"]["stopSequences"] == list("abcde")
    assert 0 <= out.body["generationConfig"]["seed"] < 2**31
    assert "candidateCount" not in out.body["generationConfig"]
    assert losses_of(out) == {"stop": "dropped", "n": "dropped", "seed": "approximated", "top_logprobs": "hint"}


def test_a_schema_for_the_output():
    """Name and description stand in the schema."""
    output = OutputFormat(kind="json_schema", schema={"type": "object"}, name="Harbour", strict=True, at="response_format")
    out = rendered(chat(user("go"), output=output))
    assert out.body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "title": "Harbour"},
    }
    assert losses_of(out) == {"response_format.strict": "hint"}


def test_json_mode_beside_tools_is_for_gemini_3():
    """Older models answer 400 to the pair."""
    asked = chat(user("go"), output=OutputFormat(kind="json_object"), tools=(Tool(name="f"),))
    assert "generationConfig" not in rendered(asked, "gemini-2.5-flash").body
    assert rendered(asked, "gemini-3-flash-preview").body["generationConfig"] == {"responseMimeType": "application/json"}


def test_what_gemini_cannot_say_is_told_in_the_clients_terms():
    """Neutral fields by the client's own names, extras by their paths."""
    request = chat(
        Message(
            role="user", name="Ann", blocks=(Text(text="a", cache=CacheHint(ttl="1h", at="messages[0].cache")),), at="messages[0]"
        ),
        assistant(Native(origin="openai_chat", data={"type": "odd"}, at="messages[1].content[0]")),
        user("go"),
        user="u-1",
        metadata={"a": "b"},
        store=True,
        cache_key="k",
        verbosity="low",
        parallel_tool_calls=False,
        service_tier="auto",
        extras={"logit_bias": {"1": 2}},
    )
    assert losses_of(rendered(request)) == {
        "messages[0].name": "dropped",
        "messages[0].cache": "hint",
        "messages[1].content[0]": "dropped",
        "user": "hint",
        "metadata": "hint",
        "store": "hint",
        "prompt_cache_key": "hint",
        "verbosity": "dropped",
        "parallel_tool_calls": "dropped",
        "service_tier": "hint",
        "logit_bias": "dropped",
    }


def test_what_an_answer_told_of_its_text_is_told_as_lost():
    """Log probabilities, citations within a result and the summary beside the reasoning have no place in a request."""
    told = Text(text="Hi", logprobs=(TokenLogprob(token="Hi", logprob=-0.1),), at="t")
    cited = Text(text="ok", citations=(Citation(kind="url_citation", origin="openai_chat", url="https://example.com"),), at="c")
    thought = Reasoning(text="all", summary=("short",), at="r")
    found = ToolResult(call_id="a", content=(cited,), at="result.a")
    paths = set(losses_of(rendered(chat(user("Hi"), assistant(thought, told, call("a")), user(found)))))
    assert {"t.logprobs", "c.citations[0]", "r.summary"} <= paths


def test_a_failed_result_without_its_call_says_that_it_failed():
    """Sent as text, it has no other place to say so."""
    body = rendered(chat(user(result("gone", "no", is_error=True)))).body
    assert body["contents"][0]["parts"][0]["text"].startswith("Error of ")


def test_the_name_of_no_schema_is_a_loss():
    """JSON without a schema has nothing that a name could stand in."""
    lost = losses_of(rendered(chat(user("Hi"), output=OutputFormat(kind="json_schema", name="n", description="d", at="f"))))
    assert {"f.name", "f.description"} <= set(lost)


@pytest.mark.parametrize(("top_k", "told"), [(5, {"topK": 5}), (0, {})])
def test_how_another_dialect_spells_a_setting_is_its_own_affair(top_k, told):
    """Converse has its models' own fields, where it is `top_k`: what Gemini refuses was looked for under another name."""
    asked = Request(origin="bedrock_converse", model="m", messages=(user("hi"),), sampling=Sampling(top_k=top_k, form=("top_k",)))
    sent = rendered(asked)
    assert sent.body.get("generationConfig", {}) == told
    assert losses_of(sent) == ({} if told else {"additionalModelRequestFields.top_k": "hint"})
