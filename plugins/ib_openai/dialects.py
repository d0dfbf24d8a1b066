"""How the servers that speak OpenAI's protocol differ, one record each.

Sources, read 2026-11: OpenAI's API reference (``max_tokens`` is deprecated and refused by reasoning models);
Azure's v1 reference; llama.cpp's server README (``max_tokens``; older servers were measured to ignore
``max_completion_tokens``, that of xllamacpp 2026.10 honours both); Ollama's OpenAI compatibility page and
LM Studio's API page (``max_tokens`` only); vLLM's ``ChatCompletionRequest`` (both). Whatever a server
honours, the pipeline also stops at the cap itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ib_kernel.errors import ConfigError

DEFAULT_URL = "https://api.openai.com/v1"

CapField = Literal["max_completion_tokens", "max_tokens"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server.

    `cap_field` is the body field that caps a reply's tokens. `usage_in_stream` says that the server sends
    usage in streams when ``stream_options`` asks for it (False: the field is left out). `developer_role`
    says that it knows the role *developer* (else it is sent as *system*). `reasoning_effort` says that it
    takes that field (else it is left out). `key_header` carries the key beside ``Authorization``. `gateway`
    says that OpenAI's own models may stand behind it, which get the field that OpenAI wants. `needs_key`
    says that nothing works without a key. `cache_key` says that it takes ``prompt_cache_key``. `system_role`
    is the role that system messages are sent in ("": as they are).
    """

    name: str
    cap_field: CapField = "max_tokens"
    usage_in_stream: bool = True
    developer_role: bool = False
    reasoning_effort: bool = True
    key_header: str | None = None
    gateway: bool = False
    needs_key: bool = False
    cache_key: bool = False
    system_role: str = ""

    def cap_field_for(self, model: str) -> CapField:
        """Return the field that caps *model*'s reply here."""
        return "max_completion_tokens" if self.gateway and is_openai_model(model) else self.cap_field


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("openai", "max_completion_tokens", developer_role=True, needs_key=True, cache_key=True),
        Dialect("azure", "max_completion_tokens", developer_role=True, key_header="api-key", needs_key=True),
        Dialect("vllm", "max_tokens"),
        Dialect("llama.cpp", "max_tokens", reasoning_effort=False),
        Dialect("ollama", "max_tokens"),
        Dialect("lmstudio", "max_tokens"),
        Dialect("compatible", "max_tokens", gateway=True),
    )
}
"""Every dialect by name; ``compatible`` is what any other server gets."""

_PORTS = {11434: "ollama", 1234: "lmstudio", 8000: "vllm", 8080: "llama.cpp"}
"""Default ports of local servers (their documentation, 2026-11)."""

_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".openai.azure.us")
_OPENAI_MODEL = re.compile(r"^(?:openai/)?(?:gpt-(?!oss)|chatgpt-|o\d)")


def is_openai_model(model: str) -> bool:
    """Return True if *model* is one that OpenAI serves itself (gpt-oss runs anywhere, so it is not)."""
    return bool(_OPENAI_MODEL.match(model.removeprefix("ft:").lower()))


def detect(base_url: str | None, chosen: str | None = None) -> Dialect:
    """Return the dialect *chosen* by name, else the one *base_url* points at.

    Only an address tells: OpenAI's and Azure's hosts, and the default port of a local server on this
    machine. `ConfigError` when *chosen* is no dialect.
    """
    if chosen and chosen != "auto":
        if chosen not in DIALECTS:
            raise ConfigError(f"no dialect called {chosen!r}; allowed: auto, {', '.join(DIALECTS)}")
        return DIALECTS[chosen]
    if base_url is None:
        return DIALECTS["openai"]
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    if host == "api.openai.com" or host.endswith(".api.openai.com"):
        return DIALECTS["openai"]
    if host.endswith(_AZURE):
        return DIALECTS["azure"]
    if is_local(host):
        return DIALECTS[_PORTS.get(parts.port or 0, "compatible")]
    return DIALECTS["compatible"]


def messages_for(messages: Sequence[Mapping[str, Any]], dialect: Dialect) -> list[dict[str, Any]]:
    """Return *messages* in roles that *dialect* knows. Pure.

    Where system messages go as *user*, they join the question that follows, so that roles alternate.
    """
    sent: list[dict[str, Any]] = []
    joins = False
    for message in messages:
        copy = dict(message)
        if copy.get("role") == "developer" and not dialect.developer_role:
            copy["role"] = "system"
        if dialect.system_role and copy.get("role") in ("system", "developer"):
            copy["role"] = dialect.system_role
            if joins:
                sent[-1]["content"] = _joined(sent[-1].get("content"), copy.get("content"))
            else:
                sent.append(copy)
            joins = copy["role"] == "user"
        elif joins and copy.get("role") == "user":
            sent[-1]["content"], joins = _joined(sent[-1].get("content"), copy.get("content")), False
        else:
            sent.append(copy)
            joins = False
    return sent


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    parts = [
        [{"type": "text", "text": one}] if isinstance(one, str) else list(one or ())
        for one in (first, second)
    ]
    return parts[0] + parts[1]


def is_local(host: str) -> bool:
    """Return True if *host* names this machine."""
    return host in ("localhost", "::1") or host.startswith("127.")


def split_query(url: str) -> tuple[str, dict[str, object]]:
    """Return *url* without its query, and the query (Azure's ``?api-version=…`` belongs to each request)."""
    parts = urlsplit(url)
    query: dict[str, Any] = dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query="", fragment="")), query
