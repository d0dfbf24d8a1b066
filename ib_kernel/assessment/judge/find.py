"""Which judge is asked: the default one, the demo's, or a plugin's."""

from __future__ import annotations

from ib_kernel.assessment.judge.model import NAME, ModelJudge
from ib_kernel.errors import UnknownName
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values.judging import Judge

DEMO = "demo"
"""The client that is a script, and the judge that goes with it."""


def find_judge(plugins: Plugins, settings: Settings, name: str = "", client: str = "") -> Judge:
    """Return a judge by name.

    Without a name and a setting it is the model's; where the demo would answer, it is the demo's judge, so
    that what it gives is labelled as a demo.

    Args:
        plugins: What is installed.
        settings: What the user chose.
        name: "model", or what a plugin offers; "": the settings'.
        client: The client that would be asked.

    Raises:
        ConfigError: There is no such judge, or it cannot be built.
    """
    wanted = name or settings.judge or (DEMO if client == DEMO else NAME)
    if wanted == NAME:
        return ModelJudge()
    try:
        return plugins.judge(settings, wanted)
    except UnknownName as error:
        raise UnknownName(str(error).replace("; installed: ", f"; installed: {NAME}, ", 1)) from None


def judge_names(plugins: Plugins) -> list[str]:
    """Return the judges that can be asked for."""
    plugins.load()
    return [NAME, *plugins.catalog.judges.names()]
