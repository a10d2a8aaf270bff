"""Gatewright: one self-hosted endpoint between every LLM client and every provider.

`create_app()` gives the gateway as an ASGI application; `load_config(path, environ)` reads its configuration.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewright.config import load_config
    from gatewright.serving import create_app

__version__ = "0.1.0"
__all__ = ["__version__", "create_app", "load_config"]


def __getattr__(name: str) -> object:
    """Imported when asked for: whoever wants the version does not load a server."""
    if name == "create_app":
        from gatewright.serving import create_app  # noqa: PLC0415

        return create_app
    if name == "load_config":
        from gatewright.config import load_config  # noqa: PLC0415

        return load_config
    raise AttributeError(f"module 'gatewright' has no attribute {name!r}")
