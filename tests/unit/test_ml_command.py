"""`python -m ml`, as a user types it."""

import hashlib
import json
from pathlib import Path

import pytest

import processes
from ml import releases
from ml.__main__ import main
from ml.dataset_files import read_file
from ml.images import render_preview

# Keras saves variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
IMAGES = str(SAMPLE / "train-images-idx3-ubyte.gz")
TINY = ["--epochs", "1", "--batch-size", "32", "--set", "stem=8", "--set", "width=8", "--no-flip", "--data", IMAGES]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HEMLINE_HOME", str(tmp_path / "home"))
    for name in ("HEMLINE_ARTIFACTS_URL", "HEMLINE_DATA_DIR", "HEMLINE_PHOTOS_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def picture(tmp_path: Path, index: int = 0) -> str:
    path = tmp_path / f"{index}.png"
    path.write_bytes(render_preview(read_file(Path(IMAGES))[0][index].tobytes()))
    return str(path)


def test_train_publishes_a_version_that_evaluate_and_predict_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *TINY]) == 0
    printed = capsys.readouterr().out
    assert "epoch 1/1: loss" in printed
    assert "v1: " in printed
    report = tmp_path / "report.json"
    assert main(["evaluate", "--model", "v1", "--data", IMAGES, "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    for word in ("images    300", "digits", "inversion", "HEMLINE_PHOTOS_DIR"):
        assert word in printed
    assert set(json.loads(report.read_text())) == {"test", "novelty", "robustness"}
    assert main(["predict", "--model", "v1", picture(tmp_path)]) == 0
    assert "0.png: " in capsys.readouterr().out


def test_train_writes_a_folder_and_goes_on_from_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"shift": 1}))
    places = ["--spec", str(spec), "--checkpoint", str(tmp_path / "run.npz"), "--out", str(tmp_path / "m")]
    train = ["train", *TINY, *places]
    for printed in ("epoch 1/1", ""):
        assert main(train) == 0
        assert printed in capsys.readouterr().out
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert (card["training_spec"]["shift"], card["training_spec"]["flip"]) == (1, False)
    assert main(["evaluate", "--model", str(tmp_path / "m"), "--data", IMAGES]) == 0


def test_stages_follow_each_other_from_the_weights_of_the_one_before(tmp_path: Path) -> None:
    spec, out, run = tmp_path / "spec.json", tmp_path / "m", tmp_path / "run.npz"
    spec.write_text(json.dumps([{"seed": 1}, {"seed": 2, "warmup": 0.0, "learning_rate": 1e-6}]))
    assert main(["train", *TINY, "--spec", str(spec), "--out", str(out), "--checkpoint", str(run)]) == 0
    card = json.loads((out / "card.json").read_text())
    assert card["training_spec"]["seed"] == 2
    (earlier,) = card["earlier_stages"]
    assert earlier["training_spec"]["seed"] == 1
    # So low a rate changes next to nothing.
    assert card["history"][0]["val_loss"] == pytest.approx(earlier["history"][0]["val_loss"], rel=0.05)
    assert (tmp_path / "run-1.npz").is_file() and run.is_file()


def test_a_student_learns_from_teachers_and_its_card_names_them(tmp_path: Path) -> None:
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    assert main(["train", *TINY, "--out", str(teacher)]) == 0
    assert main(
        ["train", *TINY, "--out", str(student), "--base", str(teacher), "--teacher", str(teacher), "--distill", "0.5"]
    ) == 0
    card, taught_by = (json.loads((folder / "card.json").read_text()) for folder in (student, teacher))
    served = (teacher / taught_by["serving"]["artifact"]).read_bytes()
    assert card["teachers"] == [hashlib.sha256(served).hexdigest()]
    assert card["training_spec"]["distill"] == 0.5
    assert [stage["history"] for stage in card["earlier_stages"]] == [taught_by["history"]]


def test_the_shipped_model_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--data", str(SAMPLE / "t10k-images-idx3-ubyte.gz")]) == 0
    printed = capsys.readouterr().out
    assert "images    100" in printed
    assert "Ankle boot" in printed
    assert main(["predict", picture(tmp_path, 0), picture(tmp_path, 1)]) == 0
    assert capsys.readouterr().out.count("confidence") == 2


def test_explanations_are_written_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    assert main(["predict", "--explain", str(folder), picture(tmp_path, 0), picture(tmp_path, 1)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["0-explained.png", "1-explained.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())


def test_photos_are_answered_by_the_network_for_photos_of_the_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, contents = releases.read(processes.ROOT / "ml" / "shipped" / "small")
    photos = {**card, "serving": {"artifact": "photos.tflite"}, "calibration": {"temperature": 1000}}
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "card.json").write_text(json.dumps({**card, "photos": photos}))
    for name, content in {
        **contents, "photos.tflite": contents["model.tflite"], "photos.npz": contents["novelty.npz"],
    }.items():  # fmt: skip
        (tmp_path / "m" / name).write_bytes(content)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(processes.photo("trouser"))
    assert main(["predict", "--model", str(tmp_path / "m"), str(photo), picture(tmp_path)]) == 0
    of_photo, of_picture = capsys.readouterr().out.splitlines()
    assert "confidence 10." in of_photo
    assert "confidence 10." not in of_picture


def test_a_file_that_is_no_picture_is_named_and_the_others_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    assert main(["predict", str(text), str(tmp_path / "absent.png"), picture(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "0.png: " in printed.out
    assert "notes.txt: " in printed.err
    assert "absent.png" in printed.err


def test_networks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks"]) == 0
    assert "resnet_small: stem 8 to 64" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["train", "--network", "vgg"], "network: is 'vgg'; must be one of: resnet, resnet_small, tutorial_cnn"),
        (["train", "--epochs", "0"], "epochs: is 0; must be a whole number from 1 to 500"),
        (["train", "--set", "width=wide"], "--set takes NAME=NUMBER"),
        (["train", "--data", "absent.csv"], "absent.csv"),
        (["train", "--spec", "absent.json"], "absent.json"),
        (["train", "--data", IMAGES, "--distill", "0.5"], "--teacher and --distill go together"),
        (["train", "--data", IMAGES, "--base", "absent"], "model.keras"),
        (["evaluate", "--model", "v9"], "There is no model 'v9'"),
        (["evaluate", "--data", str(SAMPLE / "t10k-labels-idx1-ubyte.gz")], "no IDX file"),
        (["report", "--shipped", "absent"], "There is no shipped model 'absent'"),
    ],
)
def test_mistakes_are_explained_without_a_stack_trace(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert complaint in capsys.readouterr().err


def test_unknown_options_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--epoch-count", "3"])
    assert stopped.value.code == 2


def test_a_run_is_logged_for_tensorboard_and_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert main(["train", *TINY, "--tensorboard", str(tmp_path / "events"), "--out", str(tmp_path / "out")]) == 0
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert {"loss", "val_accuracy", "seconds"} <= set(events.Tags()["tensors"])
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("hemline").experiment_id])
    assert (run.info.status, run.data.params["batch_size"]) == ("FINISHED", "32")
    assert 0 <= run.data.metrics["val_accuracy"] <= 1
