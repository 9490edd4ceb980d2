"""Every operation of the OpenAPI document, tried by everybody: without a key, with a bad one, with each scope.

The operations come from the document, so one that is new and has no row here fails.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import hemline
from hemline_api.api.predictions import list_predictions
from hemline_api.models import PredictionPage
from processes import ROOT, Client, RedisServer, Web, assert_problem, b64, eventually, sample, worker
from workers.keys import KeyStore, Scope

SPEC: dict[str, Any] = json.loads((ROOT / "openapi" / "openapi.json").read_bytes())
OPERATOR = "an-operators-token-of-32-letters-or-more"
IMAGE = b64(sample("sneaker"))
CSV = "\n".join(",".join([str(label), *["7"] * 784]) for label in range(10) for _ in range(24))
PREDICT, TRAIN, ADMIN = Scope.PREDICT, Scope.TRAIN, Scope.ADMIN
KEY = "key_01KBQ8Z6J0V6M3Y8F5W2T4N700"


def operations() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Name, method, path and documentation of each operation."""
    for path, methods in SPEC["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield operation["operationId"], method.upper(), path, operation


@dataclass(frozen=True)
class Row:
    """What an operation needs, and how it is tried: on a resource of the owner's, or with these values in its path."""

    scopes: tuple[Scope, ...]
    answers: int  # to who may
    of: str = ""
    body: Any = None
    form: bool = False
    values: tuple[tuple[str, str], ...] = ()


ANY = (PREDICT, TRAIN)
ROWS = {
    "createPrediction": Row((PREDICT,), 202, body={"image": IMAGE}),
    "getPrediction": Row((PREDICT,), 200, "predictions"),
    "listPredictions": Row((PREDICT,), 200),
    "deletePrediction": Row((PREDICT,), 204, "predictions"),
    "createBatch": Row((PREDICT,), 202, body={"images": [IMAGE]}),
    "getBatch": Row((PREDICT,), 200, "batches"),
    "getBatchResults": Row((PREDICT,), 200, "batches"),
    "listBatches": Row((PREDICT,), 200),
    "cancelBatch": Row((PREDICT,), 202, "batches"),
    "deleteBatch": Row((PREDICT,), 204, "batches"),
    "createTrainingJob": Row((TRAIN,), 202, body={"epochs": 1}),
    "getTrainingJob": Row((TRAIN,), 200, "training-jobs"),
    "listTrainingJobs": Row((TRAIN,), 200),
    "cancelTrainingJob": Row((TRAIN,), 202, "training-jobs"),
    "getTrainingJobEvents": Row((TRAIN,), 200, "canceled-training-jobs"),
    "createTuningJob": Row((TRAIN,), 202, body={"trials": 1, "search_space": {"batch_size": {"choices": [32, 64]}}}),
    "getTuningJob": Row((TRAIN,), 200, "tuning-jobs"),
    "listTuningJobs": Row((TRAIN,), 200),
    "listTuningTrials": Row((TRAIN,), 200, "tuning-jobs"),
    "getTuningJobEvents": Row((TRAIN,), 200, "canceled-tuning-jobs"),
    "cancelTuningJob": Row((TRAIN,), 202, "tuning-jobs"),
    "trainBestTrial": Row((TRAIN,), 409, "tuning-jobs"),
    "listWebhookDeliveries": Row(ANY, 200),
    "getWebhookDelivery": Row(ANY, 200, "webhook-deliveries"),
    "resendWebhookDelivery": Row(ANY, 202, "webhook-deliveries"),
    "getWebhookSecret": Row(ANY, 200),
    "rotateWebhookSecret": Row(ANY, 200),
    "listModels": Row(ANY, 200),
    "getModel": Row(ANY, 200, values=(("version_id", "v1"),)),
    "getModelArtifact": Row(ANY, 200, values=(("version_id", "v1"), ("artifact", "litert"))),
    "deleteModel": Row((ADMIN,), 409, values=(("version_id", "v1"),)),
    "putAlias": Row((TRAIN,), 200, body={"version": "v1"}, values=(("alias", "production"),)),
    "listAliases": Row(ANY, 200),
    "getAliasHistory": Row(ANY, 200, values=(("alias", "production"),)),
    "createDataset": Row((TRAIN,), 201, form=True),
    "listDatasets": Row((TRAIN,), 200),
    "getDataset": Row((TRAIN,), 200, "datasets"),
    "deleteDataset": Row((TRAIN,), 204, "datasets"),
    "createKey": Row((ADMIN,), 201, body={"name": "made by the matrix", "scopes": ["predict"]}),
    "listKeys": Row((ADMIN,), 200),
    "getKey": Row((ADMIN,), 404, values=(("key_id", KEY),)),
    "rotateKey": Row((ADMIN,), 404, values=(("key_id", KEY),)),
    "deleteKey": Row((ADMIN,), 404, values=(("key_id", KEY),)),
    "getLiveness": Row((), 200),
    "getReadiness": Row((), 503),
}  # fmt: skip

NOBODY = ("without a key", "with nonsense", "with another secret", "with an expired key", "with a revoked key")
OTHERS = ("predict", "train", "admin", "the operator", "a stranger of both scopes", "the owner", "its successor")


class Site:
    """A service that asks for keys, with keys of all kinds."""

    def __init__(self, web: Web, redis: Redis) -> None:
        self.url = web.http.url
        self.keys = KeyStore(redis)
        self.redis = redis
        owner, token = self.keys.create("owner", [PREDICT, TRAIN])
        expired, expired_token = self.keys.create("expired", [ADMIN], 1)
        redis.hset(f"hemline:{expired.id}", "expires", expired.created)
        revoked, revoked_token = self.keys.create("revoked", [ADMIN])
        self.keys.revoke(revoked.id)
        rotated = self.keys.rotate(owner.id)
        assert rotated is not None
        self.tokens: dict[str, str | None] = {
            "without a key": None, "with nonsense": "nonsense", "with another secret": token[:-1] + "!",
            "with an expired key": expired_token, "with a revoked key": revoked_token,
            **{scope.value: self.keys.create(scope, [scope])[1] for scope in Scope}, "the operator": OPERATOR,
            "a stranger of both scopes": self.keys.create("stranger", [PREDICT, TRAIN])[1],
            "the owner": token, "its successor": rotated[1],
        }  # fmt: skip
        self.owner = self.client("the owner")

    def client(self, who: str) -> Client:
        client = Client(self.url)
        if (token := self.tokens[who]) is not None:
            client.session.headers["Authorization"] = f"Bearer {token}"
        return client

    def made(self, kind: str) -> str:
        """The id of a new resource of the owner's."""
        if kind.startswith("canceled-"):
            resource = kind.removeprefix("canceled-")
            made = self.made(resource)
            assert self.owner.post(f"/v1/{resource}/{made}/cancel").status_code == 202
            return made
        if kind == "webhook-deliveries":  # of a job that was canceled at once
            answer = self.owner.post("/v1/training-jobs", {"epochs": 1, "webhook_url": "http://shop.example/"})
            assert self.owner.post(f"{answer.headers['Location']}/cancel").status_code == 202
            return f"msg_{answer.json()['id'].partition('_')[2]}"
        if kind == "datasets":
            return str(upload(self.owner).json()["id"])
        bodies = {"predictions": "createPrediction", "batches": "createBatch", "training-jobs": "createTrainingJob",
                  "tuning-jobs": "createTuningJob"}  # fmt: skip
        answer = self.owner.post(f"/v1/{kind}", ROWS[bodies[kind]].body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def upload(client: Client) -> Any:
    return client.request("POST", "/v1/datasets", files={"file": ("data.csv", CSV)})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("authorization")
    redis = RedisServer(folder / "redis")
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_AUTH": "keys",
               "HEMLINE_ADMIN_KEY": OPERATOR}  # fmt: skip
    predictions = worker(folder / "worker.log", environ)
    web = Web(folder / "web.log", environ)
    eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
    predictions.stop()  # it has published the model; what waits now goes on waiting, until a test cancels it
    yield Site(web, redis.client)
    for process in (web, redis):
        process.stop()


def test_every_operation_has_a_row_and_no_row_is_of_another() -> None:
    assert {name for name, *_ in operations()} == set(ROWS)


@pytest.mark.parametrize(("name", "operation"), [pytest.param(o[0], o[3], id=o[0]) for o in operations()])
def test_an_operation_says_what_it_asks_for(name: str, operation: dict[str, Any]) -> None:
    scopes = ROWS[name].scopes
    if not scopes:
        assert not {"security", "x-scopes"} & operation.keys() and not {"401", "403"} & operation["responses"].keys()
        return
    assert {"bearer": []} in operation["security"] and {"401", "403"} <= operation["responses"].keys()
    assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]
    assert set(operation["x-scopes"]) - {"admin"} == set(scopes) - {ADMIN} or scopes == (ADMIN,)


