// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
)

// await waits for something to become true.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); runtime.Gosched() {
		if time.Since(start) > patience {
			t.Fatalf("it takes too long: %s", what)
		}
	}
}

// await waits until a token was issued, and returns the last one: a stream may be over for
// its client before its record is made.
func (s *seen) await(t testing.TB) core.Claims {
	t.Helper()
	await(t, "the record", func() bool { return len(s.tokens()) > 0 })
	return s.last(t)
}
