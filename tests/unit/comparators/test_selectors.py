from __future__ import annotations

import doctest
from types import ModuleType

import jsonpath_rfc9535
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators import Path, Tree, path, selectors
from comparators.automaton import State
from comparators.selectors import SelectorError, parse
from tests.unit.comparators.trees import names, plain_trees, rule, rule_set


@pytest.mark.parametrize("module", [selectors, path], ids=lambda module: module.__name__)
def test_examples_in_the_documentation(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)


def quoted(name: str) -> str:
    return path.render(("", name)) if not name.isidentifier() else f"['{name}']"


segments = st.one_of(
    st.sampled_from([".a", ".b", ".items", "['user-id']", '["a"]', "[0]", "[1]", "[*]", ".*"]),
    st.sampled_from(["..a", "..*", "..[*]", "..[0]", "..['b']", "..items"]),
    names.map(quoted),
)
texts = st.lists(segments, max_size=4).map(lambda parts: "$" + "".join(parts))


def selected(tree: Tree, state: State, at: Path = ()) -> set[Path]:
    here = {at} if state.rule else set()
    if isinstance(tree, dict):
        return here.union(*(selected(value, state.after(key), (*at, key)) for key, value in tree.items()))
    if isinstance(tree, list):
        return here.union(*(selected(value, state.after(at_), (*at, at_)) for at_, value in enumerate(tree)))
    return here


@given(texts, plain_trees)
def test_selected_nodes_are_those_of_an_independent_implementation(text: str, tree: Tree) -> None:
    theirs = {node.location for node in jsonpath_rfc9535.find(text, tree)}
    assert selected(tree, rule_set(rule(text, "exact")).start) == theirs


@given(st.lists(texts, min_size=2, max_size=4, unique=True), plain_trees)
def test_several_selectors_together_select_the_union(chosen: list[str], tree: Tree) -> None:
    theirs = {node.location for text in chosen for node in jsonpath_rfc9535.find(text, tree)}
    assert selected(tree, rule_set(*(rule(text, "exact") for text in chosen)).start) == theirs


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "starts with"),
        ("user.id", 0, "starts with"),
        ("@.a", 0, "starts with"),
        ("$.", 2, "a name"),
        ("$..", 3, "a name"),
        ("$a", 1, "'.' or '\\['"),
        ("$ .a", 1, "'.' or '\\['"),
        ("$.a b", 3, "'.' or '\\['"),
        ("$.user-id", 6, "with '-'"),
        ("$.1a", 2, "a name"),
        ("$.[0]", 2, "a name"),
        ("$[-1]", 2, "negative"),
        ("$[01]", 2, "quoted name, an index"),
        ("$[1:2]", 3, "slices"),
        ("$[:2]", 2, "slices"),
        ("$[0,1]", 3, "unions"),
        ("$['a','b']", 5, "unions"),
        ("$[?@.a]", 2, "filters"),
        ("$[(@.length)]", 2, "functions"),
        ("$['a]", 2, "does not end"),
        ("$['\\x']", 2, "unknown escape"),
        ("$['\\ud800']", 2, "surrogate"),
        ("$[0", 3, "'\\]'"),
        ("$[9007199254740992]", 2, "too large"),
        ("$[\u0661]", 2, "an index"),
        ("header:", 7, "a header name"),
        ("header:a b", 8, "a header name"),
        ("header:x-*-y", 10, "a header name"),
        ("$.a\n", 3, "'.' or '\\['"),
    ],
)
def test_what_the_subset_leaves_out_is_refused_with_its_position(text: str, position: int, reason: str) -> None:
    with pytest.raises(SelectorError, match=reason) as refused:
        parse(text)
    assert refused.value.position == position


@given(st.text(alphabet="$.[]*'\"a0-:?,@\\u ", max_size=12))
def test_any_text_is_read_as_the_standard_reads_it_or_refused(text: str) -> None:
    try:
        parse("$" + text)
    except SelectorError:
        return
    jsonpath_rfc9535.compile("$" + text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8))
def test_a_rendered_path_selects_its_own_node(name: str) -> None:
    assert [segment.name for segment in parse(path.render(("$", name))).segments] == [name]


def test_escapes_of_both_quotes() -> None:
    for text in ('$["\\u0041\\n\\ud83d\\ude00\\"\'"]', "$['A\\n😀\"\\'']"):
        assert parse(text).segments[0].name == "A\n😀\"'"


def test_specificity_prefers_fewer_descents_then_fewer_wildcards_then_more_literals() -> None:
    ordered = ["$..*", "$..a", "$.*.*", "$.*", "$.a.*", "$", "$.a", "$.a.b"]
    assert sorted(ordered, key=lambda text: parse(text).specificity) == ordered
    assert parse("header:x-a").specificity > parse("header:x-a*").specificity > parse("header:x-*").specificity