def test_the_scheme_is_declared() -> None:
    assert SPEC["components"]["securitySchemes"]["bearer"].items() >= {"type": "http", "scheme": "bearer"}.items()


@pytest.mark.parametrize("who", [*NOBODY, *OTHERS])
@pytest.mark.parametrize(("name", "method", "path"), [pytest.param(*o[:3], id=o[0]) for o in operations()])
def test_who_may_do_what(site: Site, name: str, method: str, path: str, who: str) -> None:
    row = ROWS[name]
    values = dict(row.values)
    allowed = expected(row, who)
    if row.of:
        place = path[path.index("{") + 1 : path.index("}")]
        values[place] = site.made(row.of) if allowed in (row.answers, 404) else "nonsense"
    options: dict[str, Any] = {"files": {"file": ("data.csv", CSV)}} if row.form else {"json": row.body}

    answer = site.client(who).request(method, path.format(**values), **options)

    assert answer.status_code == allowed, answer.text
    if allowed == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == (who != "without a key")
        assert_problem(answer, 401)
    if allowed == 403:
        assert all(scope in assert_problem(answer, 403)["detail"] for scope in row.scopes)
        assert "insufficient_scope" in answer.headers["WWW-Authenticate"]


def expected(row: Row, who: str) -> int:
    if not row.scopes:
        return row.answers
    if who in NOBODY:
        return 401
    if who in ("admin", "the operator"):
        return row.answers
    scopes = {Scope(who)} if who in [*Scope] else {PREDICT, TRAIN}
    if not scopes & set(row.scopes):
        return 403
    return 404 if row.of and who not in ("the owner", "its successor") else row.answers


