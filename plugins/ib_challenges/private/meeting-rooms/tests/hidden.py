from entry import free_slots, rooms_needed


def _meetings(count, seed):
    found = []
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % 2**31
        start = seed % 1300
        found.append((start, start + (seed // 1300) % 140))
    return found


def run_rooms_of_many_days():
    return [
        rooms_needed(_meetings(count, count + 7))
        for count in (3, 10, 50, 200, 1000, 2000, 4000, 5000)
    ]


def run_rooms_at_the_edges():
    cases = [
        [],
        [(5, 5)],
        [(0, 1440)],
        [(1, 2), (2, 3), (3, 4)],
        [(1, 4)] * 17,
        [(9, 9), (9, 9), (8, 10)],
    ]
    return [
        [rooms_needed(case), f"case {number} with {len(case)} meetings"]
        for number, case in enumerate(cases)
    ]


def run_free_stretches():
    return [
        free_slots(_meetings(count, count * 31), 480, 1200, length)
        for count in (2, 4, 6, 9)
        for length in (1, 20)
    ]


def run_free_at_the_edges():
    return [
        free_slots([], 480, 1200, 60),
        free_slots([(0, 1440)], 480, 1200, 1),
        free_slots([(0, 500), (1100, 1300)], 480, 1200, 30),
        free_slots([(600, 600)], 480, 1200, 100),
        free_slots([(500, 600), (520, 540)], 480, 1200, 20),
        free_slots([(500, 700)], 480, 1200, 20),
    ]


def run_mistakes():
    told = []
    for call in (lambda: rooms_needed([(10, 5)]), lambda: free_slots([(20, 10)], 0, 100, 5)):
        try:
            told.append(call())
        except ValueError:
            told.append("ValueError as asked")
    return told
