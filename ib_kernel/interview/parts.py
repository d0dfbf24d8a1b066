"""What the parts of an `Interview` share."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.budget.service import TokenService
from ib_kernel.interview.clients import Clients
from ib_kernel.interview.given import GivenChallenges
from ib_kernel.interview.instructions import Instructions
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import LLMClient


@dataclass(frozen=True, slots=True)
class Parts:
    """One person's settings, plugins and ledger, and what was built from them.

    `hosted` says that whoever asks is a candidate of a host and cannot change the limits.
    """

    settings: Settings
    plugins: Plugins
    service: TokenService
    clients: Clients
    given: GivenChallenges
    instructions: Instructions
    hosted: bool = False

    def client(self, name: str, api: str | None = None) -> LLMClient:
        """Return a client plugin's client; *api* None: the settings'."""
        settings = self.settings
        if name != settings.client_name or api not in (None, settings.api):
            settings = settings.replace(client=name, api=api)
        return self.clients.get(settings)
