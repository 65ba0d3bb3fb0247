"""The listener's files as they were when they last worked, for a worker that starts while they do not.

Whoever renews a certificate may be half done when a worker has to be started again, or may have failed for weeks.
A running worker goes on with what it has; one that starts has nothing, and all its clients would be refused. So each
worker that could use the files keeps a copy in the runtime directory: one file, replaced in one step, for nobody
else's eyes, and gone when the supervisor ends.
"""

import json
import os
import ssl
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Final

import structlog

from proxy.config.certificates import CertificateError, listener_context, secured
from proxy.config.models import ListenerTls

KEPT_FILE: Final = "certificate.json"


class KeptCertificate:
    """The listener's context, from the configured files or from the copy. Reads and writes: for a thread."""

    def __init__(self, tls: ListenerTls, folder: Path) -> None:
        self._tls = tls
        self._folder = folder

    def load(self) -> ssl.SSLContext:
        """From the configured files; keeps a copy of them. Raises CertificateError."""
        context = listener_context(self._tls)
        try:
            self._keep()
        except OSError as wrong:
            structlog.get_logger().warning("certificate_not_kept", why=str(wrong))
        return context

    def last_good(self) -> ssl.SSLContext | None:
        """From the copy, even if it has expired by now: some clients will have it, none would have no answer."""
        try:
            content = json.loads((self._folder / KEPT_FILE).read_bytes())
            with TemporaryDirectory(dir=self._folder) as place:
                return _unproven(_written(content, Path(place)))
        except (OSError, ValueError):  # there is none, or none that can be used
            return None

    def _keep(self) -> None:
        """Copy the files, unless they are no longer those that were loaded: then the next look finds them changed."""
        named = self._tls.model_dump(exclude_none=True)
        content = {name: Path(file).read_text("latin-1") for name, file in named.items()}
        with TemporaryDirectory(dir=self._folder) as place:
            try:
                listener_context(_written(content, Path(place)))
            except CertificateError:
                return
            with NamedTemporaryFile("w", dir=place, delete=False) as file:
                json.dump(content, file)
            Path(file.name).replace(self._folder / KEPT_FILE)


def _written(content: dict[str, str], place: Path) -> ListenerTls:
    """The contents as files again: OpenSSL loads nothing else."""
    for name, text in content.items():
        with os.fdopen(os.open(place / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(text.encode("latin-1"))
    return ListenerTls.model_validate({name: str(place / name) for name in content})


def _unproven(tls: ListenerTls) -> ssl.SSLContext:
    """What was proven when it was kept needs no second proof. Raises OSError."""
    context = secured(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(tls.certificate or "", tls.key)
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=tls.client_ca)
    return context
