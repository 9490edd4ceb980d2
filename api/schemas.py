"""Every schema of the contract. What these say is what the OpenAPI document says."""

from __future__ import annotations

from base64 import b64encode
from importlib.resources import files
from typing import Any

import orjson
from flask_smorest.fields import Upload
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from ml import networks
from ml.images import CLASS_NAMES
from ml.search_space import MOST_CHOICES
from ml.spec import LIMITS, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainingSpec
from workers import outbound
from workers.ids import GROUP_LIMIT
from workers.keys import Scope
from workers.tuning import MOST_TRIALS
from workers.webhooks import STATES as DELIVERY_STATES

EXAMPLE_IMAGE = b64encode((files("api") / "console" / "samples" / "sneaker.png").read_bytes()).decode()
CURSOR_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}(?!\n)$"  # `$` alone lets a line break follow
STATES = "`queued`, `running`, then one of `succeeded`, `failed`, `canceled`. Tolerate values you do not know."


def _string(description: str, example: Any = None, **options: Any) -> fields.String:
    return fields.String(metadata=_metadata(description, example), **options)


def _number(description: str, example: Any = None, **options: Any) -> fields.Float:
    return fields.Float(metadata=_metadata(description, example), **options)


def _integer(description: str, example: Any = None, strict: bool = True, **options: Any) -> fields.Integer:
    return fields.Integer(strict=strict, metadata=_metadata(description, example), **options)


class _Boolean(fields.Boolean):
    """true or false. Python, and so marshmallow, takes 1 and 0 for the same."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def _time(description: str, **options: Any) -> fields.String:
    return fields.String(metadata={"description": description, "format": "date-time", "example": "2026-01-31T12:00:00.123Z"}, **options)


def _nested(schema: Any, description: str, **options: Any) -> fields.Field[Any]:
    return fields.Nested(schema, metadata={"description": description}, **options)


def _many(schema: Any, description: str, **options: Any) -> fields.Field[Any]:
    return fields.List(fields.Nested(schema), metadata={"description": description}, **options)


def _metadata(description: str, example: Any) -> dict[str, Any]:
    return {"description": description} if example is None else {"description": description, "example": example}


class AnswerSchema(Schema):
    """What we answer with; it may say more than its schema does."""

    class Meta:
        unknown = EXCLUDE  # not as a validation rule: it leaves the document open for fields to come


class ProblemDetailSchema(AnswerSchema):
    """One thing to change."""

    pointer = _string("Where: a JSON Pointer into the body (`#/image`), or a query parameter (`?limit`).", "#/image", required=True)
    detail = _string("What to do about it.", "Missing data for required field.", required=True)


class ProblemSchema(AnswerSchema):
    """An error, as RFC 9457 defines it."""

    type = _string("Names the kind of problem; `about:blank` where the status says it all.", "about:blank", required=True)
    title = _string("The status in words.", "Unprocessable Content", required=True)
    status = _integer("The HTTP status.", 422, required=True)
    detail = _string("What happened and what to do about it.", required=True)
    instance = _string("The path that was asked for.", "/v1/predictions", required=True)
    request_id = _string("As in `X-Request-Id`; log lines of the service bear it.", "5f0c2b9a71de-1a4")
    errors = _many(ProblemDetailSchema, "What to change, one by one, where the request is at fault.")


class ErrorSchema(AnswerSchema):
    """Why something accepted could not be done."""

    code = _string("A stable name.", "inference_failed", required=True)
    detail = _string("What happened and what to do about it.", required=True)


_MODEL = "An alias or a version id. It is resolved when the request is accepted and stays pinned to that version."
_TOP_K = "How many of the most probable classes to list."


def _few(values: dict[str, str]) -> None:
    """Not `validate.Length`: it would be documented as `maxLength`, which an object does not have."""
    if len(values) > 50:
        raise ValidationError("Longer than maximum length 50.")


def _metadata_field(kind: type[fields.Dict] = fields.Dict) -> fields.Field[Any]:
    return kind(
        keys=fields.String(), values=fields.String(validate=validate.Length(max=500)), validate=_few,
        metadata={
            "description": "Up to 50 values of your own, each a string of at most 500 characters, handed back as they are.",
            "example": {"sku": "A-17"}, "maxProperties": 50,
        },
    )  # fmt: skip


def _webhook(of: str) -> fields.String:
    return fields.String(validate=validate.Length(1, outbound.LONGEST_URL), metadata={
        "description": f"A URL of yours that is told when the {of} has ended, signed as Standard Webhooks says; see `GET /v1/webhook-secret`.",
        "format": "webhook-url", "example": "https://shop.example.com/hooks/hemline",
    })  # fmt: skip


class PredictionRequestSchema(Schema):
    """A picture to classify."""

    image = fields.String(required=True, metadata={
        "description": "A PNG, JPEG, WebP, GIF, BMP or TIFF file in base64, or as a `data:` URI. 28x28 gray pictures are taken "
        "as they are (bright on black, like the data set); anything else is brought to that form.",
        "format": "base64-image", "example": EXAMPLE_IMAGE,
    })  # fmt: skip
    model = fields.String(load_default="production", validate=validate.Length(max=63), metadata={"description": _MODEL, "format": "model-name", "example": "production"})
    top_k = _integer(_TOP_K, 10, load_default=10, validate=validate.Range(1, 10))
    explain = _Boolean(load_default=False, metadata={
        "description": "Say why: `explanation` in the result shows where the model looks, and training images that it finds alike.",
        "example": False,
    })  # fmt: skip
    metadata = _metadata_field()
    webhook_url = _webhook("prediction")


class BatchRequestSchema(Schema):
    """Many pictures to classify with one model version."""

    images = fields.List(
        fields.String(),  # of no format: what is no picture is accepted too, and fails alone
        required=True, validate=validate.Length(1, GROUP_LIMIT),
        metadata={"description": "The pictures, each as in a prediction. A bad one fails alone.", "example": [EXAMPLE_IMAGE]},
    )  # fmt: skip
    model = fields.String(load_default="production", validate=validate.Length(max=63), metadata={"description": _MODEL, "format": "model-name", "example": "production"})
    top_k = _integer(_TOP_K, 10, load_default=10, validate=validate.Range(1, 10))
    metadata = _metadata_field()
    webhook_url = _webhook("batch")


def _file(description: str, **options: Any) -> Upload:
    def check(value: Any) -> None:
        if isinstance(value, str):
            raise ValidationError("Send it as a file: this part of the form has no file name.")

    return Upload(validate=check, metadata={"description": description}, **options)


class _JsonDict(fields.Dict):
    """An object, which a form carries as text."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, str):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                raise ValidationError('Send a JSON object of strings, such as {"sku": "A-17"}.') from None
        return super()._deserialize(value, *arguments, **options)  # type: ignore[no-untyped-call]


