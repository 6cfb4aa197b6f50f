//go:build tools

// Package helmunittest pins the program that runs the chart's tests; a module of its own, as it brings Helm 3 along.
package helmunittest

import _ "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"
