// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ect/ect/core"
)

// epoch is when tokens of these tests are issued.
var epoch = time.Unix(1_800_000_000, 0)

// lifeOf returns a token that lives that long.
func (s *scene) lifeOf(t *testing.T, lifetime time.Duration, signed bool) string {
	t.Helper()
	return written(t, s.from.TokenAt(s.to.Identity, epoch).With("exp", epoch.Add(lifetime).Unix()), signed)
}

// TestTimes moves the clock to the last moment of every bound and the moments around it.
// Bounds have whole seconds: a moment counts as the second it is in.
func TestTimes(t *testing.T) {
	const (
		ms   = time.Millisecond
		sec  = time.Second
		year = 365 * 24 * time.Hour
	)
	zero := new(time.Duration(0))
	type edit = func(*core.Policy)
	for _, tt := range []struct {
		name     string
		policy   edit
		lifetime time.Duration
		at       time.Duration
		code     core.Code
	}{
		{"at iat", nil, time.Minute, 0, 0},
		{"at exp", nil, time.Minute, time.Minute, 0},
		{"in the last second of leeway", nil, time.Minute, 90 * sec, 0},
		{"at the end of the last second of leeway", nil, time.Minute, 91*sec - 1, 0},
		{"a second after the leeway", nil, time.Minute, 91 * sec, core.CodeExpired},
		{"long after", nil, time.Minute, year, core.CodeExpired},
		{"no leeway, at exp", func(p *core.Policy) { p.Leeway = zero }, time.Minute, 60*sec + 999*ms, 0},
		{"no leeway, a second after exp", func(p *core.Policy) { p.Leeway = zero }, time.Minute, 61 * sec, core.CodeExpired},
		{"an hour of leeway", func(p *core.Policy) { p.Leeway, p.MaxAge = new(time.Hour), new(year) }, time.Minute, time.Hour + 61*sec - 1, 0},
		{"after an hour of leeway", func(p *core.Policy) { p.Leeway, p.MaxAge = new(time.Hour), new(year) }, time.Minute, time.Hour + 61*sec, core.CodeExpired},

		{"at the maximum age", nil, time.Hour, 15 * time.Minute, 0},
		{"at the end of the maximum age's second", nil, time.Hour, 15*time.Minute + sec - 1, 0},
		{"a second over the maximum age, which has no leeway", nil, time.Hour, 15*time.Minute + sec, core.CodeTooOld},
		{"no age at all", func(p *core.Policy) { p.MaxAge = zero }, time.Hour, sec - 1, 0},
		{"no age at all, a second later", func(p *core.Policy) { p.MaxAge = zero }, time.Hour, sec, core.CodeTooOld},
		{"ten seconds of age", func(p *core.Policy) { p.MaxAge = new(10 * sec) }, time.Hour, 10*sec + 999*ms, 0},
		{"over ten seconds of age", func(p *core.Policy) { p.MaxAge = new(10 * sec) }, time.Hour, 11 * sec, core.CodeTooOld},
		{"an old token whose age is allowed", func(p *core.Policy) { p.MaxAge = new(year) }, 24 * time.Hour, 24*time.Hour + 30*sec, 0},

		{"30 s ahead", nil, time.Minute, -30 * sec, 0},
		{"30 s ahead, at the end of the second", nil, time.Minute, -29*sec - 1, 0},
		{"a little over 30 s ahead", nil, time.Minute, -30*sec - 1, core.CodeNotYetValid},
		{"31 s ahead", nil, time.Minute, -31 * sec, core.CodeNotYetValid},
		{"nothing ahead", func(p *core.Policy) { p.MaxFuture = zero }, time.Minute, 0, 0},
		{"nothing ahead, and it is", func(p *core.Policy) { p.MaxFuture = zero }, time.Minute, -1, core.CodeNotYetValid},
		{"a minute ahead", func(p *core.Policy) { p.MaxFuture = new(time.Minute) }, time.Minute, -time.Minute, 0},
		{"over a minute ahead", func(p *core.Policy) { p.MaxFuture = new(time.Minute) }, time.Minute, -61 * sec, core.CodeNotYetValid},
		{"a year early", nil, time.Minute, -year, core.CodeNotYetValid},
		{"at the begin of time", nil, time.Minute, -time.Duration(epoch.UnixNano()), core.CodeNotYetValid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, signed := range []bool{true, false} {
				s := newScene(t)
				p := s.policy
				p.MinLevel = core.L1
				if tt.policy != nil {
					tt.policy(&p)
				}
				c := newClock(epoch.Add(tt.at))
				if got := codeOf(t, verifier(t, s.Domain, p, c.option()), s.lifeOf(t, tt.lifetime, signed)); got != tt.code {
					t.Errorf("Verify %v after iat, signed %t = code %v, want %v", tt.at, signed, got, tt.code)
				}
			}
		})
	}
}

