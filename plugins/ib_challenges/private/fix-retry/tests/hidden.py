from entry import GaveUp, call_with_retries


class Trouble(Exception):
    def __init__(self, retryable=True, retry_after=None):
        super().__init__("trouble")
        self.retryable, self.retry_after = retryable, retry_after


class Plain(Exception):
    pass


def _play(*outcomes, takes=0.0, chance=(0.25, 0.75, 0.5, 0.9, 0.1), **more):
    state = {"now": 1000.0, "calls": 0, "slept": [], "chances": list(chance)}

    def work():
        state["now"] += takes
        outcome = outcomes[min(state["calls"], len(outcomes) - 1)]
        state["calls"] += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def sleep(seconds):
        state["slept"].append(round(seconds, 6))
        state["now"] += seconds

    def chance_now():
        state["chances"].append(state["chances"].pop(0))
        return state["chances"][-1]

    try:
        told = [
            "returned",
            call_with_retries(
                work, sleep=sleep, clock=lambda: state["now"], random=chance_now, **more
            ),
        ]
    except GaveUp as error:
        told = ["gave up", error.attempts, round(error.waited, 6), type(error.__cause__).__name__]
    except BaseException as error:
        told = ["raised", type(error).__name__]
    return [told, state["calls"], state["slept"]]


def run_attempts():
    return [_play(Trouble(), attempts=n, total=1e9) for n in (1, 2, 4, 7)]


def run_results():
    return [_play(value) for value in (None, False, [], "", 0, "yes")] + [_play(Trouble(), None)]


def run_passing_errors():
    return [
        _play(e)
        for e in (Plain(), Trouble(False), KeyboardInterrupt(), Trouble(False, 3), ValueError())
    ]


def run_obeying():
    return [
        _play(Trouble(True, 12.0), "ok"),
        _play(Trouble(True, 0.01), Trouble(True, 0.0), "ok"),
        _play(Trouble(True, 25.0), "ok"),
        _play(Trouble(True, 3.0), Trouble(), "ok"),
    ]


def run_total():
    return [
        _play(Trouble(), takes=4.0, attempts=9),
        _play(Trouble(), total=1.0, attempts=9),
        _play(Trouble(True, 7.0), total=20.0, attempts=9),
        _play(Trouble(), total=0.0),
    ]


def run_longest():
    return _play(Trouble(), attempts=8, total=1e9, longest_wait=3.0)
