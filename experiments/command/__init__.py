"""Shared by commands: the command line, help, the rows it names, the file it writes."""
