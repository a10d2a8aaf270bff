"""`gatewright.yaml` as a test writes it, read by the loader."""

import pytest

from gatewright.config import ConfigError, load_config

ENVIRON = {"OPENAI_API_KEY": "sk-openai", "CI_KEY": "gw-ci-key-0123456789", "HOME": "/home/op"}


@pytest.fixture
def load(tmp_path):
    """Loads a text as `gatewright.yaml`."""

    def load(text, environ=ENVIRON):
        (tmp_path / "gatewright.yaml").write_text(text, encoding="utf-8")
        return load_config(tmp_path / "gatewright.yaml", environ)

    return load


@pytest.fixture
def complaints(load, tmp_path):
    """The lines of the error that a text gives, without the folder."""

    def complaints(text, environ=ENVIRON):
        with pytest.raises(ConfigError) as caught:
            load(text, environ)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return complaints
