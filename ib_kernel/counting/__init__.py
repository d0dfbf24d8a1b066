"""The rules of prompt counting, without any tokenizer: an encoder is handed in.

`RuleCounter` is a whole `ib_kernel.values.TokenCounter` but for its encoders; counter plugins subclass it.
``rules.toml`` has every model name and constant, with source and date.
"""

from ib_kernel.counting.counter import RuleCounter
from ib_kernel.counting.encoder import CachedCounts, Encoder, Encoders, Uncountable, is_failure
from ib_kernel.counting.profile import Profile, profile

__all__ = [
    "CachedCounts",
    "Encoder",
    "Encoders",
    "Profile",
    "RuleCounter",
    "Uncountable",
    "is_failure",
    "profile",
]
