"""Shared by commands: the command line, help, the rows they name, the file they write."""
