"""The configuration as a frozen tree: every key with its type, default, unit and doc line, in one place.

Validation, the JSON Schema and the reference page all come from here. Nothing in this file reads
files, environment or clock; `load` does the reading.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from proxy.config.header import REVEAL, AddedName, HeaderValue, RemovedName, folded
from proxy.config.network import Network, is_in
from proxy.config.problems import Path
from proxy.config.units import (
    KIB,
    MIB,
    SECONDS,
    Address,
    BackendOrigin,
    Duration,
    HostName,
    HostPolicy,
    ListenAddress,
    Method,
    PathPrefix,
    PositiveSize,
    Size,
    Template,
    Timeout,
    UpgradeProtocol,
    refuse_flag,
)


class Mode(StrEnum):
    """Who answers the client: the words of the admin API, the configuration and the metrics."""

    PRIMARY = "primary"
    SHADOW = "shadow"
    CANARY = "canary"
    CANDIDATE = "candidate"
    RETIRED = "retired"


class Table(BaseModel):
    """A mapping in the configuration: unknown keys are errors, and nobody writes into a loaded one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
FileName = Annotated[str, Field(min_length=1)]
Share = Annotated[float, BeforeValidator(refuse_flag), Field(ge=0.0, le=1.0)]
Count = Annotated[int, BeforeValidator(refuse_flag), Field(ge=0, le=1 << 31)]
Positive = Annotated[int, BeforeValidator(refuse_flag), Field(ge=1, le=1 << 31)]
Status = Annotated[int, BeforeValidator(refuse_flag), Field(ge=100, le=599)]


class Limits(Table):
    """Sizes are per message; counts are per worker."""

    request_line: PositiveSize = 16 * KIB
    """Longest request line; over it: 414."""
    header_bytes: PositiveSize = 64 * KIB
    """Longest request head; over it: 431."""
    header_count: Positive = 128
    """Most fields in a request head; over it: 431."""
    response_header_bytes: PositiveSize = 128 * KIB
    """Longest response head; over it: 502."""
    response_header_count: Positive = 256
    """Most fields in a response head; over it: 502."""
    trailer_bytes: Size = 8 * KIB
    """Longest trailer section; a request over it: 431."""
    trailer_count: Count = 32
    """Most fields in a trailer section."""
    chunk_overhead: Size = 16 * KIB
    """Bytes of chunk framing above 16 per chunk and twice the data; over it: 400."""
    interim: Annotated[Count, Field(le=100)] = 16
    """Most 1xx answers before the final one; over it: 502."""
    body_bytes: Size = 0
    """Longest request body; over it: 413; 0 means no limit."""
    connections: Positive = 10_000
    """Client connections per worker; at the limit accepting pauses."""
    requests_per_connection: Count = 0
    """Requests on one client connection before it is closed; 0 means no limit."""
    pipeline_bytes: PositiveSize = 64 * KIB
    """Bytes of waiting requests at which reading from a client pauses."""
    write_buffer: PositiveSize = 64 * KIB
    """Unsent bytes at which the sender on the other side is paused."""
    tunnels: Count = 1024
    """Upgraded connections, which carry another protocol; above it: 503. `pool.max_connections` counts them too."""
    upgrades: tuple[UpgradeProtocol, ...] = ("websocket",)
    """Protocols a client may upgrade to; asking for another one is an ordinary request."""


