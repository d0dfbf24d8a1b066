import duckdb
from entry import VISITS


def visits(*rows):
    with duckdb.connect() as db:
        db.execute("CREATE TABLE clicks(user_id INTEGER, clicked_at TIMESTAMP, page VARCHAR)")
        db.executemany("INSERT INTO clicks VALUES (?, ?, ?)", rows)
        return [(row[0], row[1], row[4]) for row in db.execute(VISITS).fetchall()]


def test_half_an_hour_apart_is_one_visit():
    assert visits((1, "2026-01-01 10:00", "/"), (1, "2026-01-01 10:30", "/a")) == [(1, 1, 2)]


def test_more_than_half_an_hour_apart_are_two():
    assert visits((1, "2026-01-01 10:00", "/"), (1, "2026-01-01 10:30:01", "/a")) == [
        (1, 1, 1),
        (1, 2, 1),
    ]


def test_people_are_apart():
    assert visits((2, "2026-01-01 10:00", "/"), (1, "2026-01-01 10:01", "/")) == [
        (1, 1, 1),
        (2, 1, 1),
    ]
