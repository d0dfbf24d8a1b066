"""JupyterHub with a host of interviews as its service: copy it, or take what you need into your own.

    pip install 'interview-buddy-kernel[host,hub,lab]' jupyterhub && npm install -g configurable-http-proxy
    jupyterhub -f jupyterhub_config.py

``README.md`` beside it says what was tried and what this spawner does not protect.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub's

HUB = os.environ.get("IB_HUB_URL", "http://127.0.0.1:8000")
"""What browsers and the users' servers call the hub; https:// wherever that is another machine."""

LEDGER = os.environ.get("IB_HUB_LEDGER", str(Path("interviews").resolve()))
"""The host's folder; no user of the hub may be able to read it."""

INTERVIEWERS = os.environ.get("IB_HUB_INTERVIEWERS", "").split()

c.JupyterHub.bind_url = HUB

# The key is in the service's environment only; it is in no user's server.
c.JupyterHub.services = [
    {
        "name": "interview",
        "url": os.environ.get("IB_HUB_LISTEN", "http://127.0.0.1:8899"),
        "command": [
            sys.executable, "-c", "import sys; from ib_kernel.cli import main; sys.exit(main())",
            "host", "--hub", "--data", LEDGER,
        ],
        "environment": {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("IB_", "OPENAI_")) and not name.startswith("IB_HUB_")
        },
    }
]  # fmt: skip

# Who has this scope opens and steers interviews with a token of the hub (Hub > Token).
c.JupyterHub.custom_scopes = {
    "custom:ib:interviewer": {"description": "Open interviews, watch them and steer them"}
}
c.JupyterHub.load_roles = [
    {"name": "ib-interviewer", "scopes": ["custom:ib:interviewer"], "users": INTERVIEWERS},
]

# `%interview join` without a code asks this host; the server's own token says whose it is.
c.Spawner.environment = {"IB_HOST": f"{HUB}/services/interview"}
c.Spawner.default_url = "/lab"
