from entry import Cache


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_what_was_put_is_there():
    cache = Cache(2, 10, Clock())
    cache.put("a", 1)
    assert cache.get("a") == 1


def test_the_least_recently_used_entry_goes():
    cache = Cache(2, 10, Clock())
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_an_old_entry_is_missing():
    clock = Clock()
    cache = Cache(2, 10, clock)
    cache.put("a", 1)
    clock.now = 10.5
    assert cache.get("a") is None
