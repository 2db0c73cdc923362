// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core/replay"
)

const (
	fresh    = replay.Fresh
	same     = replay.Same
	conflict = replay.Conflict
)

func TestNewMemoryConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config replay.Config
		want   string // part of the error
	}{
		{"defaults", replay.Config{}, ""},
		{"ones", replay.Config{MaxSigned: 1, MaxUnsigned: 1, MaxPerDomain: 1}, ""},
		{"domain cap above all", replay.Config{MaxPerDomain: math.MaxInt}, ""},
		{"most", replay.Config{MaxSigned: replay.MaxClaims - 1, MaxUnsigned: 1}, ""},
		{"negative signed", replay.Config{MaxSigned: -1}, "MaxSigned"},
		{"negative unsigned", replay.Config{MaxUnsigned: -1}, "MaxUnsigned"},
		{"negative domain", replay.Config{MaxPerDomain: -1}, "MaxPerDomain"},
		{"one too many", replay.Config{MaxSigned: replay.MaxClaims, MaxUnsigned: 1}, "MaxSigned"},
		{"far too many", replay.Config{MaxSigned: math.MaxInt, MaxUnsigned: math.MaxInt}, "MaxSigned"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := replay.NewMemory(tt.config)
			if tt.want == "" {
				if err != nil || m == nil {
					t.Fatalf("NewMemory = %v, %v, want a store", m, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || m != nil {
				t.Fatalf("NewMemory = %v, %v, want nil and an error with %q", m, err, tt.want)
			}
		})
	}
}

func TestClaimOutcomes(t *testing.T) {
	a, b, c := signed(1), signed(2), unsigned(3)
	for _, tt := range []struct {
		name   string
		held   []replay.Claim
		batch  []replay.Claim
		once   bool
		want   []replay.Outcome
		signed int
	}{
		{"fresh once", nil, []replay.Claim{a}, true, outcomes(fresh), 1},
		{"fresh", nil, []replay.Claim{a}, false, outcomes(fresh), 1},
		{"same once", []replay.Claim{a}, []replay.Claim{a}, true, outcomes(same), 1},
		{"same", []replay.Claim{a}, []replay.Claim{a}, false, outcomes(same), 1},
		{"conflict once", []replay.Claim{a}, []replay.Claim{another(a)}, true, outcomes(conflict), 1},
		{"conflict", []replay.Claim{a}, []replay.Claim{another(a)}, false, outcomes(conflict), 1},
		{"fresh and same once", []replay.Claim{a}, []replay.Claim{b, a}, true, outcomes(fresh, same), 1},
		{"fresh and same", []replay.Claim{a}, []replay.Claim{b, a}, false, outcomes(fresh, same), 2},
		{"fresh and conflict once", []replay.Claim{a}, []replay.Claim{b, another(a)}, true, outcomes(fresh, conflict), 1},
		{"fresh and conflict", []replay.Claim{a}, []replay.Claim{another(a), b}, false, outcomes(conflict, fresh), 1},
		{"twice once", nil, []replay.Claim{a, b, a}, true, outcomes(fresh, fresh, fresh), 2},
		{"twice", nil, []replay.Claim{a, a}, false, outcomes(fresh, fresh), 1},
		{"twice the same once", []replay.Claim{a}, []replay.Claim{a, b, a}, true, outcomes(same, fresh, same), 1},
		{"twice the same", []replay.Claim{a}, []replay.Claim{a, b, a}, false, outcomes(same, fresh, same), 2},
		{"twice with another digest", nil, []replay.Claim{a, another(a), a}, false, outcomes(fresh, conflict, fresh), 0},
		{"held and another digest", []replay.Claim{a}, []replay.Claim{a, another(a)}, false, outcomes(same, conflict), 1},
		{"another digest and held", []replay.Claim{a}, []replay.Claim{another(a), a}, false, outcomes(conflict, conflict), 1},
		{"classes", []replay.Claim{c}, []replay.Claim{a, c, b}, false, outcomes(fresh, same, fresh), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(t, replay.Config{Now: newClock().Now})
			if len(tt.held) > 0 {
				mustClaim(t, m, true, tt.held...)
			}
			wantClaim(t, m, tt.once, tt.want, tt.batch...)
			if got, _ := m.Len(); got != tt.signed {
				t.Errorf("Len() = %d signed, want %d", got, tt.signed)
			}
		})
	}
}

func TestClaimKeepsNothingWhenRefused(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	mustClaim(t, m, true, signed(100))
	var batch []replay.Claim
	for n := range uint64(40) {
		batch = append(batch, signed(n))
	}
	for place := range batch {
		broken := append([]replay.Claim(nil), batch...)
		broken[place] = another(signed(100))
		got := mustClaim(t, m, false, broken...)
		for i, o := range got {
			if want := map[bool]replay.Outcome{true: conflict, false: fresh}[i == place]; o != want {
				t.Fatalf("conflict at %d: outcome %d is %v, want %v", place, i, o, want)
			}
		}
		wantLen(t, m, 1, 0)
	}
	for _, o := range mustClaim(t, m, true, batch...) {
		if o != fresh {
			t.Fatalf("after refusals: %v, want fresh", o)
		}
	}
	wantLen(t, m, 41, 0)
}

