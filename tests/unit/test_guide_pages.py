"""The pages of the guide: all are reachable, all links lead somewhere, and the reference is complete."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from html.parser import HTMLParser
from types import ModuleType

import pytest
from flask.testing import FlaskClient

from api import guide
from api.app import create_app
from documents import GUIDE, blocks, is_shown, names
from processes import ROOT
from settings import Settings, variable

PAGES = sorted(path.stem for path in GUIDE.glob("*.md"))
# Where a page may link to. Anything else would be a link that works in one place and not in another.
_LINK = re.compile(r"/guide(/[a-z0-9-]+)?(#.+)?|#.+|https://\S+|http://127\.0\.0\.1:8000/\S*")


class Document(HTMLParser):
    """What matters here of a page: tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def values(self, attribute: str, *tags: str) -> list[str]:
        return [value for tag, given in self.tags if not tags or tag in tags if (value := given.get(attribute))]


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app(Settings(redis_url="redis://127.0.0.1:1")).test_client()


def address(name: str) -> str:
    return "/guide" if name == guide.INDEX else f"/guide/{name}"


@cache
def shown(client: FlaskClient, name: str) -> Document:
    answer = client.get(address(name))
    assert answer.status_code == 200
    return Document(answer.text)


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    """The script that writes the reference pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


def test_every_page_is_in_the_sidebar_once() -> None:
    assert sorted([guide.INDEX, *(entry.name for entry in guide.reading_order())]) == PAGES


def test_the_sidebar_calls_a_page_by_its_title() -> None:
    for entry in guide.reading_order():
        assert guide.read_page(entry.name).headings[0].title == entry.title


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_anchor_of_a_page_leads_somewhere(client: FlaskClient, name: str) -> None:
    page = shown(client, name)
    for link in page.values("href", "a"):
        if not link.startswith(("/guide", "#", "http")):
            assert link in ("/", "/docs"), link
            continue
        assert _LINK.fullmatch(link), link
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else shown(client, path.removeprefix("/guide").strip("/") or guide.INDEX)
        assert not anchor or anchor in target.values("id"), link


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_nothing_from_elsewhere_and_has_nothing_inline(client: FlaskClient, name: str) -> None:
    page = shown(client, name)
    loaded = page.values("src") + page.values("href", "link")

    assert loaded and all(url.startswith("/") for url in loaded)
    for url in loaded:
        with client.get(url) as answer:
            assert answer.status_code == 200
    assert not page.values("style") and not [tag for tag, _ in page.tags if tag == "style"]
    assert not [tag for tag, given in page.tags if tag == "script" and "src" not in given]
    assert not [attribute for _, given in page.tags for attribute in given if attribute.startswith("on")]
    assert "default-src 'self'" in client.get(address(name)).headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", PAGES)
def test_the_headings_of_a_page_have_anchors_of_their_own_and_begin_with_one_title(name: str) -> None:
    headings = guide.read_page(name).headings

    assert [heading.level for heading in headings].count(1) == 1 and headings[0].level == 1
    assert len({heading.anchor for heading in headings}) == len(headings)


def test_a_page_is_sent_once_to_who_has_it(client: FlaskClient) -> None:
    etag = client.get("/guide/tutorial").headers["ETag"]

    assert client.get("/guide/tutorial", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("name", ["nothing", "index", "Tutorial", "..%2f..%2fREADME", "tutorial.md"])
def test_a_page_that_is_not_there_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/guide/{name}").status_code == 404


def test_what_is_written_in_html_is_shown_as_text() -> None:
    assert "<script>" not in guide.render("# A\n\n<script>alert(1)</script>").html


def test_every_setting_is_in_the_reference() -> None:
    text = (GUIDE / "settings.md").read_text("utf-8")
    assert [variable(each) for each in fields(Settings) if f"| `{variable(each)}` |" not in text] == []


def test_every_operation_is_in_the_reference() -> None:
    text = (GUIDE / "http-api.md").read_text("utf-8")
    document = json.loads((ROOT / "openapi" / "openapi.json").read_bytes())
    operations = [
        operation["operationId"]
        for item in document["paths"].values() for method, operation in item.items() if method != "parameters"
    ]  # fmt: skip

    assert operations
    assert [each for each in operations if f"operation `{each}`" not in text] == []


def test_the_reference_is_what_the_code_says(reference: ModuleType) -> None:
    for name, text in reference.pages().items():
        assert (GUIDE / name).read_text("utf-8") == text, f"docs/guide/{name} is stale: run make guide"


def test_the_operator_is_told_what_to_do_for_every_alert() -> None:
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "iac" / "monitoring" / "alerts.yml").read_text("utf-8"))
    text = (GUIDE / "operate.md").read_text("utf-8")

    assert alerts
    assert [alert for alert in alerts if f"`{alert}`" not in text] == []


def test_the_web_image_has_the_guide() -> None:
    assert "COPY docs/guide ./docs/guide\n" in (ROOT / "Dockerfile").read_text("utf-8")
    assert "!docs/guide\n" in (ROOT / ".dockerignore").read_text("utf-8")


@pytest.mark.parametrize("name", names())
def test_a_page_names_only_settings_and_make_targets_that_there_are(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    composed = re.findall(r"\$\{(HEMLINE_\w+)", (ROOT / "docker-compose.yml").read_text("utf-8"))
    known = {variable(each) for each in fields(Settings)} | {*composed, "HEMLINE_URL", "HEMLINE_API_KEY"}
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert set(re.findall(r"HEMLINE_[A-Z_]+[A-Z]", text)) <= known
    assert {target for target in re.findall(r"`(?:\w+=\S+ )*make ([a-z0-9-]+)", text)} <= targets
    assert {target for block in blocks(name) for target in re.findall(r"^make ([a-z-]+)", block.code, re.M)} <= targets


@pytest.mark.parametrize("printed, output, fits", [
    ('{"id":"job_01M83M3CRWREGCDBJTT0WA5H00","n":1}', '{"id": "job_01KBQ8Z6J0V6M3Y8F5W2T4N7RC", "n": 27.5}', True),
    ('{"label":"Coat",…}', '{"label":"Coat","at":"2026-11-23T07:14:35.935Z"}', True),
    ("first\nlast", "before\nfirst\nbetween\nlast\n", True),
    ("last\nfirst", "first\nlast", False),
    ('{"label":"Coat"}', '{"label":"Bag"}', False),
    ("a.b", "axb", False),
])  # fmt: skip
def test_output_is_compared_apart_from_what_differs_by_nature(printed: str, output: str, fits: bool) -> None:
    assert is_shown(printed, output) is fits
