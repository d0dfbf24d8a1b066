"""Markdown from a model is shown and does nothing: rendering, the allow-list, plain text, growing replies."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from attacks import ATTACKS
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_kernel.notebook.output.show import Output, mime_bundle, show_lines
from ib_kernel.show.highlight import LEXERS, MAX_CODE, highlight
from ib_kernel.show.markdown import MAX_CELLS, MAX_TEXT, TooMuch, parse
from ib_kernel.show.render import Growing, to_html, to_html_each
from ib_kernel.show.sanitize import CELL_STYLES, CLASSES, LINK, PRE_STYLE, STYLES, TAGS, TOKEN_STYLES, clean
from ib_kernel.text import one_line, plain
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
        assert set(attributes) <= {"href", "rel", "style", "start", "class", "tabindex"}
        assert attributes.get("style") in {*STYLES, None}
        assert attributes.get("class") in {*CLASSES, None}
        assert attributes.get("tabindex") in {"0", None}
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
    assert "&lt;b&gt;" in mime_bundle("\x1b[1m<b>", "")["text/html"]


def test_markdown_looks_as_it_should() -> None:
    """Headings, emphasis, tables, strikethrough, lists and links come out as HTML."""
    html = to_html(
        "# T\n\n*a* **b** ~~c~~\n\n| x | y |\n|:--|--:|\n| 1 | 2 |\n\n3. three\n\n[l](https://a.example/?q=1)"
    )
    for part in (
        "<h1>T</h1>",
        "<em>a</em> <strong>b</strong> <s>c</s>",
        f'<td style="{CELL_STYLES["td", "left"]}">1</td>\n<td style="{CELL_STYLES["td", "right"]}">2</td>',
        '<ol start="3">',
        '<a href="https://a.example/?q=1" rel="noopener noreferrer nofollow">l</a>',
    ):
        assert part in html


def test_tables_are_left_aligned_where_the_text_does_not_say() -> None:
    """JupyterLab's own style would put every cell to the right."""
    html = to_html("| a | b | c |\n|---|--:|:-:|\n| 1 | 2 | 3 |")
    for tag, align, text in (
        ("th", "left", "a"),
        ("td", "left", "1"),
        ("td", "right", "2"),
        ("td", "center", "3"),
    ):
        assert f'<{tag} style="{CELL_STYLES[tag, align]}">{text}</{tag}>' in html
        assert f"text-align:{align};" in CELL_STYLES[tag, align]


def test_a_wide_table_scrolls_sideways_within_its_own_box() -> None:
    """The page is never wider than its window, and a table after code keeps its distance."""
    html = to_html("```\nx\n```\n| a |\n|---|\n| 1 |")
    assert '</pre>\n<div class="ib-wide" style="overflow-x:auto;margin:8px 0 12px"><table' in html
    assert html.count("</table></div>") == 1


def test_an_image_becomes_a_link_that_nobody_follows_for_the_reader() -> None:
    """An image is named and linked, never fetched."""
    html = to_html("![a *cat*](https://a.example/cat.png)")
    assert "<img" not in html
    assert (
        '<a href="https://a.example/cat.png" rel="noopener noreferrer nofollow">[image: a *cat*]</a>' in html
    )


def test_code_is_highlighted_by_name_and_by_weight() -> None:
    """A known language gets names that a style sheet colours; an unknown or huge one is shown as it is."""
    html = to_html("```python\ndef f(x):\n    return 'a<b'  # no\n```")
    assert PRE_STYLE in html
    assert f'<span class="ib-keyword" style="{TOKEN_STYLES["keyword"]}">def</span>' in html
    assert '<span class="ib-name">f</span>' in html
    assert "a&lt;b" in html
    assert highlight("a<b", "no-such-language") == "a&lt;b"
    assert highlight("x = 1\n" * 10_000, "python") == "x = 1\n" * 10_000


@pytest.mark.parametrize("style", sorted(STYLES))
def test_no_style_names_a_colour_of_text_or_an_opaque_ground(style: str) -> None:
    """What is saved is read in light and dark: text keeps the page's colour, grounds let it through."""
    rules = dict(rule.split(":") for rule in style.split(";"))
    assert "color" not in rules
    assert re.fullmatch(
        r"transparent|rgba\(127,127,127,0\.\d+\)", rules.get("background-color", "transparent")
    )


