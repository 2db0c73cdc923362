// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/go-ect/ect/core/replay"
)

func TestLivesThroughItsLastSecond(t *testing.T) {
	day := int64(24 * time.Hour / time.Second)
	// Offsets of the start put the same lifetimes at other places of the wheel.
	for _, offset := range []int64{0, 1, 63, 64, 65, 4095, 4096, 100_000, 1 << 24, 1<<30 - 7} {
		for _, life := range []int64{0, 1, 2, 62, 63, 64, 65, 127, 128, 900, 4095, 4096, 4097, day, 30 * day, 1<<32 - 2 - offset} {
			if offset+life > 1<<32-2 {
				continue
			}
			t.Run(fmt.Sprintf("offset=%d/life=%d", offset, life), func(t *testing.T) {
				c := newClock()
				m := newMemory(t, replay.Config{Now: c.Now})
				c.add(offset)
				end := start + offset + life
				wantClaim(t, m, true, outcomes(fresh, fresh), until(signed(1), end), until(unsigned(2), end))
				// The way there in steps, each of which moves the claim in the wheel.
				for step := life / 2; step > 0; step /= 2 {
					c.set(end - step)
					wantClaim(t, m, true, outcomes(same), until(signed(1), end))
				}
				c.set(end)
				wantClaim(t, m, true, outcomes(same), until(signed(1), end))
				wantClaim(t, m, false, outcomes(conflict), until(another(signed(1)), end))
				wantLen(t, m, 1, 1)
				c.set(end + 1)
				wantLen(t, m, 0, 0)
				if _, err := m.Claim(t.Context(), []replay.Claim{until(signed(1), end)}, true); !errors.Is(err, replay.ErrExpired) {
					t.Fatalf("Claim after its end: %v, want ErrExpired", err)
				}
				if end+1 <= start+1<<32-2 {
					wantClaim(t, m, true, outcomes(fresh), until(another(signed(1)), end+1))
				}
			})
		}
	}
}

func TestEndedButNotCleared(t *testing.T) {
	// A claim that has ended is nothing, although it is still there until its tick is
	// over or the store is full: whatever comes next with its key is fresh, and counts
	// for its own domain and not for that of the one before.
	for _, tt := range []struct {
		name string
		next replay.Claim
	}{
		{"the same again", until(signed(1), start+100)},
		{"another digest", until(another(signed(1)), start+100)},
		{"another domain", in(until(signed(1), start+100), "example.com")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			m := newMemory(t, replay.Config{Now: c.Now})
			wantClaim(t, m, true, outcomes(fresh, fresh, fresh),
				until(signed(1), start), until(signed(2), start+1), until(signed(3), start+1))
			c.add(1)
			if got := m.Held(); got != 3 {
				t.Fatalf("%d entries are there, want 3 that are not cleared", got)
			}
			wantClaim(t, m, true, outcomes(fresh, fresh), tt.next, tt.next)
			if got := m.Held(); got != 3 {
				t.Fatalf("%d entries are there, want 3: one took the place of another", got)
			}
			wantClaim(t, m, true, outcomes(same, same), tt.next, until(signed(2), start+1))
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			// What has ended can be released too, and that gives nothing back twice.
			c.add(1)
			if err := m.Release(t.Context(), []replay.Claim{signed(2), signed(2)}); err != nil {
				t.Fatalf("Release: %v", err)
			}
			wantLen(t, m, 1, 0)
			if got := m.Held(); got != 1 {
				t.Fatalf("%d entries are there, want 1", got)
			}
		})
	}
}

func TestClearedWithItsTick(t *testing.T) {
	// Whoever comes by after the tick clears what ended in it.
	for _, tt := range []struct{ end, now, want int64 }{
		{0, 1, 1}, {0, 15, 1}, {0, 16, 0}, {15, 16, 0}, {16, 17, 1}, {16, 31, 1}, {16, 32, 0},
		{2047, 2048, 0}, {2048, 2063, 1}, {2048, 2064, 0}, {1 << 25, 1<<25 + 15, 1}, {1 << 25, 1<<25 + 16, 0},
	} {
		t.Run(fmt.Sprintf("end=%d/now=%d", tt.end, tt.now), func(t *testing.T) {
			c := newClock()
			m := newMemory(t, replay.Config{Now: c.Now})
			wantClaim(t, m, true, outcomes(fresh), until(signed(1), start+tt.end))
			for _, now := range []int64{tt.end, tt.now} {
				c.set(start + now)
				if err := m.Release(t.Context(), []replay.Claim{another(signed(1))}); err != nil {
					t.Fatalf("Release: %v", err)
				}
			}
			if got := m.Held(); int64(got) != tt.want {
				t.Errorf("%d entries are there, want %d", got, tt.want)
			}
			wantLen(t, m, 0, 0)
		})
	}
}

func TestLifetimesOfADay(t *testing.T) {
	// Claims of a day, one every seven seconds, through two days: each lives to its
	// end to the second, however often it is moved in the wheel.
	c := newClock()
	m := newMemory(t, replay.Config{Now: c.Now})
	const day, every, seconds = 86_400, 7, 2 * 86_400
	for at := int64(0); at <= seconds; at += every {
		c.set(start + at)
		wantClaim(t, m, true, outcomes(fresh), until(signed(uint64(at)), start+at+day))
		if first := at - day; first >= 0 {
			first = (first + every - 1) / every * every
			wantClaim(t, m, true, outcomes(same), until(signed(uint64(first)), start+first+day))
		}
		if at%(every*1000) == 0 {
			live := at/every + 1
			if at > day {
				live = at/every - (at-day-1)/every
			}
			wantLen(t, m, int(live), 0)
			if err := m.Check(); err != nil {
				t.Fatalf("after %d s: %v", at, err)
			}
		}
	}
}

