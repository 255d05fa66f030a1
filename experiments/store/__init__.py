"""Stored runs: their names, the connection, the writer and the reader. No other room knows MLflow."""

from experiments.store.connection import use_store as use_store
