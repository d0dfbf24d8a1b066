"""Frozen `Settings`: what the user chose, and where each value came from.

A value that is not given is looked up in this order: ``%config InterviewMagics`` (passed in by the
notebook layer), the environment (``IB_<NAME>``; also ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``), the file
``config.toml`` in the user's configuration directory (``IB_CONFIG`` names another), the default. Plugins'
own settings follow the same order (`ib_kernel.settings.plugins`).
"""

from __future__ import annotations

from ib_kernel.secrets import Secret
from ib_kernel.settings import parsing
from ib_kernel.settings.fields import FIELD_NAMES, Settings, settings_fields, unknown_setting
from ib_kernel.settings.plugins import setting
from ib_kernel.settings.sources import config_path

__all__ = [
    "FIELD_NAMES",
    "Secret",
    "Settings",
    "config_path",
    "parsing",
    "setting",
    "settings_fields",
    "unknown_setting",
]
