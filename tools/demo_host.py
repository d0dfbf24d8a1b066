"""`make demo-host`: a host and a candidate on this machine, without a key, and what each of them sees."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

IB = [sys.executable, "-c", "import sys; from ib_kernel.cli import main; sys.exit(main())"]
CELLS = (
    "%load_ext ib_kernel",
    "%interview join {line}",
    "%interview begin",
    "%%interview\nI'd start with a token bucket per user, kept in Redis.",
    "%budget",
    "%budget 1000000",
    "%interview end --yes",
)


def main() -> int:
    """Run the demo and return the exit status."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_"))}
    with tempfile.TemporaryDirectory(prefix="ib-demo-host-") as folder:
        env |= {"IB_CONFIG": os.devnull, "IB_STREAM": "final", "IB_DATA_DIR": str(Path(folder) / "candidate")}
        data = str(Path(folder) / "host")
        serve = [*IB, "host", "--data", data, "--listen", "127.0.0.1:0"]
        host = subprocess.Popen(serve, env=env, stdout=subprocess.PIPE, text=True)
        try:
            for said in host.stdout or ():
                print("host      |", re.sub(r"#\S+", "#…", said.rstrip()))
                if "Ctrl-C" in said:
                    break
            words = [
                "Backend engineer",
                "--candidate",
                "Ada",
                "--challenge",
                "rate-limiter",
                "--minutes",
                "30",
            ]
            invite = [*IB, "invite", "--data", data, "--minutes", "30", *words]
            line = subprocess.run(invite, env=env, capture_output=True, text=True, check=True).stdout.strip()
            print("ib invite |", line)
            return candidate(line.removeprefix("%interview join "), env)
        finally:
            host.send_signal(signal.SIGINT)
            host.wait(30)


def candidate(line: str, env: dict[str, str]) -> int:
    """Run the candidate's cells in a process of their own, whose data directory has no ledger of the host."""
    cells = [cell.format(line=line) for cell in CELLS]
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(colors='nocolor')\n"
        f"for cell in {cells!r}:\n"
        "    print('\\nIn:', cell)\n"
        "    shell.run_cell(cell)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    for said in (done.stdout + done.stderr).splitlines():
        print("candidate |", said)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
