import random as _random
import time


class GaveUp(Exception):
    """It did not work; `attempts` calls were made and `waited` seconds slept."""

    def __init__(self, attempts, waited):
        super().__init__(f"gave up after {attempts} attempts and {waited:g} s of waiting")
        self.attempts, self.waited = attempts, waited


def call_with_retries(
    work,
    attempts=4,
    first_wait=0.5,
    longest_wait=8.0,
    total=20.0,
    sleep=time.sleep,
    clock=time.time,
    random=_random.random,
):
    waited = 0
    for attempt in range(attempts + 1):
        try:
            result = work()
            if result:
                return result
        except Exception as error:
            if getattr(error, "retryable", True):
                wait = first_wait * 2**attempt
                if error.retry_after:
                    wait = min(error.retry_after, longest_wait)
                sleep(wait)
                waited = wait
    raise GaveUp(attempts, waited)
