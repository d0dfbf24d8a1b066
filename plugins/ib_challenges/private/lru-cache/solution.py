import time
from collections import OrderedDict


class Cache:
    def __init__(self, capacity, ttl_seconds, clock=time.monotonic):
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity, self.ttl, self.clock = capacity, ttl_seconds, clock
        self.entries = OrderedDict()

    def get(self, key):
        found = self.entries.get(key)
        if found is None:
            return None
        value, since = found
        if self.clock() - since > self.ttl:
            del self.entries[key]
            return None
        self.entries.move_to_end(key)
        return value

    def put(self, key, value):
        self.entries[key] = value, self.clock()
        self.entries.move_to_end(key)
        if len(self.entries) > self.capacity:
            self.entries.popitem(last=False)
