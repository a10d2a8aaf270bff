"""The operator's configuration: `gatewright.yaml`, or the environment where there is no file, made into frozen structs.

One rule: only the composition root reads a `Config`; everything below it gets arguments.
"""

from gatewright.config.from_environment import from_environment, with_client_key
from gatewright.config.load import json_schema, load_config
from gatewright.config.model import (
    CacheConfig,
    Config,
    KeyConfig,
    MediaFetchConfig,
    ModelConfig,
    ProbeConfig,
    ProviderConfig,
    QueueConfig,
    ResponsesStateConfig,
    RoutingConfig,
    ServerConfig,
    TimeoutsConfig,
)
from gatewright.config.problems import ConfigError, ConfigProblem
from gatewright.config.secrets import Secret

__all__ = [
    "CacheConfig",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "KeyConfig",
    "MediaFetchConfig",
    "ModelConfig",
    "ProbeConfig",
    "ProviderConfig",
    "QueueConfig",
    "ResponsesStateConfig",
    "RoutingConfig",
    "Secret",
    "ServerConfig",
    "TimeoutsConfig",
    "from_environment",
    "json_schema",
    "load_config",
    "with_client_key",
]