class BatchUploadSchema(Schema):
    """A file of pictures to classify with one model version."""

    file = _file(
        "A CSV with a row a picture, of 784 pixels (0 to 255, 0 is background) or a label (0 to 9) and 784 pixels, a header is allowed; "
        "an IDX file of 28x28 images, gzipped or not; or a ZIP of picture files, each as in a prediction. Entries of a ZIP in "
        "folders named by class (`Coat`, `t-shirt-top`) or by label (`4`) are expected to be of it.", required=True,
    )
    labels = _file("The labels of an IDX file, as IDX, gzipped or not.")
    model = fields.String(load_default="production", validate=validate.Length(max=63), metadata={"description": _MODEL, "format": "model-name", "example": "production"})
    top_k = _integer(_TOP_K, 10, strict=False, load_default=10, validate=validate.Range(1, 10))
    metadata = _metadata_field(_JsonDict)
    webhook_url = _webhook("batch")


class PageArgumentsSchema(Schema):
    """Which part of a list."""

    limit = _integer("How many items at most.", strict=False, load_default=20, validate=validate.Range(1, 100))
    cursor = _string("`next_cursor` of the page before.", load_default=None, validate=validate.Regexp(CURSOR_PATTERN))


class PredictionListArgumentsSchema(PageArgumentsSchema):
    """Which predictions."""

    status = _string("Only predictions in this state. " + STATES, load_default=None)
    model_version = _string("Only predictions of this model version.", load_default=None)


class ClassProbabilitySchema(AnswerSchema):
    """One class and how probable it is."""

    label = _string("The class.", "Sneaker", required=True)
    class_id = _integer("The number of the class in the data set.", 7, required=True)
    probability = _number("Calibrated: of all answers with 0.9, about nine in ten are right.", 0.97, required=True)


class ImageWarningSchema(AnswerSchema):
    """Something about the picture that makes the answer less certain."""

    code = _string("A stable name.", "low_contrast", required=True)
    detail = _string("What was seen and what to do about it.", required=True)


class NeighborSchema(AnswerSchema):
    """A training image that looks much like the picture, to the model."""

    index = _integer("Its place among the data set's 60,000 training images, from 0.", 123, required=True)
    label = _string("The class that it belongs to.", "Sneaker", required=True)
    class_id = _integer("The number of that class.", 7, required=True)


class ExplanationSchema(AnswerSchema):
    """Why the model says what it says."""

    overlay = _string(
        "What the model saw, enlarged to 224x224, with color where covering it would make the model less sure of its answer: "
        "the brighter the more. A PNG as `data:` URI.", "data:image/png;base64,iVBORw0KGgo=", required=True)
    neighbors = _many(
        NeighborSchema, "The three training images that the model finds most alike, the nearest first. None where the version was "
        "published without an index of them.", required=True)


