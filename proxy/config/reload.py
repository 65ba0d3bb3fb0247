"""What a configuration that is read again can change in a proxy that runs, and what waits for its restart."""

from collections.abc import Iterator
from functools import reduce

from proxy.config.models import Settings
from proxy.config.problems import ConfigError, problem
from proxy.config.sources import Sources

FIXED: tuple[tuple[str, ...], ...] = (
    ("listen",),
    ("tls",),
    ("admin", "listen"),
    ("admin", "insecure_bind"),
    ("admin", "token_file"),
    ("state_dir",),
    ("workers",),
    ("log_format",),
)
"""Settings that are read once, at the start: sockets that are open, processes that run, files that are held."""


def read_again(sources: Sources, running: Settings) -> tuple[Settings, list[str]]:
    """The settings these sources now lead a running proxy to, and the changed ones that need a restart.

    The latter are as they were. Raises ConfigError, also when the others do not fit them.
    """
    loaded = sources.load()
    settings, waiting = merged(running, loaded.settings)
    clashes = list(settings.contradictions())
    if clashes:
        until = f" (until a restart changes {', '.join(waiting)})" if waiting else ""
        raise ConfigError(problem(loaded.stack.at(path), path, said + until) for path, said in clashes)
    return settings, waiting


def merged(running: Settings, read: Settings) -> tuple[Settings, list[str]]:
    """What was read, with the fixed settings as they run, and the names of those that differ."""
    waiting = [".".join(path) for path in FIXED if value_at(running, path) != value_at(read, path)]
    admin = {path[1]: value_at(running, path) for path in FIXED if path[0] == "admin"}
    top = {path[0]: value_at(running, path) for path in FIXED if len(path) == 1}
    return read.model_copy(update={**top, "admin": read.admin.model_copy(update=admin)}), waiting


def value_at(settings: Settings, path: tuple[str, ...]) -> object:
    """The value of a setting."""
    return reduce(getattr, path, settings)


def changed(before: Settings, after: Settings) -> Iterator[str]:
    """Where two configurations differ: top-level settings by name, services as `services.NAME`."""
    # A running proxy has credentials from its sources as text: it is their values that must be the same.
    old, new = before.with_secrets(), after.with_secrets()
    for name in type(before).model_fields:
        if name != "services" and old[name] != new[name]:
            yield name
    for service in dict.fromkeys([*before.services, *after.services]):
        if old["services"].get(service) != new["services"].get(service):
            yield f"services.{service}"
