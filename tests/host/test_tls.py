"""TLS: a certificate that nobody has signed is pinned by the join line, one of an authority by its file."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import RunningHost, joined

from ib_kernel.errors import NotConnected
from ib_kernel.plugin.manager import Plugins
from ib_kernel.remote.joining import join, try_host
from ib_kernel.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate of its own for this machine and return it and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The host's certificate and key."""
    return certificate(tmp_path_factory.mktemp("tls"), "host")


@pytest.fixture(scope="module")
def host(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host that ends TLS itself."""
    options = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    with RunningHost(tmp_path_factory.mktemp("host"), options=options) as running:
        yield running


def test_the_line_pins_a_certificate_that_nobody_has_signed(host: RunningHost, tmp_path: Path) -> None:
    """With the whole line a candidate gets in; turns and events go over the same pinned TLS."""
    line = host.invite("--candidate", "Ada")
    assert "#sha256=" in line
    interview = joined(line, tmp_path / "ada").interview
    with interview:
        assert interview.say_sync("Hello").turn == 1
    assert "the line names" in try_host(line, Settings(data_dir=tmp_path))[0]


def test_another_certificate_is_refused_before_the_code_is_sent(host: RunningHost, tmp_path: Path) -> None:
    """Somebody in between gets neither code nor token, and the code still works."""
    line = host.invite("--candidate", "Bob")
    start, _, mark = line.partition("#sha256=")
    wrong = f"{start}#sha256={'0' if mark[0] != '0' else '1'}{mark[1:]}"
    with pytest.raises(NotConnected, match="another certificate"):
        join(wrong, Settings(data_dir=tmp_path), Plugins())
    with pytest.raises(NotConnected, match="IB_CA_FILE"):
        join(start, Settings(data_dir=tmp_path), Plugins())
    joined(line, tmp_path).interview.close()


def test_an_authority_of_ones_own_is_named_by_its_file(
    host: RunningHost, files: tuple[Path, Path], tmp_path: Path
) -> None:
    """IB_CA_FILE lets a line without a fingerprint in."""
    line = host.invite("--candidate", "Cleo").partition("#")[0]
    joined(line, tmp_path, ca_file=files[0]).interview.close()


def test_a_key_that_does_not_fit_is_one_line(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The host does not start, and says which file it is."""
    _, other = certificate(tmp_path, "other")
    host = RunningHost(tmp_path / "host")
    status, said = host.ib_any(
        "host", "--listen", "127.0.0.1:0", "--tls-cert", str(files[0]), "--tls-key", str(other)
    )
    assert status == 1
    assert said.startswith("ib: cannot use --tls-cert")
    assert "\n" not in said
