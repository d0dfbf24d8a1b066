from entry import GaveUp, call_with_retries


class Busy(Exception):
    retryable = True
    retry_after = None


class World:
    def __init__(self, *outcomes):
        self.outcomes, self.now, self.slept = list(outcomes), 100.0, []

    def work(self):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def call(self, **more):
        return call_with_retries(
            self.work, sleep=self.sleep, clock=lambda: self.now, random=lambda: 1.0, **more
        )


def test_a_result_that_is_false_is_a_result():
    assert World(0).call() == 0


def test_waits_double():
    world = World(Busy(), Busy(), "done")
    world.call()
    assert world.slept == [0.5, 1.0]


def test_another_error_passes_at_once():
    world = World(KeyError("x"))
    seen = None
    try:
        world.call()
    except KeyError as error:
        seen = str(error)
    assert (seen, world.slept) == ("'x'", [])
