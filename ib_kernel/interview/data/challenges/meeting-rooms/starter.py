def rooms_needed(meetings):
    """Return the least number of rooms for all meetings."""
    raise NotImplementedError


def free_slots(meetings, opens, closes, length):
    """Return the stretches without any meeting that are at least `length` minutes long."""
    raise NotImplementedError
