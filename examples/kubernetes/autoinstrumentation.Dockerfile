# The operator's image for Python, and this package in it. The operator copies the folder /autoinstrumentation into pods.
#   make build
#   docker build --file examples/kubernetes/autoinstrumentation.Dockerfile --tag registry.example.com/model-registry/python:0.62b1-0.1.0 .
# msgspec and PyYAML have compiled code, for one version of Python and for glibc: name the version of the applications here.
FROM python:3.12.8-slim AS build
COPY dist/*.whl /wheels/
RUN pip install --no-cache-dir --no-deps --target /packages /wheels/spanforge_model_registry-*.whl
RUN pip install --no-cache-dir --no-deps --target /packages msgspec==0.22.0 pyyaml==6.0.4

FROM ghcr.io/open-telemetry/opentelemetry-operator/autoinstrumentation-python:0.62b1
COPY --from=build --chmod=go+rX /packages /autoinstrumentation
