from entry import summarise


def _line(n, method, path, status, ms):
    return f"2026-03-01T12:00:{n % 60:02d}.000Z {method} {path} {status} {ms}ms user={n}".encode()


def _rounded(found):
    return {name: [count, round(share, 6), ms] for name, (count, share, ms) in found.items()}


def run_percentile():
    return _rounded(
        summarise(_line(n, "GET", f"/a/{n}", 200, (n * 7919) % 1000) for n in range(1000))
    )


def run_few_requests():
    found = [
        summarise([_line(i, "GET", "/x", 200, 100 + i) for i in range(size)])
        for size in (1, 2, 19, 20, 21)
    ]
    return [_rounded(one) for one in found]


def run_many_endpoints():
    paths = ["/a/{}", "/a/{}/b", "/v2/a/{}", "/a{}", "/{}/{}"]
    lines = (
        _line(
            n,
            "GET" if n % 3 else "PUT",
            paths[n % 5].format(n, n),
            (200, 404, 500, 503)[n % 4],
            n % 331,
        )
        for n in range(3000)
    )
    return _rounded(summarise(lines))


def run_broken_lines():
    good = [_line(n, "GET", "/ok", 200, n * 3) for n in range(50)]
    bad = [
        b"",
        b"\xff\xfe\x00garbage",
        b"    at frame()",
        good[0][:30],
        good[1].replace(b"ms", b""),
        b"GET /ok 200",
    ]
    mixed = [line for pair in zip(good, bad * 9) for line in pair]
    return _rounded(summarise(mixed))


def run_one_pass():
    served = []

    def lines():
        for n in range(200):
            served.append(n)
            yield _line(n, "GET", f"/once/{n}", 200, n)

    found = summarise(lines())
    return [len(served), _rounded(found)]
