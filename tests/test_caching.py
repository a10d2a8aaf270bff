"""The cache as a configuration describes it: what goes on over a reload, and what does not."""

import builtins

import pytest

from gatewright.caching import answers_of
from gatewright.config import load_config


def config(tmp_path, cache: str = "", environ=None):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers: {{demo: {{}}}}\n{cache}\n")
    return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), **(environ or {})})


def test_answers_outlive_a_reload(tmp_path):
    """One store for all generations, as long as it lies in the same place."""
    first = answers_of(config(tmp_path))
    assert answers_of(config(tmp_path, "cache: {max_bytes: 1000000}"), first) is first
    shared = answers_of(config(tmp_path, "cache: {url: redis://127.0.0.1:1/0}"), first)
    assert shared is not first
    assert shared.shared is not None
    assert answers_of(config(tmp_path, "cache: {url: redis://127.0.0.1:1/0}"), shared) is shared
    assert answers_of(config(tmp_path), shared).shared is None


def test_the_address_may_be_a_secret(tmp_path):
    """It holds a password often."""
    url = "redis://:secret@127.0.0.1:1/0"
    assert answers_of(config(tmp_path, "cache: {url: env:REDIS_URL}", {"REDIS_URL": url})).url == url


def test_without_its_package_the_configuration_says_what_to_install(tmp_path, monkeypatch):
    """An extra that is not installed is an error with a way out."""
    real = builtins.__import__

    def missing(name, *args, **more):
        if name.startswith(("redis", "gatewright.stores.answers_redis")):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=r"pip install 'gatewright\[redis\]'"):
        answers_of(config(tmp_path, "cache: {url: redis://127.0.0.1:1/0}"))
