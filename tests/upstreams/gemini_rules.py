"""What a generateContent request must be, and what it asks.

One rule: first what does not parse as the protocol buffer (all of it at once), then what the turns and signatures must be.
https://ai.google.dev/api/generate-content , https://ai.google.dev/gemini-api/docs/thought-signatures
"""

import base64
import json
import re

from tests.upstreams import seals
from tests.upstreams.answers import KEYS, Received
from tests.upstreams.gemini_parse import VALUES, parse, refuse
from tests.upstreams.gemini_schema import sound
from tests.upstreams.script import Ask, Fault

MEDIA = re.compile(r"(image/(png|jpeg|webp|heic|heif|gif)|application/pdf|text/.+|audio/.+|video/.+)")
SENTINELS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""Documented: stand in for a signature that another model's call cannot have."""
SEAL = b"\x0a\x24\x01"


def document(request: Received) -> dict:
    given = request.headers.get("x-goog-api-key") or next(
        (v for k, _, v in (pair.partition("=") for pair in request.query.split("&")) if k == "key"), ""
    )
    if not given:
        text = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API."
        raise refuse(text, 403, "PERMISSION_DENIED")
    if given != KEYS["gemini"]:
        info = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        raise refuse("API key not valid. Please pass a valid API key.", details=[info])
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refuse("Invalid JSON payload received. Expected an object.")
    return body


def model_of(path: str, version: str) -> tuple[str, str]:
    """The model and the method of a path."""
    model, _, method = path.rpartition("/")[2].partition(":")
    if not re.match(r"gemini-\d", model) or "nonexistent" in model:
        text = (
            f"models/{model} is not found for API version {version}, or is not supported for {method.replace('streamG', 'g')}. Call ModelService.ListModels to see"
            " the list of available models and their supported methods."
        )
        raise refuse(text, 404, "NOT_FOUND")
    return model, method


def understand(body: dict, model: str) -> tuple[Ask, dict]:
    """What is asked, and the request in camel case. Raises Refused."""
    request, bad = parse(body)
    if bad:
        violations = [{"field": field, "description": text} for field, text in bad]
        raise refuse(
            "\n".join(text for _, text in bad),
            details=[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}],
        )
    config = request.get("generationConfig") or {}
    thinks = settings(config, model)
    functions = tools(request, config, model)
    text, results, media = conversation(request["contents"], model)
    calling = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode = str(calling.get("mode", "AUTO")).upper()
    if mode not in {"AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"}:
        raise refuse(
            f"Invalid value at 'tool_config.function_calling_config.mode' (type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"{mode}\""
        )
    names = calling.get("allowedFunctionNames") or ()
    if names and mode not in {"ANY", "VALIDATED"}:
        raise refuse("Function calling config: allowed_function_names should only be set when mode is ANY or VALIDATED.")
    if calling and mode == "ANY" and not functions:
        raise refuse("Function calling mode `ANY` requires function declarations to be set.")
    for name in names:
        if name not in dict(functions):
            raise refuse(f"Function calling config: allowed function name {name} is not in the function declarations.")
    ask = Ask(
        model=model,
        text=text,
        results=results,
        tools=functions,
        forced=None if mode != "ANY" else (names[0] if names else ""),
        calls_forbidden=mode == "NONE",
        schema=config.get("responseJsonSchema")
        or config.get("responseSchema")
        or (
            {"type": "object", "properties": {"answer": {"type": "string"}}}
            if config.get("responseMimeType") == "application/json"
            else None
        ),
        thinks=thinks,
        media=media,
    )
    return ask, request


