"""Requests that are wrong on purpose, in every way that hypothesis thinks of: see hostile_requests for what may come of
them. What is right among them is honoured."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies
from hypothesis.strategies import SearchStrategy, binary, booleans, floats, integers, sampled_from, text

import hostile_requests
from hostile_requests import ask
from processes import b64, sample

BAG = b64(sample("bag"))
# What JSON can say and programs trip over; some of it is no JSON.
LITERALS = sampled_from(
    [
        "NaN",
        "-Infinity",
        "1e999",
        "-1e999",
        "1e-999",
        "-0.0",
        "9" * 400,
        "-9223372036854775809",
        "18446744073709551616",
        "1" + "0" * 30,
        "0.1",
        "1.0",
        "true",
        "null",
        '"\\ud800"',
        '"\\udfff\\ud800"',
        '"\\u0000"',
        '""',
        "[]",
        "{}",
        "01",
        "+1",
        "'x'",
        '{"a":1,"a":2}',
        '{"":{"":{"":1}}}',
        "[" * 1200 + "]" * 1200,
        '{"a":' * 1200 + "1" + "}" * 1200,
    ]
)
VALUES: SearchStrategy[str] = LITERALS | strategies.recursive(
    strategies.none() | booleans() | integers() | floats(allow_nan=False, allow_infinity=False) | text(max_size=8),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(text(max_size=4), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
MEANT_WELL: list[tuple[int, dict[str, Any]]] = [
    (0, {"image": BAG, "model": "production", "top_k": 3, "explain": True, "metadata": {"a": "b"}}),
    (1, {"images": [BAG], "model": "v1", "top_k": 1, "metadata": {}}),
    (
        2,
        {
            "network": "tutorial_cnn",
            "dataset": "fashion-mnist",
            "epochs": 2,
            "batch_size": 64,
            "learning_rate": 0.1,
            "fraction": 0.5,
            "seed": 1,
            "promote": "never",
            "hyperparameters": {"dense": 64},
            "base_version": "v1",
            "description": "x",
        },
    ),
    (
        3,
        {
            "network": "tutorial_cnn",
            "trials": 2,
            "epochs": 1,
            "timeout_seconds": 60,
            "search_space": {
                "learning_rate": {"low": 0.1, "high": 1.0, "log": True},
                "hyperparameters": {"dense": {"choices": [32, 64]}},
            },
        },
    ),
    (4, {"version": "v1"}),
    (5, {"epochs": 2, "fraction": 0.5, "patience": 1, "promote": "always"}),
]


@given(integers(0, 5), VALUES | text(max_size=30))
def test_any_json_and_what_only_looks_like_it_is_answered(operation: int, body: str) -> None:
    hostile_requests.bodies(bytes([operation]) + body.encode("utf-8", "surrogatepass"))


@given(sampled_from(MEANT_WELL), strategies.data())
def test_a_body_with_one_field_that_is_anything_is_answered(
    meant_well: tuple[int, dict[str, Any]], data: strategies.DataObject
) -> None:
    operation, body = meant_well
    name, value = data.draw(sampled_from([*body, "unknown"])), data.draw(VALUES)
    fields = [f"{json.dumps(key)}:{json.dumps(each)}" for key, each in body.items() if key != name]
    hostile_requests.bodies(bytes([operation]) + "{{{}}}".format(",".join([*fields, f'"{name}":{value}'])).encode())


@given(
    sampled_from(["learning_rate", "batch_size", "optimizer", "hyperparameters", "x"]),
    sampled_from(["low", "high", "log", "choices", "x"]),
    VALUES,
)
def test_a_search_space_of_anything_is_answered(field: str, part: str, value: str) -> None:
    space = json.dumps({field: {"low": 1, "high": 2}})[:-2]
    hostile_requests.bodies(b'\3{"search_space":' + f'{space}, "{part}": {value}}}}}, "trials": 1}}'.encode())


def test_of_fields_that_come_twice_the_last_one_counts() -> None:
    twice = f'{{"image": 1, "image": "{BAG}", "metadata": {{"a": "1", "a": "2"}}}}'
    answer = ask("POST", "/v1/predictions", twice.encode(), Content_Type="application/json")
    assert answer.status == 202 and json.loads(answer.body)["metadata"] == {"a": "2"}


@pytest.mark.parametrize("body", [b"[" * 30_000, b'{"a":' * 10_000, b"[" * 10_000 + b"]" * 10_000])
@pytest.mark.parametrize("operation", range(6))
def test_the_deepest_nesting_is_refused(operation: int, body: bytes) -> None:
    method, path = hostile_requests.BODIES[operation]
    assert ask(method, path, body, Content_Type="application/json").status in (400, 422)


FORM_FIELDS = strategies.lists(
    strategies.tuples(
        sampled_from(["file", "labels", "images", "name", "description", "model", "top_k", "metadata", "x", ""])
        | text(max_size=6),
        booleans(),
        binary(max_size=60) | VALUES.map(str.encode),
    ),
    max_size=6,
)


@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")
@given(integers(0, 1), FORM_FIELDS, integers(0, 200))
def test_a_form_of_any_fields_is_answered(operation: int, fields: list[tuple[str, bool, bytes]], missing: int) -> None:
    body = (
        b"".join(
            b'--strangers\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
            % (name.encode("utf-8", "surrogatepass"), b'; filename="x"' * is_file, content)
            for name, is_file, content in fields
        )
        + b"--strangers--\r\n"
    )
    hostile_requests.forms(bytes([operation]) + (body[:-missing] if missing > 100 else body))


CURSORS = text(max_size=30) | sampled_from(
    ["7" + "Z" * 25, "0" * 26, "01KBQ8Z6J0V6M3Y8F5W2T4N7RC\n", "v1", "v0", "v" + "9" * 400, "v-1", "v١"]
)
NUMBERS = text(max_size=5) | sampled_from(
    ["0", "1", "100", "101", "-1", "1e1", "9" * 400, "1.0", " 5", "٥", "nan", "inf", "1_0"]
)


@given(
    integers(0, 7),
    strategies.lists(
        strategies.tuples(sampled_from(["cursor", "limit", "status", "model_version", "x"]), CURSORS | NUMBERS),
        max_size=4,
    ),
    booleans(),
)
def test_any_query_is_answered(operation: int, query: list[tuple[str, str]], raw: bool) -> None:
    words = "&".join(map("=".join, query)) if raw else urlencode(query, errors="surrogatepass")
    hostile_requests.cursors(bytes([operation]) + words.encode("utf-8", "surrogatepass"))


@given(
    integers(0, 255),
    text(max_size=40) | sampled_from(["*", "W/", '"', '","', "bytes=0-", "bytes=-0", "bytes=5-1", "text/csv;q=-1"]),
)
def test_any_etag_is_answered(place: int, value: str) -> None:
    hostile_requests.etags(bytes([place]) + value.encode("utf-8", "surrogatepass"))


@given(
    sampled_from(hostile_requests.RESOURCES[:5]),
    strategies.lists(sampled_from(['"x"', 'W/"y"', "", '"a,b"', "junk"]), max_size=3),
    booleans(),
)
def test_an_etag_that_holds_is_found_among_others(path: str, others: list[str], weak: bool) -> None:
    etag = ask("GET", path).headers["etag"]
    among = ", ".join([*(each for each in others if each != "junk"), f"W/{etag}" if weak else etag])
    assert ask("GET", path, If_None_Match=among).status == 304
    assert ask("GET", path, If_None_Match="*").status == 304
    assert ask("GET", path, If_None_Match='"x"').status == 200


@given(
    integers(0, 3),
    text(max_size=30)
    | sampled_from(["wait", "wait=", "wait=,wait=1", 'wait="', "wait=1;wait=2", "wait = 1", "wait=0x1"]),
)
def test_any_preference_is_answered(place: int, value: str) -> None:
    hostile_requests.preferences(bytes([place]) + value.encode("utf-8", "surrogatepass"))


@given(
    integers(min_value=1),
    sampled_from(["wait={}", 'wait="{}"', "respond-async, wait={}", "Wait={}; x", "x=1,wait = {}"]),
)
def test_a_preference_that_is_understood_is_honoured_up_to_the_limit(seconds: int, form: str) -> None:
    answer = ask("GET", "/v1/predictions/{prediction}", Prefer=form.format(seconds))
    assert answer.headers["preference-applied"] == "wait=0.001"


@given(
    integers(0, 1),
    text(max_size=30)
    | sampled_from(["0-0", "9" * 15 + "-" + "9" * 10, "9" * 20 + "-0", "-", "+", "$", "(1-1", ">", "*"]),
)
def test_any_event_id_is_answered(place: int, value: str) -> None:
    hostile_requests.event_ids(bytes([place]) + value.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("path", hostile_requests.STREAMS)
def test_events_go_on_after_the_id_that_was_seen_last(path: str) -> None:
    def ids(last: str) -> list[str]:
        lines = ask("GET", path, Last_Event_ID=last).body.decode().splitlines()
        return [line[4:] for line in lines if line.startswith("id: ")]

    every = ids("")
    assert len(every) >= 2
    for place, last in enumerate(every):
        assert ids(last) == every[place + 1 :]
    assert ids("nonsense") == ids("٠-٠".encode().decode("latin-1")) == every
    assert ask("GET", path, Last_Event_ID=every[-1]).status == 204


@given(
    integers(0, 255),
    text(max_size=40)
    | sampled_from(["..", "../..", ".", "//", "%2e%2e", "\0", "v1/../v1", "v0", "v01", "V1", "production\n"]),
)
def test_any_part_of_a_path_is_answered(place: int, value: str) -> None:
    hostile_requests.paths(bytes([place]) + value.encode("utf-8", "surrogatepass"))


@given(
    sampled_from(["pred", "batch", "job", "tune", "ds"]),
    text("0123456789ABCDEFGHJKMNPQRSTVWXYZ_IL٣aé\n", min_size=24, max_size=28),
)
def test_an_id_that_was_never_given_out_is_a_404(kind: str, ulid: str) -> None:
    path = {"pred": "predictions", "batch": "batches", "job": "training-jobs", "tune": "tuning-jobs", "ds": "datasets"}[
        kind
    ]
    place = f"/v1/{path}/{kind}_{ulid}"
    assert ask("GET", place).status == 404
    assert ask("DELETE" if kind in ("pred", "batch", "ds") else "POST", place).status in (404, 405)


@pytest.mark.parametrize(
    "path",
    [
        "/console/../app.py",
        "/console/../../settings.py",
        "/docs/../../../setup.py",
        "/guide/../index",
        "/docs/..\\..\\x",
        "/v1/models/../datasets",
        "/console/..",
    ],
)
def test_no_path_leads_out_of_its_folder(path: str) -> None:
    assert ask("GET", path).status == 404
