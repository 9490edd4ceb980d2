# One file, three images: `docker build --target web .`, `worker`, `trainer`.
# Each has only the packages of its own lock file; TensorFlow is in the trainer alone.
# `make image-build` builds them, with Docker, Podman or neither; `make image-test` runs them.
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
# For those whose packages come through an index or a proxy of their own; neither reaches an image.
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# pip has an environment of its own, so that the images carry none.
RUN python -m venv /opt/pip && python -m venv --without-pip /opt/venv
COPY iac/images/install.sh /usr/local/bin/install-locked
# The images' file systems are read-only, so a process could not keep what Python compiles. This command makes a tree
# of it: of just the modules that are imported, those of the standard library included, which the base leaves out.
ENV COMPILE="env PYTHONPYCACHEPREFIX=/opt/bytecode HEMLINE_REDIS_URL=redis://nowhere HEMLINE_HOME=/tmp \
/opt/venv/bin/python -c"
WORKDIR /app

FROM builder AS web-files
COPY requirements/web.lock /tmp/
RUN install-locked /tmp/web.lock
COPY LICENSE settings.py ./
# Without ml/shipped: workers publish what ships, the web process reads what is published.
COPY ml/*.py ./ml/
COPY ml/networks ./ml/networks
COPY workers ./workers
COPY api ./api
COPY docs/guide ./docs/guide
RUN $COMPILE "import uvloop, api.server, urllib.request"

FROM builder AS worker-files
COPY requirements/worker.lock /tmp/
RUN install-locked /tmp/worker.lock
COPY LICENSE settings.py ./
COPY ml ./ml
COPY workers ./workers
RUN $COMPILE "import celery.bin.worker, celery.apps.worker, celery.concurrency.solo, workers.prediction_worker"

FROM builder AS trainer-files
COPY requirements/training.lock /tmp/
RUN install-locked /tmp/training.lock
COPY LICENSE settings.py ./
COPY ml ./ml
COPY workers ./workers
RUN $COMPILE "import celery.bin.worker, celery.apps.worker, celery.concurrency.solo, workers.training_worker, ml.export"

FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 hemline \
    && useradd --uid 10001 --gid hemline --home-dir /var/lib/hemline --shell /usr/sbin/nologin hemline \
    && install --directory --owner hemline --group hemline /var/lib/hemline
# Nothing in a running image installs packages, speaks Perl, converts with iconv, or sits at a keyboard. Debian's packages
# go by its own tool, so that a scanner still finds a true list.
RUN stdlib=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && for unused in ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo site-packages; do \
        rm -rf "${stdlib:?}/$unused"; done \
    && rm -rf /usr/share/python-wheels /usr/lib/*-linux-gnu/gconv \
    && find "$stdlib" -depth -name __pycache__ -exec rm -rf {} + \
    && dpkg --purge --force-depends --force-remove-essential --force-remove-protected apt libapt-pkg6.0 perl-base

# What is left of the base, as one layer that the three images share: a file deleted in a layer of its own stays in the
# one below, and is downloaded all the same. Hence a copy of everything, which is otherwise unwise.
FROM scratch AS runtime
# hadolint ignore=DL3067
COPY --from=base / /
ARG PYTHON_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Hemline" \
      org.opencontainers.image.description="Classifies pictures of clothes and retrains its own model" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/${PYTHON_IMAGE}"
# One thread a process for linear algebra and two arenas for memory, as under `make run`: parts scale by processes.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin LANG=C.UTF-8 PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPYCACHEPREFIX=/opt/bytecode \
    OPENBLAS_NUM_THREADS=1 MALLOC_ARENA_MAX=2 HEMLINE_HOME=/var/lib/hemline
WORKDIR /app
# The only places that are written to: the state, and /tmp.
VOLUME /var/lib/hemline
STOPSIGNAL SIGTERM
USER 10001:10001

FROM runtime AS web
COPY --from=web-files /opt/venv /opt/venv
COPY --from=web-files /app /app
COPY --from=web-files /opt/bytecode /opt/bytecode
ENV HEMLINE_HOST=0.0.0.0 PORT=8000 HEMLINE_WEB_PROCESSES=1
EXPOSE 8000
# Only liveness: /health/ready also looks at Redis and the workers, and a new web process would mend neither.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as http; \
http.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/live', timeout=4)"]
CMD ["python", "-m", "api.server"]

FROM runtime AS worker
COPY --from=worker-files /opt/venv /opt/venv
COPY --from=worker-files /app /app
COPY --from=worker-files /opt/bytecode /opt/bytecode
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import sys; from settings import Settings; from workers import app, queue, upkeep; \
sys.exit(not upkeep.alive(app.connect(Settings.from_env().redis()), queue.PREDICTIONS))"]
CMD ["celery", "--quiet", "--app", "workers.prediction_worker", "worker", "--queues", "predictions,batches", \
     "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]

FROM runtime AS trainer
COPY --from=trainer-files /opt/venv /opt/venv
COPY --from=trainer-files /app /app
COPY --from=trainer-files /opt/bytecode /opt/bytecode
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import sys; from settings import Settings; from workers import app, queue, upkeep; \
sys.exit(not upkeep.alive(app.connect(Settings.from_env().redis()), queue.TRAINING))"]
CMD ["celery", "--quiet", "--app", "workers.training_worker", "worker", "--queues", "training", \
     "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