def settings(config: dict, model: str) -> bool:
    """Whether the model thinks."""
    limit = config.get("maxOutputTokens")
    if limit is not None and limit < 1:
        raise refuse("max_output_tokens must be positive.")
    temperature = config.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        raise refuse(
            f"* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0], got {temperature}\n"
        )
    if len(config.get("stopSequences") or ()) > 5:
        raise refuse("* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed.\n")
    if config.get("responseSchema") is not None and config.get("responseJsonSchema") is not None:
        raise refuse("Only one of response_schema and response_json_schema may be set.")
    mime = config.get("responseMimeType")
    if (config.get("responseSchema") is not None or config.get("responseJsonSchema") is not None) and mime not in {
        "application/json",
        "text/x.enum",
    }:
        raise refuse("Response schema requires response mime type 'application/json'.")
    if config.get("responseSchema") is not None:
        sound(config["responseSchema"], "generation_config.response_schema", refuse)
    thinking = config.get("thinkingConfig") or {}
    if thinking.get("thinkingBudget") is not None and thinking.get("thinkingLevel") is not None:
        raise refuse("You can only set only one of thinking budget and thinking level.")
    if thinking.get("thinkingLevel") is not None and not model.startswith("gemini-3"):
        raise refuse("Thinking level is not supported for this model.")
    if str(thinking.get("thinkingLevel", "low")).lower() not in {
        "minimal",
        "low",
        "medium",
        "high",
        "thinking_level_unspecified",
    }:
        raise refuse(f"Invalid value at 'generation_config.thinking_config.thinking_level', \"{thinking['thinkingLevel']}\"")
    budget = thinking.get("thinkingBudget")
    if budget is not None and (budget > 32768 or budget < -1):
        raise refuse(f"The thinking budget {budget} is invalid. Please choose a value between 0 and 32768.")
    if budget == 0 and "pro" in model:
        raise refuse("Budget 0 is invalid. This model only works in thinking mode.")
    return model.startswith("gemini-3") or (bool(thinking) and budget != 0)


def tools(request: dict, config: dict, model: str) -> tuple[tuple[str, dict], ...]:
    found = []
    for index, tool in enumerate(request["tools"]):
        for position, one in enumerate(tool.get("functionDeclarations") or ()):
            at = f"tools[{index}].function_declarations[{position}]"
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", str(one.get("name", ""))):
                words = (
                    "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:),"
                    " or dashes (-), with a maximum length of 128."
                )
                raise refuse(f"* GenerateContentRequest.{at}.name: {words}\n")
            if one.get("parameters") is not None and one.get("parametersJsonSchema") is not None:
                raise refuse(f"* GenerateContentRequest.{at}: only one of parameters and parameters_json_schema may be set.\n")
            if one.get("parameters") is not None:
                if str(one["parameters"].get("type", "OBJECT")).upper() != "OBJECT":
                    raise refuse(f"* GenerateContentRequest.{at}.parameters.type: must be OBJECT\n")
                sound(one["parameters"], f"{at}.parameters", refuse)
            found.append(
                (one["name"], one.get("parameters") or one.get("parametersJsonSchema") or {"type": "object", "properties": {}})
            )
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise refuse(f"Duplicate function declaration found: {name}")
    if found and config.get("responseMimeType") == "application/json" and model.startswith("gemini-2"):
        raise refuse("Function calling with a response mime type: 'application/json' is unsupported")
    return tuple(found)