// TestTimesOfContext holds that times are a matter of heads alone (profile 4.1).
func TestTimesOfContext(t *testing.T) {
	s := newScene(t)
	old := s.lifeOf(t, time.Minute, true)
	head := s.from.TokenAt(s.to.Identity, epoch.Add(72*time.Hour)).After(t, true, old).Sign(t)
	c := newClock(epoch.Add(72 * time.Hour))
	wantAccepted(t, verifier(t, s.Domain, s.policy, c.option()), old, head)
	wantCode(t, verifier(t, s.Domain, s.policy, c.option()), core.CodeExpired, old)
}

// TestClaimOutlivesAcceptance presents a token again in every second from its first
// acceptance to its last, whichever bound ends it: it must be answered replayed, and in
// its own second a token presented late for the first time must still find its place.
func TestClaimOutlivesAcceptance(t *testing.T) {
	for _, tt := range []struct {
		lifetime, maxAge, leeway time.Duration
	}{
		{time.Minute, 15 * time.Minute, 30 * time.Second}, // ended by exp
		{time.Hour, time.Minute, 30 * time.Second},        // by age
		{time.Minute, time.Minute, 30 * time.Second},
		{time.Minute, time.Minute, 0},
		{time.Minute, 75 * time.Second, 30 * time.Second}, // by age, after exp and before its leeway
		{time.Second, 0, 0},
		{time.Second, time.Second, time.Second},
		{time.Minute, 2 * time.Minute, 0},
	} {
		for _, signed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v,%v,%v,%t", tt.lifetime, tt.maxAge, tt.leeway, signed), func(t *testing.T) {
				s := newScene(t)
				p := s.policy
				p.MinLevel, p.MaxAge, p.Leeway = core.L1, &tt.maxAge, &tt.leeway
				once := s.lifeOf(t, tt.lifetime, signed)
				c := newClock(epoch.Add(-30 * time.Second))
				v := verifier(t, s.Domain, p, c.option())
				wantAccepted(t, v, once)
				last := min(tt.lifetime+tt.leeway, tt.maxAge)
				for at := -30 * time.Second; at <= last; at += time.Second {
					for _, part := range []time.Duration{0, time.Second - 1} {
						c.set(epoch.Add(at + part))
						wantCode(t, v, core.CodeReplayed, once)
						wantAccepted(t, v, s.lifeOf(t, tt.lifetime, signed))
					}
				}
				for at := last + time.Second; at < last+2*tt.leeway+3*time.Second; at += time.Second {
					c.set(epoch.Add(at))
					if code := codeOf(t, v, once); code != core.CodeExpired && code != core.CodeTooOld {
						t.Errorf("Verify again %v after iat = code %v, want expired or too_old", at, code)
					}
				}
			})
		}
	}
}

// TestClockDefault uses no clock of its own: time in the bubble moves by itself.
func TestClockDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		p := s.policy
		p.Replay = core.ReplayIdempotent
		v := verifier(t, s.Domain, p, core.WithClock(nil))
		text := s.token().Sign(t)
		wantAccepted(t, v, text)
		time.Sleep(10*time.Minute + 30*time.Second)
		wantAccepted(t, v, text)
		time.Sleep(time.Second)
		wantCode(t, v, core.CodeExpired, text)
	})
}

// TestClockTurnsBack holds that a clock that was set back opens nothing: a claim lives
// by the latest time that was seen, and longer.
func TestClockTurnsBack(t *testing.T) {
	s := newScene(t)
	c := newClock(epoch)
	v := verifier(t, s.Domain, s.policy, c.option())
	text := s.lifeOf(t, 10*time.Minute, true)
	wantAccepted(t, v, text)
	c.set(epoch.Add(5 * time.Minute))
	wantCode(t, v, core.CodeReplayed, text)
	c.set(epoch.Add(-10 * time.Second))
	wantCode(t, v, core.CodeReplayed, text)
	c.set(epoch.Add(10 * time.Minute))
	wantCode(t, v, core.CodeReplayed, text)
}
