"""The command line, one file a verb: reads options and writes streams; the answers come from elsewhere."""