class Timeouts(Table):
    """Monotonic; each may fire one timer tick (250 ms) late."""

    request_head: Timeout = 10 * SECONDS
    """From the first byte of a request head to its end, and from a client's connecting, its TLS handshake included, to
    the end of the first one; then 408, or a silent close if no byte of a head came."""
    request_body_idle: Timeout = 30 * SECONDS
    """Longest pause inside a request body; then 408."""
    client_idle: Timeout = 75 * SECONDS
    """Between requests on a kept-alive connection; then a silent close."""
    client_stall: Timeout = 60 * SECONDS
    """Longest time a client may refuse to read; then its connection is aborted."""
    resolve: Timeout = 5 * SECONDS
    """Looking up a backend's name; then 504."""
    connect: Timeout = 5 * SECONDS
    """Connecting to a backend; then 504."""
    tls: Timeout = 5 * SECONDS
    """A backend's TLS handshake; then 504."""
    first_byte: Timeout = 60 * SECONDS
    """From the last request byte to the response head; then 504."""
    response_idle: Timeout = 300 * SECONDS
    """Longest pause inside a response body; then the connections are aborted."""
    total: Duration = 0.0
    """The whole exchange; 504 before the response head, an abort after; 0 is off."""
    tunnel_idle: Timeout = 3600 * SECONDS
    """Longest silence on an upgraded connection, both directions together; then both sides are closed."""
    linger: Duration = 2 * SECONDS
    """How long a refused client may still send, so that it sees its answer."""
    drain: Duration = 30 * SECONDS
    """How long answers in flight may take after SIGTERM."""


class Pool(Table):
    """Connections to each serving backend, per worker."""

    max_connections: Positive = 1024
    """Open connections; above it requests wait."""
    max_waiting: Count = 256
    """Requests waiting for a connection; above it: 503."""
    wait: Duration = 1 * SECONDS
    """Longest wait for a connection; then 503."""
    idle: Duration = 4 * SECONDS
    """How long an unused connection is kept."""
    max_idle: Count = 128
    """Unused connections kept."""
    max_age: Duration = 300 * SECONDS
    """Age at which a connection is closed when it is next unused."""
    dns_ttl: Duration = 30 * SECONDS
    """How long a resolved name is used."""


class Judge(Table):
    """The process that compares."""

    queue: Size = 8 * MIB
    """Bytes of pairs on their way to it; above it pairs are dropped as `judge_full`."""
    stall: Timeout = 0.25
    """CPU time one pair may take, and eight times as long by the clock; then the judge is killed, and the pair dropped
    as `judge_killed`, or by the clock, unless a rule is blamed, as `judge_lost`."""


class Shed(Table):
    """What makes a worker mirror nothing for a while, so that clients keep all there is of it."""

    loop_lag: Timeout = 0.05
    """How late its clock may be; over it copies are dropped as `shed`, until it was under 20 ms for a second."""
    memory: Size = 0
    """Its memory limit, beside those of its control groups and resource limits; 0 means those alone. At 80 % of the
    nearest copies are dropped as `shed`, at 95 % of one that fewer clients relieve requests are answered 503."""


class Admin(Table):
    """The admin port: API, status, metrics. Never on the proxy port."""

    listen: ListenAddress = Address("127.0.0.1", 8081)
    """Where it listens; other binds than loopback need a token and `insecure_bind`."""
    token_file: str | None = None
    """File holding the admin token; without one a random token is made in the state directory."""
    hosts: tuple[HostName, ...] = ()
    """Host names it answers to besides loopback's."""
    insecure_bind: bool = False
    """Accept a bind that others can reach, without TLS; warns at every start."""
    open_metrics: bool = False
    """Answer `/metrics` without a token on such a bind."""


class Forwarded(Table):
    """What is said to backends about the client."""

    mode: Literal["on", "off"] = "on"
    """`on` writes `fields` and removes what clients say there themselves; `off` touches nothing."""
    fields: tuple[Literal["x-forwarded", "forwarded"], ...] = ("x-forwarded",)
    """What is written: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239), or both."""
    trusted_peers: tuple[Network, ...] = ()
    """Proxies in front, by address or network: what they say is kept, and their own address is added to it."""

    def trusts(self, peer: str) -> bool:
        """Whether what this peer says about the client is to be kept."""
        return self.mode == "on" and is_in(peer, self.trusted_peers)


class Errors(Table):
    """The answers the proxy gives itself."""

    proxy_status: bool = True
    """Add the Proxy-Status field (RFC 9209)."""


