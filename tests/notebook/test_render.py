"""Markdown from a model is shown and does nothing: rendering, the allow-list, plain text, growing replies."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from attacks import ATTACKS
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_kernel.notebook.output.render import Growing, highlight, to_html
from ib_kernel.notebook.output.sanitize import LINK, PRE_STYLE, STYLES, TAGS, TOKEN_STYLES, clean
from ib_kernel.notebook.output.show import escape, plain, untypeset
from ib_kernel.values.results import QueryResult


class Reader(HTMLParser):
    """Reads HTML as a browser's tokenizer would and keeps every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.stack: list[str] = []
        self.typeset: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("br", "hr"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack
        assert self.stack.pop() == tag

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        if not {"code", "pre"} & set(self.stack):  # mathematics is never looked for in code
            self.typeset.append(data)


def assert_harmless(html: str) -> None:
    reader = Reader(html)
    assert reader.found[0] == ("div", {"class": "tex2jax_ignore mathjax_ignore"})
    assert not reader.stack, "unbalanced: it would break out of its cell"
    assert not reader.comments
    for tag, attributes in reader.found[1:]:
        assert tag in TAGS
        assert set(attributes) <= {"href", "rel", "style", "start"}
        assert attributes.get("style") in {*STYLES, None}
        if "href" in attributes:
            assert LINK.match(attributes["href"])
            assert attributes["rel"] == "noopener noreferrer nofollow"
    assert "javascript:" not in " ".join(
        str(a.get("href", "")).split("?")[0] for _, a in reader.found
    ).replace("https:javascript:", "")
    assert "\\href" not in "".join(reader.typeset)
    assert plain(html) == html


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_shown_and_does_nothing(attack: str) -> None:
    """No element, attribute or address of an attack survives, alone or after a paragraph or inside a list."""
    for text in (attack, f"Fine.\n\n{attack}\n\nAnd on.", f"- one\n- {attack}"):
        assert_harmless(to_html(text))


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_second_belt_holds_alone(attack: str) -> None:
    """The allow-list makes HTML harmless even when the renderer had let it through."""
    assert_harmless(f'<div class="tex2jax_ignore mathjax_ignore">{clean(attack)}</div>'.replace("\\href", ""))


_SNIPPETS = st.sampled_from(
    [
        *"<>\"'&;:()[]{}!`*_~#|\\/=-+ \n\t",
        "script",
        "javascript:",
        "onerror=",
        "<img ",
        "](",
        "```",
        "&#x6A;",
        "\u202e",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_SNIPPETS, st.sampled_from(ATTACKS), st.text(max_size=8)), max_size=12))
def test_nothing_executable_survives_any_mixture(parts: list[str]) -> None:
    """Whatever the pieces are glued together to, the result holds listed elements and attributes only."""
    assert_harmless(to_html("".join(parts)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(_SNIPPETS, st.sampled_from(ATTACKS), st.text(max_size=8)), max_size=12))
