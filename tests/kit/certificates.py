"""A certificate authority made for one test, certificates signed by it, and contexts for those who use them."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Authority:
    """A self-signed authority; `certificate` is what a client must trust."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        if shutil.which("openssl") is None:
            pytest.skip("needs the Debian package openssl")
        _openssl(
            folder,
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem"),
        )
        return cls(folder)

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    def sign(self, name: str, days: int = 2) -> tuple[Path, Path]:
        """A certificate for a DNS name or address, and its key; the same files at each call, new in each."""
        kind = "IP" if name.replace(".", "").isdigit() else "DNS"
        (self.folder / "san.cnf").write_text(f"subjectAltName={kind}:{name}\n")
        _openssl(
            self.folder,
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        _openssl(
            self.folder,
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", str(days), "-extfile", "san.cnf", "-out", f"{name}.pem"),
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def server(self, name: str = "127.0.0.1", days: int = 2) -> ssl.SSLContext:
        """What a server of this name needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.sign(name, days))
        return context

    def client(self, *protocols: str, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client needs that trusts this authority and offers these protocols."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, umask=0o077)
