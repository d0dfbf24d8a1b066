from entry import Cycle, build_order


def _told(needs):
    try:
        return build_order(needs)
    except Cycle as error:
        return ["circle", *error.path]


def _graph(count, seed):
    needs = {}
    for number in range(count):
        wanted = []
        for _ in range(3):
            seed = (seed * 1103515245 + 12345) % 2**31
            if number:
                wanted.append(f"t{seed % number:03d}")
        needs[f"t{number:03d}"] = wanted
    return needs


def run_fixed_order():
    return [_told(_graph(count, count)) for count in (1, 5, 20, 60)]


def run_reversed_names():
    return _told({f"n{90 - i}": [f"n{90 - i + 7}"] if i > 7 else [] for i in range(80)})


def run_long_chain():
    order = build_order({f"c{i:06d}": [f"c{i + 1:06d}"] for i in range(100_000)})
    return [len(order), order[:3], order[-3:], order[50_000]]


def run_circles():
    return [
        _told({"a": ["a"]}),
        _told({"m": ["k"], "k": ["z"], "z": ["m"], "free": []}),
        _told({"start": ["q"], "q": ["r"], "r": ["p"], "p": ["q"]}),
        _told({"d1": ["d2", "d2"], "d2": ["d3"], "d3": []}),
    ]


def run_same_need_twice():
    return [
        _told({"x": ["y", "y", "w"], "y": ["w"], "v": ["w", "x"]}),
        _told({}),
        _told({"only": []}),
    ]
