"""Settings that are allowed and probably not meant."""

from collections.abc import Iterator

from proxy.config.models import Forwarded, Mode, Service, Settings
from proxy.config.problems import Path
from proxy.config.rules import rule_cautions


def cautions(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Path and sentence of each."""
    if settings.admin.insecure_bind and not settings.admin.listen.is_loopback:
        yield (
            ("admin", "insecure_bind"),
            f"the admin port at {settings.admin.listen} can be reached by others, without TLS",
        )
    yield from ((("forwarded", *below), message) for below, message in _of_forwarded(settings.forwarded))
    for name, service in settings.services.items():
        for side, backend in (("primary", service.primary), ("candidate", service.candidate)):
            if not backend.tls.verify:
                said = f"whoever can stand between us and {backend.url} can read and change all of its traffic"
                yield ("services", name, side, "tls", "verify"), said
        for below, message in (*_of_service(service), *rule_cautions(service)):
            yield ("services", name, *below), message


def _of_forwarded(forwarded: Forwarded) -> Iterator[tuple[Path, str]]:
    if forwarded.trusted_peers and forwarded.mode == "off":
        yield ("trusted_peers",), "means nothing beside mode: off"
    for index, network in enumerate(forwarded.trusted_peers):
        if not network.prefixlen:
            yield ("trusted_peers", index), f"{network} is everybody: any client can claim any address"


def _of_service(service: Service) -> Iterator[tuple[Path, str]]:
    if service.mode is Mode.SHADOW and service.mirror.share == 0:
        yield ("mirror", "share"), "0 mirrors nothing: mode primary says the same more clearly"
    earlier: dict[str, str] = {}
    for index, endpoint in enumerate(service.endpoints):
        method = endpoint.match.partition(" ")[0]
        if endpoint.mirror and not endpoint.read_only and method not in {"*", *service.mirror.methods}:
            yield ("endpoints", index), f"{endpoint.match} is not mirrored until marked read_only: true"
        if not endpoint.mirror and endpoint.read_only:
            yield ("endpoints", index, "read_only"), "means nothing beside mirror: false"
        if (first := earlier.setdefault(endpoint.match, endpoint.name)) != endpoint.name:
            yield ("endpoints", index, "match"), f"is never reached: {first!r} matches the same requests"
