"""The start of scripts that tests run in another process."""

COMMON = """
import os, sys, threading, time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from spanforge.model_registry import EventCounts, event_counts, register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

def register(count, first=0):
    for number in range(first, first + count):
        register_model(f"m{number}", "M", "1", "low", "team", "test")

def run_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

def settle():
    for thread in threading.enumerate():
        if thread.name == "model-registry-events":
            thread.join()

"""
"""Imports, and functions that register models and wait for events."""
