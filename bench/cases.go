// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/httpect"
)

// bench is a case with its target: a ratio to its floor, or what it may take beyond it.
type bench struct {
	name        string
	ratioTarget float64
	target      time.Duration
	make        func() (base, ours *runner, err error)
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
	close func()
}

func (r *runner) stop() {
	if r.close != nil {
		r.close()
	}
}

func nothing() *runner { return &runner{run: func() error { return nil }} }

// benches has the cases in the order of the table.
func benches() []bench {
	return []bench{
		{name: "verification of a typical ES256 token / bare crypto", ratioTarget: 1.05, make: verification},
		{name: "middleware that only verifies / chi with bare crypto", ratioTarget: 1.10, make: func() (*runner, *runner, error) {
			return middleware(false)
		}},
		{name: "middleware that records / chi with bare crypto and a signature", ratioTarget: 1.10, make: func() (*runner, *runner, error) {
			return middleware(true)
		}},
		{name: "L1, verified and recorded, over a bare chi route", target: 5 * time.Microsecond, make: unsigned},
		{name: "a remembered signature, all of its verification", target: time.Microsecond, make: rememberedToken},
		{name: "a replay claim with a million live entries", target: 200 * time.Nanosecond, make: claims},
		{name: "optional mode with no token over a bare chi route", target: 500 * time.Nanosecond, make: optional},
	}
}

const (
	caller  = "https://caller.example"
	service = "https://service.example"
)

// party is a workload with a key, and an issuer in its name.
type party struct {
	key    *ecdsa.PrivateKey
	issuer *core.Issuer
}

func newParty(identity string, signed bool) (*party, error) {
	p := &party{}
	var err error
	if !signed {
		p.issuer, err = core.NewUnsignedIssuer(identity)
		return p, err
	}
	if p.key, err = newKey(); err != nil {
		return nil, err
	}
	signer, err := core.NewSigner(p.key, "key-1")
	if err != nil {
		return nil, err
	}
	p.issuer, err = core.NewIssuer(identity, signer)
	return p, err
}

// mint issues a token as one service sends to the next: in a workflow, after preds, over
// a body.
func (p *party) mint(w core.Workflow, preds []core.Predecessor) (string, error) {
	i, err := p.issuer.Issue(context.Background(), core.IssueRequest{
		Audience: []string{service}, Action: "dispatch", Workflow: w, Pred: preds,
		OutHash: core.Hash{Sum: sha256.Sum256(body), Present: true},
	})
	if err != nil {
		return "", err
	}
	return i.Text(), nil
}

var body = []byte(`{"amount":1}`)

// scene is a service that knows a caller, and two tasks of the caller's.
type scene struct {
	from, to *party
	service  *core.Service
	workflow core.Workflow
	preds    []core.Predecessor
}

func newScene(signed, records bool, policy core.Policy, opts ...core.VerifierOption) (*scene, error) {
	s := &scene{workflow: core.Workflow{ID: core.UUID{1}, Present: true}}
	var err error
	if s.from, err = newParty(caller, signed); err != nil {
		return nil, err
	}
	if s.to, err = newParty(service, signed); err != nil {
		return nil, err
	}
	binder, err := binderOf(s.from)
	if err != nil {
		return nil, err
	}
	policy.Audience, policy.Missing, policy.Body = service, core.RejectMissing, core.BodyMatch
	store, claimed, err := roomy()
	if err != nil {
		return nil, err
	}
	v, err := core.NewVerifier(binder, policy, append(opts, core.WithTaskStore(store), core.WithReplayStore(claimed))...)
	if err != nil {
		return nil, err
	}
	tells, err := core.NewAudiences(core.Audience{ID: caller, Tokens: true, Hashes: true})
	if err != nil {
		return nil, err
	}
	issuer := s.to.issuer
	if !records {
		issuer = nil
	}
	if s.service, err = core.NewService(v, issuer, tells); err != nil {
		return nil, err
	}
	for range 2 {
		text, err := s.from.mint(s.workflow, nil)
		if err != nil {
			return nil, err
		}
		r, err := v.Verify(context.Background(), core.Presented{Values: []string{text}})
		if err != nil {
			return nil, err
		}
		h := r.Heads()[0]
		s.preds = append(s.preds, core.Predecessor{TaskID: h.Claims().TaskID, Digest: h.Digest()})
	}
	return s, nil
}

