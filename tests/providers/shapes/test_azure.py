"""Azure OpenAI's two surfaces."""

import pytest

from gatewright.providers.shapes import Said, shapes_of


def path(api_version, path, model="my-gpt", body=b"{}"):
    shape = shapes_of({"openai_chat": "azure-openai"}, {"api_version": api_version} if api_version else {})["openai_chat"]
    said = shape.request(Said(path=path, body=body, model=model))
    assert said.body == body
    assert shape.unwrapper(said, b"text/event-stream") is None
    return said.path


@pytest.mark.parametrize(
    ("api_version", "asked", "sent"),
    [
        ("", "/chat/completions", "/openai/v1/chat/completions"),
        ("v1", "/responses", "/openai/v1/responses"),
        ("preview", "/responses", "/openai/v1/responses?api-version=preview"),
        ("preview", "/responses/r1?stream=true", "/openai/v1/responses/r1?stream=true&api-version=preview"),
        ("2024-10-21", "/chat/completions", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        ("2024-10-21", "/embeddings", "/openai/deployments/my-gpt/embeddings?api-version=2024-10-21"),
        ("2024-10-21", "/audio/speech", "/openai/deployments/my-gpt/audio/speech?api-version=2024-10-21"),
        ("2025-03-01-preview", "/responses", "/openai/responses?api-version=2025-03-01-preview"),
        ("2024-10-21", "/files?purpose=batch", "/openai/files?purpose=batch&api-version=2024-10-21"),
    ],
)
def test_the_version_chooses_the_surface(api_version, asked, sent):
    """Without a dated version the model stays in the body; with one the deployment is in the path."""
    assert path(api_version, asked) == sent


def test_a_deployment_cannot_leave_its_place_in_the_path():
    """A client names it; it must not reach another call."""
    assert path("2024-10-21", "/chat/completions", "../../x?y") == (
        "/openai/deployments/..%2F..%2Fx%3Fy/chat/completions?api-version=2024-10-21"
    )


def test_a_call_without_a_model_names_no_deployment():
    """Files and batches lie beside the deployments."""
    assert path("2024-10-21", "/embeddings", "") == "/openai/embeddings?api-version=2024-10-21"


def test_the_inference_surface_takes_a_dated_version():
    """Beside whatever else the query says."""
    shape = shapes_of({"openai_chat": "azure-inference"}, {"api_version": "2024-05-01-preview"})["openai_chat"]
    assert shape.request(Said(path="/chat/completions")).path == "/chat/completions?api-version=2024-05-01-preview"
    assert shape.request(Said(path="/x?a=1")).path == "/x?a=1&api-version=2024-05-01-preview"
    assert shape.unwrapper(Said(path="/"), b"") is None
