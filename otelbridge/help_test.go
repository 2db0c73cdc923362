// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge_test

import (
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

const identity = "spiffe://example.org/billing"

// The keys of docs/correlation.md: each secret is 32 bytes in ascending order.
func keys() []otelbridge.PseudonymKey {
	return []otelbridge.PseudonymKey{
		{Epoch: "2026-q3", From: day(2026, time.July, 1), Secret: otelbridge.NewSecret(secret(0))},
		{Epoch: "2026-q4", From: day(2026, time.October, 1), Secret: otelbridge.NewSecret(secret(32))},
	}
}

// secret returns 32 bytes that begin with first and ascend.
func secret(first byte) []byte {
	s := make([]byte, 32)
	for i := range s {
		s[i] = first + byte(i)
	}
	return s
}

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func uuid(t testing.TB, s string) core.UUID {
	t.Helper()
	var u core.UUID
	if err := u.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return u
}

func workflow(t testing.TB, s string) core.Workflow {
	t.Helper()
	if s == "" {
		return core.Workflow{}
	}
	return core.Workflow{ID: uuid(t, s), Present: true}
}

func disclosing(t testing.TB, p otelbridge.Policy) *otelbridge.Disclosing {
	t.Helper()
	d, err := otelbridge.NewDisclosure(identity, p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
