"""Built-in executors, one file each; every file here is imported to find them."""
