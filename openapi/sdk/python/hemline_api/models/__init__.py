"""Contains all the data models used in inputs/outputs"""

from .alias import Alias
from .alias_page import AliasPage
from .alias_request import AliasRequest
from .batch import Batch
from .batch_item import BatchItem
from .batch_item_result import BatchItemResult
from .batch_metadata import BatchMetadata
from .batch_page import BatchPage
from .batch_request import BatchRequest
from .batch_request_metadata import BatchRequestMetadata
from .batch_result import BatchResult
from .batch_upload import BatchUpload
from .batch_upload_metadata import BatchUploadMetadata
from .class_probability import ClassProbability
from .counts import Counts
from .dataset import Dataset
from .dataset_classes import DatasetClasses
from .dataset_page import DatasetPage
from .dataset_upload import DatasetUpload
from .dimension import Dimension
from .epoch import Epoch
from .error import Error
from .explanation import Explanation
from .get_model_artifact_artifact import GetModelArtifactArtifact
from .image_warning import ImageWarning
from .key import Key
from .key_page import KeyPage
from .key_request import KeyRequest
from .key_request_scopes_item import KeyRequestScopesItem
from .list_webhook_deliveries_status_type_1 import ListWebhookDeliveriesStatusType1
from .list_webhook_deliveries_status_type_2_type_1 import (
    ListWebhookDeliveriesStatusType2Type1,
)
from .list_webhook_deliveries_status_type_3_type_1 import (
    ListWebhookDeliveriesStatusType3Type1,
)
from .live import Live
from .metrics import Metrics
from .model import Model
from .model_card import ModelCard
from .model_card_calibration import ModelCardCalibration
from .model_card_data import ModelCardData
from .model_card_history_item import ModelCardHistoryItem
from .model_card_levels import ModelCardLevels
from .model_card_metrics import ModelCardMetrics
from .model_card_novelty import ModelCardNovelty
from .model_card_photos import ModelCardPhotos
from .model_card_robustness import ModelCardRobustness
from .model_card_serving import ModelCardServing
from .model_card_sha_256 import ModelCardSha256
from .model_card_training_spec import ModelCardTrainingSpec
from .model_page import ModelPage
from .move import Move
from .move_page import MovePage
from .neighbor import Neighbor
from .new_key import NewKey
from .prediction import Prediction
from .prediction_metadata import PredictionMetadata
from .prediction_page import PredictionPage
from .prediction_request import PredictionRequest
from .prediction_request_metadata import PredictionRequestMetadata
from .prediction_result import PredictionResult
from .problem import Problem
from .problem_detail import ProblemDetail
from .progress import Progress
from .ready import Ready
from .ready_checks import ReadyChecks
from .ready_queues import ReadyQueues
from .ready_workers import ReadyWorkers
from .search_space import SearchSpace
from .search_space_hyperparameters import SearchSpaceHyperparameters
from .timings import Timings
from .train_best_request import TrainBestRequest
from .train_best_request_precision import TrainBestRequestPrecision
from .train_best_request_promote import TrainBestRequestPromote
from .training_job import TrainingJob
from .training_job_page import TrainingJobPage
from .training_job_request import TrainingJobRequest
from .training_job_request_hyperparameters import TrainingJobRequestHyperparameters
from .training_job_request_optimizer import TrainingJobRequestOptimizer
from .training_job_request_precision import TrainingJobRequestPrecision
from .training_job_request_promote import TrainingJobRequestPromote
from .training_job_request_schedule import TrainingJobRequestSchedule
from .training_job_spec import TrainingJobSpec
from .training_progress import TrainingProgress
from .training_result import TrainingResult
from .training_result_metrics import TrainingResultMetrics
from .tuning_job import TuningJob
from .tuning_job_page import TuningJobPage
from .tuning_job_request import TuningJobRequest
from .tuning_job_request_hyperparameters import TuningJobRequestHyperparameters
from .tuning_job_request_optimizer import TuningJobRequestOptimizer
from .tuning_job_request_precision import TuningJobRequestPrecision
from .tuning_job_request_schedule import TuningJobRequestSchedule
from .tuning_job_spec import TuningJobSpec
from .tuning_progress import TuningProgress
from .tuning_result import TuningResult
from .tuning_trial import TuningTrial
from .tuning_trial_page import TuningTrialPage
from .tuning_trial_parameters import TuningTrialParameters
from .webhook_attempt import WebhookAttempt
from .webhook_delivery import WebhookDelivery
from .webhook_delivery_page import WebhookDeliveryPage
from .webhook_secret import WebhookSecret

__all__ = (
    "Alias",
    "AliasPage",
    "AliasRequest",
    "Batch",
    "BatchItem",
    "BatchItemResult",
    "BatchMetadata",
    "BatchPage",
    "BatchRequest",
    "BatchRequestMetadata",
    "BatchResult",
    "BatchUpload",
    "BatchUploadMetadata",
    "ClassProbability",
    "Counts",
    "Dataset",
    "DatasetClasses",
    "DatasetPage",
    "DatasetUpload",
    "Dimension",
    "Epoch",
    "Error",
    "Explanation",
    "GetModelArtifactArtifact",
    "ImageWarning",
    "Key",
    "KeyPage",
    "KeyRequest",
    "KeyRequestScopesItem",
    "ListWebhookDeliveriesStatusType1",
    "ListWebhookDeliveriesStatusType2Type1",
    "ListWebhookDeliveriesStatusType3Type1",
    "Live",
    "Metrics",
    "Model",
    "ModelCard",
    "ModelCardCalibration",
    "ModelCardData",
    "ModelCardHistoryItem",
    "ModelCardLevels",
    "ModelCardMetrics",
    "ModelCardNovelty",
    "ModelCardPhotos",
    "ModelCardRobustness",
    "ModelCardServing",
    "ModelCardSha256",
    "ModelCardTrainingSpec",
    "ModelPage",
    "Move",
    "MovePage",
    "Neighbor",
    "NewKey",
    "Prediction",
    "PredictionMetadata",
    "PredictionPage",
    "PredictionRequest",
    "PredictionRequestMetadata",
    "PredictionResult",
    "Problem",
    "ProblemDetail",
    "Progress",
    "Ready",
    "ReadyChecks",
    "ReadyQueues",
    "ReadyWorkers",
    "SearchSpace",
    "SearchSpaceHyperparameters",
    "Timings",
    "TrainBestRequest",
    "TrainBestRequestPrecision",
    "TrainBestRequestPromote",
    "TrainingJob",
    "TrainingJobPage",
    "TrainingJobRequest",
    "TrainingJobRequestHyperparameters",
    "TrainingJobRequestOptimizer",
    "TrainingJobRequestPrecision",
    "TrainingJobRequestPromote",
    "TrainingJobRequestSchedule",
    "TrainingJobSpec",
    "TrainingProgress",
    "TrainingResult",
    "TrainingResultMetrics",
    "TuningJob",
    "TuningJobPage",
    "TuningJobRequest",
    "TuningJobRequestHyperparameters",
    "TuningJobRequestOptimizer",
    "TuningJobRequestPrecision",
    "TuningJobRequestSchedule",
    "TuningJobSpec",
    "TuningProgress",
    "TuningResult",
    "TuningTrial",
    "TuningTrialPage",
    "TuningTrialParameters",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookDeliveryPage",
    "WebhookSecret",
)
