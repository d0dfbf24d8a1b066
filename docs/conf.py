"""The documentation site: ``make docs`` builds it from the repository's root into ``docs/_build/html``.

The root is the source folder so that a link from one page to another, to a notebook or to the README is the
same on the forge, in an editor and on the site. A link that leads nowhere is a warning, and so an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_site"))

from ib_kernel import __version__

project = "Interview Buddy"
author = "The Interview Buddy authors"
copyright = f"{author}; MIT licence"
version = release = __version__

root_doc = "docs/index"
include_patterns = [
    *("docs/**.md", "notebooks/*.ipynb", "benchmarks/results/*.md"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "changelog.d/README.md"),
]
exclude_patterns = [
    "plugins",
    "ib_kernel/interview/data",
    "docs/_build",
    "docs/_site",
    ".*",
    "node_modules",
    "**/.ipynb_checkpoints",
]
extensions = [
    *("sphinx.ext.autodoc", "sphinx.ext.napoleon"),
    *("myst_nb", "sphinx_copybutton", "sphinx_design"),
]

nb_execution_mode = "off"  # the notebooks are committed executed, and `make test` compares their outputs
nb_render_markdown_format = "myst"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Docstrings name things in single backticks, as this project's Markdown does.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 110
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "Interview Buddy"
html_static_path = ["_site/static"]
html_extra_path = ["_site/root"]
html_css_files = ["site.css"]
html_favicon = "_site/static/mark.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "Interview Buddy", "image_light": "mark.svg", "image_dark": "mark.svg", "alt_text": ""},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_exclude = ".linenos, .gp, .go"


def setup(app: Any) -> None:
    """Let code blocks that begin with one of our cell magics be highlighted as what they hold."""
    from notebook_lexer import NotebookLexer

    for name in ("python", "ipython3"):
        app.add_lexer(name, NotebookLexer)
    app.connect("autodoc-process-signature", _plain_errors)
    app.connect("autodoc-process-docstring", _keep_first_line, priority=499)  # napoleon's is 500


def _keep_first_line(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Napoleon takes "Seconds: what …" above an attribute for its type; ours are sentences."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def _plain_errors(app: Any, what: str, name: str, *rest: Any) -> tuple[str, str] | None:
    """An error is caught by its name; how it is built is ours."""
    return ("", "") if what == "exception" else None
