# One file, three images: `docker build --target web .`, `worker`, `trainer`.
# Each has only the packages of its own lock file; TensorFlow is in the trainer alone.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# pip has an environment of its own, so that the images carry none.
RUN python -m venv /opt/pip && python -m venv --without-pip /opt/venv

FROM builder AS web-packages
COPY requirements/web.lock ./
RUN /opt/pip/bin/pip --python /opt/venv install --quiet --require-hashes --only-binary :all: -r web.lock

FROM builder AS worker-packages
COPY requirements/worker.lock ./
RUN /opt/pip/bin/pip --python /opt/venv install --quiet --require-hashes --only-binary :all: -r worker.lock

FROM builder AS trainer-packages
COPY requirements/training.lock ./
RUN /opt/pip/bin/pip --python /opt/venv install --quiet --require-hashes --only-binary :all: -r training.lock

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="Hemline" org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 hemline \
    && useradd --system --uid 10001 --gid hemline --home-dir /var/lib/hemline --shell /usr/sbin/nologin hemline \
    && install --directory --owner hemline --group hemline /var/lib/hemline
# One thread a process for linear algebra and two arenas for memory, as under `make run`: parts scale by processes.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 MALLOC_ARENA_MAX=2 HEMLINE_HOME=/var/lib/hemline
WORKDIR /app
VOLUME /var/lib/hemline
STOPSIGNAL SIGTERM
USER 10001:10001

FROM runtime AS web
COPY --from=web-packages /opt/venv /opt/venv
COPY LICENSE settings.py ./
COPY ml ./ml
COPY workers ./workers
COPY api ./api
COPY docs/guide ./docs/guide
ENV HEMLINE_HOST=0.0.0.0 PORT=8000 HEMLINE_WEB_PROCESSES=1
EXPOSE 8000
# Only liveness: /health/ready also looks at Redis and the workers, and a new web process would mend neither.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as http; \
http.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/live', timeout=4)"]
CMD ["python", "-m", "api.server"]

FROM runtime AS worker
COPY --from=worker-packages /opt/venv /opt/venv
COPY LICENSE settings.py ./
COPY ml ./ml
COPY workers ./workers
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import sys; from settings import Settings; from workers import app, queue, upkeep; \
sys.exit(not upkeep.alive(app.connect(Settings.from_env().redis()), queue.PREDICTIONS))"]
CMD ["celery", "--quiet", "--app", "workers.prediction_worker", "worker", "--queues", "predictions,batches", \
     "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]

FROM runtime AS trainer
COPY --from=trainer-packages /opt/venv /opt/venv
COPY LICENSE settings.py ./
COPY ml ./ml
COPY workers ./workers
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import sys; from settings import Settings; from workers import app, queue, upkeep; \
sys.exit(not upkeep.alive(app.connect(Settings.from_env().redis()), queue.TRAINING))"]
CMD ["celery", "--quiet", "--app", "workers.training_worker", "worker", "--queues", "training", \
     "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
