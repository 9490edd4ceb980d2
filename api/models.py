"""Model versions and aliases: what there is, how good it is, and what is in use."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

from flask import Response

from api import responses
from api.auth import caller
from api.blueprints import Blueprint
from api.parts import parts
from api.schemas import (
    AliasPageSchema, AliasRequestSchema, AliasSchema, ModelCardSchema, ModelPageArgumentsSchema, ModelPageSchema,
    MovePageSchema,
)  # fmt: skip
from ml.artifacts import ArtifactNotFound
from ml.registry import Move, is_version
from ml.spec import InvalidSpec
from workers.keys import ALL, Scope

blueprint = Blueprint("models", __name__, description="Versions of the model, each with its card.", scopes=ALL)
aliases = Blueprint(
    "aliases", __name__, description="Names that point at versions; `production` is the default.", scopes=ALL
)

_VERSION = responses.path_id("version_id", "version", "v1")
_ALIAS = {**responses.path_id("alias", "alias", "production"), "description": "The alias."}
_NEW_ALIAS = {**_ALIAS, "schema": {"type": "string", "pattern": "^(?!v[0-9]+$)[a-z][a-z0-9-]{0,62}$"}}
_FILES = {"keras": "model.keras", "litert": "model.tflite"}
_BINARY = {"type": "string", "format": "binary"}


@blueprint.get("/models")
@blueprint.doc(operationId="listModels", summary="List model versions")
@blueprint.arguments(ModelPageArgumentsSchema, location="query")
@blueprint.response(200, ModelPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_models(query: dict[str, Any]) -> Response:
    """Versions with their metrics, newest first."""
    limit, pointing = query["limit"], _pointing()
    before = int(query["cursor"][1:]) if query["cursor"] else math.inf
    older = (card for card in parts().registry.cards() if int(card["version"][1:]) < before)
    cards = list(islice(older, limit + 1))
    shown = [_summary(card, pointing) for card in cards[:limit]]
    return responses.page(shown, shown[-1]["version"] if len(cards) > limit else None)


@blueprint.get("/models/<version_id>")
@blueprint.doc(operationId="getModel", parameters=[_VERSION, responses.IF_NONE_MATCH], summary="Get a model card")
@blueprint.response(200, ModelCardSchema, headers={"ETag": responses.ETAG})
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_model(version_id: str) -> Response:
    """The model card: how the version was made and everything that was measured of it."""
    card = parts().registry.card(parts().registry.resolve(version_id))
    return responses.conditional(card | _summary(card, _pointing()))


@blueprint.get("/models/<version_id>/artifacts/<artifact>")
@blueprint.doc(operationId="getModelArtifact", summary="Download a model file", parameters=[
    _VERSION,
    {"in": "path", "name": "artifact", "required": True, "schema": {"type": "string", "enum": [*_FILES]},
     "description": "Which file."},
])  # fmt: skip
@blueprint.response(200, _BINARY, content_type="application/octet-stream", description="The file.")
@responses.problems(blueprint, 404)
def get_model_artifact(version_id: str, artifact: str) -> Response:
    """The Keras file, or the float32 LiteRT file. Its SHA-256 is in the card."""
    if artifact not in _FILES:
        raise ArtifactNotFound(f"{artifact} (known: {', '.join(_FILES)})")
    registry = parts().registry
    data = registry.file(registry.resolve(version_id), name := _FILES[artifact])
    disposition = f'attachment; filename="hemline-{version_id}.{name.rpartition(".")[2]}"'
    return Response(data, headers={"Content-Disposition": disposition}, mimetype="application/octet-stream")


@blueprint.delete("/models/<version_id>")
# What is gone is gone for everybody.
@blueprint.doc(
    operationId="deleteModel", scopes=(Scope.ADMIN,), parameters=[_VERSION], summary="Delete a model version"
)
@blueprint.response(204, description="It is gone, with all its files.")
@responses.problems(blueprint, 404, 409)
def delete_model(version_id: str) -> Response:
    """Delete a version that no alias points at."""
    parts().registry.delete(version_id)
    return Response(status=204)


@aliases.put("/aliases/<alias>")
# A training job can promote its version, so to ask for more than `train` here would protect nothing.
@aliases.doc(
    operationId="putAlias", scopes=(Scope.TRAIN,), parameters=[_NEW_ALIAS], summary="Point an alias at a version"
)
@aliases.arguments(AliasRequestSchema)
@aliases.response(200, AliasSchema)
@responses.problems(aliases, 400, 413, 415, 422)
def put_alias(body: dict[str, Any], alias: str) -> Response:
    """Promote a version, or roll back to one: every prediction accepted from now on uses it.

    Predictions that were accepted before stay with the version that they are pinned to.
    """
    registry = parts().registry
    if not is_version(body["version"]) or body["version"] not in registry.versions():
        known = ", ".join(registry.versions()[:50]) or "none"
        raise InvalidSpec("version", f"There is no version {body['version']!r}. Known: {known}.")
    return responses.json(_alias(registry.point(alias, body["version"], by=caller().key or "api")))


@aliases.get("/aliases")
@aliases.doc(operationId="listAliases", summary="List aliases")
@aliases.response(200, AliasPageSchema)
@responses.problems(aliases)
def list_aliases() -> Response:
    """Every alias and the version that it points at."""
    moves = sorted(parts().registry.aliases().values(), key=lambda move: move.alias)
    return responses.page(map(_alias, moves), None)


@aliases.get("/aliases/<alias>/history")
@aliases.doc(operationId="getAliasHistory", parameters=[_ALIAS], summary="Get an alias's history")
@aliases.response(200, MovePageSchema)
@responses.problems(aliases, 404)
def get_alias_history(alias: str) -> Response:
    """Every move of an alias, newest first: when, by whom, from where, to where."""
    names = ("at", "by", "from_version", "to_version")
    moves = ({name: getattr(move, name) for name in names} for move in parts().registry.history(alias))
    return responses.page(({name: value for name, value in move.items() if value} for move in moves), None)


def _alias(move: Move) -> dict[str, Any]:
    return {"alias": move.alias, "version": move.to_version, "updated_at": move.at}


def _pointing() -> dict[str, list[str]]:
    pointing: dict[str, list[str]] = {}
    for alias, move in sorted(parts().registry.aliases().items()):
        pointing.setdefault(move.to_version, []).append(alias)
    return pointing


def _summary(card: dict[str, Any], pointing: dict[str, list[str]]) -> dict[str, Any]:
    measured = {name: _headline(card["metrics"][name]) for name in ("validation", "test") if name in card["metrics"]}
    known = {name: card[name] for name in ("version", "network", "created_at", "parameters", "macs") if name in card}
    return known | measured | {"aliases": pointing.get(card["version"], [])}


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: round(metrics[name], 6) for name in ("accuracy", "loss", "ece") if name in metrics}
