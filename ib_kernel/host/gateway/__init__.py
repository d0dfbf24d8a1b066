"""The gateway: an OpenAI-compatible way for the candidate's own tools to the interview's budget."""

from ib_kernel.host.gateway.gateway import Gateway as Gateway
from ib_kernel.host.gateway.gateway import doors as doors
from ib_kernel.host.gateway.gateway import routes as routes
