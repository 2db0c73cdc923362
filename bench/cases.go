// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/httpect"
)

// bench is a case with its target: a ratio to its floor, or what it may take, or allocate,
// beyond it; none where the case is only to be known.
type bench struct {
	name        string
	ratioTarget float64
	target      time.Duration
	// counts tells that allocations count and not time, of which there may be allocTarget.
	counts      bool
	allocTarget float64
	// single tells that a turn is one run alone, in as many rounds more, for what is small:
	// what holds a run up, other processes and the garbage collector, is then in few of them,
	// and not in the median.
	single bool
	make   func() (base, ours *runner, err error)
}

// runner is something that can be run again and again.
type runner struct {
	run func() error
	// prepare makes what the next n runs use up, beside the clock.
	prepare func(n int) error
	// n is how many runs a turn has, 0 for as many as fit.
	n int
	// extra is what else there is to say of it.
	extra func() string
	close func() error
}

func (r *runner) stop() error {
	if r == nil || r.close == nil {
		return nil
	}
	return r.close()
}

func nothing() *runner { return &runner{run: func() error { return nil }} }

// benches has the cases in the order of the table.
func benches() []bench {
	return slices.Concat([]bench{
		{name: "verification of a typical ES256 token / bare crypto", ratioTarget: 1.05, make: verification},
		{name: "middleware that only verifies / chi with bare crypto", ratioTarget: 1.10, make: func() (*runner, *runner, error) {
			return middleware(false)
		}},
		{name: "middleware that records / chi with bare crypto and a signature", ratioTarget: 1.10, make: func() (*runner, *runner, error) {
			return middleware(true)
		}},
		{name: "verification, allocations beyond those of crypto/ecdsa", counts: true, allocTarget: 40, make: verification},
		{name: "a request recorded, allocations beyond those of crypto/ecdsa", counts: true, allocTarget: 40, make: func() (*runner, *runner, error) {
			return middleware(true)
		}},
		{name: "L1, verified and recorded, over a bare chi route", target: 5 * time.Microsecond, make: unsigned},
		{name: "a remembered signature, all of its verification", target: time.Microsecond, make: rememberedToken},
		{name: "a replay claim with a million live entries", target: 200 * time.Nanosecond, make: claims},
		{name: "optional mode with no token over a bare chi route", target: 500 * time.Nanosecond, make: optional},
	}, callBenches(), bridgeBenches())
}

// verification presents tokens in turn that the task store knows, whose signatures are
// verified each time. What a new token costs the stores is in the rows of the middleware.
func verification() (base, ours *runner, err error) {
	s, err := newScene(true, false, core.Policy{MinLevel: core.L2, Replay: core.ReplayOff}, core.WithSignatureMemory(0))
	if err != nil {
		return nil, nil, err
	}
	known := s.stock()
	if err := known.prepare(512); err != nil {
		return nil, nil, err
	}
	each := func(f func(token []string) error) func() error {
		n := 0
		return func() error {
			n = (n + 1) % len(known.tokens)
			return f(known.tokens[n : n+1])
		}
	}
	verify := each(func(token []string) error {
		_, err := s.service.Verifier().Verify(context.Background(), core.Presented{Values: token})
		return err
	})
	for range known.tokens {
		if err := verify(); err != nil {
			return nil, nil, err
		}
	}
	base = &runner{run: each(func(token []string) error { return bareVerify(&s.from.key.PublicKey, token[0]) })}
	return base, &runner{run: verify}, nil
}

// rememberedToken presents one token again and again: all of its verification, that of the
// graph included, but for the claim, as a token claimed twice is refused.
func rememberedToken() (base, ours *runner, err error) {
	s, err := newScene(true, false, core.Policy{MinLevel: core.L2, Replay: core.ReplayOff})
	if err != nil {
		return nil, nil, err
	}
	given := s.stock()
	if err := given.prepare(1); err != nil {
		return nil, nil, err
	}
	p := core.Presented{Values: given.next()}
	return nothing(), &runner{run: func() error {
		_, err := s.service.Verifier().Verify(context.Background(), p)
		return err
	}}, nil
}

func middleware(records bool) (base, ours *runner, err error) {
	s, err := newScene(true, records, core.Policy{MinLevel: core.L2, Replay: core.ReplayOncePerInstance})
	if err != nil {
		return nil, nil, err
	}
	floor := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := bareVerify(&s.from.key.PublicKey, r.Header.Get(httpect.FieldName)); err != nil {
				http.Error(w, "", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
			if !records {
				return
			}
			text, err := bareSign(s.to.key, signed)
			if err != nil {
				http.Error(w, "", http.StatusInternalServerError)
				return
			}
			w.Header()[httpect.FieldName] = []string{text}
		})
	}
	return requests(route(floor), s.stock()), requests(route(httpect.Middleware(s.service)), s.stock()), nil
}

func unsigned() (base, ours *runner, err error) {
	s, err := newScene(false, true, core.Policy{MinLevel: core.L1, Replay: core.ReplayOncePerInstance})
	if err != nil {
		return nil, nil, err
	}
	return requests(route(), s.stock()), requests(route(httpect.Middleware(s.service)), s.stock()), nil
}

func optional() (base, ours *runner, err error) {
	s, err := newScene(true, true, core.Policy{MinLevel: core.L2, Replay: core.ReplayOncePerInstance})
	if err != nil {
		return nil, nil, err
	}
	return requests(route(), nil), requests(route(httpect.Middleware(s.service, httpect.WithMode(httpect.Optional))), nil), nil
}

// claims keeps a million claims alive: as many end as come.
func claims() (base, ours *runner, err error) {
	const (
		live = 1 << 20
		life = 16
	)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	// The store's clock costs what time.Now does, and goes by the claims.
	start := time.Now()
	var passed time.Duration
	m, err := replay.NewMemory(replay.Config{
		MaxSigned: 2 * live, MaxPerDomain: 2 * live, Now: func() time.Time { return time.Now().Add(passed) },
	})
	if err != nil {
		return nil, nil, err
	}
	n := uint64(0)
	claim := func() error {
		n++
		if n%(live/life) == 0 {
			passed += time.Second
		}
		key := replay.Key(sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32)}))
		batch := [1]replay.Claim{{Key: key, Signed: true, Domain: "https://caller.example", NotAfter: start.Add(passed).Unix() + life - 1}}
		out, err := m.Claim(context.Background(), batch[:], true)
		if err == nil && out[0] != replay.Fresh {
			err = errors.New("a new claim is not fresh")
		}
		return err
	}
	for range live {
		if err := claim(); err != nil {
			return nil, nil, err
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	signed, _ := m.Len()
	bytes := float64(after.HeapAlloc-before.HeapAlloc) / float64(signed)
	k := uint64(0)
	hash := &runner{run: func() error { // what the case spends on keys
		k++
		key := replay.Key(sha256.Sum256([]byte{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24), byte(k >> 32)}))
		if key == (replay.Key{}) {
			return errors.New("a hash of nothing but zeros")
		}
		return nil
	}}
	return hash, &runner{run: claim, extra: func() string { return fmt.Sprintf(", %.1f bytes an entry (at most 64)", bytes) }}, nil
}
