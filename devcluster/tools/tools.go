//go:build tools

// Package tools pins the programs that are built as they come: one module, so that what they share compiles once.
package tools

import (
	_ "github.com/grafana/loki/v3/cmd/loki"
	_ "github.com/prometheus/node_exporter"
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
	_ "helm.sh/helm/v4/cmd/helm"
)
