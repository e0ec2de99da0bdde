"""The command line: click commands, one file a verb. They read options and write streams; the answers come from elsewhere."""