// stock is tokens made beforehand, each to be used once.
type stock struct {
	mint   func() (string, error)
	tokens []string
}

func (s *stock) prepare(n int) error {
	s.tokens = s.tokens[:0]
	for range n {
		t, err := s.mint()
		if err != nil {
			return err
		}
		s.tokens = append(s.tokens, t)
	}
	return nil
}

// next returns a slice of one token, for a header.
func (s *stock) next() []string {
	n := len(s.tokens) - 1
	t := s.tokens[n : n+1 : n+1]
	s.tokens = s.tokens[:n]
	return t
}

func (s *scene) stock() *stock {
	return &stock{mint: func() (string, error) { return s.from.mint(s.workflow, s.preds) }}
}

var errCrypto = errors.New("the signature does not verify")

// bareVerify is what nobody can do without: decode the signature, hash, verify.
func bareVerify(key *ecdsa.PublicKey, text string) error {
	dot := strings.LastIndexByte(text, '.')
	var sig [64]byte
	if n, err := base64.RawURLEncoding.Decode(sig[:], []byte(text[dot+1:])); err != nil || n != len(sig) {
		return errCrypto
	}
	sum := sha256.Sum256([]byte(text[:dot]))
	if !ecdsa.VerifyASN1(key, sum[:], der(sig[:])) {
		return errCrypto
	}
	return nil
}

// der is a signature in the form that crypto/ecdsa takes.
func der(sig []byte) []byte {
	b := append(make([]byte, 0, 72), 0x30, 0)
	for _, n := range [][]byte{sig[:32], sig[32:]} {
		n = bytes.TrimLeft(n, "\x00")
		b = append(b, 2, byte(len(n)))
		if n[0] >= 0x80 {
			b[len(b)-1]++
			b = append(b, 0)
		}
		b = append(b, n...)
	}
	b[1] = byte(len(b) - 2)
	return b
}

// bareSign signs something as long as a task token and spells it.
func bareSign(key *ecdsa.PrivateKey, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
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

// route is a route of chi's behind a middleware.
func route(use ...func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(use...)
	response := []byte("invoice 7\n")
	r.Post("/invoices/{id}", func(w http.ResponseWriter, r *http.Request) {
		var buf [64]byte
		for {
			if _, err := r.Body.Read(buf[:]); err != nil {
				break
			}
		}
		w.Write(response) //nolint:errcheck // the status tells
	})
	return r
}

// writer is a response writer that keeps the status alone.
type writer struct {
	h      http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.h }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(status int)      { w.status = status }

// requests sends requests to a handler, without a socket, with tokens if there are any.
func requests(h http.Handler, tokens *stock) *runner {
	w := &writer{h: http.Header{}}
	template, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://service.example/invoices/7", http.NoBody)
	r := &runner{run: func() error {
		if err != nil {
			return err
		}
		req := *template
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.Header = make(http.Header, 4)
		req.Header["Content-Type"] = []string{"application/json"}
		if tokens != nil {
			req.Header[httpect.FieldName] = tokens.next()
		}
		clear(w.h)
		w.status = http.StatusOK
		h.ServeHTTP(w, &req)
		if w.status != http.StatusOK {
			return fmt.Errorf("status %d", w.status)
		}
		return nil
	}}
	if tokens != nil {
		r.prepare = tokens.prepare
	}
	return r
}

func middleware(records bool) (base, ours *runner, err error) {
	s, err := newScene(true, records, core.Policy{MinLevel: core.L2, Replay: core.ReplayOncePerInstance})
	if err != nil {
		return nil, nil, err
	}
	signed := strings.Repeat("x", 700)
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
