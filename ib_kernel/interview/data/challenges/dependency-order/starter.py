class Cycle(Exception):
    """Targets that need each other; `path` is one circle of them."""

    def __init__(self, path):
        super().__init__(" -> ".join(path))
        self.path = path


def build_order(needs):
    """Return all targets, each after what it needs, the alphabetically first of the possible ones next."""
    raise NotImplementedError
