from entry import Document


def _play(start, steps, limit=100):
    doc, seen = Document(start, limit=limit), []
    for name, *given in steps:
        try:
            told = getattr(doc, name)(*given)
        except IndexError:
            told = "IndexError"
        seen.append(
            [name, told if name in ("undo", "redo") or told == "IndexError" else "-", doc.text]
        )
    return seen


def run_redo_is_forgotten():
    steps = [
        ("insert", 0, "one "),
        ("insert", 4, "two"),
        ("undo",),
        ("delete", 0, 2),
        ("redo",),
        ("undo",),
        ("undo",),
        ("undo",),
    ]
    return _play("base", steps)


def run_typing_joins():
    steps = (
        [("insert", i, letter) for i, letter in enumerate("ab cd")]
        + [("undo",)] * 4
        + [("redo",)] * 4
    )
    return _play("", steps)


def run_typing_is_broken_by_other_things():
    steps = [
        ("insert", 0, "x"),
        ("insert", 0, "y"),
        ("insert", 2, "z"),
        ("delete", 2, 1),
        ("insert", 2, "w"),
    ]
    return _play(
        "",
        steps
        + [("undo",), ("insert", 2, "q"), ("undo",), ("undo",), ("undo",), ("undo",), ("undo",)],
    )


def run_outside_positions():
    steps = [
        ("insert", 9, "x"),
        ("insert", -1, "x"),
        ("delete", 2, 5),
        ("delete", -1, 1),
        ("delete", 3, 0),
        ("insert", 1, ""),
        ("undo",),
    ]
    return _play("abc", steps)


def run_limit():
    steps = [("insert", 0, f"{i} ") for i in range(6)] + [("undo",)] * 5 + [("redo",)] * 5
    return _play("", steps, limit=3)


def run_long_session():
    steps, seed, size = [], 99, 0
    for _ in range(300):
        seed = (seed * 1103515245 + 12345) % 2**31
        choice = seed % 6
        steps.append(
            ("insert", (seed // 7) % (size + 1), f"w{seed % 50} ")
            if choice < 3
            else ("delete", 0, min(2, size))
            if choice == 3
            else ("undo",)
            if choice == 4
            else ("redo",)
        )
        size = min(size, 4)
    return _play("start", steps)[-40:]
