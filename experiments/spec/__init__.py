"""From a command line and YAML files to a spec: plain data, every value of it said, checked, guarded and hashed."""
