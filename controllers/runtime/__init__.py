"""What all controllers share: settings, work queue, kopf wiring, logging, metrics, typed errors, analysis client."""
