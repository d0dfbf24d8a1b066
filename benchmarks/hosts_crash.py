"""`make bench-hosts-crash`: two hosts, a hundred candidates streaming, `kill -9` of one, on both ledgers.

Half of the replies have ended when the host dies, half are being written. Finished ones must be whole, cut
ones must show their stored text marked unfinished and be in doubt, nothing may be asked or charged twice, and
all candidates, with a notebook's own client, must go on at the other host within ten seconds. ``CANDIDATES``
says how many. The hosts have their own lease.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from standbys import Durable, binaries

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / "host")]

from crash_runs import Found, crash  # noqa: E402

from ib_kernel.host.serve import LEASE_S  # noqa: E402

CANDIDATES = int(os.environ.get("CANDIDATES", "100"))
WITHIN_S = 10.0


def on_postgres(folder: Path) -> Found:
    """Run it on a PostgreSQL that keeps what it acknowledges."""
    import psycopg

    from ib_postgres.migrate import migrate

    server = Durable(binaries()).make()
    try:
        with psycopg.connect(server.url(), autocommit=True) as db:
            migrate(db)
        env = {"IB_STORE": "postgres", "IB_POSTGRES_URL": server.url()}
        return crash(folder, CANDIDATES, env, LEASE_S)
    finally:
        server.remove()


def main() -> int:
    """Run both and print what was found; 1 where a promise was broken."""
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "embedded": lambda: crash(Path(folder) / "embedded", CANDIDATES, None, LEASE_S),
            "PostgreSQL": lambda: on_postgres(Path(folder) / "postgres"),
        }
        for name, run in runs.items():
            found = run()
            late = found.slowest_s > WITHIN_S
            print(
                f"{name}: {found.whole} replies whole, {found.cut} unfinished and in doubt; all {CANDIDATES} "
                f"answered at the other host within {found.slowest_s:.1f} s{' (too late)' if late else ''}; "
                f"{len(found.problems)} problems",
                *found.problems,
                sep="\n",
                flush=True,
            )
            status |= bool(found.problems) or late
    return status


if __name__ == "__main__":
    sys.exit(main())
