import time


class Cache:
    """Holds at most `capacity` entries, each for `ttl_seconds`; `clock` gives seconds."""

    def __init__(self, capacity, ttl_seconds, clock=time.monotonic):
        raise NotImplementedError

    def get(self, key):
        raise NotImplementedError

    def put(self, key, value):
        raise NotImplementedError
