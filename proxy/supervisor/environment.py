"""What workers and judges inherit of the environment: nothing that configures us, since they are told, nor credentials.

Control inherits all of it: it takes the admin token from there, and reads the configuration again.
"""

from collections.abc import Mapping

from proxy.config.environment import PREFIX
from proxy.config.models import Settings


def inherited(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The environment without our own variables and without those that settings were read from."""
    read = _named_by(settings)
    return {name: value for name, value in environ.items() if name not in read and not name.upper().startswith(PREFIX)}


def _named_by(settings: Settings) -> set[str]:
    return {
        value.where
        for service in settings.services.values()
        for backend in (service.primary, service.candidate)
        for value in backend.headers.add.values()
        if value.kind == "env"
    }
