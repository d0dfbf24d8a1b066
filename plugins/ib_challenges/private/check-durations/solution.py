GOOD = {
    "90s": 90,
    "15m": 900,
    "2h": 7200,
    "1h30m": 5400,
    "2h5m10s": 7510,
    "90m": 5400,
    "0s": 0,
    "1h75s": 3675,
    "  3m ": 180,
    "007s": 7,
    "123h": 442800,
    "1m120s": 180,
    "100m100s": 6100,
    "10h": 36000,
}
BAD = [
    "",
    " ",
    "5",
    "h",
    "1.5h",
    "1m2h",
    "1h1h",
    "2s1m",
    "1H",
    "5M",
    "1h 30m",
    "-5s",
    "+5s",
    "1h-3m",
    "5 m",
    "\u0665m",
    "\uff15s",
    "3d",
    "1h30",
    "m5",
    "1hm",
    "1_0s",
    "1e2s",
]


def check_parser(parse):
    for text, expected in GOOD.items():
        try:
            got = parse(text)
        except Exception as error:
            raise AssertionError(
                f"{text!r}: expected {expected}, got {type(error).__name__}"
            ) from error
        assert got == expected, f"{text!r}: expected {expected}, got {got!r}"
    for text in BAD:
        try:
            got = parse(text)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{text!r}: expected ValueError, got {type(error).__name__}"
            ) from error
        raise AssertionError(f"{text!r}: expected ValueError, got {got!r}")
    return len(GOOD) + len(BAD)
