"""The command line as a layer: the few settings `serve` and `check` take as flags."""

from dataclasses import dataclass

from proxy.config.layers import Layer, Stack
from proxy.config.problems import Path, Place, problem

DEFAULT_SERVICE = "default"
_VERSIONS = {"primary": "v1", "candidate": "v2"}


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags as typed; None where one was not given. `primary` and `candidate` are URLs."""

    primary: str | None = None
    candidate: str | None = None
    listen: str | None = None
    admin_listen: str | None = None
    mode: str | None = None
    workers: int | None = None
    state_dir: str | None = None
    log_format: str | None = None


_SETTINGS: dict[str, Path] = {
    "listen": ("listen",),
    "admin_listen": ("admin", "listen"),
    "workers": ("workers",),
    "state_dir": ("state_dir",),
    "log_format": ("log_format",),
}


def flags_layer(flags: Flags, below: Stack) -> Layer:
    """What the flags say about the services in `below`; without any, they make one called `default`."""
    layer = Layer()
    for name, path in _SETTINGS.items():
        value = getattr(flags, name)
        if value is not None:
            layer.put(path, value, Place("--" + name.replace("_", "-")))
    for side, version in _VERSIONS.items():
        url = getattr(flags, side)
        if url is not None:
            _put_backend(layer, below, side, url, version)
    if flags.mode is not None:
        for service in dict.fromkeys([*below.services(), *layer.services()]):
            layer.put(("services", service, "mode"), flags.mode, Place("--mode"))
    return layer


def _put_backend(layer: Layer, below: Stack, side: str, url: str, version: str) -> None:
    place = Place(f"--{side}")
    service = _meant(below)
    if service is None:
        names = ", ".join(below.services())
        message = f"which service is meant: {names}? Set default_service, or the url in the file"
        layer.problems.append(problem(place, (), message))
        return
    layer.put(("services", service, side, "url"), url, place)
    if not _has_version(below, service, side):
        layer.put(("services", service, side, "version"), version, place)


def _meant(below: Stack) -> str | None:
    services = below.services()
    if len(services) <= 1:
        return services[0] if services else DEFAULT_SERVICE
    chosen = below.merged().get("default_service")
    return chosen if chosen in services else None


def _has_version(below: Stack, service: str, side: str) -> bool:
    backend = below.merged().get("services", {}).get(service)
    backend = backend.get(side) if isinstance(backend, dict) else None
    return isinstance(backend, dict) and "version" in backend
