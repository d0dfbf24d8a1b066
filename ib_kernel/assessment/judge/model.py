"""The default judge: asks the model that the settings choose, through whatever client that is."""

from __future__ import annotations

from ib_kernel.assessment.judge import prompt
from ib_kernel.assessment.judge.answer import read_answer
from ib_kernel.values.judging import Case, JudgeRequest, Opinion

NAME = "model"
"""What the default judge is chosen by; no plugin can take it."""


class ModelJudge:
    """A judge on any client. *name* is what its levels are recorded under, *client* the client plugin asked.

    Args:
        name: Its name among raters.
        client: The client plugin; "": the settings'.
    """

    version = prompt.VERSION

    def __init__(self, name: str = NAME, client: str = "") -> None:
        self.name, self.client = name, client

    def request(self, case: Case) -> JudgeRequest:
        """Return the rules, the record and the criterion."""
        return prompt.request(case)

    def read(self, answer: str, case: Case) -> Opinion:
        """Return what the answer says. `ValueError` says why it cannot be used."""
        return read_answer(answer)
