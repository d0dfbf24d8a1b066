"""Plugins as authors write them, for mypy: each line that must be refused says with which code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ib_kernel import Settings, hookimpl
from ib_kernel.plugin.events import AfterCall
from ib_kernel.plugin.registry import Catalog
from ib_kernel.values import BudgetStore, Count, LLMClient, TokenCounter


class Words:
    """A counter that does all that it must."""

    name = "words"

    def count_text(self, text: str, model: str) -> Count:
        tokens = len(text.split())
        return Count(tokens, exact=False, upper=None, reason="words")

    def count_request(self, body: Mapping[str, Any], model: str) -> Count:
        return self.count_text(str(body), model)


class Letters:
    """A counter whose counts are plain numbers."""

    name = "letters"

    def count_text(self, text: str, model: str) -> int:
        return len(text)

    def count_request(self, body: Mapping[str, Any], model: str) -> int:
        return len(str(body))


def make_words(settings: Settings) -> TokenCounter:
    return Words()


def make_letters(settings: Settings) -> Letters:
    return Letters()


def make_without_settings() -> TokenCounter:
    return Words()


def make_client(settings: Settings) -> LLMClient:
    raise NotImplementedError


def make_store(settings: Settings) -> BudgetStore:
    raise NotImplementedError


@hookimpl
def ib_register(catalog: Catalog) -> None:
    catalog.add_counter("words", make_words)
    catalog.add_client("mine", make_client)
    catalog.add_store("mine", make_store)
    catalog.add_counter("letters", make_letters)  # refused: arg-type
    catalog.add_counter("words", make_without_settings)  # refused: arg-type
    catalog.add_counter("words", Words())  # refused: arg-type
    catalog.add_client("mine", make_store)  # refused: arg-type
    catalog.add_store("mine", make_client)  # refused: arg-type
    catalog.add_tokenizer("words", make_words)  # refused: attr-defined


@hookimpl
def ib_after_call(event: AfterCall) -> None:
    event.session_id = "another"  # refused: misc
    print(event.sesion_id)  # refused: attr-defined
