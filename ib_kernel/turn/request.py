"""What one turn sends: one value, from the cell to the row."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.admission import Person
from ib_kernel.values import ChatRequest, Count, Message, Session
from ib_kernel.values.attachment import Attached
from ib_kernel.values.turn_view import TurnView


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What one turn sends: `request` with the reply tokens asked for, `question` the message to keep.

    The question is the value that was built when it was asked; only its turn is still to be given.
    `explicit` says that the person named the reply's length: then it is never shrunk. `request_id` and
    `request_sha` make a repeated request known (see `CallStart`). `new` are the tokens of the question and
    its attachments where only these and the reply are charged (None: all is). The prompt has the conversation
    from `history_from_turn` on (None: all of it). `person` says what a refusal may advise,
    `attached` what the question brings along. `prompt_version` is what the model is told ("": the
    session's). `view` is what the turn was composed from (None: it is read when it is needed),
    `count` the count of the prompt, where that was made already.
    """

    session: Session
    request: ChatRequest
    model: ModelInfo
    question: Message
    explicit: bool = False
    request_id: str = ""
    request_sha: str = ""
    new: int | None = None
    history_from_turn: int | None = None
    person: Person = "owner"
    attached: tuple[Attached, ...] = ()
    prompt_version: str = ""
    view: TurnView | None = None
    count: Count | None = None
