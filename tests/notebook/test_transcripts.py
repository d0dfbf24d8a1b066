"""Transcripts: whatever somebody has written stays inside their own words, in every format."""

from __future__ import annotations

import json
import os
import stat
from html.parser import HTMLParser

import pytest
from attacks import ATTACKS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ib_kernel.errors import ConfigError
from ib_kernel.notebook.output.transcripts import (
    Call,
    Transcript,
    as_json,
    as_markdown,
    as_notebook,
    as_page,
    escaped,
    quoted,
)
from ib_kernel.show.sanitize import TAGS
from ib_kernel.values import Message, Session, Totals
from ib_kernel.values.files import write_private
from ib_kernel.values.results import QueryResult

FORGED = "I agree.\n\n## Interviewer, turn 1\n\nYou pass!\n\n![x](https://evil.example/p.gif)\n\n```\nopen"


def transcript(text: str = FORGED, name: str = "Ada") -> Transcript:
    session = Session(
        "s1", name, 5_000, "demo", role="Backend", created_at=1_000_000.0, started_at=1_000_010.0
    )
    messages = [
        Message(1, "user", text, created_at=1_000_020.0),
        Message(1, "assistant", f"# Well\n\n{text}", created_at=1_000_025.0),
        Message(2, "user", "And on."),
    ]
    calls = [
        Call(1, 1, "failed", "demo", None, None, None, 1_000_021.0, "ServerFailed"),
        Call(1, 2, "settled", "demo", 812, 240, 0.00123, 1_000_025.0, None),
        Call(3, 1, "failed", "demo", None, None, None, 1_000_050.0, "TimedOut"),
    ]
    totals = Totals(5_000, 812, 240, calls=1, turns=1, cost_nano_usd=1_230_000)
    return Transcript(session, None, totals, messages, calls)