class ListenerTls(Table):
    """TLS for clients, 1.2 or later. The files' contents are followed: a renewed certificate needs no reload."""

    certificate: FileName | None = None
    """PEM file: the certificate, then the intermediate ones; with it clients are served by TLS only."""
    key: FileName | None = None
    """PEM file: its private key, without a passphrase; refused if everybody can read it."""
    client_ca: FileName | None = None
    """PEM file of authorities; with it a client needs a certificate signed by one of them."""

    @property
    def is_on(self) -> bool:
        """Whether clients are served by TLS."""
        return self.certificate is not None

    def contradictions(self) -> Iterable[tuple[Path, str]]:
        """Files that make no sense without another one."""
        yield from _lonely_files(self.certificate, self.key)
        if self.client_ca is not None and not self.is_on:
            yield ("client_ca",), "means nothing without certificate and key: set these too"


class BackendTls(Table):
    """How an `https` backend is known, and how it knows us; TLS 1.2 or later."""

    ca: FileName | None = None
    """PEM file of the authorities trusted here; unset means those of the system."""
    certificate: FileName | None = None
    """PEM file: the certificate we show, then the intermediate ones."""
    key: FileName | None = None
    """PEM file: its private key, without a passphrase; refused if everybody can read it."""
    server_name: HostName | None = None
    """The name asked for (SNI) and expected in its certificate; unset means the url's host."""
    verify: bool = True
    """False accepts any certificate; warns at every start."""

    def contradictions(self) -> Iterable[tuple[Path, str]]:
        """Files that make no sense as they stand."""
        yield from _lonely_files(self.certificate, self.key)
        if self.ca is not None and not self.verify:
            yield ("ca",), "means nothing beside verify: false: remove one of them"


class BackendHeaders(Table):
    """How the fields of requests to this backend differ from the client's."""

    add: dict[AddedName, HeaderValue] = {}
    """Fields it is sent, in place of any the client sent under these names, in its head or as a trailer."""
    remove: tuple[RemovedName, ...] = ()
    """Names of fields it is not sent; `_` and `-` are the same, as many backends read them."""

    def contradictions(self) -> Iterable[tuple[Path, str]]:
        """A field that is added twice, spelled otherwise."""
        names = list(self.add)
        for index in _repeated([folded(name) for name in names]):
            yield ("add", names[index]), "is added twice, spelled otherwise: keep one"


class BackendPath(Table):
    """How the path of requests to this backend differs from the client's; the query never does."""

    strip: PathPrefix = ""
    """Taken off the front of the path where it stands there as whole segments, such as `/api`."""
    add: PathPrefix = ""
    """Put in front of what is left, such as `/v2`."""


class Backend(Table):
    """One HTTP origin."""

    version: Name
    """What it is called in metrics and on pages."""
    url: BackendOrigin
    """Its origin: scheme, host, port."""
    timeout: Timeout | None = None
    """Overrides `timeouts.first_byte`."""
    host: HostPolicy = "preserve"
    """The Host it is sent: `preserve` the client's, `target` its own, or a literal name."""
    headers: BackendHeaders = BackendHeaders()
    path: BackendPath = BackendPath()
    tls: BackendTls = BackendTls()

    @property
    def server_name(self) -> str:
        """What it must be called in its certificate."""
        return (self.tls.server_name or self.url.host).strip("[]")


class Breaker(Table):
    """When to stop asking a mirror target that gives no answers. A 5xx is an answer."""

    failures: Positive = 20
    """Failures within `window` that open it; then copies are dropped as `breaker_open`."""
    window: Timeout = 10 * SECONDS
    """The time they are counted over."""
    open: Timeout = 30 * SECONDS
    """How long nothing is sent, before single copies probe the target, at most one a second."""
    probes: Positive = 5
    """Probes answered in a row that close it; one that is not opens it anew."""


class MirrorHeaders(Table):
    """Fields of the mirrored copy."""

    remove: tuple[RemovedName, ...] = ()
    """Names of fields the copy does not carry, such as Cookie."""