LISTS = {"predictions": "predictions", "batches": "batches", "training-jobs": "training-jobs",
         "tuning-jobs": "tuning-jobs", "datasets": "datasets"}  # fmt: skip


@pytest.mark.parametrize("resource", LISTS)
def test_a_list_shows_ones_own_page_by_page_and_an_admin_all(site: Site, resource: str) -> None:
    mine = [site.made(resource) for _ in range(3)]
    stranger = site.client("a stranger of both scopes")
    theirs = [made(stranger, resource) for _ in range(2)]

    def listed(who: str) -> list[str]:
        return [item["id"] for item in site.client(who).pages(f"/v1/{resource}", limit=2)]

    assert listed("the owner")[:3] == listed("its successor")[:3] == mine[::-1]
    assert not set(theirs) & set(listed("the owner"))
    assert listed("a stranger of both scopes")[:2] == theirs[::-1]
    assert not set(mine) & set(listed("a stranger of both scopes"))
    assert listed("admin")[:5] == theirs[::-1] + mine[::-1]


def made(client: Client, resource: str) -> str:
    if resource == "datasets":
        return str(upload(client).json()["id"])
    names = {path.removeprefix("/v1/"): name for name, method, path, _ in operations() if method == "POST"}
    return str(client.post(f"/v1/{resource}", ROWS[names[resource]].body).json()["id"])


def test_whose_a_data_set_is_stays_here_and_others_cannot_train_on_it(site: Site) -> None:
    name = site.made("datasets")
    shown = site.owner.get(f"/v1/datasets/{name}").json()
    assert "owner" not in shown
    assert site.owner.post("/v1/training-jobs", {"dataset": name}).status_code == 202

    refused = site.client("train").post("/v1/training-jobs", {"dataset": name})

    body = assert_problem(refused, 422, "#/dataset")
    assert body["errors"][0]["detail"].count(name) == 1  # what was sent, but not in what is known


def test_a_batch_from_a_file_belongs_to_its_key(site: Site) -> None:
    rows = "\n".join(",".join(["9"] * 784) for _ in range(3))
    batch = site.owner.request("POST", "/v1/batches", files={"file": ("rows.csv", rows)}).json()["id"]

    assert site.owner.get(f"/v1/batches/{batch}").status_code == 200
    assert_problem(site.client("predict").get(f"/v1/batches/{batch}"), 404)
    assert_problem(site.client("predict").get(f"/v1/batches/{batch}/results"), 404)
    assert batch in {item["id"] for item in site.client("its successor").pages("/v1/batches")}


def test_what_waits_for_a_strangers_prediction_does_not_wait(site: Site) -> None:
    prediction = site.made("predictions")
    answer = site.client("predict").get(f"/v1/predictions/{prediction}", headers={"Prefer": "wait=10"})

    assert_problem(answer, 404)
    assert "Preference-Applied" not in answer.headers


def test_what_nobody_owns_is_an_admins_to_see(site: Site) -> None:
    """Records from before there were keys."""
    job = site.made("training-jobs")
    spec = json.loads(site.redis.hget(f"hemline:{job}", "spec") or b"")
    assert spec.pop("owner").startswith("key_")
    site.redis.hset(f"hemline:{job}", "spec", json.dumps(spec))

    assert_problem(site.owner.get(f"/v1/training-jobs/{job}"), 404)
    assert site.client("admin").get(f"/v1/training-jobs/{job}").status_code == 200
    assert site.client("the operator").get(f"/v1/training-jobs/{job}").status_code == 200


