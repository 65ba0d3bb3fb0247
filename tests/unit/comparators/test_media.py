from __future__ import annotations

import pytest

from comparators.media import Media, content_of, parse_codings, parse_media


@pytest.mark.parametrize(
    ("value", "media"),
    [
        (b"application/json", Media("application/json")),
        (b' Text/HTML ; Charset="UTF-8"', Media("text/html", "utf-8")),
        (b"multipart/form-data; boundary=x; a=B", Media("multipart/form-data", "", (("a", "B"),))),
        (b"", Media()),
        (b"a/b;;=;c", Media("a/b", "", (("", ""), ("c", "")))),
        (b"a/b; x=" + b"y" * 300, Media("a/b", "", (("x", "y" * 300),))),
    ],
)
def test_content_types(value: bytes, media: Media) -> None:
    assert parse_media(value) == media


@pytest.mark.parametrize(
    ("essence", "json", "text"),
    [
        ("application/json", True, False),
        ("application/problem+json", True, False),
        ("text/json", True, False),
        ("text/plain", False, True),
        ("application/x-ndjson", False, False),
        ("", False, False),
    ],
)
def test_what_a_body_is_read_as(essence: str, *, json: bool, text: bool) -> None:
    assert (Media(essence).is_json, Media(essence).is_text) == (json, text)


@pytest.mark.parametrize(
    ("fields", "essence", "codings"),
    [
        (b"", "", ()),
        (b"Content-Type: a/b\r\n", "a/b", ()),
        (b"x: 1\r\nCONTENT-TYPE:a/b\r\ncontent-encoding: GZIP , identity,br\r\n", "a/b", ("gzip", "br")),
        (b"x-content-type: a/b\r\nx: content-type: c/d\r\n", "", ()),
        (b"content-type: a/b\r\ncontent-type: c/d\r\n", "a/b", ()),
        (b"content-encoding: gzip\r\ncontent-type: a/b", "a/b", ("gzip",)),
        (b"content-type: a/b\r\ncontent-encoding: gzip", "a/b", ("gzip",)),
    ],
)
def test_what_fields_say_about_the_body(fields: bytes, essence: str, codings: tuple[str, ...]) -> None:
    media, found = content_of(fields)
    assert (media.essence, found) == (essence, codings)


def test_identity_is_no_coding() -> None:
    assert parse_codings(b"identity,, ") == ()