class PredictionResultSchema(AnswerSchema):
    """What the model says."""

    label = _string("The most probable class.", "Sneaker", required=True)
    class_id = _integer("Its number: " + ", ".join(f"{i} {name}" for i, name in enumerate(CLASS_NAMES)) + ".", 7, required=True)
    confidence = _number("Its calibrated probability.", 0.97, required=True)
    probabilities = _many(ClassProbabilitySchema, "The `top_k` most probable classes, the first first.", required=True)
    is_fashion = fields.Boolean(required=True, metadata={"description": "False where the picture looks like none of the classes."})
    novelty = _number("Share of known garments that look less unusual than this picture, 0 to 1.", 0.03, required=True)
    warnings = _many(ImageWarningSchema, "What to know about the picture.", required=True)
    source = _string("How the picture came in, and so which network answered: `contract` (28x28, a drawing, or on a plain background) or `photo` (cut out of a photograph; answered by the version's network for photos, where it has one).", "contract", required=True)
    preview = _string("The 28x28 picture that was classified, before its light is adjusted, a PNG as `data:` URI.", "data:image/png;base64,iVBORw0KGgo=", required=True)
    explanation = _nested(ExplanationSchema, "There when it was asked for with `explain`.")


class TimingsSchema(AnswerSchema):
    """Where the time went."""

    decode_ms = _number("Reading the picture.", 0.3, required=True)
    queue_ms = _number("From acceptance to the worker.", 1.9, required=True)
    inference_ms = _number("The model, for the whole batch, with the explanations that were asked for.", 0.2, required=True)
    batch_size = _integer("How many pictures were computed together.", 12, required=True)


class EnvelopeSchema(AnswerSchema):
    """What everything asynchronous has in common."""

    id = _string("Opaque; sorts by creation time.", required=True)
    status = _string(STATES, "succeeded", required=True)
    created_at = _time("When it was accepted.")
    started_at = _time("When a worker began.")
    completed_at = _time("When it reached its final state.")
    expires_at = _time("When it will be forgotten.")
    model_version = _string("The version that it is pinned to.", "v1", required=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "Your own values."})


class PredictionSchema(EnvelopeSchema):
    """A prediction as it stands."""

    request_id = _string("`X-Request-Id` of the request that it came with.", "5f0c2b9a71de-1a4")
    result = _nested(PredictionResultSchema, "There when it succeeded.")
    error = _nested(ErrorSchema, "There when it failed.")
    timings = _nested(TimingsSchema, "There when it succeeded.")


