#!/usr/bin/env bash
# Bring a version to the instance, by Systems Manager: no port, no key. `make deploy INSTANCE=i-… VERSION=v0.1.0`.
# Parts that did not change are left alone, and `--wait` fails where one does not get well.
set -euo pipefail

: "${INSTANCE:?the id of the instance, i-…}" "${VERSION:?the tag to deploy, v…}"
# Both go into a command line on the instance.
[[ $INSTANCE =~ ^i-[0-9a-f]+$ ]] || { echo "INSTANCE must look like i-0123abcd, not $INSTANCE" >&2; exit 2; }
[[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+[-.0-9A-Za-z]*$ ]] || { echo "VERSION must look like v1.2.3, not $VERSION" >&2; exit 2; }

command=$(aws ssm send-command --instance-ids "$INSTANCE" --document-name AWS-RunShellScript \
  --comment "Hemline $VERSION" --timeout-seconds 600 --query Command.CommandId --output text \
  --parameters "commands=[\"set -eu\",\"cd /opt/hemline\",\"git fetch --depth 1 origin tag $VERSION\",\"git checkout --detach $VERSION\",\"docker compose up --build --detach --wait --wait-timeout 900\"],executionTimeout=[\"1500\"]")

said() { # field
  aws ssm get-command-invocation --command-id "$command" --instance-id "$INSTANCE" --query "$1" --output text
}
while status=$(said Status); [[ $status =~ ^(Pending|InProgress|Delayed)$ ]]; do sleep 5; done
said StandardOutputContent
[ "$status" = Success ] || { said StandardErrorContent >&2; echo "$VERSION: $status" >&2; exit 1; }
echo "$VERSION is on $INSTANCE"
