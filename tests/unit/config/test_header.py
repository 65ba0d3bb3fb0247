"""Fields added for a backend: where their values come from, who sees them, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.config.header import MASK, FieldValue
from proxy.config.load import Loaded, load
from proxy.config.models import Settings
from proxy.config.problems import ConfigError
from tests.unit.config.writing import write

SECRET = "s3cr3t-value"
ADD = """\
services:
  ranker:
    primary: {{version: v1, url: "http://127.0.0.1:8001", headers: {{add: {add}}}}}
    candidate: {{version: v2, url: "http://127.0.0.1:8002"}}
"""


def loaded(folder: Path, add: str, **environ: str) -> Loaded:
    return load(write(folder, ADD.format(add=add)), None, environ)


def refused(folder: Path, text: str, **environ: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as wrong:
        load(path, None, environ)
    return [str(problem).removeprefix(f"{path}:") for problem in wrong.value.problems]


def key_file(folder: Path, content: str = f" {SECRET}\n", mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text(content)
    path.chmod(mode)
    return path


def values(settings: Settings) -> list[str | None]:
    return [value.value for value in settings.services["ranker"].primary.headers.add.values()]


def test_a_value_is_written_out_or_read_from_a_file_or_variable(tmp_path: Path) -> None:
    add = f'{{X-A: "{SECRET}", X-B: {{file: {key_file(tmp_path)}}}, X-C: {{env: KEY}}}}'
    assert values(loaded(tmp_path, add, KEY=f"{SECRET}\n").settings) == [SECRET] * 3


def test_a_value_is_read_once(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f"{{X-B: {{file: {key_file(tmp_path)}}}}}").settings
    key_file(tmp_path, "another")
    assert values(Settings.model_validate(settings.with_secrets())) == [SECRET]


def test_a_value_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    add = f'{{X-A: "{SECRET}", X-B: {{file: {key_file(tmp_path)}}}, X-C: {{env: KEY}}}}'
    found = loaded(tmp_path, add, KEY=SECRET)
    shown = [
        repr(found.settings),
        str(found.settings),
        found.settings.model_dump_json(),
        repr(found.settings.model_dump()),
        repr(list(found.origins())),
    ]
    assert not [text for text in shown if SECRET in text]
    path = "services.ranker.primary.headers.add"
    assert [(where, value) for where, value, _ in found.origins() if where.startswith(path)] == [
        (f"{path}.X-A", MASK),
        (f"{path}.X-B.file", str(tmp_path / "key")),
        (f"{path}.X-C.env", "KEY"),
    ]


def test_our_own_processes_are_told_and_read_back_the_same(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'{{X-A: "{SECRET}", X-C: {{env: KEY}}}}', KEY="other").settings
    told = Settings.model_validate(settings.with_secrets())
    assert values(told) == [SECRET, "other"]
    assert told.with_secrets() == settings.with_secrets()


def test_a_masked_value_is_not_taken_for_one(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'{{X-A: "{SECRET}"}}').settings
    with pytest.raises(ValidationError, match="is masked"):
        Settings.model_validate(settings.model_dump(mode="json"))


def test_without_loading_a_reference_stays_one() -> None:
    backend: dict[str, Any] = {"version": "v1", "url": "http://a", "headers": {"add": {"X-B": {"file": "/none"}}}}
    other = {"version": "v2", "url": "http://b"}
    settings = Settings.model_validate({"services": {"ranker": {"primary": backend, "candidate": other}}})
    assert list(settings.services["ranker"].primary.headers.add.values()) == [FieldValue("file", "/none")]


def test_every_wrong_name_and_value_is_said_with_its_place(tmp_path: Path) -> None:
    open_key = key_file(tmp_path, mode=0o644)
    found = refused(
        tmp_path,
        f"""\
        services:
          ranker:
            primary:
              version: v1
              url: "http://127.0.0.1:8001"
              headers:
                add:
                  Host: x
                  X-Missing: {{file: /no/such/file}}
                  X-Open: {{file: {open_key}}}
                  X-Unset: {{env: NOPE}}
                  X-Empty: {{env: EMPTY}}
                  X-Number: 5
                  X-Both: {{file: a, env: b}}
                  x-env: "a\\r\\nb"
                  "X Bad": x
                  X-Twice: a
                  x_twice: b
                remove: [Cookie, content_length, ""]
              path: {{strip: api, add: /v2/}}
            candidate: {{version: v2, url: "http://127.0.0.1:8002", path: {{add: /a/../b}}}}
            mirror: {{headers: {{remove: [Via, X-Forwarded-For]}}}}
        """,
        EMPTY=" ",
    )
    at = "services.ranker.primary.headers"
    line = "one line of printable ASCII, without spaces round it"
    written = "write it like /api, without a slash at its end"
    assert found == [
        f"8:11  error  {at}.add.Host: Host is set by `host`: preserve, target or a name: it cannot be added",
        f"9:22  error  {at}.add.X-Missing: /no/such/file: No such file or directory: this value cannot be read",
        f"10:19  error  {at}.add.X-Open: {open_key}: everybody can read or write this value: chmod 600 {open_key}",
        f"11:20  error  {at}.add.X-Unset: the variable NOPE is not set",
        f"12:20  error  {at}.add.X-Empty: what EMPTY holds is not a header value: {line}",
        f"13:21  error  {at}.add.X-Number: must be text in quotes, {{file: PATH}} or {{env: NAME}}",
        f"14:19  error  {at}.add.X-Both: must be text in quotes, {{file: PATH}} or {{env: NAME}}",
        f"15:18  error  {at}.add.x-env: this value is not a header value: {line}",
        f"16:11  error  {at}.add.X Bad: what is written here is not a header name: the name alone, like X-Api-Key",
        f"18:20  error  {at}.add.x_twice: is added twice, spelled otherwise: keep one",
        f"19:26  error  {at}.remove[1]: content_length says where the body ends: it cannot be removed",
        f"19:42  error  {at}.remove[2]: '' is not a header name; write it like X-Api-Key",
        f"20:21  error  services.ranker.primary.path.strip: 'api' is not the front of a path; {written}",
        f"20:31  error  services.ranker.primary.path.add: '/v2/' is not the front of a path; {written}",
        (
            "21:72  error  services.ranker.candidate.path.add: "
            "'/a/../b' has a segment that stands for another one: write the path it leads to"
        ),
        (
            "22:33  error  services.ranker.mirror.headers.remove[0]: "
            "Via names this proxy, so that a loop is seen: it cannot be removed"
        ),
    ]


@pytest.mark.parametrize("value", ["zq\x00", "zq\x7f", "zqé", "zq\r\nx", " zq", "zq\t", "", "zq" * 4097])
def test_a_value_that_cannot_stand_in_a_line_is_refused_and_not_repeated(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, ADD.format(add='{X-A: "fine", X-C: {env: KEY}}'))
    assert load(path, None, {"KEY": "x" * 8192}).warnings == []
    backend = {"version": "v1", "url": "http://a", "headers": {"add": {"X-A": value}}}
    with pytest.raises(ValidationError) as wrong:
        Settings.model_validate(
            {"services": {"r": {"primary": backend, "candidate": {"version": "v2", "url": "http://b"}}}}
        )
    (error,) = wrong.value.errors(include_input=False)
    assert error["msg"].startswith("Value error, this value is")
    assert "zq" not in error["msg"]


@pytest.mark.parametrize("field", ["Authorization: Bearer zq", "Authorization:zq", "X-Key zq", "X-Key\tzq"])
def test_a_whole_field_in_the_place_of_a_name_is_not_repeated(tmp_path: Path, field: str) -> None:
    (said,) = refused(tmp_path, ADD.format(add="{}") + f"    mirror: {{headers: {{remove: [{json.dumps(field)}]}}}}\n")
    assert "is not a header name: the name alone" in said
    assert "zq" not in said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Content-Length", "says where the body ends"), ("transfer_encoding", "says where the body ends"),
        ("Trailer", "says where the body ends"), ("CONNECTION", "is for one connection only"),
        ("TE", "is for one connection only"), ("Upgrade", "is for one connection only"),
        ("Via", "names this proxy"), ("X-Shadow-Request", "marks copies"), ("Expect", "is between the client"),
        ("Max-Forwards", "counts the hops"), ("Keep-Alive", "is for one connection only"),
        ("Proxy-Authorization", "is for one connection only"), ("Proxy", "is for one connection only"),
        ("Forwarded", "is written as `forwarded` says"), ("X-Forwarded-For", "is written as `forwarded` says"),
        ("", "is not a header name"), ("a:b", "is not a header name: the name alone"), ("é", "is not a header name"),
    ],
)  # fmt: skip
def test_what_is_ours_or_frames_the_message_cannot_be_added(tmp_path: Path, name: str, why: str) -> None:
    (said,) = refused(tmp_path, ADD.format(add=f'{{"{name}": "x"}}'))
    assert said.startswith("3:74  error  services.ranker.primary.headers.add.")
    assert why in said


def test_a_peer_that_is_everybody_is_a_caution(tmp_path: Path) -> None:
    text = ADD.format(add="{}") + 'forwarded: {trusted_peers: ["0.0.0.0/0", "10.0.0.0/8"], mode: off}\n'
    path = write(tmp_path, text)
    assert [str(caution).removeprefix(f"{path}:") for caution in load(path, None, {}).warnings] == [
        "5:28  warning  forwarded.trusted_peers: means nothing beside mode: off",
        "5:29  warning  forwarded.trusted_peers[0]: 0.0.0.0/0 is everybody: any client can claim any address",
    ]
