"""Every kind of answer tells browsers to make no more of it than it is, and each tells it once."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from api.app import create_app
from settings import Settings

PAGES = ["/", "/docs", "/guide", "/guide/tutorial", "/console/icon.svg", "/console//app.js"]
OTHERS = [
    "/console/app.js", "/console/console.css", "/console/fonts/inter.woff2", "/docs/swagger-ui-bundle.js",
    "/openapi.json", "/health/live", "/health/ready", "/v1/models", "/v1/predictions?limit=0", "/v1/predictions/x",
    "/nothing", "/broken",
]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    home: Path = tmp_path_factory.mktemp("home")
    app: Flask = create_app(Settings(redis_url=f"unix://{home}/nobody-listens", home=home))

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError

    return app.test_client()


def headers_of(client: FlaskClient, path: str, **request: Any) -> Headers:
    with client.open(path, **request) as answer:
        return answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
@pytest.mark.parametrize("path", PAGES + OTHERS)
def test_every_answer_is_guarded(client: FlaskClient, path: str, method: str) -> None:
    headers = headers_of(client, path, method=method)

    assert headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert headers.getlist("Referrer-Policy") == ["no-referrer"]
    assert headers.getlist("Cross-Origin-Resource-Policy") == ["same-origin"]
    (policy,) = headers.getlist("Content-Security-Policy")
    assert "frame-ancestors 'none'" in policy
    assert not any(loose in policy for loose in ("unsafe-inline", "unsafe-eval", "*", "http:", "https:"))
    # Other origins are told nothing: who wants them lets a proxy say so.
    assert not [name for name in headers.keys() if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_what_is_ours_and_run_nothing_that_is_written_into_them(client: FlaskClient, path: str) -> None:
    policy = headers_of(client, path)["Content-Security-Policy"]

    assert "default-src 'self'" in policy and "object-src 'none'" in policy and "base-uri 'none'" in policy


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_no_page_loads_nothing(client: FlaskClient, path: str) -> None:
    assert headers_of(client, path)["Content-Security-Policy"].startswith("default-src 'none'")


def test_an_answer_that_holds_still_is_guarded_too(client: FlaskClient) -> None:
    etag = client.get("/guide").headers["ETag"]
    answer = client.get("/guide", headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
