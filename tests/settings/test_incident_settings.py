"""The setting `incidents`: what is accepted, and everything that is wrong with it at once."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.errors import SettingsError
from dora_metrics.settings.config_file import config_layer
from dora_metrics.settings.hosts import Origin, parse_hosts
from dora_metrics.settings.incidents import parsing
from dora_metrics.settings.incidents.definitions import allowed_keys, presets
from dora_metrics.settings.incidents.expressions import MAX_GROWTH, MAX_LENGTH, Expression
from dora_metrics.settings.incidents.parsing import parse_systems
from dora_metrics.settings.incidents.systems import IncidentSystem, fill_path
from dora_metrics.settings.incidents.times import TimeFormat
from dora_metrics.settings.loading import INPUT, Layer, load_settings
from dora_metrics.settings.model import INPUTS, Settings
from dora_metrics.settings.tokens import NamedToken, parse_tokens
from support.property_cases import cases

CUSTOM: Mapping[str, object] = {
    "system": "custom",
    "name": "pager",
    "url": "https://pager.example/api/incidents",
    "page": {"token": "cursor", "next": "meta.next"},
    "each": "data",
    "fields": {"id": "id", "detected_at": "started"},
}
NEEDED: Mapping[str, Mapping[str, object]] = {
    "jira": {"url": "https://acme.atlassian.net", "jql": "project = OPS"},
    "statuspage": {"page-id": "abc123"},
}
PRESETS_FILE = Path(parsing.__file__).with_name("presets.yml")


def problems(*entries: object) -> list[str]:
    with pytest.raises(ValueError, match=r".") as error:
        parse_systems(entries)
    return list(error.value.args)


def custom(**changes: object) -> IncidentSystem:
    (system,) = parse_systems([{**CUSTOM, **changes}])
    return system


class TestPresets:
    @pytest.mark.parametrize("name", presets())
    def test_each_is_valid_and_has_the_fields_that_count(self, name: str) -> None:
        (system,) = parse_systems([{"system": name, **NEEDED.get(name, {})}])
        assert system.name == name
        assert {"id", "title", "url", "detected_at", "resolved_at", "observed_at", "retracted"} <= set(system.fields)
        assert not system.is_token_optional

    def test_each_has_at_most_twenty_lines(self) -> None:
        text = PRESETS_FILE.read_text("utf-8")
        blocks = [block for block in text.split("\n\n") if block and not block.startswith("#")]
        assert len(blocks) == len(presets())
        assert max(len(block.strip().splitlines()) for block in blocks) <= 20

    def test_the_schema_knows_the_same_systems(self) -> None:
        schema = Settings.model_json_schema(by_alias=True)["properties"]["incidents"]["items"]["properties"]
        assert schema["system"]["enum"] == [*presets(), "custom"]
        assert set(schema) == {key for preset in (None, *presets().values()) for key in allowed_keys(preset)}

    def test_own_hosts_get_a_token_without_being_named(self) -> None:
        for url in ("https://api.pagerduty.com", "https://api.eu.pagerduty.com"):
            (system,) = parse_systems([{"system": "pagerduty", "url": url}])
            assert system.may_get_token(())

    @pytest.mark.parametrize(
        "url",
        [
            "https://api.pagerduty.com.evil.example",
            "https://evil.example/api.pagerduty.com",
            "https://api.pagerduty.com:8443",
            "https://xapi.pagerduty.com",
            "https://127.0.0.1",
        ],
    )
    def test_other_hosts_do_not(self, url: str) -> None:
        (system,) = parse_systems([{"system": "pagerduty", "url": url}])
        assert not system.may_get_token(("acme.atlassian.net",))

    def test_jira_has_no_host_of_its_own_since_anybody_can_have_a_site_there(self) -> None:
        (system,) = parse_systems([{"system": "jira", **NEEDED["jira"]}])
        assert not system.may_get_token(())
        assert system.may_get_token(("acme.atlassian.net",))

    def test_filters_of_the_user_also_count_for_open_incidents(self) -> None:
        (system,) = parse_systems([{"system": "pagerduty", "query": {"team_ids[]": ["T1"], "limit": 50}}])
        assert system.changed.query["team_ids[]"] == ["T1"]
        assert system.changed.query["limit"] == 50
        assert system.open
        assert system.open.query["team_ids[]"] == ["T1"]
        assert system.open.query["limit"] == 100

    def test_a_field_can_be_changed_added_and_left_out(self) -> None:
        fields = {"title": None, "severity": "urgency", "deployment": "custom_field"}
        (system,) = parse_systems([{"system": "pagerduty", "fields": fields}])
        assert "title" not in system.fields
        assert (system.fields["severity"].text, system.fields["deployment"].text) == ("urgency", "custom_field")
        assert system.fields["id"].text == "id"


class TestProblems:
    def test_all_are_named_at_once_with_system_field_expression_and_position(self) -> None:
        fields = {"title": "a..b", "url": "[", "severity": "foo(@)", "deployment": "length(a, b)"}
        named = problems({"system": "pagerduty", "fields": fields}, {**CUSTOM, "each": "data[?", "times": "%q"})
        assert [each.replace("is not a JMESPath expression", "!")[:88] for each in named] == [
            "pagerduty: fields.title: 'a..b' !: unexpected '.' at character 3",
            "pagerduty: fields.url: '[' !: it ends too early, at character 2",
            "pagerduty: fields.severity: 'foo(@)' !: there is no function foo, at character 1",
            "pagerduty: fields.deployment: 'length(a, b)' !: length needs 1 arguments and has 2, at c",
            "pager: each: 'data[?' !: it ends too early, at character 7",
            "pager: times: '%q' is not a format of times; write utc, unix, unix-ms, or a format of Py",
        ]

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            ("pagerduty", "number 1: expected a system, such as `system: pagerduty`"),
            ({}, "None: system: 'None' is not one of pagerduty, jira, incident-io, statuspage, custom"),
            ({"system": "pagerdutty"}, "pagerdutty: system: 'pagerdutty' is not one of pagerduty, jira"),
            ({"system": "pagerduty", "feilds": {}}, "pagerduty: unknown key 'feilds'; did you mean fields?"),
            ({"system": "pagerduty", "each": "x"}, "pagerduty: unknown key 'each'"),
            ({"system": "jira", "url": "https://acme.atlassian.net"}, "jira: jql: it is missing; jira needs it"),
            ({"system": "jira", "jql": "a = b"}, "jira: url: it is missing; set the address of jira"),
            ({"system": "pagerduty", "fields": {"x": "y"}}, "pagerduty: fields: 'x' not known; known are id, title"),
            ({"system": "pagerduty", "services": {"A": "b"}}, "pagerduty: services"),
            (
                {"system": "pagerduty", "services": {"A": {"repository": "b"}}},
                "services.A.repository: 'b' is not OWNER",
            ),
            ({"system": "pagerduty", "severities": {"A": "bad"}}, "pagerduty: severities"),
            ({**CUSTOM, "name": "Pager"}, "Pager: name: expected a name for its facts"),
            ({**CUSTOM, "name": "github"}, "github: name: ids of other facts begin with this name"),
            ({**CUSTOM, "name": "pagerduty"}, "pagerduty: name: ids of other facts begin with this name"),
            ({**CUSTOM, "page": {"token": "a"}}, "pager: page: token and next belong together"),
            ({**CUSTOM, "page": {"offset": "a", "number": "b"}}, "offset and number are two ways of paging; keep one"),
            ({**CUSTOM, "page": {"offset": "a"}}, "pager: page: offset needs size"),
            ({**CUSTOM, "page": {"offset": "a", "size": -1}}, "pager: page: size, first and end cannot be negative"),
            ({**CUSTOM, "fields": {"id": "id"}}, "pager: fields.detected_at: it is missing; every incident needs it"),
            ({**CUSTOM, "query": {"a": "${token}"}}, "pager: query: ${token} is not known there; known are ${since}"),
            ({**CUSTOM, "query": {"a": "${x}"}}, "pager: query: ${x} is not known there"),
            ({**CUSTOM, "headers": {"Host": "evil.example"}}, "pager: headers.Host: this header cannot be set"),
            ({**CUSTOM, "headers": {"X-A": "b\r\nX-C: d"}}, "pager: headers.X-A: a header has printable ASCII"),
            ({**CUSTOM, "range": {"days": -1}}, "pager: range.days: expected a number from 0 to 3,650"),
            ({**CUSTOM, "range": {"by": "title"}}, "pager: range"),
            ({**CUSTOM, "single": {"path": "/${token}"}}, "pager: single.path: ${token} is not known there"),
        ],
        ids=lambda each: str(each)[:50],
    )
    def test_what_is_wrong_is_named(self, entry: object, problem: str) -> None:
        assert any(problem in each for each in problems(entry)), problems(entry)

    @pytest.mark.parametrize(
        "url",
        [
            "http://pager.example",
            "ftp://pager.example",
            "https://user:pass@pager.example",
            "https://pager.example@evil.example",
            "https://pager.example\\@evil.example",
            "https://pager.example#@evil.example",
            "https://pager.example?x=1",
            "https://pager.example:99999",
            "https://pager.example:0",
            "https://",
            "https:///path",
            "https://pager.example/a b",
            "https://pager.example/'",
            "https://pager.example\n.evil.example",
            "https://p\u00e4ger.example",
            "http://127.0.0.1.evil.example",
            "${since}",
        ],
    )
    def test_an_address_that_could_be_read_in_two_ways_is_refused(self, url: str) -> None:
        assert any(each.startswith("pager: url: ") for each in problems({**CUSTOM, "url": url}))

    def test_a_system_is_there_once(self) -> None:
        assert problems(CUSTOM, CUSTOM) == ["pager is there twice"]

    def test_there_are_not_endless_systems(self) -> None:
        assert problems(*[CUSTOM] * 11) == ["11 systems are too many; at most 10 are read"]

    def test_settings_name_the_file_and_all_other_problems(self) -> None:
        text = yaml.safe_dump({"incidents": [{"system": "pagerduty", "fields": {"title": "a..b"}}], "window": "5x"})
        with pytest.raises(SettingsError) as error:
            load_settings([config_layer(".github/dora.yml", text.encode())])
        in_incidents = ".github/dora.yml: incidents: pagerduty: fields.title: 'a..b' is not a JMESPath expression"
        in_window = ".github/dora.yml: window: '5x' is not a valid window"
        assert min(problem[: len(in_incidents)] for problem in error.value.problems) == in_incidents
        assert any(problem.startswith(in_window) for problem in error.value.problems)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.sampled_from([*CUSTOM, "services", "open", "single", "range", "headers"]), inner)
            ),
            max_leaves=12,
        )
    )
    @settings(max_examples=cases(60))
    def test_no_shape_causes_a_traceback(self, entry: Any) -> None:  # noqa: ANN401 - any JSON
        for each in (entry, {**CUSTOM, **entry} if isinstance(entry, dict) else entry):
            with suppress(ValueError):
                parse_systems([each])


class TestExpressions:
    """An expression can come from the file of a checkout: what could multiply its result without end is refused."""

    @pytest.mark.parametrize(
        "text",
        [
            "|".join(["[@,@]"] * 7),
            "|".join(["[@,@][]"] * 30),
            "|".join(["{a: @, b: @}"] * 10),
            "|".join(["to_string([@])"] * 3),
            "map(&[@,@,@,@], [@,@,@,@])|[@,@,@,@,@]",
        ],
    )
    def test_one_that_multiplies_what_it_reads_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=f"more than {MAX_GROWTH} times as large"):
            Expression.parse(text)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("join(a, b)", "the first argument of join must be a text"),
            ("a" * (MAX_LENGTH + 1), "more than 500 characters"),
            ("!" * 100 + "a", "more than 40 levels"),
            ("(" * 250 + "a" + ")" * 249, "it ends too early|nested too deeply"),
            ("[" * 400, "."),
            ("", "it is empty"),
            ("a b", "unexpected 'b' at character 3"),
            ("a # b", "not readable at character 3"),
        ],
    )
    def test_others_are_refused_with_their_place(self, text: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            Expression.parse(text)

    @pytest.mark.parametrize(
        "text",
        [
            "join('', ['https://acme.example/browse/', key])",
            "(values[?contains(['a', 'b'], name.first)].value | [0]) || created_at",
            "[fields.link, fields.other.link, labels[0]]",
            "sort_by(changes[?type == 'x'], &at)[-1].at",
            "labels[?starts_with(@, 'service:')] | [0]",
        ],
    )
    def test_usual_ones_are_accepted(self, text: str) -> None:
        assert Expression.parse(text).text == text

    @given(
        st.lists(
            st.sampled_from(["[@,@]", "[@,@,@][]", "@[]", "@[*].[@]", "{a:@}", "to_string(@)", "[0]"]), max_size=8
        ),
        st.lists(st.sampled_from(["abc", '"', "\\", ""]), max_size=4),
    )
    @settings(max_examples=cases(200))
    def test_the_result_is_never_larger_than_what_is_allowed(self, parts: list[str], value: list[str]) -> None:
        try:
            expression = Expression.parse("|".join(["@", *parts]))
            result = expression.search(value)
        except ValueError:
            return
        size = len(json.dumps(value)) + 8
        assert len(json.dumps(result)) <= 8 * MAX_GROWTH * size

    def test_an_expression_that_does_not_fit_raises_no_other_error(self) -> None:
        for text in ("join(', ', @)", "sort(@)", "sum(@)", "max_by(@, &a)", "keys(@)", "a.b[0].c", "length(@)"):
            for value in (None, 1, "a", [1, "a"], {"a": [None]}, [{"a": 1}, {"a": "b"}]):
                try:
                    Expression.parse(text).search(value)
                except ValueError as error:
                    assert str(error) == "the expression does not fit the value there"  # noqa: PT017 - some fit


class TestTimes:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("", "2026-11-10T08:00:00Z"),
            ("", "2026-11-10T09:00:00.000+0100"),
            ("", "2026-11-10T09:00:00+01:00"),
            ("utc", "2026-11-10 08:00:00"),
            ("utc", "2026-11-10T09:00:00+01:00"),
            ("unix", 1794297600),
            ("unix", "1794297600"),
            ("unix-ms", 1794297600000),
            ("%Y-%m-%d %H:%M:%S", "2026-11-10 08:00:00"),
            ("%d/%b/%Y:%H:%M:%S %z", "10/Nov/2026:09:00:00 +0100"),
        ],
    )
    def test_a_time_is_read_in_its_format(self, name: str, value: object) -> None:
        assert TimeFormat.parse(name).read(value) == datetime(2026, 11, 10, 8, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("", "2026-11-10T08:00:00"),
            ("", "2026-11-10"),
            ("", 1794297600),
            ("", ["2026-11-10T08:00:00Z"]),
            ("", "1" * 100),
            ("", "9999-12-31T23:59:59-23:00"),
            ("unix", 1e300),
            ("unix", float("nan")),
            ("unix", True),
            ("unix", -1),
            ("unix-ms", "soon"),
            ("%Y", "x"),
        ],
    )
    def test_what_is_no_time_is_refused(self, name: str, value: object) -> None:
        with pytest.raises(ValueError, match=r"is not a|has no time zone"):
            TimeFormat.parse(name).read(value)

    @pytest.mark.parametrize("name", ["%q", "x", "%Y%Y", "%Y " * 20, "%", "(a+)+%Y", "%-d"])
    def test_other_formats_are_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="is not a format of times"):
            TimeFormat.parse(name)

    def test_a_query_has_the_systems_own_format(self) -> None:
        time = datetime(2026, 11, 10, 8, tzinfo=UTC)
        written = {name: TimeFormat.parse(name).text_of(time) for name in ("", "utc", "unix", "unix-ms", "%d.%m.%Y")}
        assert list(written.values()) == [
            "2026-11-10T08:00:00Z",
            "2026-11-10T08:00:00Z",
            "1794297600",
            "1794297600000",
            "10.11.2026",
        ]


class TestAccess:
    def test_tokens_are_lines_and_may_hold_colons(self) -> None:
        tokens = parse_tokens("pagerduty: abc\n\n jira : ada@example.com:d:e\n")
        assert {name: token.text for name, token in tokens.items()} == {
            "pagerduty": "abc",
            "jira": "ada@example.com:d:e",
        }
        assert tokens["pagerduty"].fill("Token token=${token}") == "Token token=abc"
        assert tokens["jira"].fill("Basic ${basic}") == "Basic YWRhQGV4YW1wbGUuY29tOmQ6ZQ=="

    def test_no_problem_and_no_text_shows_a_token(self) -> None:
        with pytest.raises(SettingsError) as error:
            load_settings(
                [Layer(INPUT, {"incident-tokens": "s3cret\npagerduty: s3cret\npagerduty: s3cret\njira: s3cret\u00e4"})]
            )
        assert error.value.problems == (
            "input incident-tokens: line 1 is not `name: TOKEN`, with a name in lower case",
            "input incident-tokens: line 3 has a name that an earlier line has",
            "input incident-tokens: line 4 has a token with characters that no token has",
        )
        assert "s3cret" not in repr(NamedToken("s3cret"))
        assert "s3cret" not in repr(load_settings([Layer(INPUT, {"incident-tokens": "pagerduty: s3cret"})]))

    def test_hosts_are_compared_in_lower_case_with_their_port(self) -> None:
        hosts = parse_hosts(["Acme.Atlassian.NET", "pager.example:8443", "[::1]:80"])
        named = [
            "https://acme.atlassian.net",
            "https://acme.atlassian.net:443/x",
            "https://pager.example:8443",
            "http://[::1]",
        ]
        assert [url for url in named if not Origin.of(url).is_named_by(hosts)] == []
        others = ["https://acme.atlassian.net:8443", "https://pager.example", "https://x.acme.atlassian.net"]
        assert [url for url in others if Origin.of(url).is_named_by(hosts)] == []

    @pytest.mark.parametrize(
        "line", ["https://a.example", "a.example/x", "*.example", "a.example:x", "a.example:99999", "a b"]
    )
    def test_a_line_that_is_no_host_is_refused(self, line: str) -> None:
        with pytest.raises(ValueError, match="is not a host"):
            parse_hosts([line])

    @pytest.mark.parametrize("name", ["incident-hosts", "incident-tokens"])
    def test_a_file_cannot_say_who_gets_a_token(self, name: str) -> None:
        layer = config_layer(".github/dora.yml", f"{name}: 'evil.example'".encode())
        assert layer.values == {}
        (problem,) = layer.problems
        assert problem.endswith("; set it as an input")

    def test_only_a_file_can_have_systems(self) -> None:
        assert "incidents" not in INPUTS
        assert load_settings([config_layer("f", b"incidents: [{system: pagerduty}]")]).incidents == (
            {"system": "pagerduty"},
        )

    @pytest.mark.parametrize("value", ["..", ".", ""])
    def test_a_value_cannot_lead_to_another_path(self, value: str) -> None:
        with pytest.raises(ValueError, match="cannot be a part of a path"):
            fill_path("/pages/${id}/incidents", {"id": value})

    def test_a_value_in_a_path_is_one_segment(self) -> None:
        assert fill_path("/pages/${id}", {"id": "a/b?c#d%"}) == "/pages/a%2Fb%3Fc%23d%25"


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"severities": {"A": "crit"}}, "severities.A: 'crit' is not one of critical, high, medium, low"),
            ({"severities": {3: 4}}, "severities.3: 4 is not one of critical, high, medium, low"),
            ({"services": {"Checkout": "ignore"}}, "services.Checkout: 'ignore' is not skip"),
            ({"services": {"Checkout": {"servce": "x"}}}, "services.Checkout: Object contains unknown field `servce`"),
            ({"headers": {"X-Key": 1}}, "headers.X-Key: Expected `str`, got `int`"),
            ({"environments": {"prod": 1}}, "environments.prod: Expected `str`, got `int`; it is 1"),
            ({"page": {"offset": "", "size": 5}}, "page.offset: it is empty; name the parameter"),
        ],
    )
    def test_a_problem_names_the_key_the_value_and_the_choices(self, changes: dict[str, Any], problem: str) -> None:
        (text,) = problems({**CUSTOM, **changes})
        assert text.startswith(f"{CUSTOM['name']}: {problem}")

    def test_numbers_are_keys(self) -> None:
        system = custom(severities={1: "critical"}, environments={2: "staging"})
        assert (system.severities, system.environments) == ({"1": "critical"}, {"2": "staging"})

    @pytest.mark.parametrize("preset", ["incident-io", "statuspage"])
    def test_services_by_name_need_a_field_that_names_them(self, preset: str) -> None:
        entry = {"system": preset, "services": {"Checkout": {}}, **({"page-id": "x"} if preset == "statuspage" else {})}
        (text,) = problems(entry)
        assert text.startswith(f"{preset}: fields.service: it is missing, so the line 'Checkout' of `services` cannot")
        assert "`fields: {service: …}`" in text
        parse_systems([{**entry, "fields": {"service": "team"}}])
        parse_systems([{**entry, "services": {"*": {"service": "shop"}}}])


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("fields.a.b", ["a"]),
        ("fields.[a, b.c]", ["a", "b"]),
        ("fields | a", ["a"]),
        ("fields.{x: a.c, y: d}", ["a", "d"]),
        ("fields.labels[?x=='y'].z | [0]", ["labels"]),
        ('fields."custom-x"', ["custom-x"]),
        ("join(',', fields.c[*].n)", ["c"]),
        ("fields.a || fields.b", ["a", "b"]),
        ("key", []),
    ],
)
def test_the_names_below_fields_are_those_that_the_expression_reads(expression: str, names: list[str]) -> None:
    assert Expression.parse(expression).names_below("fields") == names
