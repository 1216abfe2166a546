//go:build tools

// Package tools pins actionlint for scripts/actionlint; `go mod tidy` keeps the requirement because of it.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
