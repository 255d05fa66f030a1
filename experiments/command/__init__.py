"""What commands share: the command line, help, the rows it names, the file it writes."""
