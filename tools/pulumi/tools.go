//go:build tools

// Package tools pins the pulumi command for scripts/bootstrap; `go mod tidy` keeps the requirement because of it.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
