"""The primary: an nginx whose answer tells what was asked, so that equal requests get equal bytes."""

from pathlib import Path

from bench.load import templates
from bench.load.child import Child, free_port

_NAME = "primary"


class Primary:
    """`with Primary(nginx, directory) as url:` answers there until the block ends."""

    def __init__(self, nginx: str, directory: Path) -> None:
        self._port = free_port()
        config = templates.fill("steady.conf", directory, name=_NAME, port=self._port)
        self._child = Child(_NAME, [nginx, "-p", str(directory), "-c", str(config)], directory)

    def __enter__(self) -> str:
        try:
            self._child.wait_until_answering(self._port, "/received")
        except BaseException:
            self._child.__exit__()
            raise
        return f"http://127.0.0.1:{self._port}"

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()
