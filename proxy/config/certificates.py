"""TLS contexts made from the files that the configuration names; what cannot be used is a sentence that names the file.

The same functions check a configuration and serve by it, so what was checked is what runs. They read files:
not for an event loop.
"""

import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path as FilePath

from proxy.config.models import BackendTls, ListenerTls, Settings
from proxy.config.problems import Path
from proxy.config.secret_file import SecretFileError, read_secret

HTTP_1_1 = "http/1.1"
_ROUNDS = 4


class CertificateError(Exception):
    """A file that cannot be used: `key` is the setting that names it, the message is for people."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def certificate_problems(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Path and sentence of every file that cannot be used; where the settings contradict each other, none is tried."""
    if settings.tls.is_on and not any(settings.tls.contradictions()):
        yield from _problems(("tls",), partial(listener_context, settings.tls))
    for name, service in settings.services.items():
        for side, backend in (("primary", service.primary), ("candidate", service.candidate)):
            tls = backend.tls
            if backend.url.scheme == "https" and files_of(tls) and not any(tls.contradictions()):
                yield from _problems(("services", name, side, "tls"), partial(backend_context, tls))


def _problems(path: Path, load: Callable[[], ssl.SSLContext]) -> Iterator[tuple[Path, str]]:
    try:
        load()
    except CertificateError as wrong:
        yield (*path, wrong.key), str(wrong)


def files_of(tls: ListenerTls | BackendTls) -> tuple[str, ...]:
    """The files it names."""
    authorities = tls.client_ca if isinstance(tls, ListenerTls) else tls.ca
    return tuple(file for file in (tls.certificate, tls.key, authorities) if file is not None)


def listener_context(tls: ListenerTls) -> ssl.SSLContext:
    """For clients; the certificate is set. Raises CertificateError."""
    context = secured(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    _load_own(context, tls.certificate, tls.key)
    _prove(context, tls.certificate or "")
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authorities(context, "client_ca", tls.client_ca)
    return context


def backend_context(tls: BackendTls) -> ssl.SSLContext:
    """For an `https` backend. Raises CertificateError."""
    context = secured(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca is not None:
        _load_authorities(context, "ca", tls.ca)
    else:
        context.load_default_certs()
    if tls.certificate is not None:
        _load_own(context, tls.certificate, tls.key)
    return context


def secured(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context with what both sides insist on: TLS 1.2, no renegotiation, HTTP/1.1."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([HTTP_1_1])
    return context


def _load_own(context: ssl.SSLContext, certificate: str | None, key: str | None) -> None:
    """Load a certificate and its key; `load_cert_chain` does not say which of them is wrong, so each is looked at."""
    certificate, key = certificate or "", key or ""
    _load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "certificate", certificate)
    try:
        read_secret(FilePath(key), "this key")
        context.load_cert_chain(certificate, key, _no_passphrase)
    except SecretFileError as wrong:
        raise CertificateError("key", str(wrong)) from None
    except _EncryptedError:
        message = f"{key}: is locked by a passphrase, and nobody is there to type it: use a key without one"
        raise CertificateError("key", message) from None
    except ssl.SSLError as wrong:
        if wrong.reason == "KEY_VALUES_MISMATCH":
            message = f"{key}: is not the key of {certificate}: give the pair that was made together"
            raise CertificateError("key", message) from None
        if wrong.reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"}:
            message = f"{certificate}: is too weak for TLS today ({wrong.reason}): have a new one made"
            raise CertificateError("certificate", message) from None
        raise CertificateError("key", f"{key}: holds no private key in PEM form that can be used") from None
    except OSError as wrong:  # it went away meanwhile
        raise CertificateError("key", f"{key}: {wrong.strerror}: this key cannot be read") from None


def _load_authorities(context: ssl.SSLContext, setting: str, file: str) -> None:
    try:
        if not stat.S_ISREG(FilePath(file).stat().st_mode):
            raise CertificateError(setting, f"{file}: is not a plain file")
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise CertificateError(setting, f"{file}: holds no certificate in PEM form") from None
    except OSError as wrong:
        raise CertificateError(setting, f"{file}: {wrong.strerror}: this certificate cannot be read") from None


class _EncryptedError(Exception):
    pass


def _no_passphrase() -> str:
    """Called instead of asking at the terminal."""
    raise _EncryptedError


def _prove(context: ssl.SSLContext, certificate: str) -> None:
    """Shake hands with a client that trusts exactly this certificate: what it refuses, every client refuses."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        trusting.load_verify_locations(cafile=certificate)
    except OSError as gone:
        raise CertificateError("certificate", f"{certificate}: cannot be read: {gone.strerror}") from None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (trusting.wrap_bio(to_client, to_server), context.wrap_bio(to_server, to_client, server_side=True))
    try:
        for side in sides * _ROUNDS:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as wrong:
        message = f"{certificate}: no client would accept it: {wrong.verify_message}"
        raise CertificateError("certificate", message) from None
    except ssl.SSLError as wrong:
        raise CertificateError("certificate", f"{certificate}: TLS does not work with it: {wrong.reason}") from None
