from entry import summarise

LINES = [
    b"2026-03-01T12:00:00.123Z GET /api/orders/8812 200 37ms user=4711",
    b"2026-03-01T12:00:00.125Z POST /api/pay 502 10004ms user=99",
    b"2026-03-01T12:00:00.127Z GET /api/orders/17 200 41ms user=1",
]


def test_orders_are_one_endpoint():
    assert summarise(LINES)["GET /api/orders/{n}"] == (2, 0.0, 41)


def test_errors_are_a_share():
    assert summarise(LINES)["POST /api/pay"] == (1, 1.0, 10004)


def test_a_broken_line_is_left_out():
    assert len(summarise([b"Traceback (most recent call last):", *LINES])) == 2
