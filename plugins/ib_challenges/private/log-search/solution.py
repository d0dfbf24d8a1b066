import re

_LINE = re.compile(rb"\S+Z ([A-Z]+) (/\S*) (\d{3}) (\d+)ms user=\d+\s*")


def summarise(lines):
    durations, errors = {}, {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        method, path, status, ms = match.groups()
        parts = [
            "{n}" if part.isdigit() else part for part in path.decode("ascii", "replace").split("/")
        ]
        name = f"{method.decode()} {'/'.join(parts)}"
        counts = durations.setdefault(name, {})
        counts[int(ms)] = counts.get(int(ms), 0) + 1
        errors[name] = errors.get(name, 0) + (status[:1] == b"5")
    return {name: _row(counts, errors[name]) for name, counts in durations.items()}


def _row(counts, failed):
    total = sum(counts.values())
    rank, seen = -(-total * 95 // 100), 0
    for ms in sorted(counts):
        seen += counts[ms]
        if seen >= rank:
            return total, failed / total, ms
