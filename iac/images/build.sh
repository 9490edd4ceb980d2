#!/usr/bin/env bash
# Build the three images, say how large they are, and fail where web or worker outgrows its limit: `make image-build`.
#
# Docker builds them, or Podman, whichever answers. Where there is no engine, buildah does, as root: its chroot
# isolation needs no daemon, and no registry either, as debootstrap makes a stand-in for the base image: Debian with
# Debian's Python. All that it leaves is in build/images.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly LIMIT_MB=400 STATE=build/images
BASE=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)

engine() {
  local each
  for each in docker podman; do
    if type "$each" && "$each" info; then echo "$each" >&3; return; fi
  done 3>&1 >/dev/null 2>&1
  echo buildah
}

# A storage of its own, which neither meets other images nor is left to the system.
own_storage() {
  local place
  place=$(realpath "$STATE")
  printf '[storage]\ndriver = "%s"\nrunroot = "%s"\ngraphroot = "%s"\n' \
    "${STORAGE_DRIVER:-overlay}" "$place/run" "$place/storage" > "$STATE/storage.conf"
  export CONTAINERS_STORAGE_CONF=$place/storage.conf
}

# What is in the official image and matters here: Debian's essential packages, certificates, python. Neither has
# manuals, translations, or lists of packages.
stand_in() {
  local container root
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  debootstrap --variant=minbase --include=ca-certificates,python-is-python3,python3-minimal,python3-venv \
    bookworm "$root" > "$STATE/debootstrap.log" || { tail "$STATE/debootstrap.log" >&2; return 1; }
  rm -rf "$root"/usr/share/{doc,info,locale,man} "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  buildah umount "$container" > /dev/null
  buildah config --env LANG=C.UTF-8 --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet --rm "$container" "docker.io/library/$BASE" > /dev/null
}

build() { # target
  local options=(--target "$1" --tag "hemline-$1" --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION")
  if [ "$ENGINE" = buildah ]; then
    # The certificates of this machine are those that its package index is trusted by.
    buildah bud "${options[@]}" --isolation chroot --format docker --layers --pull-never --quiet \
      --volume /etc/ssl/certs:/etc/ssl/certs:ro ${PIP_CERT:+--build-arg PIP_CERT} \
      ${PIP_INDEX_URL:+--build-arg PIP_INDEX_URL} . > "$STATE/$1.log" 2>&1 || { tail -n 40 "$STATE/$1.log" >&2; return 1; }
  else
    "$ENGINE" build "${options[@]}" .
  fi
}

# The files of an image, as "bytes path". An engine's own figure may be of what is compressed.
files() { # image
  local container
  if [ "$ENGINE" = buildah ]; then
    container=$(buildah from --pull-never "$1")
    (cd "$(buildah mount "$container")" && find . -xdev -type f -printf '%s %P\n')
    buildah rm "$container" > /dev/null
  else
    "$ENGINE" run --rm --network none --user 0 --entrypoint find "$1" / -xdev -type f -printf '%s %P\n'
  fi
}

mkdir -p "$STATE"
ENGINE=$(engine)
if [ "$ENGINE" = buildah ]; then
  own_storage
  buildah inspect --type image "docker.io/library/$BASE" > /dev/null 2>&1 || stand_in
  echo "No engine: built by buildah on a stand-in for $BASE"
fi
for target in web worker trainer; do build "$target"; done
echo "$ENGINE" > "$STATE/engine"

largest=0
printf '%-10s %6s %10s %10s %6s %6s   MB\n' image base packages bytecode code total
for target in web worker trainer; do
  line=$(files "hemline-$target" | awk -v target="$target" '
    { part = $2 ~ "^opt/venv/" ? "packages" : $2 ~ "^opt/bytecode/" ? "bytecode" : $2 ~ "^app/" ? "code" : "base"
      size[part] += $1 / 1e6; total += $1 / 1e6 }
    END { printf "%-10s %6.0f %10.0f %10.0f %6.0f %6.0f\n",
          target, size["base"], size["packages"], size["bytecode"], size["code"], total }')
  echo "$line"
  total=${line##* }
  if [ "$target" != trainer ] && [ "$total" -gt "$largest" ]; then largest=$total; fi
done
if [ "$largest" -ge "$LIMIT_MB" ]; then
  echo "web and worker have to stay below $LIMIT_MB MB" >&2
  exit 1
fi
