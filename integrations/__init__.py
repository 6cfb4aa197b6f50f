"""What puts the platform's objects into other tools: k9s, Argo CD, Grafana, Prometheus rules; and the checks of these files."""
