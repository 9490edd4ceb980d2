"""The guide at `/guide`: the Markdown pages of `docs/guide`, rendered here once and kept.

`index.md` is the table of contents: its headings and links make the sidebar, and their order is the reading order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Blueprint, Response, abort, render_template, request, send_from_directory

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

blueprint = Blueprint("guide", __name__)
FOLDER = Path(__file__).parents[1] / "docs" / "guide"
INDEX = "index"
_PAGE_LINK = re.compile(r"([a-z0-9-]+)\.md(#.*)?")


class Entry(NamedTuple):
    """A page in the sidebar."""

    name: str
    title: str


class Section(NamedTuple):
    """A heading of the sidebar and the pages below it."""

    title: str
    entries: list[Entry]


class Heading(NamedTuple):
    """A heading of a page, and the anchor by which it is linked to."""

    level: int
    title: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page as HTML, with its headings from the first, which is its title."""

    html: str
    headings: list[Heading]


@blueprint.get("/guide")
def index() -> Response:
    return _answer(INDEX)


@blueprint.get("/guide/<name>.png")
def picture(name: str) -> Response:
    return send_from_directory(FOLDER, f"{name}.png", max_age=300)


@blueprint.get("/guide/<name>")
def page(name: str) -> Response:
    return _answer(name) if any(entry.name == name for entry in reading_order()) else abort(404)


def _answer(name: str) -> Response:
    response = Response(_document(name), mimetype="text/html")
    response.cache_control.max_age = 300
    response.add_etag()
    response.make_conditional(request)
    return response


@cache
def _document(name: str) -> str:
    order = [Entry(INDEX, "Guide"), *reading_order()]
    place = [entry.name for entry in order].index(name)
    around = {"previous": order[place - 1] if place else None, "next": next(iter(order[place + 1 :]), None)}
    return render_template("guide.html", name=name, page=read_page(name), sections=sections(), **around)


@cache
def sections() -> list[Section]:
    """The sidebar, as the table of contents has it."""
    found: list[Section] = []
    tokens = _markdown().parse((FOLDER / f"{INDEX}.md").read_text("utf-8"))
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type == "heading_open" and opening.tag == "h2":
            found.append(Section(inline.content, []))
        for link, text in zip(inline.children or [], (inline.children or [])[1:], strict=False):
            target = _PAGE_LINK.fullmatch(str(link.attrs.get("href", "")))
            if target and found and opening.type == "paragraph_open":
                found[-1].entries.append(Entry(target[1], text.content))
    return found


def reading_order() -> list[Entry]:
    """Every page but the table of contents, as a reader comes to them."""
    return [entry for section in sections() for entry in section.entries]


def read_page(name: str) -> Page:
    """A page of the guide, rendered."""
    return render((FOLDER / f"{name}.md").read_text("utf-8"))


def render(text: str) -> Page:
    """Markdown as HTML whose headings have anchors and whose links lead to pages of this service."""
    tokens = _markdown().parse(text)
    headings = list(_with_anchors(tokens))
    for token in tokens:
        for child in token.children or ():
            target = _PAGE_LINK.fullmatch(str(child.attrs.get("href", "")))
            if target:
                path = "/guide" if target[1] == INDEX else f"/guide/{target[1]}"
                child.attrs["href"] = path + (target[2] or "")
            if child.type == "image":
                child.attrs["src"] = f"/guide/{child.attrs['src']}"
    return Page(str(_markdown().renderer.render(tokens, _markdown().options, {})), headings)


def _with_anchors(tokens: Sequence[Token]) -> Iterator[Heading]:
    taken: Counter[str] = Counter()
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type == "heading_open":
            title = "".join(child.content for child in inline.children or ())
            anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")  # as GitHub makes them
            taken[anchor] += 1
            if taken[anchor] > 1:
                anchor += f"-{taken[anchor] - 1}"
            opening.attrs["id"] = anchor
            yield Heading(int(opening.tag[1]), title, anchor)


@cache
def _markdown() -> MarkdownIt:
    # Imported by the first reader, so that a web process that shows no guide need not have it.
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("heading_close", _heading_close)
    parser.add_render_rule("table_open", lambda *_: '<div class="table" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _fence(renderer: Any, tokens: Sequence[Token], place: int, *_: Any) -> str:
    from markdown_it.common.utils import escapeHtml

    token = tokens[place]
    language = (token.info.split() or ["text"])[0]
    code = f'<code class="language-{escapeHtml(language)}">{escapeHtml(token.content)}</code>'
    return f'<div class="code"><pre tabindex="0">{code}</pre></div>\n'


def _heading_close(renderer: Any, tokens: Sequence[Token], place: int, *_: Any) -> str:
    opening = tokens[place - 2]
    link = f'<a class="anchor" href="#{opening.attrs["id"]}" aria-label="Link to this heading">#</a>'
    return f"{link if opening.tag != 'h1' else ''}</{opening.tag}>\n"
