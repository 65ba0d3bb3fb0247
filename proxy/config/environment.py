"""The environment as a layer: `SHADOW_PROXY_SERVICES__RANKER__CANDIDATE__URL=http://…`.

After the prefix come the keys, joined by two underscores, in any case. Names of services are matched to the
configured ones with `-` and `.` written as `_`. Values are plain text; one that begins with `[` or `{` is
read like the file, so lists and mappings are given whole, as JSON.
"""

import re
from collections.abc import Iterable, Mapping
from typing import get_origin

from proxy.config.keys import annotation_at, table_at
from proxy.config.layers import Layer
from proxy.config.problems import Path, Place, problem
from proxy.config.spelling import did_you_mean
from proxy.config.token import TOKEN_VARIABLE
from proxy.config.yaml_tree import parse

PREFIX = "SHADOW_PROXY_"
DELIMITER = "__"

_BY_ORCHESTRATORS = re.compile(r"SERVICE_(HOST|PORT(_.*)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|NAME")
"""Variables that Kubernetes and container links set for a service that happens to be called shadow-proxy."""


def environment_layer(environ: Mapping[str, str], services: Iterable[str]) -> Layer:
    """What the variables say; `services` are the names the file configures."""
    layer = Layer()
    names = {_folded(name): name for name in services}
    variables = [name for name in environ if name.upper().startswith(PREFIX)]
    for variable in sorted(variables, key=lambda name: (name.count(DELIMITER), name)):
        rest = variable[len(PREFIX) :].upper()
        if variable.upper() != TOKEN_VARIABLE and not _BY_ORCHESTRATORS.fullmatch(rest):
            _read(layer, variable, environ[variable], names)
    return layer


def _folded(name: str) -> str:
    return re.sub(r"[-.]", "_", name).lower()


def _read(layer: Layer, variable: str, value: str, names: Mapping[str, str]) -> None:
    path: Path = ()
    for part in variable[len(PREFIX) :].lower().split(DELIMITER):
        table = table_at(path)
        if table is not None and part not in table.model_fields:
            known = (_variable((*path, key)) for key in table.model_fields)
            _complain(layer, variable, f"no such setting{_suggestion(variable, path, known)}")
            return
        if table is None and get_origin(annotation_at(path)) is not dict:
            _complain(layer, variable, f"{_variable(path)} has no parts: give it whole, a list as JSON")
            return
        path = (*path, part if table is not None else names.get(part, part))
    _put(layer, path, variable, value)


def _suggestion(variable: str, path: Path, known: Iterable[str]) -> str:
    if not path:
        # A single underscore where two belong is the likeliest slip, so tables' own keys are offered too.
        deeper = [
            _variable((key, below))
            for key in ("admin", "limits", "timeouts", "pool", "judge", "forwarded", "errors")
            if (table := table_at((key,)))
            for below in table.model_fields
        ]
        known = [*known, *deeper]
    return did_you_mean(variable.upper(), known)


def _put(layer: Layer, path: Path, variable: str, value: str) -> None:
    place = Place(variable)
    if value[:1] not in {"[", "{"}:
        layer.put(path, value, place)
        return
    document = parse(value, variable)
    for wrong in document.problems:
        layer.problems.append(problem(place, path, f"column {wrong.column}: {wrong.message}"))
    layer.put(path, document.tree, place)
    for below in document.values:
        layer.values[path + below] = place


def _complain(layer: Layer, variable: str, message: str) -> None:
    layer.problems.append(problem(Place(variable), (), message))


def _variable(path: Path) -> str:
    return PREFIX + DELIMITER.join(str(part).upper() for part in path)