def test_code_never_wraps() -> None:
    """Its lines scroll sideways, in any width, and the box can be reached by keyboard."""
    html = to_html("```\n" + "x" * 500 + "\n```")
    assert "white-space:pre;" in PRE_STYLE
    assert "overflow-x:auto" in PRE_STYLE
    assert f'<pre class="ib-code" style="{PRE_STYLE}" tabindex="0">' in html


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
    for name in (
        r"$\href{javascript:x}{y}$",
        r"mathjax_ignore $\href{http://a.example}{20000 left}$",
        "plain",
    ):
        for shown in (show_lines(name), Output(name, name)):
            html = shown._repr_mimebundle_()["text/html"]
            assert html.startswith('<div class="tex2jax_ignore mathjax_ignore ib">')
            assert html.endswith("</div>")
            assert html.count("</div>") == 1
    table = QueryResult(["content"], [(r"\(x\)",)])._repr_html_()
    assert table.startswith('<div class="tex2jax_ignore mathjax_ignore ib ib-wide"')


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


EXPENSIVE = {
    "a table of 40,000 empty cells": "|" * 100 + "\n" + "|-" * 100 + "|\n" + "|\n" * 400,
    "many small tables": ("|" * 20 + "\n" + "|-" * 20 + "|\n" + "|\n" * 100 + "\n") * 20,
    "a long text": "word " * (MAX_TEXT // 4),
}


@pytest.mark.parametrize("text", EXPENSIVE.values(), ids=EXPENSIVE)
def test_a_text_that_costs_too_much_is_shown_as_it_is(text: str) -> None:
    """Nothing of it is lost, and its HTML is about as long as the text."""
    html = to_html(text)
    assert_harmless(html)
    assert len(html) < 1.1 * len(text) + MAX_CELLS * 60
    assert html.count("<td") <= MAX_CELLS
    assert re.sub("<[^>]*>", "", html).split()[:50] == text.split()[:50] or html.count("<td") > 0


def test_parsing_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser looks at its clock at every step, in blocks and in lines, and gives up."""
    clock = iter(range(10**9))
    monkeypatch.setattr("ib_kernel.show.markdown.time.thread_time", lambda: float(next(clock)))
    for text in ("- a\n" * 1_000, "[" * 1_000):
        with pytest.raises(TooMuch):
            parse(text, {}, 100.0)
    assert to_html("- a\n" * 1_000).endswith("</pre></div>")
    growing = Growing()
    growing.add("![" * 1_000)
    assert_harmless(growing.html())


def test_texts_that_are_shown_together_share_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the newest have used it up, the older ones are shown as they are."""
    clock = iter(x / 1_000 for x in range(10**9))
    monkeypatch.setattr("ib_kernel.show.render.time.thread_time", lambda: next(clock))
    html = to_html_each(["- a\n" * 400, *["**b** " * 40] * 3])
    assert html[0].endswith("</pre></div>")
    assert "<strong>b</strong>" in html[-1]


def test_code_is_coloured_by_known_lexers_of_short_code_and_in_time() -> None:
    """A lexer that is not listed, a long block and a passed deadline leave the code as it is."""
    code = "a\n" * 40
    assert "csharp" not in LEXERS
    assert highlight("class A {}", "csharp") == "class A {}"
    assert highlight("x = 1\n" * MAX_CODE, "python") == "x = 1\n" * MAX_CODE
    assert "<span" in highlight("def f(): pass", "python")
    assert highlight("def f(): pass", "python", until=0.0) == "def f(): pass"
    for language in LEXERS:
        shown = re.sub("<[^>]*>", "", highlight(code, language))
        assert shown.rstrip() == code.rstrip()


@pytest.mark.parametrize(
    "tex",
    [
        r"$r\,(t-t_0)$",
        r"$a*b*c_d_e$",
        r"\(x \\ y_i\)",
        r"\[\sum_{i=1}^n a_i\]",
        r"$$\frac{a}{b}\;*x*$$",
        "$$\nx\\,y\n= y\n- z\n$$",
    ],
)
def test_tex_is_shown_as_it_was_written(tex: str) -> None:
    """Backslashes, stars and underscores of a formula are no Markdown."""
    html = to_html(f"The rate is\n\n{tex}\n\nper second.")
    assert "<em>" not in html
    shown = re.sub("<[^>]*>", "", html.replace("<br>", "\n"))
    assert tex in shown.replace("\u2060", "")
    assert_harmless(html)


def test_dollars_are_dollars() -> None:
    """Two prices in a line are no formula."""
    assert "<strong>only</strong>" in to_html("It costs $5, **only** $6 more.")
    assert ">a$</code>" in to_html("It costs $x and `a$`")


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_a_line_for_a_terminal_steers_nothing(text: str) -> None:
    """`one_line` keeps one line, shows what it took, and changes nothing when called again."""
    line = one_line(f"a\x1b]52;c;YQ==\x07\u202e{text}")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)
    assert line.startswith("a\\x1b]52;c;YQ==\\x07\\u202e")
    assert one_line(line) == line
