def rooms_needed(meetings):
    changes = []
    for start, end in _checked(meetings):
        changes += [(start, 1), (end, -1)]
    rooms = most = 0
    for _, change in sorted(changes):
        rooms += change
        most = max(most, rooms)
    return most


def free_slots(meetings, opens, closes, length):
    free, since = [], opens
    for start, end in sorted(_checked(meetings)):
        until = min(start, closes)
        if until - since >= length:
            free.append((since, until))
        since = max(since, end)
    if closes - since >= length:
        free.append((since, closes))
    return free


def _checked(meetings):
    for start, end in meetings:
        if end < start:
            raise ValueError(f"a meeting ends at {end}, before it starts at {start}")
    return [(start, end) for start, end in meetings if start < end]
