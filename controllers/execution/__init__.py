"""Execution: the only room from which a workload is changed; each action at most once, exactly as approved."""
