"""Reports: a run folder in, tables and a page to read out. Reads records only."""
