#!/usr/bin/env bash
# The document, as generators of other languages see it: each must take it without a warning, and its client must compile
# where there is a compiler. Nothing of that is kept.
set -euo pipefail
out=$1
package=openapi-generator-cli==7.26.0
java=/usr/share/java  # of Debian's libhttpclient-java, libhttpmime-java, libjsr305-java, libgeronimo-annotation-1.3-spec-java

generate() {  # language, options…
  local language=$1
  shift
  "$BIN/uv" tool run --quiet --from "$package" openapi-generator-cli generate \
    -i openapi/openapi.json -g "$language" -o "$out/$language" "$@" >"$out/$language.log" 2>&1 ||
    { tail -20 "$out/$language.log"; exit 1; }
  if grep -E ' (WARN|ERROR) ' "$out/$language.log"; then
    echo "$language: the generator is not content"
    exit 1
  fi
  echo "$language: generated without a warning"
}

rm -rf "$out"
mkdir -p "$out"

generate java --library native --additional-properties openApiNullable=false
if type javac >/dev/null 2>&1 && [ -e $java/httpmime.jar ]; then
  # The generator's own archive has Jackson.
  jar=$("$BIN/uv" tool run --quiet --from "$package" python -c \
    "import openapi_generator_cli as it, pathlib; print(pathlib.Path(it.__file__).with_name('openapi-generator.jar'))")
  find "$out/java/src/main" -name '*.java' >"$out/java.files"
  javac -nowarn -d "$out/classes" "@$out/java.files" \
    -cp "$jar:$java/httpclient.jar:$java/httpcore.jar:$java/httpmime.jar:$java/jsr305.jar:$java/geronimo-annotation-1.3-spec.jar"
  echo "java: compiled"
else
  echo "java: not compiled, as there is no javac or no libhttpmime-java"
fi

generate go
if type go >/dev/null 2>&1; then
  (cd "$out/go" && go build ./...)
  echo "go: compiled"
else
  echo "go: not compiled, as there is no go"
fi

generate csharp
echo "csharp: not compiled"
