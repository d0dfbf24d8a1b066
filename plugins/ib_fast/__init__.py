"""The token counter "fast": the same counts as "tiktoken", about ten times sooner (extra ``[fast]``).

The rules are the core's (`ib_kernel.counting`). Texts are encoded by toktok-rs, except those in which its
newer Unicode tables could differ from tiktoken's: these, and every text when other versions than the tested
pair are installed, go to the encoder of the "tiktoken" counter, which is found through the catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.counting import RuleCounter
from ib_kernel.errors import BrokenPlugin
from ib_kernel.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from ib_kernel.counting import Encoders
    from ib_kernel.plugin.registry import Catalog
    from ib_kernel.settings import Settings

__all__ = ["FastCounter", "ib_register"]


class FastCounter(RuleCounter):
    """Counts with toktok-rs where it is proven equal to tiktoken, else with *reference*.

    *reference* returns tiktoken's encoder for an encoding; it is asked only when it is needed. Raises
    `BrokenPlugin` when toktok-rs is not installed. Thread-safe; counting never raises.
    """

    name = "fast"

    def __init__(self, settings: Settings | None, reference: Encoders) -> None:
        from ib_fast._encoder import encoders

        super().__init__(encoders(reference), aliases=settings.model_aliases if settings else {})


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the counter as "fast"; it borrows its reference from the counter "tiktoken"."""

    def build(settings: Settings) -> FastCounter:
        exact = catalog.counters.get("tiktoken")(settings)
        if not isinstance(exact, RuleCounter):
            raise BrokenPlugin(
                "the counter 'fast' needs our counter 'tiktoken', which another plugin has replaced"
            )
        return FastCounter(settings, exact.encoder)

    catalog.add_counter("fast", build)