class PredictionPageSchema(AnswerSchema):
    """Predictions, newest first. A filtered page may be short and still have a next one."""

    items = _many(PredictionSchema, "The predictions.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class CountsSchema(AnswerSchema):
    """How many pictures are in which state."""

    total = _integer("All of them.", 1024, required=True)
    queued = _integer("Waiting.", 0, required=True)
    running = _integer("With a worker.", 0, required=True)
    succeeded = _integer("Answered.", 1023, required=True)
    failed = _integer("Could not be read or classified.", 1, required=True)
    canceled = _integer("Stopped before they began.", 0, required=True)


class ProgressSchema(AnswerSchema):
    """How far it is."""

    done = _integer("Pictures in a final state.", 512, required=True)
    total = _integer("All pictures.", 1024, required=True)
    fraction = _number("done / total.", 0.5, required=True)


class BatchResultSchema(AnswerSchema):
    """What came out of a batch. Where labels came along, how many of the answers were right."""

    succeeded = _integer("Pictures that were answered.", 1023, required=True)
    failed = _integer("Pictures that were not.", 1, required=True)
    results_url = _string("Where each answer is.", "/v1/batches/batch_01J/results", required=True)
    judged = _integer("Answers that came with a label; what failed is not among them. There when labels came along.", 1000)
    accuracy = _number("Share of those that were right. There when any were judged.", 0.943)
    confusion_matrix = fields.List(fields.List(fields.Integer()), metadata={
        "description": "10 x 10: how often a picture of the class of the row was answered with the class of the column. There when labels came along.",
        "example": [[100 if column == row else 0 for column in range(10)] for row in range(10)]})


class BatchSchema(EnvelopeSchema):
    """A batch as it stands."""

    counts = _nested(CountsSchema, "Pictures by state.", required=True)
    progress = _nested(ProgressSchema, "How far it is.", required=True)
    result = _nested(BatchResultSchema, "There when it succeeded.")


class BatchPageSchema(AnswerSchema):
    """Batches, newest first."""

    items = _many(BatchSchema, "The batches.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class BatchItemResultSchema(PredictionResultSchema):
    """What the model says about a picture of a batch."""

    preview = _string("The 28x28 picture that was classified, before its light is adjusted, a PNG as `data:` URI. Batches from files have none.", "data:image/png;base64,iVBORw0KGgo=")


class BatchItemSchema(AnswerSchema):
    """One line of a batch's results."""

    index = _integer("The picture's place in the request or the file, from 0. Headers, blank lines and folders do not count.", 0, required=True)
    status = _string(STATES, "succeeded", required=True)
    name = _string("The name of the entry of a ZIP file.", "Coat/17.png")
    expected = _string("The class that the picture came labelled with.", "Coat")
    expected_class_id = _integer("Its number.", 4)
    result = _nested(BatchItemResultSchema, "There when it succeeded.")
    error = _nested(ErrorSchema, "There when it failed.")


def _limited(name: str, description: str, default: Any, **options: Any) -> fields.Field[Any]:
    """A number of the training spec, with its own limits and default."""
    limits = LIMITS[name]
    kind = _integer if isinstance(default, int) else _number
    return kind(f"{description} {limits[0]:g} to {limits[1]:g}; {default:g} unless given.", default, validate=validate.Range(*limits), **options)


_DEFAULTS = TrainingSpec()


class TrainingJobRequestSchema(Schema):
    """What to train. Every field may be left out."""

    network = fields.String(metadata={"description": f"The architecture: one of {', '.join(networks.names())}.", "format": "network-name", "example": _DEFAULTS.network})
    hyperparameters = fields.Dict(keys=fields.String(), values=fields.Raw(metadata={"type": "number"}), metadata={
        "description": "The network's own parameters. " + " ".join(
            f"{name}: {', '.join(f'{field} {low:g} to {high:g}' for field, (low, high) in networks.limits(name).items()) or 'none'}."
            for name in networks.names()),
        "example": {},
    })  # fmt: skip
    dataset = fields.String(load_default="fashion-mnist", metadata={"description": "`fashion-mnist`, or the id of a data set of your own.", "format": "dataset-name", "example": "fashion-mnist"})
    webhook_url = _webhook("job")
    base_version = fields.String(metadata={"description": "Start from the weights of this version or alias, of the same network.", "format": "base-version", "example": "production"})
    epochs = _limited("epochs", "Passes over the training data.", _DEFAULTS.epochs)
    batch_size = _limited("batch_size", "Pictures in one step.", _DEFAULTS.batch_size)
    optimizer = fields.String(validate=validate.OneOf(OPTIMIZERS), metadata={"description": f"{_DEFAULTS.optimizer} unless given."})
    learning_rate = _limited("learning_rate", "The highest rate of the schedule.", _DEFAULTS.learning_rate)
    schedule = fields.String(validate=validate.OneOf(SCHEDULES), metadata={"description": f"{_DEFAULTS.schedule} unless given."})
    warmup = _limited("warmup", "Share of the steps before the highest rate.", _DEFAULTS.warmup)
    momentum = _limited("momentum", "Of Muon and SGD, or the first moment of AdamW.", _DEFAULTS.momentum)
    weight_decay = _limited("weight_decay", "Decoupled weight decay.", _DEFAULTS.weight_decay)
    label_smoothing = _limited("label_smoothing", "How much of the target is spread over all classes.", _DEFAULTS.label_smoothing)
    ema = _limited("ema", "Decay of the moving average of the weights; 0 keeps the last ones.", _DEFAULTS.ema)
    flip = _Boolean(metadata={"description": "Mirror pictures at random.", "example": _DEFAULTS.flip})
    shift = _limited("shift", "Move pictures by up to so many pixels.", _DEFAULTS.shift)
    erase = _limited("erase", "Probability of erasing a part of a picture.", _DEFAULTS.erase)
    seed = _limited("seed", "Decides order, augmentation and first weights.", _DEFAULTS.seed)
    fraction = _limited("fraction", "Share of the training data to use.", _DEFAULTS.fraction)
    drawn = _limited("drawn", "Share of them that an epoch sees; below 1, those that there is most to learn from are the likeliest.", _DEFAULTS.drawn)
    patience = _limited("patience", "End when so many epochs brought no better validation loss; 0 never does.", _DEFAULTS.patience)
    precision = fields.String(validate=validate.OneOf(PRECISIONS), metadata={"description": f"Of convolutions in training; `auto` takes bfloat16 where the processor multiplies it. {_DEFAULTS.precision} unless given."})
    promote = fields.String(load_default="never", validate=validate.OneOf(("never", "if_better", "always")), metadata={
        "description": "When the new version becomes production. `if_better`: when it gets more of the same validation pictures right.", "example": "never"})
    description = fields.String(validate=validate.Length(max=500), metadata={"description": "Your own words; they end up in the card.", "example": "more epochs"})


class TrainingProgressSchema(AnswerSchema):
    """Where a job stands."""

    phase = _string("`training`, then `publishing`.", "training", required=True)
    fraction = _number("Share of all steps that are done.", 0.42, required=True)
    epoch = _integer("The epoch at work, from 1.", 6)
    step = _integer("The step within it, from 1.", 120)
    steps = _integer("Steps in an epoch.", 429)
    loss = _number("Loss of the last step.", 0.41)
    eta_seconds = _number("Time left, from the time that steps take.", 210.5)


class EpochSchema(AnswerSchema):
    """A row of a job's history."""

    epoch = _integer("From 1.", 1, required=True)
    loss = _number("Mean loss of the epoch's steps, on augmented pictures.", 0.7, required=True)
    accuracy = _number("The same for accuracy.", 0.8, required=True)
    val_loss = _number("On validation, with the weights that would be kept.", 0.4, required=True)
    val_accuracy = _number("The same for accuracy.", 0.87, required=True)
    learning_rate = _number("Of the epoch's last step.", 0.05, required=True)
    seconds = _number("Time that the epoch took.", 41.5, required=True)


class TrainingResultSchema(AnswerSchema):
    """What a job made."""

    model_version = _string("The new version.", "v4", required=True)
    promoted = fields.Boolean(required=True, metadata={"description": "Whether it became production."})
    metrics = fields.Dict(required=True, metadata={"description": "Accuracy, loss and ECE on `validation` and `test`."})


class TrainingJobSchema(AnswerSchema):
    """A training job as it stands."""

    id = _string("Opaque; sorts by creation time.", required=True)
    status = _string(STATES, "running", required=True)
    created_at = _time("When it was accepted.")
    started_at = _time("When a worker began.")
    request_id = _string("`X-Request-Id` of the request that it came with.", "5f0c2b9a71de-1a4")
    completed_at = _time("When it reached its final state.")
    spec = fields.Dict(required=True, metadata={"description": "What is trained, with all defaults."})
    cancel_requested = fields.Boolean(metadata={"description": "True while a running job is about to be canceled."})
    progress = _nested(TrainingProgressSchema, "Where it stands.")
    history = _many(EpochSchema, "A row per epoch.", required=True)
    result = _nested(TrainingResultSchema, "There when it succeeded.")
    error = _nested(ErrorSchema, "There when it failed.")


class TrainingJobPageSchema(AnswerSchema):
    """Jobs, newest first."""

    items = _many(TrainingJobSchema, "The jobs.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class DimensionSchema(Schema):
    """What a field may be: `choices`, or a range with `low` and `high`."""

    choices = fields.List(fields.Raw(), validate=validate.Length(1, MOST_CHOICES), metadata={
        "description": "The values to choose from, each one that the field takes."})
    low = fields.Raw(metadata={"description": "The lowest value; of a field of whole numbers a whole one.", "type": "number"})
    high = fields.Raw(metadata={"description": "The highest value, at least `low`.", "type": "number"})
    log = _Boolean(metadata={"description": "Search by orders of magnitude; `low` must be above 0. False unless given."})


def _searched(name: str) -> fields.Field[Any]:
    limits = LIMITS.get(name)
    return _nested(DimensionSchema, f"Within {limits[0]:g} to {limits[1]:g}." if limits else "Only `choices`.")


class SearchSpaceSchema(Schema):
    """What to try: the fields of a training job that differ from trial to trial."""

    error_messages = {"unknown": "Cannot be searched; epochs, fraction, drawn, patience and seed are the same for all trials."}

    network = _searched("network")
    hyperparameters = fields.Dict(keys=fields.String(), values=fields.Nested(DimensionSchema), metadata={
        "description": "The network's own parameters; every network that is tried must have them.",
    })  # fmt: skip
    batch_size = _searched("batch_size")
    optimizer = _searched("optimizer")
    learning_rate = _searched("learning_rate")
    schedule = _searched("schedule")
    warmup = _searched("warmup")
    momentum = _searched("momentum")
    weight_decay = _searched("weight_decay")
    label_smoothing = _searched("label_smoothing")
    ema = _searched("ema")
    flip = _searched("flip")
    shift = _searched("shift")
    erase = _searched("erase")


class TuningJobRequestSchema(TrainingJobRequestSchema):
    """What to search, with how many trials, and the fields that are the same in all of them."""

    class Meta:
        exclude = ("base_version", "promote")

    search_space = fields.Nested(SearchSpaceSchema, required=True, metadata={
        "description": "What to try. A field is either here or has a fixed value, not both.",
    })  # fmt: skip
    trials = _integer(f"How many trials, 1 to {MOST_TRIALS}.", 20, load_default=20, validate=validate.Range(1, MOST_TRIALS))
    timeout_seconds = _number("End after this time from the first trial's beginning, with what there is then.", 3600, validate=validate.Range(1, 30 * 86400))
    epochs = _limited("epochs", "The budget of a trial: passes over its training data.", 3, load_default=3)
    fraction = _limited("fraction", "The budget of a trial: share of the training data to use.", 0.2, load_default=0.2)
    seed = _limited("seed", "Decides what is tried, and order, augmentation and first weights of every trial.", 0, load_default=0)
    description = fields.String(validate=validate.Length(max=500), metadata={"description": "Your own words.", "example": "which rate"})


class TuningProgressSchema(AnswerSchema):
    """How far a tuning job is."""

    done = _integer("Trials in a final state.", 8, required=True)
    total = _integer("All trials.", 20, required=True)
    fraction = _number("done / total.", 0.4, required=True)
    best_trial = _integer("The number of the best trial so far, once one has succeeded.", 3)


class TuningTrialSchema(AnswerSchema):
    """A trial as it stands."""

    id = _string("Opaque.", required=True)
    number = _integer("Its place in the job, from 0.", 3, required=True)
    status = _string("`queued`, `running`, then one of `succeeded`, `pruned` (given up because others were better), `failed`, `canceled`. Tolerate values you do not know.", "pruned", required=True)
    created_at = _time("When it was accepted.")
    started_at = _time("When a worker first began it.")
    completed_at = _time("When it reached its final state.")
    cancel_requested = fields.Boolean(metadata={"description": "True while a running trial is about to be canceled."})
    attempts = _integer("How often a worker has begun it, not counting those that handed it back.", 1, required=True)
    epochs = _integer("Epochs that are done.", 2, required=True)
    parameters = fields.Dict(metadata={
        "description": "The value of each field that is searched, once it has begun. Hyperparameters are written `hyperparameters.<name>`.",
        "example": {"learning_rate": 0.12, "batch_size": 64}})
    value = _number("Validation accuracy after the last epoch that is done.", 0.87)
    error = _nested(ErrorSchema, "There when it failed.")


class TuningTrialPageSchema(AnswerSchema):
    """All trials of a tuning job, by number."""

    items = _many(TuningTrialSchema, "The trials.", required=True)


class TuningResultSchema(AnswerSchema):
    """What a tuning job found."""

    best_trial = _nested(TuningTrialSchema, "The trial with the highest value.", required=True)


class TuningJobSchema(AnswerSchema):
    """A tuning job as it stands."""

    id = _string("Opaque; sorts by creation time.", "tune_01KBQ8Z6J0V6M3Y8F5W2T4N700", required=True)
    status = _string(STATES, "running", required=True)
    created_at = _time("When it was accepted.")
    started_at = _time("When the first trial began.")
    request_id = _string("`X-Request-Id` of the request that it came with.", "5f0c2b9a71de-1a4")
    completed_at = _time("When the last trial reached its final state.")
    spec = fields.Dict(required=True, metadata={"description": "What is searched, with all fixed fields."})
    cancel_requested = fields.Boolean(metadata={"description": "True while it is about to end before all trials are done."})
    progress = _nested(TuningProgressSchema, "How far it is.", required=True)
    result = _nested(TuningResultSchema, "There when it succeeded.")
    error = _nested(ErrorSchema, "There when it failed.")


class TuningJobPageSchema(AnswerSchema):
    """Tuning jobs, newest first."""

    items = _many(TuningJobSchema, "The tuning jobs.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class TrainBestRequestSchema(Schema):
    """How to train the best trial. Every field may be left out."""

    epochs = _limited("epochs", "Passes over the training data.", _DEFAULTS.epochs, load_default=_DEFAULTS.epochs)
    fraction = _limited("fraction", "Share of the training data to use.", _DEFAULTS.fraction, load_default=_DEFAULTS.fraction)
    patience = _limited("patience", "End when so many epochs brought no better validation loss; 0 never does.", _DEFAULTS.patience, load_default=_DEFAULTS.patience)
    precision = fields.String(validate=validate.OneOf(PRECISIONS), metadata={"description": f"Of convolutions in training; `auto` takes bfloat16 where the processor multiplies it. {_DEFAULTS.precision} unless given."})
    promote = fields.String(load_default="never", validate=validate.OneOf(("never", "if_better", "always")), metadata={
        "description": "When the new version becomes production, as for a training job.", "example": "never"})
    webhook_url = _webhook("training job")
    description = fields.String(validate=validate.Length(max=500), metadata={"description": "Your own words; they end up in the card.", "example": "the best of twenty"})


class MetricsSchema(AnswerSchema):
    """How good a version is on one set of pictures."""

    accuracy = _number("Share of right answers.", 0.945, required=True)
    loss = _number("Mean negative log-likelihood.", 0.17)
    ece = _number("Expected calibration error, 15 bins of equal mass.", 0.007)


class ModelSchema(AnswerSchema):
    """A model version in a list."""

    version = _string("Its id.", "v1", required=True)
    network = _string("The architecture.", "resnet_small", required=True)
    created_at = _time("When it was made.")
    parameters = _integer("Trainable and other weights.", 98000)
    macs = _integer("Multiply-accumulate operations for one picture.", 9000000)
    validation = _nested(MetricsSchema, "On the 5,000 pictures held out of training.")
    test = _nested(MetricsSchema, "On the 10,000 test pictures.")
    aliases = fields.List(fields.String(), required=True, metadata={"description": "The aliases that point at it."})


class ModelPageSchema(AnswerSchema):
    """Versions, newest first."""

    items = _many(ModelSchema, "The versions.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class ModelCardSchema(ModelSchema):
    """Everything that is known about a version. Cards of later releases may say more."""

    training_spec = fields.Dict(metadata={"description": "The training spec that made it."})
    training_seconds = _number("How long training took.")
    data = fields.Dict(metadata={"description": "What it was trained on, with digests."})
    metrics = fields.Dict(metadata={"description": "Metrics on validation and test, by class too, with the confusion matrix."})
    levels = fields.Dict(metadata={"description": "What all pictures that it was trained on have in common, and a picture that lacks it is given: black and white in it, and dark corners."})
    calibration = fields.Dict(metadata={"description": "What logits are multiplied or divided by to get probabilities, and how it was fitted."})
    novelty = fields.Dict(metadata={"description": "The score of the novelty gate, its threshold, and how well it tells pictures of no class."})
    robustness = fields.Dict(metadata={"description": "Accuracy on corrupted test pictures, by corruption and severity, where it was measured."})
    photos = fields.Dict(metadata={"description": "The network that answers photographs, where the version has one: its parameters, metrics, calibration and novelty."})
    history = fields.List(fields.Dict(), metadata={"description": "A row per epoch."})
    serving = fields.Dict(metadata={"description": "What the workers run."})
    sha256 = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "Digest of each file."})


class ModelPageArgumentsSchema(Schema):
    """Which part of the list."""

    limit = _integer("How many items at most.", strict=False, load_default=20, validate=validate.Range(1, 100))
    cursor = _string("`next_cursor` of the page before.", load_default=None, validate=validate.Regexp(r"^v[1-9][0-9]{0,8}(?!\n)$"))


class AliasSchema(AnswerSchema):
    """A name that points at a version."""

    alias = _string("The name.", "production", required=True)
    version = _string("The version that it points at.", "v1", required=True)
    updated_at = fields.String(required=True, metadata={"description": "When it was last moved.", "format": "date-time"})


class AliasRequestSchema(Schema):
    """Where an alias is to point."""

    version = fields.String(required=True, metadata={"description": "The id of a version.", "format": "version-id", "example": "v1"})


class AliasPageSchema(AnswerSchema):
    """All aliases."""

    items = _many(AliasSchema, "The aliases, by name.", required=True)


class MoveSchema(AnswerSchema):
    """One move of an alias."""

    at = fields.String(required=True, metadata={"description": "When.", "format": "date-time"})
    by = _string("Who: `release`, a key, or a training job.", "release", required=True)
    from_version = _string("The version before; absent for the first.", "v1")
    to_version = _string("The version since.", "v2", required=True)


class MovePageSchema(AnswerSchema):
    """The moves of an alias, newest first."""

    items = _many(MoveSchema, "The moves.", required=True)


class DatasetUploadSchema(Schema):
    """A data set: either `file`, or `images` and `labels`."""

    file = _file(
        "A CSV of 785 columns (label, then 784 pixels; a header is allowed), or a ZIP of pictures in folders named by class "
        "(`Coat`, `t-shirt-top`) or by label (`4`)."
    )
    images = _file("28x28 pictures as IDX, gzipped or not. Send `labels` with it.")
    labels = _file("Their labels as IDX, gzipped or not.")
    name = _string("What to call it.", "autumn-returns", validate=validate.Length(1, 100))
    description = _string("Your own words.", "Photographed in our warehouse.", validate=validate.Length(max=500))

    @validates_schema(skip_on_field_errors=True)
    def _one_form(self, data: dict[str, Any], **_: Any) -> None:
        given = {"file", "images", "labels"} & set(data)
        if not given:
            raise ValidationError("Send a CSV or a ZIP file as `file`, or an IDX pair as `images` and `labels`.", "file")
        if "file" in given and len(given) > 1:
            raise ValidationError("Send either `file`, or `images` and `labels`.", "file")
        for missing in {"images", "labels"} - given if "file" not in given else ():
            raise ValidationError("`images` and `labels` go together: send this one too.", missing)


class DatasetSchema(AnswerSchema):
    """A data set of labelled pictures."""

    id = _string("Opaque; sorts by creation time. Training jobs take it as `dataset`.", "ds_01KBQ8Z6J0V6M3Y8F5W2T4N700", required=True)
    created_at = fields.String(required=True, metadata={
        "description": "When it was stored.", "format": "date-time", "example": "2026-01-31T12:00:00.123Z"})
    name = _string("As it was given.", "autumn-returns")
    description = _string("As it was given.", "Photographed in our warehouse.")
    items = _integer("How many pictures.", 1200, required=True)
    classes = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True, metadata={
        "description": "How many pictures of each class.", "example": {name: 120 for name in CLASS_NAMES}})
    sha256 = _string("Digest (hex) over all pixels, then all labels, in the order of the file.", "9f2c" * 16, required=True)


class DatasetPageSchema(AnswerSchema):
    """Data sets, newest first."""

    items = _many(DatasetSchema, "The data sets.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class LiveSchema(AnswerSchema):
    """The process answers."""

    status = _string("Always `live`.", "live", required=True)


class ReadySchema(AnswerSchema):
    """Whether work that is accepted now will be done."""

    status = _string("`ready`, or `unready`.", "ready", required=True)
    checks = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True,
        metadata={"description": "`ok`, or what is wrong, for each part.", "example": {"redis": "ok", "prediction_worker": "ok", "production_model": "ok"}},
    )  # fmt: skip
    workers = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={
        "description": "Workers with a fresh heartbeat; those of `predictions` work on batches too.", "example": {"predictions": 1, "training": 1, "webhooks": 1}})
    queues = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={
        "description": "Messages that no worker has taken yet, by queue; of webhooks, those that are not delivered.", "example": {"predictions": 0, "batches": 0, "training": 0, "webhooks": 0}})


