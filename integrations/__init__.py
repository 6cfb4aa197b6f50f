"""What puts the platform's objects into k9s, Argo CD, Grafana and Prometheus, and the checks of these files."""