func TestCaps(t *testing.T) {
	config := replay.Config{MaxSigned: 6, MaxUnsigned: 3, MaxPerDomain: 4}
	numbers := func(mint func(uint64) replay.Claim, from, to uint64) (batch []replay.Claim) {
		for n := from; n < to; n++ {
			batch = append(batch, mint(n))
		}
		return batch
	}
	other := func(n uint64) replay.Claim { return in(signed(n), "example.com") }
	third := func(n uint64) replay.Claim { return in(signed(n), fmt.Sprintf("n%d.example", n)) }
	for _, tt := range []struct {
		name  string
		make  func(uint64) replay.Claim
		held  []replay.Claim
		limit uint64
		field string
	}{
		{"domain", signed, nil, 4, "MaxPerDomain"},
		{"domain beside another", signed, numbers(other, 100, 101), 4, "MaxPerDomain"},
		{"signed", third, nil, 6, "MaxSigned"},
		{"signed beside another domain", signed, numbers(other, 100, 103), 3, "MaxSigned"},
		{"unsigned", unsigned, nil, 3, "MaxUnsigned"},
		{"unsigned beside full signed", unsigned, numbers(third, 100, 106), 3, "MaxUnsigned"},
		{"signed beside full unsigned", third, numbers(unsigned, 100, 103), 6, "MaxSigned"},
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/together=%t", tt.name, together), func(t *testing.T) {
				c := newClock()
				config := config
				config.Now = c.Now
				m := newMemory(t, config)
				if tt.held != nil {
					mustClaim(t, m, true, tt.held...)
				}
				full := func(batch ...replay.Claim) {
					t.Helper()
					s, u := m.Len()
					got, err := m.Claim(t.Context(), batch, false)
					if !errors.Is(err, replay.ErrFull) || got != nil || !strings.HasSuffix(err.Error(), tt.field) {
						t.Fatalf("Claim = %v, %v, want nil and ErrFull with %s", got, err, tt.field)
					}
					wantLen(t, m, s, u)
				}
				if together {
					full(numbers(tt.make, 0, tt.limit+1)...)
					mustClaim(t, m, true, numbers(tt.make, 0, tt.limit-1)...)
					full(numbers(tt.make, tt.limit-1, tt.limit+1)...)
					mustClaim(t, m, true, tt.make(tt.limit-1))
				} else {
					for n := range tt.limit {
						wantClaim(t, m, true, outcomes(fresh), tt.make(n))
					}
				}
				full(tt.make(tt.limit))
				// What is there still answers, one that takes no room is still taken, and a
				// refusal for replay is not hidden by a full store.
				wantClaim(t, m, true, outcomes(same), tt.make(0))
				wantClaim(t, m, false, outcomes(same, same), tt.make(0), tt.make(1))
				wantClaim(t, m, false, outcomes(conflict, fresh), another(tt.make(0)), tt.make(tt.limit))
				full(tt.make(0), tt.make(tt.limit))
				// Room for one is room for one.
				if err := m.Release(t.Context(), []replay.Claim{tt.make(0)}); err != nil {
					t.Fatalf("Release: %v", err)
				}
				full(tt.make(0), tt.make(tt.limit))
				wantClaim(t, m, true, outcomes(fresh), tt.make(tt.limit))
				full(tt.make(0))
				// Expired claims never refuse anything, in whatever shard they lie.
				c.set(start + 60)
				full(tt.make(0))
				c.set(start + 61)
				wantClaim(t, m, true, outcomes(fresh), until(tt.make(0), start+61))
				c.set(start + 62)
				wantLen(t, m, 0, 0)
			})
		}
	}
}

func TestUnsignedFloodLeavesSignedAlone(t *testing.T) {
	m := newMemory(t, replay.Config{MaxSigned: 1000, MaxUnsigned: 100, Now: newClock().Now})
	for n := range uint64(10_000) {
		_, err := m.Claim(t.Context(), []replay.Claim{in(unsigned(n), fmt.Sprint(n))}, true)
		if (n < 100) != (err == nil) || err != nil && !errors.Is(err, replay.ErrFull) {
			t.Fatalf("claim %d: error %v", n, err)
		}
	}
	if counted, numbers := m.Domains(); counted != 0 || numbers != 0 {
		t.Errorf("unsigned claims made %d domains and %d numbers, want none", counted, numbers)
	}
	for n := range uint64(1000) {
		wantClaim(t, m, true, outcomes(fresh), signed(n))
	}
	wantLen(t, m, 1000, 100)
	if got, most := m.Positions(), 1100+replay.ShardCount*(replay.BlockSize-1); got > most {
		t.Errorf("the arenas have room for %d entries, want %d at most", got, most)
	}
}

