"""A setting, a command, a challenge and a model with a price."""

from dataclasses import dataclass
from importlib.resources import files

from ib_kernel import hookimpl
from ib_kernel.settings import Secret, parsing, setting


@dataclass(frozen=True)
class AcmeSettings:
    longest: int = setting(parsing.parse_whole(1), 80, "characters of a line of %interview recap")
    token: Secret | None = setting(parsing.parse_secret, None, "key of our archive")


def recap(interview, words):
    """Return the first words of each message, or of the speaker named in *words*."""
    longest = interview.settings.plugin("acme", AcmeSettings).longest
    messages = [m for m in interview.history() if m.role in (words or (m.role,))]
    return "\n".join(f"{m.role}: {m.content}"[:longest] for m in messages) or "nothing was said yet"


@hookimpl
def ib_register(catalog):
    catalog.add_settings("acme", AcmeSettings)
    catalog.add_command(
        "recap",
        recap,
        "Show who said what, a line each.",
        usage="[user|assistant]",
        complete=lambda interview, before: [] if before else ["user", "assistant"],
    )
    catalog.add_challenges(files("acme_interviews") / "tasks")
    price = {"input_usd_per_mtok": 0.5, "output_usd_per_mtok": 2}
    catalog.add_model("acme-large", context_window=32_000, max_output=4_000, **price)