class Mirror(Table):
    """Which requests are mirrored, and what that may cost."""

    share: Share = 1.0
    """Share of the requests that may be mirrored."""
    methods: tuple[Method, ...] = ("GET", "HEAD", "OPTIONS")
    """Methods mirrored without being marked `read_only`."""
    in_flight: Positive = 200
    """Copies under way; above it copies are dropped, none waits."""
    max_connections: Positive = 200
    """Connections to the mirror target."""
    max_body: Size = 1 * MIB
    """Longest body captured, on each side."""
    connect_timeout: Timeout = 1 * SECONDS
    """Connecting to the mirror target."""
    tls_timeout: Timeout = 2 * SECONDS
    """The mirror target's TLS handshake."""
    deadline: Timeout = 10 * SECONDS
    """After the copy was sent or the client was answered, whichever is later."""
    lifetime: Timeout = 60 * SECONDS
    """Hard end of a copy, from its start."""
    warm_up: Duration = 60 * SECONDS
    """What is compared within this time from the start of mirroring feeds no evidence: one of the two may be cold."""
    breaker: Breaker = Breaker()
    headers: MirrorHeaders = MirrorHeaders()


class EndpointTimeouts(Table):
    """Timeouts of one endpoint."""

    total: Duration | None = None
    """Overrides `timeouts.total`."""


class Endpoint(Table):
    """A named request template: the only path-like thing allowed in a metric label."""

    name: Name
    match: Template
    """`METHOD /path/{parameter}`; `*` is any method; a last `{rest}` takes the remaining segments."""
    read_only: bool = False
    """Safe to send twice: mirrored whatever its method."""
    mirror: bool = True
    """False keeps it away from the candidate."""
    error_statuses: tuple[Status, ...] | None = None
    """Statuses that are errors here; unset means 500-599."""
    timeouts: EndpointTimeouts = EndpointTimeouts()


class Rule(Table):
    """A selector with a comparator; its settings are checked by the comparator itself."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    id: Name
    endpoint: str = "*"
    """The endpoint's name, or `*` for all of the service."""
    path: str
    """`$…` in the body, `header:<name>`, or `status`."""
    use: str
    """The comparator."""
    reason: str = Field(min_length=1)
    author: str = Field(min_length=1)
    allow_broad: bool = False
    """Let it ignore a whole body, or a header whose loss is an outage or a security hole."""

    @property
    def settings(self) -> dict[str, Any]:
        """The comparator's own settings."""
        return dict(self.model_extra or {})


class Service(Table):
    """Match rules, two backends, endpoints and comparison rules."""

    hosts: tuple[HostName, ...] = ()
    """Host names that lead here; empty means every host."""
    mode: Literal[Mode.PRIMARY, Mode.SHADOW] = Mode.SHADOW
    """Who answers at the first start; later the safer of this and the stored one."""
    primary: Backend
    candidate: Backend
    mirror: Mirror = Mirror()
    endpoints: tuple[Endpoint, ...] = Field(default=(), max_length=50)
    rules: tuple[Rule, ...] = ()

    def contradictions(self) -> Iterable[tuple[Path, str]]:
        """Versions, urls, endpoint names and rule ids that clash, rules for unknown endpoints."""
        yield from self._clashing_backends()
        yield from self._clashing_names()

    def _clashing_backends(self) -> Iterable[tuple[Path, str]]:
        if self.primary.version == self.candidate.version:
            yield ("candidate", "version"), f"{self.primary.version!r} is the primary's too: name them apart"
        for side, backend in (("primary", self.primary), ("candidate", self.candidate)):
            if backend.version == "proxy":
                yield (side, "version"), "'proxy' is what our own answers are counted as: name it otherwise"
            if backend.url.scheme != "https" and backend.tls != BackendTls():
                yield (side, "tls"), f"{backend.url} is not asked by TLS: write https:// in its url, or remove this"
            yield from (((side, "tls", *below), message) for below, message in backend.tls.contradictions())
            yield from (((side, "headers", *below), message) for below, message in backend.headers.contradictions())
        if self.primary.url == self.candidate.url:
            yield ("candidate", "url"), "is the primary's url too: nothing would be compared"

    def _clashing_names(self) -> Iterable[tuple[Path, str]]:
        names = [endpoint.name for endpoint in self.endpoints]
        for index in _repeated(names):
            yield ("endpoints", index, "name"), f"{names[index]!r} is used twice: endpoints need their own names"
        for index in (index for index, name in enumerate(names) if name == "other"):
            yield ("endpoints", index, "name"), "'other' counts requests that match no endpoint: rename it"
        for index in _repeated([rule.id for rule in self.rules]):
            yield ("rules", index, "id"), f"{self.rules[index].id!r} is used twice: rules need their own ids"
        for index, rule in enumerate(self.rules):
            if rule.endpoint not in {"*", "other", *names}:
                choice = ", ".join(dict.fromkeys(names)) or "none is configured"
                yield ("rules", index, "endpoint"), f"{rule.endpoint!r} is not an endpoint here: {choice}"


