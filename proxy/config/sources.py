"""Where a configuration is read from, so that it can be read again, also by another process."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from proxy.config.flags import Flags
from proxy.config.load import Loaded, load


@dataclass(frozen=True, slots=True)
class Sources:
    """A file or none, and flags; the environment is that of whoever reads."""

    file: Path | None = None
    flags: Flags = field(default_factory=Flags)

    def load(self) -> Loaded:
        """What they say now. Raises ConfigError."""
        return load(self.file, self.flags)

    def encode(self) -> str:
        """As text; a file's path does not depend on where we are."""
        return json.dumps({"file": self.file and str(self.file.absolute()), "flags": asdict(self.flags)})

    @classmethod
    def decode(cls, text: str) -> Self:
        """The reverse of `encode`."""
        body = json.loads(text)
        return cls(body["file"] and Path(body["file"]), Flags(**body["flags"]))
