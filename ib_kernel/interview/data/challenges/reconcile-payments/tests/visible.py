from entry import reconcile

INVOICES = [
    {"number": "R-1", "customer": "Ada", "cents": 5000, "due": "2026-03-01"},
    {"number": "R-2", "customer": "Ada", "cents": 5000, "due": "2026-02-01"},
    {"number": "R-3", "customer": "Bo", "cents": 700, "due": "2026-03-01"},
]


def pay(number, payer, cents, text):
    return {"id": number, "payer": payer, "cents": cents, "text": text}


def test_the_number_decides():
    found = reconcile(INVOICES, [pay(1, "somebody", 5000, "invoice r-1, thanks")])
    assert found["matched"] == [(1, ["R-1"])]


def test_without_a_number_the_one_that_is_due_first():
    found = reconcile(INVOICES, [pay(1, " ada ", 5000, "thanks")])
    assert found["matched"] == [(1, ["R-2"])]


def test_two_invoices_in_one_payment():
    found = reconcile(INVOICES, [pay(9, "x", 5700, "R-3 and R-2")])
    assert found == {"matched": [(9, ["R-3", "R-2"])], "unmatched": [], "open": ["R-1"]}
