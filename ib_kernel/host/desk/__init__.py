"""What interviewers read and do over HTTP: sessions, controls, notes, invitations, people, SQL."""

from ib_kernel.host.desk.routes import routes

__all__ = ["routes"]