def test_a_growing_reply_is_harmless_at_every_moment(parts: list[str]) -> None:
    """A reply cut anywhere, as it is while it arrives, is as harmless as a finished one."""
    growing = Growing()
    for part in parts:
        growing.add(part)
        assert_harmless(growing.html())


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_plain_text_has_no_control_characters(text: str) -> None:
    """Terminal sequences, control characters, bidi overrides and lone surrogates are gone, the rest stays."""
    shown = plain(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert plain(shown) == shown
    shown.encode("utf-8")


def test_plain_text_loses_whole_terminal_sequences() -> None:
    """A colour, a window title and a terminal hyperlink leave only their text."""
    assert (
        plain("\x1b[31mred\x1b[0m \x1b]0;title\x07ok \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\")
        == "red ok link"
    )
    assert escape("\x1b[1m<b>") == "&lt;b&gt;"


def test_markdown_looks_as_it_should() -> None:
    """Headings, emphasis, tables, strikethrough, lists and links come out as HTML."""
    html = to_html(
        "# T\n\n*a* **b** ~~c~~\n\n| x | y |\n|:--|--:|\n| 1 | 2 |\n\n3. three\n\n[l](https://a.example/?q=1)"
    )
    for part in (
        "<h1>T</h1>",
        "<em>a</em> <strong>b</strong> <s>c</s>",
        '<td style="text-align:left">1</td><td style="text-align:right">2</td>'.replace("><td", ">\n<td"),
        '<ol start="3">',
        '<a href="https://a.example/?q=1" rel="noopener noreferrer nofollow">l</a>',
    ):
        assert part in html


def test_an_image_becomes_a_link_that_nobody_follows_for_the_reader() -> None:
    """An image is named and linked, never fetched."""
    html = to_html("![a *cat*](https://a.example/cat.png)")
    assert "<img" not in html
    assert (
        '<a href="https://a.example/cat.png" rel="noopener noreferrer nofollow">[image: a *cat*]</a>' in html
    )


def test_code_is_highlighted_with_inline_colours() -> None:
    """A known language gets colours inline; an unknown or huge one is shown as it is."""
    html = to_html("```python\ndef f(x):\n    return 'a<b'  # no\n```")
    assert PRE_STYLE in html
    assert f'<span style="{TOKEN_STYLES["keyword"]}">def</span>' in html
    assert "a&lt;b" in html
    assert highlight("a<b", "no-such-language") == "a&lt;b"
    assert highlight("x = 1\n" * 10_000, "python") == "x = 1\n" * 10_000


@pytest.mark.parametrize("colour", TOKEN_STYLES.values())
def test_the_colours_of_code_can_be_read(colour: str) -> None:
    """Every colour has a contrast of at least 4.5 to the background (WCAG AA)."""

    def luminance(hex_colour: str) -> float:
        channels = [int(hex_colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    background = luminance(re.search(r"background-color:(#\w{6})", PRE_STYLE)[1])
    assert (background + 0.05) / (luminance(colour.split(":")[1]) + 0.05) >= 4.5


def test_a_growing_reply_ends_as_the_whole_would_be_shown() -> None:
    """Block by block or at once, an ordinary reply looks the same."""
    text = "# Plan\n\nFirst *this*.\n\n- a\n- b\n\n```python\nx = 1\n\ny = 2\n```\n\nLast, `code`.\n"
    growing = Growing()
    for character in text:
        growing.add(character)
        growing.html()
    assert growing.html() == to_html(text)


def test_a_finished_block_is_not_rendered_again() -> None:
    """What has been finished is kept; only the open block is parsed again."""
    growing = Growing()
    for n in range(50):
        growing.add(f"Paragraph {n}.\n\n")
        growing.html()
    assert "Paragraph 49" in growing._open
    assert "Paragraph 48" not in growing._open


def test_tex_in_a_name_or_a_table_is_left_to_no_typesetter() -> None:
    """Whatever holds TeX is marked, so that a front end shows it as it is; other HTML stays as it was."""
    assert untypeset("<p>plain</p>") == "<p>plain</p>"
    assert untypeset(r"<p>$\href{javascript:x}{y}$</p>").startswith(
        '<div class="tex2jax_ignore mathjax_ignore">'
    )
    table = QueryResult(["content"], [(r"\(x\)",)])._repr_html_()
    assert table.startswith('<table class="tex2jax_ignore mathjax_ignore">')


def test_finished_blocks_are_handed_over_once_they_are_long_enough() -> None:
    """What is handed over and what is left are the whole, in HTML and in text."""
    growing, html, texts = Growing(), "", []
    text = "".join(f"Paragraph {n}.\n\n" for n in range(60))
    for start in range(0, len(text), 7):
        growing.add(text[start : start + 7])
        growing.html()
        if done := growing.finished(300):
            assert len(done[0]) >= 300
            html += done[0].removeprefix('<div class="tex2jax_ignore mathjax_ignore">').removesuffix("</div>")
            texts.append(done[1])
            assert growing.finished(300) is None
    html += growing.html().removeprefix('<div class="tex2jax_ignore mathjax_ignore">')
    assert len(texts) >= 3
    assert "".join(texts) + growing.text() == text
    assert f'<div class="tex2jax_ignore mathjax_ignore">{html}' == to_html(text)