class Settings(Table):
    """The whole configuration."""

    version: Literal[1] = 1
    listen: ListenAddress = Address("127.0.0.1", 8080)
    """Where clients are served."""
    tls: ListenerTls = ListenerTls()
    admin: Admin = Admin()
    state_dir: str = ""
    """Where modes, evidence and the audit log are kept; empty means a folder in the user's state home."""
    workers: Annotated[int, BeforeValidator(refuse_flag), Field(ge=1, le=64)] = 1
    """Data-plane processes; each has its own judge."""
    log_format: Literal["text", "json"] = "text"
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    pool: Pool = Pool()
    mirror_budget: Size = 64 * MIB
    """All bytes held for mirrors and pairs, per worker."""
    judge: Judge = Judge()
    shed: Shed = Shed()
    forwarded: Forwarded = Forwarded()
    errors: Errors = Errors()
    default_service: str | None = None
    services: dict[Name, Service] = Field(min_length=1)

    def with_secrets(self) -> dict[str, Any]:
        """The configuration as JSON that validates to the same again, credentials in plain text.

        For the sockets and private files between our own processes only; `model_dump` masks them.
        """
        return self.model_dump(mode="json", context=REVEAL)

    def contradictions(self) -> Iterable[tuple[Path, str]]:
        """Settings that do not fit each other, in the services too: their paths, and what to do about each.

        Listeners that clash, a default that does not exist, hosts claimed twice, backends that are us.
        """
        if self.listen.port and self.admin.listen.answers(self.listen.host, self.listen.port):
            yield ("admin", "listen"), "is the address clients are served at: use another port"
        yield from ((("tls", *below), message) for below, message in self.tls.contradictions())
        if self.default_service is not None and self.default_service not in self.services:
            yield ("default_service",), f"{self.default_service!r} is not a service: {', '.join(self.services)}"
        owner: dict[str, str] = {}
        for name, service in self.services.items():
            for host in service.hosts or ("*",):
                if (taken := owner.setdefault(host, name)) != name:
                    what = "every host" if host == "*" else f"the host {host!r}"
                    yield ("services", name, "hosts"), f"{taken!r} already claims {what}: give each its own hosts"
            yield from ((("services", name, *below), message) for below, message in service.contradictions())
            for side, backend in (("primary", service.primary), ("candidate", service.candidate)):
                if any(own.answers(backend.url.host, backend.url.port) for own in (self.listen, self.admin.listen)):
                    yield ("services", name, side, "url"), f"{backend.url} is this proxy itself"


def _lonely_files(certificate: str | None, key: str | None) -> Iterable[tuple[Path, str]]:
    """A certificate without its key, and the reverse."""
    if certificate is not None and key is None:
        yield ("certificate",), "needs its private key: set key too"
    if key is not None and certificate is None:
        yield ("key",), "needs the certificate it belongs to: set certificate too"


def _repeated(words: list[str]) -> list[int]:
    return [index for index, word in enumerate(words) if word in words[:index]]
