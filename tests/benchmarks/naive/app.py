"""Flask and Celery as tutorials put them together: what users of Hemline would otherwise write."""

from celery.result import AsyncResult
from flask import Flask, jsonify, request, url_for

from tasks import celery, predict

app = Flask(__name__)


@app.post("/predict")
def predict_and_wait():
    return jsonify(predict.delay(request.json["image"]).get(timeout=60))


@app.post("/submit")
def submit():
    task = predict.delay(request.json["image"])
    return jsonify(id=task.id), 202, {"Location": url_for("result", task_id=task.id)}


@app.get("/result/<task_id>")
def result(task_id):
    task = AsyncResult(task_id, app=celery)
    return jsonify(id=task_id, state=task.state, result=task.result if task.successful() else None)


@app.get("/health")
def health():
    workers = celery.control.ping(timeout=0.5)
    return jsonify(workers=len(workers)), 200 if workers else 503
