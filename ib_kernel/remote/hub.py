"""A notebook server that JupyterHub has started: its own token says who its user is.

The hub's configuration names the host in ``IB_HOST`` (see ``deploy/jupyterhub``).
"""

from __future__ import annotations

import os

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import learn
from ib_kernel.values.joining import JoinLine, parse_join


def is_here() -> bool:
    """Return True in the server of a user of a JupyterHub that names a host of interviews."""
    return bool(
        os.environ.get("JUPYTERHUB_API_TOKEN")
        and os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "").strip("/")
        and os.environ.get("IB_HOST", "").strip()
    )


def own_token() -> str:
    """Return the hub's token of this server.

    Raises:
        ConfigError: No hub has started it.
    """
    token = os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if not token:
        raise ConfigError("this interview was joined in a server of a JupyterHub; go on in one")
    learn(token)
    return token


def host_line() -> JoinLine:
    """Return the host that ``IB_HOST`` names, with its certificate's fingerprint if it has one.

    Raises:
        ConfigError: It is no address.
    """
    address = os.environ.get("IB_HOST", "").strip()
    line = parse_join(address if "://" in address else f"https://{address}")
    return JoinLine("", line.address, line.fingerprint)
