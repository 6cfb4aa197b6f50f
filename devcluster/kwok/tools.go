//go:build tools

// Package kwok pins the program that plays nodes and pods for tests of scale; a module of its own, as it is seldom built.
package kwok

import _ "sigs.k8s.io/kwok/cmd/kwok"
