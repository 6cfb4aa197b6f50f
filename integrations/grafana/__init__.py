"""Grafana: dashboards as code, written as JSON that Grafana imports and provisions as it is."""
