from entry import reconcile


def _invoice(number, customer, cents, due="2026-03-01"):
    return {"number": number, "customer": customer, "cents": cents, "due": due}


def _pay(number, payer, cents, text=""):
    return {"id": number, "payer": payer, "cents": cents, "text": text}


def run_whole_words():
    invoices = [_invoice("R-10", "a", 100), _invoice("R-101", "b", 100), _invoice("R-1", "c", 100)]
    return reconcile(
        invoices,
        [_pay(1, "x", 100, "for R-101."), _pay(2, "x", 100, "R-1010"), _pay(3, "x", 100, "(r-10)")],
    )


def run_rules_go_over_all_payments_in_turn():
    invoices = [
        _invoice("R-7", "Ada", 900, "2026-01-01"),
        _invoice("R-8", "Ada", 900, "2026-02-01"),
    ]
    return reconcile(invoices, [_pay("first", "ADA", 900), _pay("second", "Bo", 900, "R-7")])


def run_nothing_is_used_twice():
    invoices = [_invoice("R-1", "Ada", 50), _invoice("R-2", "Ada", 50, "2026-04-01")]
    return reconcile(invoices, [_pay(i, "ada", 50, "R-1" if i % 2 else "") for i in range(5)])


def run_sums():
    invoices = [_invoice(f"R-{i}", "c", i * 111) for i in range(1, 8)]
    payments = [
        _pay("ok", "z", 111 + 333 + 777, "R-7, R-1 R-3"),
        _pay("too much", "z", 1000, "R-2 R-4"),
        _pay("one is taken", "z", 222 + 111, "R-2 r-1"),
        _pay("twice the same", "z", 444, "R-2 R-2"),
        _pay("wrong single", "z", 1, "R-5"),
    ]
    return reconcile(invoices, payments)


def run_a_long_day():
    invoices = [
        _invoice(f"R-{i}", f"cust{i % 9}", 100 + i % 5, f"2026-0{1 + i % 6}-01") for i in range(120)
    ]
    payments = [
        _pay(
            i,
            f" CUST{i % 11} ",
            100 + i % 5,
            (f"R-{i * 7 % 140}", "", f"r-{i} r-{i + 1}", "thank you")[i % 4],
        )
        for i in range(90)
    ]
    return reconcile(invoices, payments)