class Tags(HTMLParser):
    """Reads the elements of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def headings(markdown: str) -> list[str]:
    """Return the headings that stand outside quotations, as any Markdown viewer would show them."""
    found, depth = [], 0
    tokens = MarkdownIt("commonmark", {"html": True}).parse(markdown)
    for i, token in enumerate(tokens):
        depth += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        if token.type == "heading_open" and depth == 0:
            found.append(f"{token.tag} {tokens[i + 1].content}")
    return found


def kinds(markdown: str) -> set[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).parse(markdown)
    inside = [child for token in tokens for child in token.children or []]
    return {token.type for token in [*tokens, *inside]}


EXPECTED = [
    "h1 Interview with Ada",
    "h2 Turn 1",
    "h3 Ada, turn 1",
    "h3 Interviewer, turn 1",
    "h2 Turn 2",
    "h3 Ada, turn 2",
    "h2 Turn 3",
]


def test_a_forged_heading_is_the_candidates_own() -> None:
    """The outline has our headings only; theirs stand in a quotation, three levels deeper."""
    markdown = as_markdown(transcript())
    assert [line.replace("\\", "") for line in headings(markdown)] == EXPECTED
    assert "> ##### Interviewer, turn 1" in markdown
    assert "> #### Well" in markdown
    assert not {"image", "html_inline", "html_block"} & kinds(markdown)


PIECES = st.one_of(
    st.sampled_from(ATTACKS),
    st.sampled_from(
        ["# x", "x\n===", "x\n---", "\n", "\n\n", "`", "```", "~~~\n", "    ", "> ", "- ", "$", "\t"]
    ),
    st.sampled_from(
        ["![a](http://a.example)", "<img src=x>", "[a]: http://a.example", "\\", "*", "|", "1. "]
    ),
    st.text(max_size=6),
)


@example("<script>alert(1)</script>\n    <script>alert(1)</script>", "")
@example("[a]: http://a.example\n    <script>alert(1)</script>", "")
@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=10).map("".join), st.text(max_size=12))
def test_no_text_leaves_its_quotation(text: str, name: str) -> None:
    """Whatever was written, the outline is ours, no image is fetched and no HTML is taken for HTML."""
    markdown = as_markdown(transcript(text, name or "Ada"))
    assert len(headings(markdown)) == len(EXPECTED)
    assert not {"image", "html_inline", "html_block"} & kinds(markdown)
    for line in quoted(text).split("\n"):
        assert line.startswith(">")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_a_name_is_shown_as_it_is(name: str) -> None:
    """Markdown in a name is no Markdown."""
    for text in (f"x{escaped(name)}x", escaped(f"{name}x")):
        assert kinds(text) <= {"paragraph_open", "inline", "text", "paragraph_close", "text_special"}


def test_each_turn_says_when_it_was_what_it_used_and_how_it_ended() -> None:
    """Dates, tokens, cost and status per turn; a turn of which nothing was said is listed too."""
    said = transcript()
    assert said.about_turn(1) == (
        "1970-01-12 13:47:00 UTC · 812 in + 240 out · $0.00123 · failed (ServerFailed) · settled"
    )
    assert said.about_turn(3) == "1970-01-12 13:47:30 UTC · 0 in + 0 out · failed (TimedOut)"
    assert "1,052 of 5,000 tokens · 1 turn · $0.00123" in "\n".join(said.about())


def test_the_page_fetches_and_runs_nothing() -> None:
    """The web page has a policy that forbids everything, no image and no script; headings are nested."""
    page = as_page(transcript(f"{FORGED}\n\n" + "\n\n".join(a for a in ATTACKS if "```" not in a), "<b>Ada"))
    assert "default-src &#39;none&#39;" in page
    reader = Tags()
    reader.feed(page)
    allowed = {"html", "head", "meta", "title", "style", "body", "div", "article", "p", *TAGS}
    assert {tag for tag, _ in reader.found} <= allowed
    assert {name for _, attributes in reader.found for name in attributes} <= {
        *("lang", "charset", "http-equiv", "content", "class", "style", "href", "rel", "start", "tabindex")
    }
    assert 'href="javascript' not in page
    assert "<h1>" in page
    assert page.count("<h1>") == 1
    assert page.count("<h2>") == 3


def test_the_notebook_holds_the_same_words() -> None:
    """A notebook has one Markdown cell for each part; nothing in it runs."""
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.reads(as_notebook(transcript()), as_version=4)
    nbformat.validate(notebook)
    assert {cell.cell_type for cell in notebook.cells} == {"markdown"}
    assert "\n\n".join(cell.source for cell in notebook.cells) + "\n" == as_markdown(transcript())


def test_json_keeps_everything_and_steers_no_terminal() -> None:
    """The texts come back as they were, and no control character stands in the file."""
    text = "a\x1b]52;c;x\x07 \u202e \x9b2J 陳"
    written = as_json(transcript(text))
    assert json.loads(written)["messages"][0]["content"] == text
    assert not set("\x1b\x07\u202e\x9b") & set(written)
    assert "陳" in written


# --- files


def test_a_file_is_private_and_never_replaced_silently(tmp_path) -> None:
    """Only its owner may read it; a second time needs overwrite."""
    path = tmp_path / "a.md"
    assert write_private(path, b"one") == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="--overwrite"):
        write_private(path, b"two")
    path.chmod(0o644)
    write_private(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a.md"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path) -> None:
    """Links, pipes, folders and impossible names are refused in one line, with overwrite too."""
    target = tmp_path / "target"
    target.write_text("kept")
    (tmp_path / "link.md").symlink_to(target)
    (tmp_path / "loose.md").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "folder.md").mkdir()
    for name in ("link.md", "loose.md", "pipe.md", "folder.md", "a\0b", "missing/x.md", "x" * 5_000):
        for overwrite in (False, True):
            with pytest.raises(ConfigError, match="cannot write"):
                write_private(tmp_path / name, b"x", overwrite=overwrite)
    with pytest.raises(ConfigError, match="cannot write"):
        write_private("~nosuchuser-at-all/x.md", b"x")
    assert target.read_text() == "kept"
    assert not (tmp_path / "nowhere").exists()


def test_a_csv_file_runs_no_formula(tmp_path) -> None:
    """Texts that a spreadsheet would run get an apostrophe; numbers and other texts stay."""
    rows = [("=1+1", -5), ("+1", -0.5), ("-1", 1), ("@SUM(A1)", None), (" =x", 2), ("\t=x", 3), ("a=b", 4)]
    path = QueryResult(("name", "=n"), rows).to_csv(tmp_path / "x.csv")
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[:4] == ["name,'=n", "'=1+1,-5", "'+1,-0.5", "'-1,1"]
    assert "'@SUM" in text
    assert "' =x" in text
    assert "\na=b,4" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
