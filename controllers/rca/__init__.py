"""RCA: collects what the API server knows of a workload, asks the analysis server why, and writes the report."""
