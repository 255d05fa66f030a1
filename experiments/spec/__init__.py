"""Command line and YAML files -> spec: plain data, complete, checked, guarded and hashed."""