_SCOPES = "`predict`: predictions and batches. `train`: training, tuning, data sets, aliases. `admin`: everything."


class KeyRequestSchema(Schema):
    """A key to be made."""

    name = _string("What you will know it by.", "nightly batches", required=True, validate=validate.Length(1, 100))
    scopes = fields.List(
        fields.String(validate=validate.OneOf([*Scope])), required=True, validate=validate.Length(min=1),
        metadata={"description": f"What it is good for. {_SCOPES}", "example": ["predict"]},
    )  # fmt: skip
    expires_in = _integer("Seconds for which it is valid; until it is revoked, unless given.", 7776000, validate=validate.Range(1, 10 * 366 * 86400))


class KeySchema(AnswerSchema):
    """A key, without its token."""

    id = _string("Its id.", "key_01KBQ8Z6J0V6M3Y8F5W2T4N700", required=True)
    name = _string("What it is known by.", "nightly batches", required=True)
    scopes = fields.List(fields.String(), required=True, metadata={"description": _SCOPES, "example": ["predict"]})
    owner = _string("Whose work it sees: the first of the keys that replaced one another.", "key_01KBQ8Z6J0V6M3Y8F5W2T4N700", required=True)
    created_at = _time("When it was made.")
    expires_at = _time("When it ceases to be valid; absent where it does not.")
    last_used_at = _time("When it was used last, to the minute; absent where it never was.")


