# The Collector with a shell, which start.sh, follow.sh and reload.sh need.
#   docker build --file examples/kubernetes/collector.Dockerfile --tag registry.example.com/model-registry/collector:0.158.0 .
FROM otel/opentelemetry-collector-contrib:0.158.0 AS collector

FROM debian:12.8-slim
COPY --from=collector /otelcol-contrib /usr/local/bin/otelcol-contrib
USER 10001:10001
ENTRYPOINT []
