// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core/replay"
)

const start = 1_790_000_000 // Unix seconds, in 2026

// clock is a fake clock, in Unix seconds.
type clock struct{ unix atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.unix.Store(start)
	return c
}

func (c *clock) Now() time.Time  { return time.Unix(c.unix.Load(), 999_999_999) }
func (c *clock) set(unix int64)  { c.unix.Store(unix) }
func (c *clock) add(delta int64) { c.unix.Add(delta) }

func newMemory(t testing.TB, c replay.Config) *replay.Memory {
	t.Helper()
	m, err := replay.NewMemory(c)
	if err != nil {
		t.Fatalf("NewMemory(%+v): %v", c, err)
	}
	t.Cleanup(func() {
		if err := m.Check(); err != nil {
			t.Errorf("the store is not sound: %v", err)
		}
	})
	return m
}

// signed is the claim of a signed token of example.org that lives for a minute.
func signed(n uint64) replay.Claim {
	return replay.Claim{
		Key: replay.NewKey(true, "spiffe://example.org/a", taskID(n)), Digest: replay.Digest{1},
		Signed: true, Domain: "example.org", NotAfter: start + 60,
	}
}

// unsigned is the claim of an unsigned token that lives for a minute.
func unsigned(n uint64) replay.Claim {
	return replay.Claim{Key: replay.NewKey(false, "", taskID(n)), Digest: replay.Digest{1}, NotAfter: start + 60}
}

func in(c replay.Claim, domain string) replay.Claim     { c.Domain = domain; return c }
func until(c replay.Claim, notAfter int64) replay.Claim { c.NotAfter = notAfter; return c }
func another(c replay.Claim) replay.Claim               { c.Digest = replay.Digest{9}; return c }

func taskID(n uint64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func mustClaim(t *testing.T, s replay.Store, once bool, batch ...replay.Claim) []replay.Outcome {
	t.Helper()
	got, err := s.Claim(t.Context(), batch, once)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return got
}

func wantClaim(t *testing.T, s replay.Store, once bool, want []replay.Outcome, batch ...replay.Claim) {
	t.Helper()
	if diff := cmp.Diff(want, mustClaim(t, s, once, batch...)); diff != "" {
		t.Fatalf("Claim (-want +got):\n%s", diff)
	}
}

func wantLen(t *testing.T, m *replay.Memory, signed, unsigned int) {
	t.Helper()
	if s, u := m.Len(); s != signed || u != unsigned {
		t.Fatalf("Len() = %d, %d, want %d, %d", s, u, signed, unsigned)
	}
}

func outcomes(o ...replay.Outcome) []replay.Outcome { return o }
