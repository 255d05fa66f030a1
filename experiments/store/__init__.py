"""Stored runs: names, connection, writer and reader. No other room knows MLflow."""

from experiments.store.connection import use_store as use_store