class NewKeySchema(KeySchema):
    """A new key, with its token."""

    token = _string("What to send as `Authorization: Bearer …`. It is shown this once.", required=True)


class KeyPageSchema(AnswerSchema):
    """Keys, newest first."""

    items = _many(KeySchema, "The keys.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class WebhookAttemptSchema(AnswerSchema):
    """One time that a webhook was sent."""

    at = _time("When.", required=True)
    duration_ms = _number("For how long (ms).", 82.4, required=True)
    status = _integer("The status of the answer; absent where none came.", 503)
    error = _string("Why there was no answer.", "the connection was refused")


class WebhookDeliverySchema(AnswerSchema):
    """A message to a webhook, and how its delivery goes."""

    id = _string("Its id, which is sent as `webhook-id`.", "msg_01KBQ8Z6J0V6M3Y8F5W2T4N700", required=True)
    type = _string("What it tells.", "training_job.succeeded", required=True)
    resource = _string("What it is about.", "job_01KBQ8Z6J0V6M3Y8F5W2T4N700", required=True)
    url = _string("Where it goes.", "https://shop.example.com/hooks/hemline", required=True)
    status = _string("`pending`, `delivered` or `failed`.", "delivered", required=True)
    created_at = _time("When it came about.", required=True)
    completed_at = _time("When it was delivered or given up; absent before.")
    next_attempt_at = _time("When it is sent again; absent where it is not, or is due now.")
    attempts = _many(WebhookAttemptSchema, "The last attempts, oldest first.", required=True)


class WebhookDeliveryPageSchema(AnswerSchema):
    """Messages to webhooks, newest first."""

    items = _many(WebhookDeliverySchema, "The messages.", required=True)
    next_cursor = _string("There is more: ask again with this as `cursor`.")


class WebhookListArgumentsSchema(PageArgumentsSchema):
    """What messages to list."""

    status = fields.String(load_default=None, validate=validate.OneOf(DELIVERY_STATES), metadata={"description": "Only those in this state.", "example": "failed"})


class WebhookSecretSchema(AnswerSchema):
    """What your webhooks are signed with."""

    secret = _string("The secret, as libraries of Standard Webhooks take it.", required=True)
    previous = _string("What they are signed with besides; absent where there is none.")
    previous_until = _time("Until when that is so.")