func TestNotAfterOutOfRange(t *testing.T) {
	for _, tt := range []struct {
		name     string
		notAfter int64
		want     error
	}{
		{"least", math.MinInt64, replay.ErrExpired},
		{"zero", 0, replay.ErrExpired},
		{"a second ago", start - 1, replay.ErrExpired},
		{"now", start, nil},
		{"last", start + 1<<32 - 2, nil},
		{"too far", start + 1<<32 - 1, replay.ErrTooFar},
		{"one round further", start + 1<<32 + 60, replay.ErrTooFar},
		{"most", math.MaxInt64, replay.ErrTooFar},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(t, replay.Config{Now: newClock().Now})
			got, err := m.Claim(t.Context(), []replay.Claim{signed(1), until(signed(2), tt.notAfter)}, false)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Claim = %v, %v, want %v", got, err, tt.want)
			}
			if tt.want == nil {
				wantLen(t, m, 2, 0)
				return
			}
			if got != nil {
				t.Errorf("Claim = %v with an error", got)
			}
			wantLen(t, m, 0, 0)
		})
	}
}

func TestSameLivesOnToTheLaterEnd(t *testing.T) {
	c := newClock()
	m := newMemory(t, replay.Config{Now: c.Now})
	wantClaim(t, m, true, outcomes(fresh, fresh), until(signed(1), start+10), until(signed(1), start+20))
	wantClaim(t, m, false, outcomes(same), until(signed(1), start+5))
	c.set(start + 20)
	wantClaim(t, m, false, outcomes(same, same), until(signed(1), start+5000), until(signed(1), start+30))
	c.set(start + 5000)
	wantLen(t, m, 1, 0)
	wantClaim(t, m, true, outcomes(same), until(signed(1), start+6000)) // refused: nothing of it is kept
	c.set(start + 5001)
	wantLen(t, m, 0, 0)
}

func TestClockBack(t *testing.T) {
	c := newClock()
	m := newMemory(t, replay.Config{Now: c.Now})
	mustClaim(t, m, true, until(signed(1), start+100), until(signed(2), start+1000))
	c.set(start + 200)
	wantLen(t, m, 1, 0)
	for _, back := range []int64{start + 100, start, start - 1_000_000, 0, -1 << 40} {
		c.set(back)
		// Live claims stay.
		wantClaim(t, m, true, outcomes(same), until(signed(2), start+1000))
		wantLen(t, m, 1, 0)
		// What had expired is not there again, and can't be had again either.
		if _, err := m.Claim(t.Context(), []replay.Claim{until(signed(1), start+100)}, true); !errors.Is(err, replay.ErrExpired) {
			t.Fatalf("clock at %d: %v, want ErrExpired", back, err)
		}
	}
	// It goes on once the clock is where it was.
	c.set(start + 1000)
	wantClaim(t, m, true, outcomes(same), until(signed(2), start+1000))
	c.set(start + 1001)
	wantLen(t, m, 0, 0)
}

func TestClockFarForward(t *testing.T) {
	for _, jump := range []int64{1 << 10, 1 << 20, 1 << 30, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1 << 40, 1 << 60} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			c := newClock()
			m := newMemory(t, replay.Config{Now: c.Now})
			for n := range uint64(1000) {
				mustClaim(t, m, true, until(signed(n), start+int64(n)))
			}
			wantLen(t, m, 1000, 0)
			c.set(start + jump)
			wantLen(t, m, 0, 0)
			claim := until(signed(1), start+jump)
			if jump <= 1<<32-2 {
				wantClaim(t, m, true, outcomes(fresh), claim)
				wantClaim(t, m, true, outcomes(same), claim)
			} else if _, err := m.Claim(t.Context(), []replay.Claim{claim}, true); !errors.Is(err, replay.ErrTooFar) {
				t.Fatalf("Claim: %v, want ErrTooFar", err)
			}
			// Back again, everything before the leap stays closed.
			c.set(start)
			if _, err := m.Claim(t.Context(), []replay.Claim{signed(1)}, true); !errors.Is(err, replay.ErrExpired) {
				t.Fatalf("Claim: %v, want ErrExpired", err)
			}
		})
	}
}

func TestClockBeforeTheEpoch(t *testing.T) {
	c := newClock()
	c.set(-62_135_596_800) // the zero time.Time
	m := newMemory(t, replay.Config{Now: c.Now})
	claim := until(signed(1), -62_135_596_800+10)
	wantClaim(t, m, true, outcomes(fresh), claim)
	c.add(10)
	wantClaim(t, m, true, outcomes(same), claim)
	if _, err := m.Claim(t.Context(), []replay.Claim{until(claim, math.MaxInt64)}, false); !errors.Is(err, replay.ErrTooFar) {
		t.Fatalf("Claim: %v, want ErrTooFar", err)
	}
	c.add(1)
	wantLen(t, m, 0, 0)
}
