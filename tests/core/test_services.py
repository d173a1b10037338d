"""Which services a file belongs to: patterns of `services`, with paths that match and paths that do not."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.services import Globs, Services, compile_pattern, fixed_prefix, parse_services

EXAMPLES = [
    # pattern, paths that match, paths that do not
    ("web/**", "web/a web/a/b.js", "web webs/a x/web/a"),
    ("web/", "web/a web/a/b.js", "web webs/a"),
    ("web", "web web/a web/a/b.js", "webs/a x/web"),
    ("web/*", "web/a web/.a", "web/a/b web"),
    ("*.md", "a.md .md", "docs/a.md a.mdx"),
    ("**.md", "a.md docs/a.md docs/x/a.md", "a.mdx"),
    ("**/*.md", "a.md docs/a.md docs/x/a.md", "a.mdx"),
    ("**/docs/**", "docs/a x/docs/a x/y/docs/a/b", "docs xdocs/a x/docsy/a"),
    ("**/docs", "docs docs/a x/docs x/docs/a", "xdocs x/docsy"),
    ("a/**/b", "a/b a/x/b a/x/y/b a/b/below", "ab a/xb"),
    ("a/**/**/b", "a/b a/x/b a/x/y/b", "ab"),
    ("a**b", "ab axb a/x/b", "a/x/bc xab"),
    ("services/*/api", "services/x/api services/x/api/a.py", "services/api services/x/y/api"),
    ("*-*-x", "a-b-x a-b-c-x --x", "a-x a-b-xy a-/b-x"),
    ("lib?", "liba libs", "lib libab lib/"),
    ("lib[0-9a]", "lib1 liba", "libb lib lib10"),
    ("lib[!0-9]x", "libax lib-x", "lib1x lib/x"),
    ("lib[^0-9]x", "libax", "lib1x"),
    ("lib[+-9]x", "lib+x lib.x lib9x", "lib/x"),
    ("lib[a-]", "liba lib-", "libb"),
    ("lib[]a]", "lib] liba", "libb"),
    ("app/[[]slug]/**", "app/[slug]/page.tsx", "app/s/page.tsx"),
    ("app/[slug/a", "app/[slug/a", "app/s/a"),
    ("a[!]", "a!", "ab"),
    ("a.b+(c)|{d}$", "a.b+(c)|{d}$", "axb+(c)|{d}$ a.bb(c)|{d}$"),
    ("**", "a a/b/c", ""),
    ("*", "a .a", "a/b"),
    ("Web/**", "Web/a", "web/a"),
]


@pytest.mark.parametrize(("pattern", "fits", "others"), EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_a_pattern_fits_whole_paths_from_the_root_on(pattern: str, fits: str, others: str) -> None:
    globs = Globs((pattern,))
    assert [path for path in fits.split() if not globs.match(path)] == []
    assert [path for path in others.split() if globs.match(path)] == []


def test_a_line_break_in_a_name_is_a_character_like_others() -> None:
    assert Globs(("web/*",)).match("web/a\nb")
    assert not Globs(("web/a",)).match("web/a\n")


@pytest.mark.parametrize(
    ("patterns", "path", "belongs"),
    [
        ("web/** !web/docs/**", "web/a", True),
        ("web/** !web/docs/**", "web/docs/a", False),
        ("web/** !web/docs", "web/docs/a", False),
        ("web/** !web/docs/** web/docs/api/**", "web/docs/api/a", True),
        ("!web/docs/** web/**", "web/docs/a", True),
        ("web/** !**/*.md", "web/a.md", False),
        ("web/** libs/pay/**", "libs/pay/a", True),
    ],
)
def test_the_last_pattern_that_fits_decides(patterns: str, path: str, *, belongs: bool) -> None:
    assert Globs(tuple(patterns.split())).match(path) is belongs


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [
        ("services/checkout/**", "services/checkout"),
        ("services/checkout/", "services/checkout"),
        ("services/checkout", "services/checkout"),
        ("libs/pay*/src/**", "libs"),
        ("libs/pay-[ab]/**", "libs"),
        ("libs/a?", "libs"),
        ("Makefile", "Makefile"),
        ("*.md", ""),
        ("**/docs/**", ""),
    ],
)
def test_what_is_fixed_of_a_pattern_are_the_folders_before_its_first_wildcard(pattern: str, fixed: str) -> None:
    assert fixed_prefix(pattern) == fixed


@pytest.mark.parametrize(
    ("patterns", "fixed"),
    [
        ("web/** web/api/** webs/*", {"web", "webs"}),
        ("web/** !web/docs/** !libs/**", {"web"}),
        ("web/** **.md", {""}),
    ],
)
def test_what_is_fixed_of_a_service_is_said_once_and_without_exclusions(patterns: str, fixed: set[str]) -> None:
    assert Globs(tuple(patterns.split())).fixed_prefixes == fixed


SERVICES = Services.from_patterns(
    {"checkout": ("services/checkout/**", "libs/pay/**"), "web": ("web/**",), "docs": ("**.md",)}
)


@pytest.mark.parametrize(
    ("files", "touched"),
    [
        ("web/a", {"web"}),
        ("web/a services/checkout/b", {"web", "checkout"}),
        ("web/a.md", {"web", "docs"}),
        ("Makefile", set()),
        ("", set()),
    ],
)
def test_a_change_belongs_to_every_service_that_one_of_its_files_belongs_to(files: str, touched: set[str]) -> None:
    assert SERVICES.touched_by(files.split()) == touched


def test_without_files_a_change_is_told_by_what_is_fixed_of_the_patterns() -> None:
    assert SERVICES.fixed_prefixes == ("libs/pay", "services/checkout", "web")
    assert SERVICES.touched_by_folders({"libs/pay"}.__contains__) == {"checkout", "docs"}
    assert SERVICES.touched_by_folders(lambda _: False) == {"docs"}


# --- Properties ---

paths = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=5).map("/".join)
names = st.lists(st.sampled_from(["a", "b", "*", "?", "**", "[ab]", "[!a]"]), max_size=4).map("".join)
patterns = st.lists(st.just("**") | names, min_size=1, max_size=4).map("/".join)


def matches_by_definition(pattern: str, path: str) -> bool:
    """The definition of a pattern, implemented slowly: every split is tried."""
    if not pattern:
        return not path
    for token, rest in (("**/", pattern[3:]), ("**", pattern[2:]), ("*", pattern[1:])):
        if pattern.startswith(token):
            ends = range(len(path) + 1)
            taken = (path[:end] for end in ends)
            if token == "**/":
                return matches_by_definition(rest, path) or any(
                    t.endswith("/") and matches_by_definition(rest, path[len(t) :]) for t in taken
                )
            return any(("/" not in t or token == "**") and matches_by_definition(rest, path[len(t) :]) for t in taken)
    one = re.match(r"\[!?[ab]+\]|.", pattern)
    assert one
    wanted = {"?": "[^/]", "[ab]": "[ab]", "[!a]": "[^a/]"}.get(one[0], re.escape(one[0]))
    return re.match(wanted, path) is not None and matches_by_definition(pattern[one.end() :], path[1:])


def has_only_folder_wildcards(pattern: str) -> bool:
    """Whether every `**/` begins a path segment; within a name it is `**` and a slash."""
    return re.search(r"[^/]\*\*/", pattern) is None


@given(patterns.filter(has_only_folder_wildcards), paths)
def test_what_is_taken_and_never_given_back_loses_no_match(pattern: str, path: str) -> None:
    last = pattern.rpartition("/")[2]
    whole = f"{pattern}**" if pattern.endswith("/") else pattern
    below = not set(last) & set("*?[")
    meant = matches_by_definition(whole, path) or (below and matches_by_definition(f"{whole}/**", path))
    assert (compile_pattern(pattern).fullmatch(path) is not None) == meant


@given(patterns, paths)
def test_a_path_that_fits_lies_below_what_is_fixed(pattern: str, path: str) -> None:
    fixed = fixed_prefix(pattern)
    if compile_pattern(pattern).fullmatch(path):
        assert not fixed or path == fixed or path.startswith(f"{fixed}/")


@given(paths, paths)
def test_a_name_without_wildcards_is_that_file_or_all_below_that_folder(name: str, below: str) -> None:
    assert Globs((name,)).match(name)
    assert Globs((name,)).match(f"{name}/{below}")
    assert not Globs((name,)).match(f"{name}x")


@pytest.mark.parametrize("pattern", ["**/a/**/a/**/a/**/b", "*a*a*a*a*b", "**a**a*a**a*a*b", "**a*?a*?a*[a]b/c"])
def test_no_path_that_a_stranger_makes_keeps_a_pattern_busy(pattern: str) -> None:
    started = time.process_time()
    for path in ("a/" * 2000, "a" * 4000, "aa/" * 1300):
        assert not compile_pattern(pattern).fullmatch(path)
    assert time.process_time() - started < 5


# --- As people write them ---


def test_patterns_are_a_list_or_a_text_with_commas_or_lines() -> None:
    assert parse_services({"a": ["x/**", " y "], "b": "x/**, !x/y", "c": "x\ny\n", 7: [2024]}) == {
        "a": ("x/**", "y"),
        "b": ("x/**", "!x/y"),
        "c": ("x", "y"),
        "7": ("2024",),
    }


@pytest.mark.parametrize(
    ("written", "problems"),
    [
        (["web"], ["is not a mapping"]),
        ("web", ["is not a mapping"]),
        ({"": "a"}, ["a service has no name"]),
        ({" ": "a"}, ["a service has no name"]),
        ({True: "a"}, ["True: the name is not a string in YAML"]),
        ({None: "a"}, ["None: the name is not a string in YAML"]),
        ({"web": None}, ["web: it has no paths"]),
        ({"web": []}, ["web: it has no paths"]),
        ({"web": " , "}, ["web: it has no paths"]),
        ({"web": {"a": "b"}}, ["web: expected a list"]),
        ({"web": ["a", ""]}, ["web: a pattern is empty"]),
        ({"web": ["a", "!"]}, ["web: '!' is empty"]),
        ({"web": "!a, !b"}, ["web: it only excludes paths; also write one without `!`, before the others"]),
        ({"web": "/a"}, ["web: '/a' begins with /"]),
        ({"web": "!/a, b"}, ["web: '!/a' begins with /"]),
        ({"web": "a\\b"}, ["web: 'a\\\\b' has a backslash"]),
        ({"web": "../a"}, ["web: '../a' contains '..', '.' or an empty folder name"]),
        ({"web": "a/.."}, ["web: 'a/..' contains '..', '.' or an empty folder name"]),
        ({"web": "./a"}, ["web: './a' contains '..', '.' or an empty folder name"]),
        ({"web": "a//b"}, ["web: 'a//b' contains '..', '.' or an empty folder name"]),
        ({"web": "a[z-a]"}, ["web: 'a[z-a]' has a range that ends before it begins"]),
        ({"web": ["a/" + "[" * 256]}, ["web: 'a/[[[[[[[[[[[[[[[[[['… has a name of more than 255 characters"]),
        ({"web": "/a\\.., b", "": "x", "api": ["c//"]}, ["begins with /", "a backslash", "no name", "'c//' contains"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_all_at_once(written: object, problems: list[str]) -> None:
    with pytest.raises(ValueError) as told:  # noqa: PT011 - the arguments are checked below
        parse_services(written)
    assert len(told.value.args) == len(problems)
    assert [one for one, said in zip(problems, told.value.args, strict=True) if one not in said] == []


@pytest.mark.parametrize(
    "pattern", ["a/" + "[" * 255, "a/" * 300 + "b", "a/...", "a/..b", "a../b", ".github/**", "a/b/", "!a/b/"]
)
def test_dots_in_names_and_a_slash_at_the_end_are_right(pattern: str) -> None:
    assert parse_services({"web": ["x", pattern]}) == {"web": ("x", pattern)}
