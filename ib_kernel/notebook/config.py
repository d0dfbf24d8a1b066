"""``%config InterviewMagics``: one trait per setting that a cell may change, checked when it is set."""

from __future__ import annotations

from typing import Any

from traitlets import TraitType

from ib_kernel.errors import ConfigError
from ib_kernel.settings import settings_fields
from ib_kernel.text import as_sentence

ORIGIN = "%config"

CONFIGURABLE = (
    "client",
    "api",
    "cancel",
    "model",
    "base_url",
    "candidate",
    "persona",
    "token_budget",
    "charge",
    "budget_usd",
    "time_limit_s",
    "reply_tokens",
    "min_reply_tokens",
    "temperature",
    "stream",
    "warn_at",
    "store_transcript",
    "data_dir",
    "store",
    "counter",
    "attempts",
    "deadline_s",
    "first_piece_s",
    "gap_s",
)
"""Names of `Settings` that can be set. The API key is not among them: a cell is saved with its key."""

_FIELDS = {spec.name: spec for spec in settings_fields()}


class Setting(TraitType[Any, Any]):
    """A trait with the checks of the setting called *name*; None (the default) leaves it to the others."""

    allow_none = True
    default_value = None

    def __init__(self, name: str) -> None:
        spec = _FIELDS[name]
        self.setting = name
        self.parser = spec.metadata["parse"]
        super().__init__(help=f"{spec.metadata['doc']} ({self.parser.__doc__})")
        self.tag(config=True)

    def validate(self, obj: Any, value: Any) -> Any:
        """Return *value* as the setting keeps it. `ConfigError` says what is allowed."""
        if value is None:
            return None
        try:
            return self.parser(value)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
            raise ConfigError(
                f"{self.setting} ({ORIGIN}) cannot be {value!r}; allowed: {self.parser.__doc__}"
            ) from None

    def info(self) -> str:
        """Say what is allowed."""
        return str(self.parser.__doc__)


class Refused(BaseException):
    """A ``%config`` line that was refused.

    IPython logs every `Exception` that a configurable raises and lets the cell succeed, so this is not one.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))

    def _render_traceback_(self) -> list[str]:
        return [as_sentence(str(self))]


Refused.__name__ = Refused.__qualname__ = "ConfigError"  # what a front end shows as the error's name
