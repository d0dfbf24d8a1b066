"""What goes along with a question, and what a session was given."""

from __future__ import annotations

from pathlib import Path

from ib_kernel import Interview, Settings
from ib_kernel.interview.turns import asked_now
from ib_kernel.plugin.hookspecs import hookimpl
from ib_kernel.plugin.manager import Plugins
from ib_kernel.plugin.registry import Catalog


def test_the_question_is_one_text_where_it_is_counted_sent_and_stored(settings: Settings) -> None:
    """Half a surrogate pair, as a paste may leave it, is one U+FFFD everywhere; a pair is one letter."""
    typed, meant = "a \ud83d b \ud83d\ude00 c \udc00", "a \ufffd b \U0001f600 c \ufffd"
    with Interview(settings) as buddy:
        buddy.start(candidate="Ada")
        reply = buddy.ask(typed)
        assert reply._turn.ask.request.messages[-1]["content"] == meant
        assert reply._turn.ask.question.content == meant
        buddy.say_sync(typed)
        assert [m.content for m in buddy.history() if m.role == "user"] == [meant]
        sent = buddy.send(
            [{"role": "user", "content": [{"type": "text", "text": typed}]}], asked_now("user", typed)
        )
        assert sent._turn.ask.request.messages[0]["content"][0]["text"] == meant


def test_a_recorded_name_of_a_plugins_challenge_is_found_again(settings: Settings, tmp_path: Path) -> None:
    """A session that was opened by name only is posed the challenge of the plugin that offers it."""
    (tmp_path / "parcels.md").write_text("Assign the parcels.", encoding="utf-8")

    class Tasks:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_challenges(tmp_path)

    plugins = Plugins([Tasks()])
    with Interview(settings, plugins=plugins) as buddy:
        opened = buddy.service.create_session("Ada", 9_000, "gpt-5.4-mini", challenge="parcels")
        given = buddy.challenge(opened)
        assert given is not None
        assert given.text == "Assign the parcels."
