"""Configuration files of the processes under test, written with their ports and directory filled in."""

import re
from pathlib import Path

_HOME = Path(__file__).with_name("configs")


def fill(template: str, directory: Path, /, *, name: str, **places: object) -> Path:
    """Write `configs/<template>` to `directory`, each `@place@` replaced, and return the new file's path.

    Raises KeyError for a place nobody filled.
    """
    values = {"dir": directory, "name": name} | places
    text = re.sub(r"@(\w+)@", lambda found: str(values[found[1]]), (_HOME / template).read_text())
    target = directory / f"{name}-{template}"
    target.write_text(text)
    return target
