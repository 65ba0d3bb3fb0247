"""Durations, sizes, addresses and names as people write them: `90s`, `64MiB`, `127.0.0.1:8080`, `https://host`.

Each `parse_…` takes what the file, the environment or JSON holds and raises ValueError with a sentence that
says how to write it. None of them repeats a URL: it may hold a password.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

MS, SECONDS, MINUTES, HOURS, DAYS = 0.001, 1.0, 60.0, 3600.0, 86400.0
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_DURATION_UNITS = {"ms": MS, "s": SECONDS, "m": MINUTES, "h": HOURS, "d": DAYS}
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)")
_SIZE_UNITS = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,18})?")
_WHOLE = re.compile(r"\d{1,18}")
_PORT = re.compile(r"[0-9]{1,5}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?")
_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}(/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})?")
_PREFIX = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+")
PARAMETER = re.compile(r"\{[a-z_][a-z0-9_]*\}")
"""A segment of an endpoint's template that stands for any."""
_MAX_PORT = 65535
_LONGEST = 10_000 * DAYS
_BIGGEST = 1 << 50


def parse_duration(text: object) -> float:
    """Seconds from `90s`, `10m`, `250ms`, `2h`, `7d`, or a plain number of seconds. Raises ValueError."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError("a duration is a number with a unit, such as 90s, 10m or 250ms")
    if isinstance(text, int | float):
        number, unit = text, SECONDS
    elif found := _DURATION.fullmatch(text.strip()):
        number, unit = float(found[1]), _DURATION_UNITS[found[2]]
    elif _NUMBER.fullmatch(text.strip()):
        number, unit = float(text), SECONDS
    else:
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 10m, 2h or 250ms")
    if not 0 <= number <= _LONGEST / unit:
        raise ValueError("a duration is from 0 to 10000d")
    return float(number * unit)


def parse_size(text: object) -> int:
    """Bytes from `1MiB`, `64KiB`, or a plain number of bytes. Raises ValueError."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise ValueError("a size is a number of bytes with a unit, such as 64KiB or 1MiB")
    if isinstance(text, int):
        size = text
    elif found := _SIZE.fullmatch(text.strip()):
        size = int(found[1]) * _SIZE_UNITS[found[2]]
    elif _WHOLE.fullmatch(text.strip()):
        size = int(text)
    else:
        raise ValueError(f"{text!r} is not a size; write it like 512B, 64KiB or 1MiB")
    if not 0 <= size <= _BIGGEST:
        raise ValueError("a size is from 0 to 1048576GiB")
    return size


def refuse_flag(value: Any) -> Any:
    """Anything but a boolean, which would otherwise pass for 0 or 1. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def check_host_name(text: str) -> str:
    """A host name or address without a port, in lower case. Raises ValueError."""
    bare = text.removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(text) and not _is_address(bare):
        raise ValueError(f"{text!r} is not a host name; write it like ranker.example, without a port")
    return text.lower()


def check_host_policy(text: str) -> str:
    """`preserve`, `target`, or the Host field to send, with or without a port. Raises ValueError."""
    host, colon, port = text.rpartition(":") if re.search(r":\d*$", text) else (text, "", "")
    if not (_HOST.fullmatch(host) or (host.startswith("[") and _is_address(host[1:-1]))) or (
        colon and not _is_port(port)
    ):
        raise ValueError(f"{text!r} is not preserve, target or a host name")
    return text


def check_path_prefix(text: str) -> str:
    """The front of a path, as whole segments; empty for none. Raises ValueError."""
    if text and not _PREFIX.fullmatch(text):
        raise ValueError(f"{text!r} is not the front of a path; write it like /api, without a slash at its end")
    if {".", ".."} & set(text.split("/")):
        raise ValueError(f"{text!r} has a segment that stands for another one: write the path it leads to")
    return text


def check_method(text: str) -> str:
    """An HTTP method as it is sent, in capitals. Raises ValueError."""
    if not re.fullmatch(r"[A-Z][A-Z0-9_-]{0,31}", text):
        raise ValueError(f"{text!r} is not a method; write it in capitals, such as GET")
    return text


def check_protocol(text: str) -> str:
    """A protocol as an Upgrade field names it, in lower case: `websocket`, `spdy/3.1`. Raises ValueError."""
    if not _PROTOCOL.fullmatch(text):
        raise ValueError(f"{text!r} is not a protocol; write it as the Upgrade field does, such as websocket")
    return text.lower()


def check_template(text: str) -> str:
    """An endpoint's `METHOD /path/{parameter}`; see `Endpoint.match`. Raises ValueError."""
    method, space, path = text.partition(" ")
    if not space or not path.startswith("/") or re.search(r"[\s?#]", path):
        raise ValueError(f"{text!r} is not METHOD /path, such as GET /users/{{id}}")
    if method != "*":
        check_method(method)
    names = []
    for segment in path.split("/"):
        if PARAMETER.fullmatch(segment):
            names.append(segment)
        elif "{" in segment or "}" in segment:
            raise ValueError(f"{segment!r}: a parameter is one whole segment in lower case, as in /users/{{id}}")
    if len(names) != len(set(names)):
        raise ValueError("two parameters have the same name")
    if "{rest}" in names and not path.endswith("/{rest}"):
        raise ValueError("{rest} takes all that follows, so it stands last")
    return text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= _MAX_PORT


