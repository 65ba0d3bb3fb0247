"""What clients send: one `printf` template per workload, rendered alike by Python and by wrk's Lua."""

from dataclasses import dataclass

_FIELDS = (
    "Host: api.example\r\n"
    "User-Agent: ranker-client/3.2 (linux)\r\n"
    "Accept: application/json\r\n"
    "Accept-Language: en-GB,en;q=0.8\r\n"
    "X-User-Id: u-%d\r\n"
    "X-Request-Id: %08x-5f3a-4c1e-9d2b-6b1f0c7a9e44\r\n"
    "Traceparent: 00-4bf92f3577b34da6a3ce929d%08x-00f067aa%08x-01\r\n"
    "Cookie: session=8c6976e5b5410415bde908bd4dee15df; theme=dark\r\n"
)
_BODY = (
    '{"call":"%08x","model":"ranker","features":['
    + ",".join(f"{(index * 7919 % 10007) / 10007:.6f}" for index in range(220))
    + "]}"
)
_BODY_BYTES = len(_BODY % 0)


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request; every `printf` conversion in the template takes the request's number."""

    name: str
    template: str

    def render(self, number: int) -> bytes:
        """Return the bytes of request `number` (below 2**32, so that a body keeps its length)."""
        return (self.template % ((number,) * self.template.count("%"))).encode()


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("get", f"GET /users/%d/predictions?limit=20&cursor=%08x HTTP/1.1\r\n{_FIELDS}\r\n"),
        Workload(
            "post",
            "POST /users/%d/predictions?trace=%08x HTTP/1.1\r\n"
            f"{_FIELDS}Content-Type: application/json\r\nContent-Length: {_BODY_BYTES}\r\n\r\n{_BODY}",
        ),
    )
}
