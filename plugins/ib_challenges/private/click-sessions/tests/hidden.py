import duckdb
from entry import VISITS


def _visits(rows):
    with duckdb.connect() as db:
        db.execute("SET threads = 1")
        db.execute("CREATE TABLE clicks(user_id INTEGER, clicked_at TIMESTAMP, page VARCHAR)")
        db.executemany("INSERT INTO clicks VALUES (?, ?, ?)", rows)
        return [
            [str(v) if v is not None else None for v in row]
            for row in db.execute(VISITS).fetchall()
        ]


def _clicks(count, people, seed):
    rows = []
    minute = 0
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % 2**31
        minute += seed % 19
        rows.append(
            (
                seed % people + 1,
                f"2026-03-{1 + minute // 1440:02d} {minute // 60 % 24:02d}:{minute % 60:02d}:{seed % 60:02d}",
                f"/p{seed % 7}",
            )
        )
    return rows


def run_two_people():
    return _visits(_clicks(60, 2, 5))


def run_many_people():
    found = _visits(_clicks(300, 17, 11))
    return [len(found), found[:20], found[-20:]]


def run_repeats_and_nobody():
    rows = _clicks(20, 3, 3)
    return _visits(
        rows + rows[:9] + [(None, "2026-03-01 00:10:00", "/x"), (None, "2026-03-01 03:10:00", "/y")]
    )


def run_same_moment():
    rows = [(1, "2026-01-01 10:00", p) for p in ("/z", "/a", "/m")] + [
        (1, "2026-01-01 10:29:59", "/b")
    ]
    return _visits(
        rows
        + [
            (1, "2026-01-01 11:00:00", "/c"),
            (1, "2026-01-01 23:59:59", "/d"),
            (1, "2026-01-02 00:15:00", "/e"),
        ]
    )
