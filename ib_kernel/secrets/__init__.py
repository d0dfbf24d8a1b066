"""Keys that show themselves to nobody, and the one scrubber that keeps them out of whatever is written.

A `Secret` is known to the scrubber from the moment it is made, and `learn` makes further texts known. `scrub`
and `scrub_keys` are called where text leaves us: rows, outputs, logs and files. They replace every known
secret, in the spellings in which a service or an address may repeat it, and what has the shape of a key.
"""

from ib_kernel.secrets.known import PLACEHOLDERS, SHORTEST, learn, learn_environment
from ib_kernel.secrets.scrubber import holds_no_key, scrub, scrub_keys, scrub_value
from ib_kernel.secrets.secret import Secret
from ib_kernel.secrets.shapes import MARK
from ib_kernel.secrets.stream import StreamScrubber

__all__ = [
    "MARK",
    "PLACEHOLDERS",
    "SHORTEST",
    "Secret",
    "StreamScrubber",
    "holds_no_key",
    "learn",
    "learn_environment",
    "scrub",
    "scrub_keys",
    "scrub_value",
]