@dataclass(frozen=True, slots=True)
class Address:
    """A place to listen at: `host:port`, `[::1]:port`; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """The form it is written in."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host.lower() == "localhost":
            return True
        return _is_address(self.host) and ip_address(self.host).is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every address of this machine."""
        return _is_address(self.host) and ip_address(self.host).is_unspecified

    def answers(self, host: str, port: int) -> bool:
        """Whether a connection to `host` and `port` would surely end here."""
        if port != self.port:
            return False
        other = Address(host, port)
        return host.lower() == self.host.lower() or (other.is_loopback and (self.is_loopback or self.is_wildcard))


def parse_address(text: object) -> Address:
    """An address to listen at, from `HOST:PORT`. Raises ValueError."""
    if isinstance(text, Address):
        return text
    if not isinstance(text, str):
        raise ValueError("an address is written HOST:PORT, such as 127.0.0.1:8080")
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    known = _is_address(bare) if bracketed else _HOST.fullmatch(bare) is not None
    if not known or not _is_port(port):
        raise ValueError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    return Address(bare, int(port))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a backend is: scheme, host name or address, port. There is no path and no user info."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """The form it is written in, always with its port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """`host:port`, with brackets round an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_origin(text: object) -> Origin:
    """A backend's origin, from `http://host:port` or `https://host`. Raises ValueError."""
    if isinstance(text, Origin):
        return text
    if not isinstance(text, str) or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("a url is written like http://127.0.0.1:8000")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("this is not a url: check the port and brackets, as in http://[::1]:8000") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("a backend url starts with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a backend url carries no user name or password; clients' own credentials are forwarded")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) and not ("[" in parts.netloc and _is_address(host)):
        raise ValueError("a backend url needs a host name or address, such as http://127.0.0.1:8000")
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise ValueError("a backend url has no path, query or fragment: the client's own target is forwarded")
    if port == 0:
        raise ValueError("a backend url cannot have port 0")
    return Origin(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme])


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "type": ["string", "number"],
            "pattern": r"^\d+(\.\d+)?(\s*(ms|s|m|h|d))?$",
            "minimum": 0,
            "examples": ["90s"],
        }
    ),
]
Timeout = Annotated[Duration, Field(gt=0.0)]
"""A duration that cannot be 0."""
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": r"^\d+(\s*(B|KiB|MiB|GiB))?$",
            "minimum": 0,
            "examples": ["64KiB"],
        }
    ),
]
PositiveSize = Annotated[Size, Field(ge=1)]
"""A size that cannot be 0."""
ListenAddress = Annotated[
    Address,
    BeforeValidator(parse_address),
    _text(r"^.+:\d{1,5}$", "127.0.0.1:8080"),
    PlainSerializer(str, return_type=str),
]
BackendOrigin = Annotated[
    Origin,
    BeforeValidator(parse_origin),
    _text(r"^https?://[^/@]+/?$", "http://127.0.0.1:8000"),
    PlainSerializer(str, return_type=str),
]
HostName = Annotated[str, AfterValidator(check_host_name)]
HostPolicy = Annotated[str, AfterValidator(check_host_policy)]
Method = Annotated[str, AfterValidator(check_method)]
PathPrefix = Annotated[str, AfterValidator(check_path_prefix)]
Template = Annotated[str, AfterValidator(check_template)]
UpgradeProtocol = Annotated[str, AfterValidator(check_protocol)]
