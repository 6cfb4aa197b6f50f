"""HTTP: routes, problem details, metrics. The composition of the server stands in ``app``."""