def test_who_moved_an_alias_is_told_by_his_key(site: Site) -> None:
    assert site.owner.request("PUT", "/v1/aliases/mine", json={"version": "v1"}).status_code == 200
    history = site.owner.get("/v1/aliases/mine/history").json()["items"]

    assert history[0]["by"].startswith("key_")


@pytest.mark.parametrize("path", ["/", "/docs", "/guide", "/openapi.json", "/health/live", "/console/app.js"])
def test_pages_need_no_key(site: Site, path: str) -> None:
    assert site.client("without a key").get(path).status_code == 200
    assert site.client("with nonsense").get(path).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic aGw6aGw=", "hl_x", "Bearer \xff\xfe"])
def test_what_is_no_bearer_token_is_refused(site: Site, header: str) -> None:
    client = Client(site.url)
    assert_problem(client.get("/v1/models", headers={"Authorization": header.encode("latin-1")}), 401)


def test_the_scheme_may_be_written_in_any_case(site: Site) -> None:
    token = site.tokens["predict"]
    assert Client(site.url).get("/v1/models", headers={"Authorization": f"bEaReR  {token}"}).status_code == 200


def test_a_key_is_made_used_and_revoked_over_http(site: Site) -> None:
    admin = site.client("admin")
    answer = admin.post("/v1/keys", {"name": "for a day", "scopes": ["predict"], "expires_in": 86400})
    made = answer.json()
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Location"] == f"/v1/keys/{made['id']}"
    client = Client(site.url)
    client.session.headers["Authorization"] = f"Bearer {made['token']}"
    assert client.predict().status_code == 202

    shown = eventually(lambda: seen_used(admin, made["id"]), "its use is noted")
    assert shown["scopes"] == ["predict"] and shown["expires_at"] > shown["created_at"] and "token" not in shown
    assert made["token"].split("_")[2] not in admin.get("/v1/keys", params={"limit": 100}).text

    assert admin.delete(f"/v1/keys/{made['id']}").status_code == 204
    eventually(lambda: client.get("/v1/models").status_code == 401, "the revoked key is refused", 10)
    assert_problem(admin.get(f"/v1/keys/{made['id']}"), 404)
    assert_problem(admin.delete(f"/v1/keys/{made['id']}"), 404)


def test_the_sdk_says_who_asks(site: Site, tmp_path: Path) -> None:
    picture = tmp_path / "sneaker.png"
    picture.write_bytes(sample("sneaker"))
    with hemline.Client(site.url, site.tokens["predict"]) as client:
        made = client.submit(picture)
        page = list_predictions.sync(client=client.api)
    with hemline.Client(site.url, tries=1) as stranger, pytest.raises(hemline.HemlineError) as refused:
        stranger.submit(picture)

    assert isinstance(page, PredictionPage) and page.items[0].id == made.id
    assert refused.value.status == 401 and "Authorization: Bearer" in str(refused.value)


def seen_used(admin: Client, key: str) -> Any:
    shown = admin.get(f"/v1/keys/{key}").json()
    return shown if "last_used_at" in shown else None


@pytest.mark.parametrize(("body", "pointers"), [
    ({}, ["#/name", "#/scopes"]), ({"name": "x", "scopes": []}, ["#/scopes"]),
    ({"name": "x", "scopes": ["root"]}, ["#/scopes/0"]), ({"name": "", "scopes": ["predict"]}, ["#/name"]),
    ({"name": "x", "scopes": ["predict"], "expires_in": 0}, ["#/expires_in"]),
])  # fmt: skip
def test_a_key_that_cannot_be_made_is_refused_with_what_to_change(site: Site, body: Any, pointers: list[str]) -> None:
    assert_problem(site.client("admin").post("/v1/keys", body), 422, *pointers)


def test_the_events_of_a_job_end_when_the_key_is_revoked(site: Site) -> None:
    key, token = site.keys.create("follows", [TRAIN])
    client = Client(site.url)
    client.session.headers["Authorization"] = f"Bearer {token}"
    job = client.post("/v1/training-jobs", {"epochs": 1}).json()["id"]
    with client.get(f"/v1/training-jobs/{job}/events", stream=True) as events:
        lines = events.iter_lines()
        assert next(lines).startswith(b"id:")
        site.keys.revoke(key.id)
        site.redis.publish("hemline:done", job)  # something happens, at which it is looked again

        list(lines)  # which ends
