"""The project's configuration: `penstock.toml`, profiles and the environment become one checked `Config`.

In: files and variables. Out: `load()` gives frozen values, each with a known origin, or one error that lists every
problem. Read `model.py` for what can be set, `load.py` for how it comes together, `options.py` for librdkafka's part.
"""

from penstock.config.load import load
from penstock.config.model import (
    Config,
    EmbeddedSettings,
    KafkaSettings,
    LoggingSettings,
    MonitoringSettings,
    ProjectSettings,
    PublishingSettings,
    RegistrySettings,
    StateSettings,
)
from penstock.config.options import ClientOptions

__all__ = [
    "ClientOptions",
    "Config",
    "EmbeddedSettings",
    "KafkaSettings",
    "LoggingSettings",
    "MonitoringSettings",
    "ProjectSettings",
    "PublishingSettings",
    "RegistrySettings",
    "StateSettings",
    "load",
]
