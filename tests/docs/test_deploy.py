"""The files of deploy/ were tried as far as their README says; all of them type what `ib` takes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.cli import _parser
from ib_kernel.settings.fields import FIELD_NAMES
from ib_kernel.settings.sources import env_name

yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
pytest.importorskip("starlette", reason="pip install 'interview-buddy-kernel[host]'")

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "ib-host.service").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "postgres" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def after(word: str, text: str, sign: str = " ") -> list[str]:
    """Return what comes after *word* in each line that begins with it."""
    return [line[len(word) + 1 :] for line in text.splitlines() if line.startswith(word + sign)]


def commands() -> Iterator[Any]:
    """Yield each command line of `ib` in deploy/, with the file's name."""
    for name, service in SERVICES.items():
        words = service.get("entrypoint", [])
        lines = words[2].split("||") if words[:2] == ["sh", "-c"] else [shlex.join(words)]
        yield from (pytest.param(line.strip(), id=f"{name}-{n}") for n, line in enumerate(lines) if line)
    (start,), (run,) = after("ENTRYPOINT", CONTAINER), after("# Run:", CONTAINER)
    yield pytest.param(f"{shlex.join(json.loads(start))} {run.split('ib-host ', 1)[1]}", id="image")
    yield pytest.param(after("ExecStart", UNIT, "=")[0].rpartition("/bin/")[2], id="unit")


@pytest.mark.parametrize("line", list(commands()))
def test_each_command_is_one_that_ib_takes(line: str) -> None:
    """Its options are there, and a host would start by them."""
    from ib_kernel.host.serve import Serving, require_safe

    program, *words = shlex.split(line)
    assert program == "ib"
    given = _parser().parse_args(words)
    if words[0] == "host":
        require_safe(
            Serving(given.listen, given.url, given.tls_cert, given.tls_key, given.behind_proxy,
                    given.hub, given.workers, tuple(given.proxy))
        )  # fmt: skip


def test_a_team_has_two_hosts_and_makes_the_ledger_first() -> None:
    """What is tried above is not nothing."""
    hosts = [
        name for name, service in SERVICES.items() if service.get("entrypoint", [])[:2] == ["ib", "host"]
    ]
    assert len(hosts) == 2
    for name in hosts:
        assert SERVICES[name]["depends_on"] == {"ledger": {"condition": "service_completed_successfully"}}


def test_each_setting_is_one() -> None:
    """Every IB_ variable is read by somebody."""
    from ib_postgres.settings import PostgresSettings

    known = {env_name(name) for name in FIELD_NAMES}
    known |= {f"IB_POSTGRES_{field.name.upper()}" for field in fields(PostgresSettings)}
    named = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {"IB_STORE", "IB_POSTGRES_URL"} <= named
    assert {name for name in named if name.startswith("IB_")} <= known


def test_each_name_is_of_something_that_is_there() -> None:
    """Secrets, volumes, services and the proxy's address; the extras are the package's."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = SERVICES["proxy"]["networks"]["default"]["ipv4_address"]
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        kept = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {volume for volume in kept if "/" not in volume} <= set(COMPOSE["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        if "--proxy" in service.get("entrypoint", []):
            assert service["entrypoint"][service["entrypoint"].index("--proxy") + 1] == address
            extras = service["build"]["args"]["EXTRAS"].split(",")
            assert set(extras) <= set(package["optional-dependencies"]), name
            assert (
                DEPLOY / "postgres" / service["build"]["context"] / service["build"]["dockerfile"]
            ).exists()
    assert f'"{SERVICES["ledger"]["environment"]["PGPASSFILE"]}"' == '"/run/secrets/pgpass"'


def test_the_image_has_what_it_copies_and_installs() -> None:
    """Folders, extras and the Python that the project is for; its data is its own user's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (install,) = re.findall(r"pip install [^&]*", CONTAINER)
    for path, extras in re.findall(r"/src(/[\w/]+)?(?:\[([\w,]+)\])?", install):
        assert (ROOT / path.lstrip("/") / "pyproject.toml").is_file(), path
        assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"])
    (python,) = re.findall(r"python:(\d+\.\d+)", CONTAINER)
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    (user,) = after("USER", CONTAINER)
    assert re.search(rf"useradd .*\b{user}\b", CONTAINER)
    (volume,) = after("VOLUME", CONTAINER)
    assert f"chown {user} {volume}" in CONTAINER
    assert f'"--data", "{volume}"' in CONTAINER
    (port,), (run,) = after("EXPOSE", CONTAINER), after("# Run:", CONTAINER)
    assert f":{port}" in after("ENTRYPOINT", CONTAINER)[0]
    assert f":{port}:{port}" in run


def test_the_unit_s_folder_is_the_one_that_systemd_makes() -> None:
    """Its own, and for nobody else to read."""
    (start,), (state,) = after("ExecStart", UNIT, "="), after("StateDirectory", UNIT, "=")
    assert f"--data /var/lib/{state} " in start
    assert after("StateDirectoryMode", UNIT, "=") == ["0700"]


def test_what_nobody_has_tried_says_so() -> None:
    """In the file itself and in the table of the folder."""
    assert CONTAINER.startswith("# Untried.")
    assert "the service itself is untried" in UNIT.splitlines()[0]
    table = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name, word in (("ib-host.service", "its form only"), ("Containerfile", "| no:")):
        assert word in next(line for line in table.splitlines() if f"({name})" in line)
