// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package tracetest holds what an example recorded and printed against what Jaeger was told
// of it.
package tracetest