func TestDomainsAreForgotten(t *testing.T) {
	c := newClock()
	m := newMemory(t, replay.Config{Now: c.Now})
	for round := range uint64(100) {
		for n := range uint64(50) {
			claim := in(signed(n), fmt.Sprintf("r%d-%d.example", round, n))
			wantClaim(t, m, true, outcomes(fresh), until(claim, c.unix.Load()+10))
		}
		if counted, numbers := m.Domains(); counted != 50 || numbers != 50 {
			t.Fatalf("round %d: %d domains with %d numbers, want 50 and 50", round, counted, numbers)
		}
		c.add(11)
		wantLen(t, m, 0, 0)
		if counted, _ := m.Domains(); counted != 0 {
			t.Fatalf("round %d: %d domains are left", round, counted)
		}
	}
	// Two blocks a shard are more than 50 claims at once ever need.
	if got, most := m.Positions(), 2*replay.ShardCount*replay.BlockSize; got > most {
		t.Errorf("after 5000 claims the arenas have room for %d entries, want %d at most", got, most)
	}
}

func TestRelease(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	release := func(batch ...replay.Claim) {
		t.Helper()
		if err := m.Release(t.Context(), batch); err != nil {
			t.Fatalf("Release: %v", err)
		}
	}
	release()
	release(signed(1))
	mustClaim(t, m, true, signed(1), signed(2), unsigned(3))
	release(another(signed(1)), signed(7))
	wantLen(t, m, 2, 1)
	wantClaim(t, m, true, outcomes(same), signed(1))
	release(another(signed(2)), signed(1), signed(1), unsigned(3))
	wantLen(t, m, 1, 0)
	wantClaim(t, m, true, outcomes(fresh), another(signed(1)))
	wantClaim(t, m, true, outcomes(same), signed(2))
	// Release looks at key and digest only: not at the time, class or domain told.
	release(replay.Claim{Key: signed(2).Key, Digest: signed(2).Digest})
	wantLen(t, m, 1, 0)
}

func TestReleaseReusesMemory(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	for range 1000 {
		wantClaim(t, m, true, outcomes(fresh), signed(1))
		if err := m.Release(t.Context(), []replay.Claim{signed(1)}); err != nil {
			t.Fatalf("Release: %v", err)
		}
	}
	if got := m.Positions(); got != replay.BlockSize {
		t.Errorf("the arenas have room for %d entries, want one block, %d", got, replay.BlockSize)
	}
}

func TestEmptyBatch(t *testing.T) {
	m := newMemory(t, replay.Config{})
	if got, err := m.Claim(t.Context(), nil, true); err != nil || len(got) != 0 {
		t.Errorf("Claim(nil) = %v, %v, want nothing", got, err)
	}
}

func TestContextDone(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	mustClaim(t, m, true, signed(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := m.Claim(ctx, []replay.Claim{signed(2)}, true); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("Claim = %v, %v, want nil and context.Canceled", got, err)
	}
	if err := m.Release(ctx, []replay.Claim{signed(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("Release = %v, want context.Canceled", err)
	}
	wantLen(t, m, 1, 0)
	wantClaim(t, m, true, outcomes(same), signed(1))
}

func TestClaimDoesNotChangeTheBatch(t *testing.T) {
	m := newMemory(t, replay.Config{Now: newClock().Now})
	batch := []replay.Claim{signed(3), unsigned(2), signed(1), signed(3)}
	before := append([]replay.Claim(nil), batch...)
	mustClaim(t, m, true, batch...)
	if diff := cmp.Diff(before, batch); diff != "" {
		t.Errorf("the batch changed (-before +after):\n%s", diff)
	}
}

func TestEntrySize(t *testing.T) {
	if got := unsafe.Sizeof(replay.Entry{}); got != 40 {
		t.Errorf("an entry has %d bytes, want 40", got)
	}
	if got := unsafe.Sizeof(replay.Shard{}); unsafe.Sizeof(uintptr(0)) == 8 && got != 128 {
		t.Errorf("a shard has %d bytes, want two cache lines, 128", got)
	}
}

func TestIndexUnderLoad(t *testing.T) {
	// So many claims that the index is as full as it gets before it grows, which makes
	// the longest walks; then every other is taken out of their midst.
	n := uint64(190_000)
	if testing.Short() || raceEnabled {
		n = 11_500
	}
	m := newMemory(t, replay.Config{Now: newClock().Now})
	for i := range n {
		wantOne(t, m, i, fresh)
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	for i := uint64(0); i < n; i += 2 {
		if err := m.Release(t.Context(), []replay.Claim{signed(i)}); err != nil {
			t.Fatalf("Release: %v", err)
		}
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		wantOne(t, m, i, [...]replay.Outcome{fresh, same}[i%2])
	}
}

func wantOne(t *testing.T, m *replay.Memory, n uint64, want replay.Outcome) {
	t.Helper()
	got, err := m.Claim(t.Context(), []replay.Claim{signed(n)}, true)
	if err != nil || got[0] != want {
		t.Fatalf("Claim(%d) = %v, %v, want %v", n, got, err, want)
	}
}
