"""When to try again: tenacity is the only retrier, and only before the first piece of a reply.

Rules (settings in brackets): at most `attempts`; full jitter from `backoff_s` doubling up to
`backoff_cap_s`; never sooner than the server asked; not at all when it asks for more than
`retry_after_max_s`, when the error says that trying again cannot help, or after the deadline.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ClientError
from ib_kernel.settings import Settings

if TYPE_CHECKING:
    import tenacity

_jitter = random.SystemRandom()


def retrying(
    settings: Settings,
    started: Callable[[], bool],
    time_left: Callable[[], float],
    before_wait: Callable[[ClientError, float], Awaitable[None]],
) -> tenacity.AsyncRetrying:
    """Return the retrier for one turn.

    *started* tells whether a piece has arrived, *time_left* the seconds to the turn's deadline;
    *before_wait* is awaited with the error and the seconds before each wait. Errors leave as they are.
    """
    import tenacity

    def again(error: BaseException) -> bool:
        if not isinstance(error, ClientError) or not error.retryable or started():
            return False
        asked = error.retry_after_s or 0.0
        return asked <= settings.retry_after_max_s and asked < time_left()

    def wait(state: tenacity.RetryCallState) -> float:
        ceiling = min(settings.backoff_cap_s, settings.backoff_s * 2.0 ** (state.attempt_number - 1))
        asked = getattr(state.outcome and state.outcome.exception(), "retry_after_s", None) or 0.0
        return max(asked, _jitter.uniform(0.0, ceiling))

    async def before_sleep(state: tenacity.RetryCallState) -> None:
        error: Any = state.outcome and state.outcome.exception()
        await before_wait(error, state.upcoming_sleep)

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(again),
        stop=lambda state: state.attempt_number >= settings.attempts or state.upcoming_sleep >= time_left(),
        wait=wait,
        before_sleep=before_sleep,
        reraise=True,
    )
