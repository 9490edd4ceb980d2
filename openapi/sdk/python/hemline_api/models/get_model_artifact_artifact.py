from typing import Literal

GetModelArtifactArtifact = Literal["keras", "litert"]

GET_MODEL_ARTIFACT_ARTIFACT_VALUES: set[GetModelArtifactArtifact] = {
    "keras",
    "litert",
}


def check_get_model_artifact_artifact(value: str) -> GetModelArtifactArtifact:
    if value in GET_MODEL_ARTIFACT_ARTIFACT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {GET_MODEL_ARTIFACT_ARTIFACT_VALUES!r}")
