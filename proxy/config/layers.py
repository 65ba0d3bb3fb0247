"""Who said what: the flags, the environment and the file, each a partial tree with places.

Precedence is flags > environment > file > defaults. Mappings merge key by key; a list replaces the whole
list below it. The merging itself is pydantic-settings', each layer being one of its sources.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from proxy.config.problems import Path, Place, Problem


@dataclass(slots=True)
class Layer:
    """One source's part of the tree. `keys` and `values` say where a key and its value were written."""

    tree: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    spelled: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, path: Path, value: Any, place: Place) -> None:
        """Set one value; mappings on the way to it are made."""
        table = self.tree
        for key in path[:-1]:
            below = table.get(str(key))
            if not isinstance(below, dict):
                below = table[str(key)] = {}
            table = below
        table[str(path[-1])] = value
        self.values[path] = place

    def services(self) -> list[str]:
        """The names of the services it mentions."""
        services = self.tree.get("services")
        return list(services) if isinstance(services, dict) else []


class Stack:
    """Layers, the strongest first, seen as one."""

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self.layers = tuple(layers)

    def over(self, layer: Layer) -> Self:
        """The same with a stronger layer on top."""
        return type(self)((layer, *self.layers))

    @property
    def problems(self) -> list[Problem]:
        """What was wrong with the layers themselves."""
        return [problem for layer in self.layers for problem in layer.problems]

    def services(self) -> list[str]:
        """The names of all services, each once."""
        return list(dict.fromkeys(name for layer in reversed(self.layers) for name in layer.services()))

    def merged(self) -> dict[str, Any]:
        """One tree of all layers."""

        class Merged(BaseSettings, extra="allow"):
            @classmethod
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return tuple(_Source(settings_cls, layer) for layer in self.layers)

        return dict(Merged().model_extra or {})

    def at(self, path: Path, *, key: bool = False) -> Place | None:
        """Where the value (or key) at `path`, or the nearest thing round it, was written."""
        for length in range(len(path), 0, -1):
            for layer in self.layers:
                places = (layer.keys, layer.values) if key or length < len(path) else (layer.values, layer.keys)
                for table in places:
                    if place := table.get(path[:length]):
                        return place
        return None

    def spelled(self, path: Path) -> str | None:
        """How the file spells a number or boolean."""
        for layer in self.layers:
            if path in layer.values or path in layer.spelled:
                return layer.spelled.get(path)
        return None

    def origin(self, path: Path) -> str:
        """Who set the value at `path`: `file:line:column`, a variable, a flag, or `default`."""
        for length in range(len(path), 0, -1):
            for layer in self.layers:
                place = layer.values.get(path[:length])
                if place and (length == len(path) or isinstance(path[length], int)):
                    return str(place)
        return "default"


class _Source(PydanticBaseSettingsSource):
    """A layer as pydantic-settings wants it."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  the base class's signature
        return self._layer.tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._layer.tree
