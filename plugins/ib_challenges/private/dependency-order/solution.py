import heapq


class Cycle(Exception):
    def __init__(self, path):
        super().__init__(" -> ".join(path))
        self.path = path


def build_order(needs):
    wanted = {target: set(before) for target, before in needs.items()}
    for before in needs.values():
        for target in before:
            wanted.setdefault(target, set())
    waiting = {target: len(before) for target, before in wanted.items()}
    used_by = {target: [] for target in wanted}
    for target, before in wanted.items():
        for other in before:
            used_by[other].append(target)
    ready = [target for target, count in waiting.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        target = heapq.heappop(ready)
        order.append(target)
        for user in used_by[target]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(order) < len(wanted):
        raise Cycle(
            _circle(
                {
                    target: sorted(t for t in wanted[target] if waiting[t])
                    for target in wanted
                    if waiting[target]
                }
            )
        )
    return order


def _circle(stuck):
    target, seen = min(stuck), {}
    path = []
    while target not in seen:
        seen[target] = len(path)
        path.append(target)
        target = stuck[target][0]
    circle = path[seen[target] :]
    first = circle.index(min(circle))
    return circle[first:] + circle[: first + 1]
