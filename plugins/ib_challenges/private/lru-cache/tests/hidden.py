from entry import Cache


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def _play(capacity, ttl, steps):
    clock = Clock()
    cache = Cache(capacity, ttl, clock)
    seen = []
    for step in steps:
        if step[0] == "wait":
            clock.now += step[1]
        elif step[0] == "put":
            cache.put(step[1], step[2])
        else:
            seen.append([step[1], cache.get(step[1])])
    return seen


def run_capacity_one():
    return _play(1, 100, [("put", "k1", 17171), ("put", "k2", 29292), ("get", "k1"), ("get", "k2")])


def run_overwriting_is_use():
    steps = [("put", "a", 40401), ("put", "b", 50502), ("put", "a", 60603), ("put", "c", 70704)]
    return _play(2, 100, steps + [("get", k) for k in "abc"])


def run_reading_is_use():
    steps = [("put", k, 1000 + i) for i, k in enumerate("abcd")] + [
        ("get", "a"),
        ("put", "e", 4711),
    ]
    return _play(4, 100, steps + [("get", k) for k in "abcde"])


def run_dead_entries_do_not_push_out_live_ones():
    steps = [
        ("put", "old", 31337),
        ("wait", 11),
        ("put", "new", 41414),
        ("get", "old"),
        ("put", "more", 51515),
    ]
    return _play(2, 10, steps + [("get", k) for k in ("old", "new", "more")])


def run_many_steps():
    steps, state = [], 12345
    for _ in range(400):
        state = (state * 1103515245 + 12345) % 2**31
        key = f"k{state % 13}"
        steps.append(("get", key) if state % 5 < 2 else ("put", key, state))
    return _play(5, 10**9, steps)
