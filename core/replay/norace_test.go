// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package replay_test

import (
	"testing"

	"github.com/go-ect/ect/core/replay"
)

// raceEnabled tells whether the race detector is on, which takes time and memory of its
// own.
const raceEnabled = false

// TestBytesPerEntry measures memory, of which the race detector takes some of its own.
func TestBytesPerEntry(t *testing.T) {
	s := new(steady)
	m, bytes := filled(t, s)
	live, _ := m.Len()
	if live != million {
		t.Fatalf("%d claims are live, want %d", live, million)
	}
	each := float64(bytes) / million
	t.Logf("%.1f bytes an entry", each)
	if each > 64 {
		t.Errorf("an entry takes %.1f bytes, want 64 at most", each)
	}
}

func TestClaimAllocates(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	ctx := t.Context()
	mustClaim(t, m, true, signed(100)) // the name of a domain is copied with its first claim
	for n := range 4 {
		var batch []replay.Claim
		for i := range n + 1 {
			batch = append(batch, signed(uint64(i)))
		}
		mustClaim(t, m, false, batch...)
		if got := testing.AllocsPerRun(100, func() {
			_, _ = m.Claim(ctx, batch, false)
			_ = m.Release(ctx, batch)
		}); got != 1 {
			t.Errorf("Claim and Release of %d allocate %v times, want 1 for the outcomes", len(batch), got)
		}
	}
}
