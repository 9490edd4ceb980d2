"""The Python SDK and its command line against the product."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hemline import AsyncClient, Client, HemlineError, TimedOut, Unreachable, WorkFailed
from hemline.cli import main
from hemline_api.api.aliases import list_aliases
from processes import ROOT, SAMPLES, free_port, sample
from snippets import first_snippet

SHORT = {"network": "tutorial_cnn", "epochs": 2, "batch_size": 8, "fraction": 0.5}
LONG = {"network": "tutorial_cnn", "epochs": 500, "batch_size": 8}


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def test_a_picture_may_be_a_path_bytes_a_file_a_pillow_image_or_an_array(client: Client, picture: Path) -> None:
    with picture.open("rb") as file:
        pillow = Image.open(picture)
        for image in (picture, str(picture), picture.read_bytes(), file, pillow, np.asarray(pillow.convert("L"))):
            prediction = client.classify(image, top_k=3, metadata={"sku": "A-17"})

            assert prediction.result and prediction.result.label == "Sneaker"
            assert len(prediction.result.probabilities) == 3
            assert prediction.metadata and prediction.metadata["sku"] == "A-17"


def test_the_first_call_of_the_readmes_works(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    snippet = first_snippet("python", "python")
    monkeypatch.chdir(ROOT)
    names: dict[str, Client] = {}
    exec(snippet.replace("http://127.0.0.1:8000", url), names)
    names["client"].close()

    assert capsys.readouterr().out.startswith("Sneaker 0.9")


def test_what_is_no_picture_is_an_error_that_points_at_it(client: Client) -> None:
    with pytest.raises(HemlineError) as raised:
        client.classify(b"no picture")

    assert raised.value.status == 422
    assert raised.value.type == "urn:hemline:problem:invalid-image"
    assert [error.pointer for error in raised.value.errors] == ["#/image"]
    assert raised.value.errors[0].detail in str(raised.value)


def test_a_model_that_is_unknown_is_an_error_that_names_the_known_ones(client: Client, picture: Path) -> None:
    with pytest.raises(HemlineError, match="production") as raised:
        client.submit(picture, model="nobody")

    assert raised.value.status == 422


@pytest.mark.parametrize("picture, said", [
    (3, "is no picture"), (np.zeros((28, 28)), "uint8"), ((ROOT / "Makefile").open(), "binary mode"),
])  # fmt: skip
def test_what_cannot_be_sent_is_refused_at_once(client: Client, picture: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        client.classify(picture)
    if hasattr(picture, "close"):
        picture.close()


def test_submitting_and_waiting_may_be_two_steps(client: Client, picture: Path) -> None:
    prediction = client.submit(picture)

    assert client.wait(prediction).result
    assert client.wait(prediction.id).status == "succeeded"
    client.cancel(prediction)
    with pytest.raises(HemlineError) as raised:
        client.wait(prediction)
    assert raised.value.status == 404


def test_many_pictures_are_answered_in_their_order_and_a_bad_one_fails_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hemline.protocol._BATCH", 4)  # so that there are several batches
    pictures = [sample(name) for name in SAMPLES]
    items = list(client.classify_many([*pictures[:3], b"no picture", *pictures[3:]]))

    assert [item.index for item in items] == list(range(11))
    assert items[3].status == "failed" and items[3].error and items[3].error.detail
    assert [item.result.label for item in items if item.result] == list(SAMPLES.values())


def test_a_job_is_followed_live_and_its_version_promoted(client: Client, dataset: str) -> None:
    training = client.train(**SHORT, dataset=dataset)
    events = list(training)

    assert [event.data["epoch"] for event in events if event.type == "epoch"] == [1, 2]
    assert events[0].type == "queued" and events[-1].type == "succeeded"
    assert list(training)[-1] == events[-1]  # of the rest the service keeps what is worth knowing later
    job = training.result()
    assert job.result and len(job.history) == 2
    assert job.id in [job.id for job in client.jobs()]
    versions = [model.version for model in client.models()]
    assert versions[0] == job.result.model_version and versions[-1] == "v1"
    assert client.promote(job.result.model_version, "candidate").version == job.result.model_version
    aliases = list_aliases.sync(client=client.api)
    assert aliases and {alias.alias for alias in aliases.items} >= {"candidate", "production"}


def test_a_job_that_is_canceled_has_no_result(client: Client, dataset: str) -> None:
    training = client.train(**LONG, dataset=dataset)
    for event in training:
        if event.type == "progress":
            client.cancel(training.id)
            break
    with pytest.raises(TimedOut):
        client.wait(training.job, timeout=0)

    with pytest.raises(WorkFailed, match="canceled") as raised:
        training.result()
    assert raised.value.code == "canceled" and list(training)[-1].type == "canceled"
    with pytest.raises(HemlineError) as refused:
        training.cancel()
    assert refused.value.status == 409


def test_a_job_with_a_field_that_nobody_knows_is_refused(client: Client) -> None:
    with pytest.raises(HemlineError) as raised:
        client.train(epoch=1)

    assert [error.pointer for error in raised.value.errors] == ["#/epoch"]


def test_everything_works_with_asyncio_too(url: str, dataset: str, picture: Path) -> None:
    async def use() -> None:
        async with AsyncClient(url) as client:
            answers = await asyncio.gather(*(client.classify(sample(name)) for name in SAMPLES))
            assert [answer.result.label for answer in answers if answer.result] == list(SAMPLES.values())
            items = [item async for item in client.classify_many([picture, b"no picture"])]
            assert [item.status for item in items] == ["succeeded", "failed"]
            with pytest.raises(HemlineError):
                await client.classify(b"no picture")
            training = await client.train(**LONG, dataset=dataset)
            async for event in training:
                if event.type == "running":
                    await training.cancel()
            with pytest.raises(WorkFailed):
                await training.result()
            assert [model.version async for model in client.models()][-1] == "v1"
            assert training.id in [job.id async for job in client.jobs()]
            assert (await client.promote("v1", "stable")).version == "v1"
            waited = await client.wait(await client.submit(picture))
            assert waited.result
            await client.cancel(waited)

    asyncio.run(use())


def test_the_command_line_classifies_pictures(
    url: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")

    assert main(["--url", url, "predict", str(picture)]) == 0
    assert capsys.readouterr().out.startswith(f"{picture}\tSneaker\t")
    assert main(["predict", "--url", url, "--json", str(picture), str(bad)]) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["result"]["label"] == "Sneaker" and first["file"] == str(picture)
    assert second["status"] == "failed" and second["error"]["detail"]
    assert main(["predict", "--url", url, str(tmp_path / "none.png")]) == 2
    assert main(["predict", "--url", url, "--model", "nobody", str(picture)]) == 1
    assert "There is no model 'nobody'" in capsys.readouterr().err


def test_the_command_line_trains_lists_promotes_and_cancels(
    url: str, dataset: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMLINE_URL", url)

    assert main(["train", "--network", "tutorial_cnn", "--epochs", "1", "--dataset", dataset]) == 0
    said = capsys.readouterr()
    job, epoch, version = said.out.splitlines()
    assert epoch.startswith("epoch 1\t") and version.startswith("v")
    assert "100 %" in said.err
    assert main(["models"]) == 0 and main(["jobs"]) == 0
    listed = capsys.readouterr().out
    assert job in listed and "v1 " in listed
    assert main(["promote", version.split("\t")[0], "--alias", "latest"]) == 0
    assert capsys.readouterr().out.startswith("latest is v")
    assert main(["cancel", job]) == 1
    assert "succeeded already" in capsys.readouterr().err
    assert main(["cancel", "something"]) == 2
    assert main(["train", "--network", "none"]) == 1
    assert "tutorial_cnn" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_said_to_be(capsys: pytest.CaptureFixture[str], picture: Path) -> None:
    assert main(["models", "--url", f"http://127.0.0.1:{free_port()}", "--timeout", "0"]) == 1
    assert "Is the service running" in capsys.readouterr().err
    with pytest.raises(Unreachable):
        Client(f"http://127.0.0.1:{free_port()}", tries=1).classify(picture)