def conversation(contents: list[dict], model: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The last user text, the function responses since the model's last turn, and the media after it."""
    if not contents:
        raise refuse("* GenerateContentRequest.contents: contents is not specified\n")
    text, results, media = "", [], []
    current = max(
        (i for i, c in enumerate(contents) if c.get("role", "user") == "user" and any("text" in p for p in c["parts"])), default=0
    )
    waiting: list[dict] = []
    before = None
    for index, content in enumerate(contents):
        role = content.get("role", "user")
        if role not in {"user", "model", "function"}:
            raise refuse("Please use a valid role: user, model.")
        role = "user" if role == "function" else role
        if not content["parts"]:
            raise refuse(f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n")
        # Turns of one role may follow one another (recorded so); a call is yet answered in the very next content.
        if role == before == "model" and waiting:
            raise refuse(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
            )
        if index == 0 and role != "user" and any("functionCall" in part for part in content["parts"]):
            raise refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            )
        for position, part in enumerate(content["parts"]):
            check(part, f"contents[{index}].parts[{position}]")
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        responses = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if role == "model":
            if responses:
                raise refuse("Please ensure that function response turn comes immediately after a function call turn.")
            results, media, waiting = [], [], calls
            signed(content["parts"], model, index, current=index > current)
        else:
            if calls:
                raise refuse(
                    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
                )
            if responses and not waiting:
                raise refuse("Please ensure that function response turn comes immediately after a function call turn.")
            if len(responses) != len(waiting) or any(
                r["name"] != c["name"] or (r.get("id") and c.get("id") and r["id"] != c["id"])
                for r, c in zip(responses, waiting, strict=False)
            ):
                raise refuse(
                    "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
                )
            waiting = []
            said = "\n".join(part["text"] for part in content["parts"] if part.get("text"))
            text = said or text
            for part in content["parts"]:
                if "functionResponse" in part:
                    results.append(result(part["functionResponse"]))
                    media += [seen(inner) for inner in part["functionResponse"].get("parts") or ()]
                elif "inlineData" in part or "fileData" in part:
                    media.append(seen(part))
        before = role
    if before != "user":
        raise refuse("Please ensure that multiturn requests ends with a user role or a function response.")
    return text, tuple(results), tuple(media)


def check(part: dict, at: str) -> None:
    if not any(key in part for key in VALUES):
        if "thoughtSignature" in part or "videoMetadata" in part:
            return
        raise refuse(f"* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field\n")
    if "functionResponse" in part:
        for key in ("name", "response"):
            if part["functionResponse"].get(key) is None:
                raise refuse(
                    f"* GenerateContentRequest.{at}.function_response.{key}: {'Name cannot be empty.' if key == 'name' else 'missing field.'}\n"
                )
    if "functionCall" in part and not part["functionCall"].get("name"):
        raise refuse(f"* GenerateContentRequest.{at}.function_call.name: Name cannot be empty.\n")
    for key in ("inlineData", "fileData"):
        if key in part:
            kind = part[key].get("mimeType")
            if key == "inlineData" and (not kind or not MEDIA.fullmatch(kind)):
                raise refuse(f"Unsupported MIME type: {kind}")
            if key == "fileData" and not str(part[key].get("fileUri", "")).startswith(("https://", "gs://")):
                raise refuse("Invalid or unsupported file uri.")
            if key == "fileData" and not kind:
                raise refuse("Unsupported file URI type: mime_type is required.")


def signed(parts: list[dict], model: str, index: int, *, current: bool) -> None:
    """Signatures are genuine; the first function call of a step of the current turn has one (Gemini 3)."""
    for part in parts:
        seal = part.get("thoughtSignature")
        if seal is not None and not genuine(seal):
            raise refuse("Corrupted thought signature.")
    calls = [part for part in parts if "functionCall" in part]
    if calls and current and model.startswith("gemini-3") and not calls[0].get("thoughtSignature"):
        raise refuse(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead"
            f" to degraded model performance. Additional data, function call `default_api:{calls[0]['functionCall']['name']}` , position {index + 1}. Please refer to"
            " https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
        )


def genuine(seal: str) -> bool:
    for sentinel in SENTINELS:
        if seal == sentinel or seal.rstrip("=") == base64.b64encode(sentinel.encode()).decode().rstrip("="):
            return True
    return seals.genuine("gemini", "", seal, prefix=SEAL)


def result(response: dict) -> str:
    given = response["response"]
    for key in ("result", "output", "error", "content"):
        if set(given) == {key}:
            return ("error: " if key == "error" else "") + (
                given[key] if isinstance(given[key], str) else json.dumps(given[key], ensure_ascii=False)
            )
    return json.dumps(given, ensure_ascii=False)


def seen(part: dict) -> str:
    if "fileData" in part:
        return part["fileData"]["fileUri"]
    data = part["inlineData"]["data"].replace("-", "+").replace("_", "/")
    return f"{part['inlineData']['mimeType']}:{len(base64.b64decode(data + '=' * (-len(data) % 4)))}"


def fault(chosen: Fault | None) -> None:
    """Raise what the plan wants before an answer begins."""
    if chosen is None or chosen.kind in {"inside", "cut"}:
        return
    status = 429 if chosen.kind == "quota" else int(chosen.kind)
    text, word = {
        401: ("Request had invalid authentication credentials.", "UNAUTHENTICATED"),
        403: ("The caller does not have permission", "PERMISSION_DENIED"),
        429: (
            "You exceeded your current quota, please check your plan and billing details.\nPlease retry in 20s.",
            "RESOURCE_EXHAUSTED",
        ),
        503: ("The model is overloaded. Please try again later.", "UNAVAILABLE"),
        529: ("The model is overloaded. Please try again later.", "UNAVAILABLE"),
    }.get(
        status,
        (
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
            "INTERNAL",
        ),
    )
    retry = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}] if status == 429 else None
    raise refuse(text, 503 if status == 529 else status, word, retry)
