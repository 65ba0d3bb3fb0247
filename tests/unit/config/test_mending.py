from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from proxy.config.mending import is_consequence, mended
from proxy.config.models import Settings
from proxy.config.problems import Path

BACKENDS = {"primary": {"version": "v1", "url": "http://a"}, "candidate": {"version": "v2", "url": "http://b"}}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.text(max_size=3),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=3), below, max_size=2),
    max_leaves=4,
)


def whole() -> dict[str, Any]:
    """A tree with something of everything."""
    return deepcopy(
        {
            "listen": "127.0.0.1:80",
            "admin": {"listen": "127.0.0.1:81", "hosts": ["h"]},
            "limits": {"interim": 3},
            "default_service": "a",
            "services": {
                "a": {
                    **BACKENDS,
                    "hosts": ["a"],
                    "mirror": {"share": 0.5, "methods": ["GET"], "headers": {"remove": ["cookie"]}},
                    "endpoints": [{"name": "e", "match": "GET /", "error_statuses": [500]}],
                    "rules": [{"id": "r", "path": "$.a", "use": "ignore", "reason": "r", "author": "o"}],
                },
                "b": {**BACKENDS, "hosts": ["b"]},
            },
        }
    )


def places(tree: Any, path: Path = ()) -> list[Path]:
    """Every place in a tree but its root."""
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [((*path, key), value) for key, value in below]
    return [place for at, value in found for place in (at, *places(value, at))]


@given(st.data())
def test_whatever_is_wrong_can_be_mended(data: st.DataObject) -> None:
    tree: Any = whole()
    for _ in range(data.draw(st.integers(1, 4))):
        *above, last = data.draw(st.sampled_from(places(tree)))
        holder = tree
        for key in above:
            holder = holder[key]
        match data.draw(st.sampled_from(["replace", "remove", "rename"])):
            case "rename" if isinstance(last, str):
                holder[data.draw(st.text(max_size=3))] = holder.pop(last)
            case "remove":
                del holder[last]
            case _:
                holder[last] = data.draw(JUNK)
        if not places(tree):
            break
    try:
        Settings.model_validate(tree)
    except ValidationError as wrong:
        found = [error["loc"] for error in wrong.errors()]
        assert isinstance(mended(tree, found), Settings)


@pytest.mark.parametrize("path", places(whole()), ids=str)
def test_one_value_that_cannot_be_read_causes_no_contradiction(path: Path) -> None:
    tree: Any = whole()
    holder = tree
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = {"\0": {}}
    with pytest.raises(ValidationError) as wrong:
        Settings.model_validate(tree)
    settings = mended(tree, [error["loc"] for error in wrong.value.errors()])
    assert [found for found in settings.contradictions() if not is_consequence(*found)] == []
