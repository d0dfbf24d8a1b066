import random as _random
import time


class GaveUp(Exception):
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
    clock=time.monotonic,
    random=_random.random,
):
    began, waited, attempt = clock(), 0.0, 0
    while True:
        attempt += 1
        try:
            return work()
        except Exception as error:
            if getattr(error, "retryable", False) is not True:
                raise
            wait = min(first_wait * 2 ** (attempt - 1), longest_wait) * (0.5 + random() / 2)
            after = getattr(error, "retry_after", None)
            if after is not None:
                wait = max(wait, after)
            if attempt >= attempts or clock() + wait - began > total:
                raise GaveUp(attempt, waited) from error
        sleep(wait)
        waited += wait
