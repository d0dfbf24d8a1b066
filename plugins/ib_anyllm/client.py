"""`AnyLLMClient`: one attempt per call through any-llm, whatever provider the model's name starts with."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

from ib_anyllm.mapping import mapped
from ib_kernel.errors import AuthFailed, ClientError, NotConnected, ServerFailed, StreamBroken
from ib_kernel.plugin import bodies, environment
from ib_kernel.secrets import learn_environment
from ib_kernel.settings import Settings
from ib_kernel.text import well_formed_value
from ib_kernel.values import ChatRequest, Done, KeepAlive, Piece, ReplyStream, Reported, Thinking, ends
from ib_kernel.values.reported import read_reported


class AnyLLMClient:
    """The ``anyllm`` client. Implements `ib_kernel.values.LLMClient`.

    A model is written ``provider:model``; without a provider it is ``openai``'s. The key and address of the
    settings go to that provider, but OPENAI_API_KEY and OPENAI_BASE_URL go to ``openai`` only; what is
    not given any-llm reads from the provider's own variable (``ANTHROPIC_API_KEY``, …).
    """

    name = "anyllm"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read_s = 1.25 * max(settings.first_piece_s, settings.gap_s)
        # Providers keep keys in plain attributes: kept in a closure, like a `Secret`.
        self._provider: Callable[[str], Any] = functools.cache(lambda name: _create(name, settings))
        self._building = threading.Lock()
        self._used: set[str] = set()

    def __repr__(self) -> str:
        return f"AnyLLMClient({', '.join(sorted(self._used)) or 'not used yet'})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client cannot be pickled: it has keys and connections")

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the JSON body that `stream` would send for *request*. Pure."""
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [well_formed_value(dict(message)) for message in request.messages],
            "max_tokens": request.max_completion_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.n != 1:
            body["n"] = request.n
        body.update(well_formed_value(dict(request.extra)))
        if not body["stream"]:
            body.pop("stream_options", None)
        return body

    @contextlib.asynccontextmanager
    async def stream(self, body: Mapping[str, Any]) -> AsyncIterator[ReplyStream]:
        """Send *body*, once; yield `Piece`s, then one `Done`. Leaving the context ends the HTTP response."""
        name, model = _split(str(body["model"]))
        provider = await self._ready(name)
        fields = {**body, "model": model}
        if name not in _NO_TIMEOUT:
            fields["timeout"] = self._read_s
        answer = await self._tried(provider.acompletion(**fields))
        reply = self._read(answer, streamed=bool(body.get("stream")))
        try:
            yield reply
        finally:
            await reply.aclose()  # type: ignore[attr-defined]
            close = getattr(answer, "aclose", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()

    async def prepare(self) -> None:
        """Import the SDK of the settings' provider; what fails here was not sent."""
        await self._ready(_split(self._settings.model)[0])

    async def validate_api_key(self) -> bool:
        """Ask for the list of models: True when the key is accepted, False on 401. Costs no tokens."""
        provider = await self._ready(_split(self._settings.model)[0])
        try:
            await self._tried(provider.alist_models())
        except AuthFailed as error:
            if error.status == 401:
                return False
            raise
        return True

    async def aclose(self) -> None:
        """Close connections, where the provider's SDK can. Idempotent."""
        used, self._used = self._used, set()
        for name in used:
            close = getattr(getattr(self._provider(name), "client", None), "close", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()

    async def _ready(self, name: str) -> Any:
        def build() -> Any:
            with self._building:
                return self._provider(name)

        if name not in self._used:  # importing an SDK takes half a second: not on the loop
            await asyncio.to_thread(build)
            self._used.add(name)
        return self._provider(name)

    async def _tried(self, work: Any) -> Any:
        try:
            return await work
        except StopAsyncIteration:
            raise
        except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
            problem = mapped(error, self._key())
        raise problem

    def _key(self) -> str | None:
        return self._settings.api_key.reveal() if self._settings.api_key else None

    async def _read(
        self, answer: Any, *, streamed: bool
    ) -> AsyncIterator[Piece | Thinking | KeepAlive | Done]:
        end = _End()
        if not streamed:
            heard = end.note(answer, "message")
            if end.is_too_long:
                raise end.failed(bodies.too_long(bodies.MAX_UNPACKED_BYTES))
            for one in heard:
                yield one
            yield end.done()
            return
        chunks = aiter(answer)
        while True:
            lost: ClientError | None = None
            try:
                chunk = await self._tried(anext(chunks))
            except StopAsyncIteration:
                break
            except ClientError as error:
                if end.is_good:  # a lost tail does not spoil a reply that has ended
                    break
                lost = end.failed(error)
            if lost is not None:
                raise lost
            heard = end.note(chunk, "delta")
            if end.is_too_long:  # where an SDK hides its connection, nobody else counts
                raise end.failed(bodies.too_long(bodies.MAX_UNPACKED_BYTES))
            for one in heard:
                yield one
            if not heard:
                yield KeepAlive()
        yield end.done()


class _End:
    """Collects what `Done` tells, from chunks or from a whole answer."""

    def __init__(self) -> None:
        self.finish = ""
        self._repeats = self._began = False
        self._usage: Reported | None = None
        self._raw: str | None = None
        self._about: Any = None
        self._size = 0

    @property
    def is_too_long(self) -> bool:
        """True if more has come than an answer may have, whichever SDK has read it."""
        return self._size > bodies.MAX_UNPACKED_BYTES

    @property
    def is_good(self) -> bool:
        """True if a finish reason that everybody knows stands last."""
        return not self._repeats and ends.word_of(self.finish) in ends.KNOWN - ends.FAILED

    def note(self, answer: Any, part: str) -> list[Piece | Thinking]:
        """Return what choice 0 in *answer* says."""
        self._about = answer
        if (usage := getattr(answer, "usage", None)) is not None:
            raw = usage.model_dump_json(exclude_none=True)
            if raw != self._raw and (said := read_reported(json.loads(raw))) is not None:
                self._usage = said if self._usage is None else self._usage.then(said)
                self._raw = raw
        heard: list[Piece | Thinking] = []
        for choice in getattr(answer, "choices", None) or ():
            if (getattr(choice, "index", 0) or 0) == 0:
                new = _heard(getattr(choice, part, None))
                reason = str(getattr(choice, "finish_reason", None) or "")
                reason = "" if reason.lower() in ends.NO_REASON else reason
                if new and self.finish:  # a word that comes with every chunk ends nothing
                    self._repeats, self.finish = True, ""
                self.finish = reason or self.finish
                heard += new
        self._began = self._began or bool(heard)
        self._size += CHUNK_BYTES + sum(len(one.text) for one in heard)
        return heard

    def failed(self, error: ClientError) -> ClientError:
        """Return *error* with the usage that had come, its cost unknown once a reply had begun."""
        error.usage, error.raw_usage = self._usage, self._raw
        if self._began and error.outcome == "rejected":
            error.outcome = "unknown"
        return error

    def done(self) -> Done:
        """Return the end of the reply. `StreamBroken` when there was no finish reason."""
        if ends.word_of(self.finish) in ends.FAILED:
            line = f"the service ended the reply with {self.finish[:40]!r}"
            raise self.failed(ServerFailed(line, outcome="unknown"))
        if not self.finish and self._usage is None:
            line = "the answer ended without a finish reason, so it is probably cut off"
            raise self.failed(StreamBroken(line))
        about = self._about
        return Done(
            self.finish or ends.UNKNOWN,
            self._usage,
            str(getattr(about, "model", None) or ""),
            str(getattr(about, "id", None) or ""),
            int(getattr(about, "created", None) or 0),
            getattr(about, "service_tier", None),
            self._raw,
        )


def _heard(said: Any) -> list[Piece | Thinking]:
    """Return the texts of a delta or message, and its reasoning, which is no text."""
    if said is None:
        return []
    thought = getattr(said, "reasoning", None)
    thought = getattr(thought, "content", thought) or getattr(said, "reasoning_content", None)
    heard: list[Piece | Thinking] = [Thinking(thought)] if isinstance(thought, str) and thought else []
    for text in (getattr(said, "content", None), getattr(said, "refusal", None)):
        if isinstance(text, str) and text:
            heard.append(Piece(text))
    return heard


CHUNK_BYTES = 64
"""What a chunk has at the least beside its text: an endless stream of empty chunks has an end, too."""

_NO_TIMEOUT = frozenset({"bedrock", "sagemaker", "watsonx"})
"""Providers whose SDKs take no timeout per request."""


def _create(name: str, settings: Settings) -> Any:
    from any_llm import AnyLLM

    learn_environment()  # what is not given, the provider reads from its own variable
    given: dict[str, Any] = {}
    if settings.api_key and (name == "openai" or settings.origins.get("api_key") != "OPENAI_API_KEY"):
        given["api_key"] = settings.api_key.reveal()
    if settings.base_url and (name == "openai" or settings.origins.get("base_url") != "OPENAI_BASE_URL"):
        given["api_base"] = settings.base_url
    try:
        provider = AnyLLM.create(name, **given, unified_exceptions=True, max_retries=0)
        _bound_answers(provider)
        return provider
    except Exception as error:  # noqa: BLE001 - mapped here and raised below, where it is not our context
        problem = mapped(error, given.get("api_key"))
        what = environment.mistake(_origin(error))
    if not what and problem.outcome == "unknown":  # nothing was sent yet
        what = f"the provider {name!r} cannot be set up ({type(problem).__name__}: {problem})"
    raise NotConnected(f"not sent: {what}", retryable=False) if what else problem


def _origin(error: BaseException) -> BaseException:
    """Return what *error* came from: any-llm wraps what a provider's SDK raises."""
    while (cause := getattr(error, "original_exception", None) or error.__cause__) is not None:
        error = cause
    return error


def _bound_answers(provider: Any) -> None:
    """Limit what the provider's HTTP client reads, where its SDK keeps one in the usual place.

    That is so in the SDKs of OpenAI, Anthropic, Groq, Cerebras, Together and Ollama, and in what is built on
    OpenAI's (read 2026-11).
    """
    http = getattr(getattr(provider, "client", None), "_client", None)
    hooks = getattr(http, "event_hooks", None)
    if http is not None and isinstance(hooks, dict):
        hooks.setdefault("response", []).append(functools.partial(bodies.bound, unpacked=True))
        http.headers["accept-encoding"] = bodies.ACCEPTED


def _split(model: str) -> tuple[str, str]:
    provider, colon, name = model.partition(":")
    return (provider, name) if colon and provider else ("openai", model)
