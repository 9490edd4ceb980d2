#!/bin/sh
# Install a lock file into /opt/venv, and leave out what no process of Hemline opens. The Dockerfile runs it.
set -eu

/opt/pip/bin/pip --python /opt/venv install --quiet --no-compile --require-hashes --only-binary :all: --requirement "$1"
cd /opt/venv/lib/python3.*/site-packages

# Test suites, and what type checkers read.
find . -type d -name tests -prune -exec rm -rf {} +
find . -name '*.pyi' -delete

# botocore describes some four hundred services of AWS. Hemline speaks to S3, with credentials that come from anywhere.
if [ -d botocore/data ]; then
  find botocore/data -mindepth 1 -maxdepth 1 -type d \
    ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
fi

# A decoder for a format that the API refuses; Pillow does without.
rm -f PIL/_avif.* pillow.libs/libavif-*

# LiteRT for GPUs, and its compiler for phones.
rm -f ai_edge_litert/libLiteRtWebGpuAccelerator.so ai_edge_litert/tools/apply_plugin_main
