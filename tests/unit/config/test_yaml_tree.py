import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.problems import Place
from proxy.config.yaml_tree import MAX_BYTES, parse, scalar


def said(text: str | bytes) -> list[str]:
    return [str(problem) for problem in parse(text, "f").problems]


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "1:30", "90s", "2026-11-20", "1_000", "v1"])
def test_words_that_yaml_1_1_would_turn_into_something_else_stay_text(word: str) -> None:
    assert parse(f"a: {word}", "f").tree == {"a": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1.0e-6", 1e-6),
        (".5", 0.5),
        ("017", 17),
        ("0x1F", 31),
        ("0o17", 15),
        ("-3", -3),
        ("true", True),
        ("False", False),
        ("~", None),
        (".inf", math.inf),
        ("1" * 400, math.inf),
    ],
)
def test_numbers_and_constants_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert scalar(text) == value


def test_quoted_scalars_are_text() -> None:
    assert parse("{a: '1.10', b: \"true\", c: ''}", "f").tree == {"a": "1.10", "b": "true", "c": ""}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("on: 1\ntrue: 2\n3: 4\n", "f").tree == {"on": 1, "true": 2, "3": 4}


def test_every_key_and_value_remembers_its_place() -> None:
    document = parse("a:\n  - {b: 1.10}\n", "f")
    assert document.keys[("a", 0, "b")] == Place("f", 2, 6)
    assert document.values[("a", 0, "b")] == Place("f", 2, 9)
    assert document.spelled == {("a", 0, "b"): "1.10"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1  error  a: written twice, first in line 1: keep one"),
        ("a: &x 1\n", "f:1:4  error  a: &x: anchors are not read; write the value where it is used"),
        ("a: *x\n", "f:1:4  error  a: *x: aliases are not read; write the value out"),
        ("a: !!python/name:os.system x\n", "f:1:4  error  a: the tag tag:yaml.org,2002:python/name:os.system"),
        ("a:\n\tb: 1\n", "f:2:1  error  a tab cannot indent YAML: use spaces"),
        ("a: b: c\n", "f:1:5  error  a second `key:` in one value"),
        ("a: {b: 1\nc: 2", "a `{` above is not closed, or a comma is missing"),
        ("a: 'x\n", "a quote above is not closed"),
        ("a: @x\n", "f:1:4  error  text that begins with '@' needs quotes"),
        ("a: 1\n---\nb: 1\n", "f:2:1  error  a second document"),
        ("[" * 500_000, "f:1:33  error  nested deeper than 32 levels"),
        ("? [1]\n: 2\n", "a list or mapping cannot be a key"),
        ("a: \x01\n", "f:1:4  error  the control character 0x0001 cannot stand in YAML"),
        (b"a: \xff\n", "f:1:4  error  byte 0xff is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "f  error  is over 1 MiB"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_cannot_be_read_is_said_with_its_place(text: str | bytes, message: str) -> None:
    assert message in said(text)[0]


def test_nested_aliases_cannot_multiply() -> None:
    bomb = 'a: &a ["x"]\n' + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    document = parse(bomb, "f")
    assert document.tree["i"] == [None, None]
    assert len(document.problems) == 9 + 16


def test_reading_stops_after_a_hundred_errors() -> None:
    problems = said("a: 1\n" * 1000)
    assert len(problems) == 101
    assert "stopped reading after 100 errors" in problems[-1]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "f").tree == {"a": 1}


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(alphabet=st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(trees)
def test_json_means_what_it_means_as_json(tree: object) -> None:
    document = parse(json.dumps(tree), "f")
    assert not document.problems
    assert document.tree == tree


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?~ \n\t0.", max_size=60))
def test_any_text_gives_a_tree_or_problems_and_never_raises(text: str) -> None:
    document = parse(text, "f")
    assert document.problems or document.tree is None or document.values
