// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// minted is how many tokens are made at a time while the clock stands: a service that
// takes every token once has to be given a new one for each request, and one signature
// more in the loop would be most of what is measured.
const minted = 256

// roomy gives a service stores that no benchmark fills.
func roomy(s *setup) {
	tasks, err := dag.NewMemory(dag.MemoryConfig{MaxTasks: 1 << 24, MaxUnsigned: 1 << 24})
	if err != nil {
		panic(err)
	}
	claims, err := replay.NewMemory(replay.Config{MaxSigned: 1 << 22, MaxUnsigned: 1 << 22, MaxPerDomain: 1 << 22})
	if err != nil {
		panic(err)
	}
	s.options = append(s.options, core.WithTaskStore(tasks), core.WithReplayStore(claims))
}

// benchBody is what requests of the benchmarks carry.
var benchBody = []byte(`{"amount":1}`)

// discard is a response writer that keeps the status alone.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// benchRoute serves requests on one route of chi's, without a socket, each with a token
// of its own if mint is not nil.
func benchRoute(b *testing.B, mint func() string, use ...func(http.Handler) http.Handler) {
	b.Helper()
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
		w.Write(response) //nolint:errcheck // it is not kept
	})
	var tokens []string
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		if len(tokens) == 0 && mint != nil {
			b.StopTimer()
			for range minted {
				tokens = append(tokens, mint())
			}
			b.StartTimer()
		}
		req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/invoices/7", bytes.NewReader(benchBody))
		if mint != nil {
			req.Header[httpect.FieldName] = tokens[len(tokens)-1:]
			tokens = tokens[:len(tokens)-1]
		}
		clear(w.h)
		w.status = http.StatusOK
		r.ServeHTTP(w, req)
		if w.status != http.StatusOK {
			b.Fatalf("status = %d", w.status)
		}
	}
}

// bareCrypto is what nobody can do without: decode the signature, hash, verify; and sign
// something as long as a task token, if sign is set.
func bareCrypto(b testing.TB, key *ecdsa.PrivateKey, sign string) func(http.Handler) http.Handler {
	b.Helper()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := r.Header.Get(httpect.FieldName)
			dot := strings.LastIndexByte(text, '.')
			sig, err := base64.RawURLEncoding.DecodeString(text[dot+1:])
			if err != nil || len(sig) != 64 {
				b.Fatalf("the signature: %v", err)
			}
			sum := sha256.Sum256([]byte(text[:dot]))
			if !verifyRaw(&key.PublicKey, sum[:], sig) {
				b.Fatal("the signature does not verify")
			}
			next.ServeHTTP(w, r)
			if sign == "" {
				return
			}
			sum = sha256.Sum256([]byte(sign))
			out, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
			if err != nil {
				b.Fatal(err)
			}
			w.Header()[httpect.FieldName] = []string{sign + "." + base64.RawURLEncoding.EncodeToString(out)}
		})
	}
}

// verifyRaw verifies r and s side by side.
func verifyRaw(key *ecdsa.PublicKey, sum, sig []byte) bool {
	integer := func(n []byte) []byte {
		n = bytes.TrimLeft(n, "\x00")
		if len(n) == 0 || n[0] >= 0x80 {
			n = append([]byte{0}, n...)
		}
		return append([]byte{2, byte(len(n))}, n...)
	}
	rs := append(integer(sig[:32]), integer(sig[32:])...)
	return ecdsa.VerifyASN1(key, sum, append([]byte{0x30, byte(len(rs))}, rs...))
}

// BenchmarkMiddleware measures one request on a route of chi's, without a socket:
//
//   - none: the route alone, and what net/http/httptest takes to make a request;
//   - crypto: the route behind one bare verification, the floor of verify;
//   - verify: ours in a service that records nothing;
//   - crypto and sign: one bare verification and one bare signature, the floor of record;
//   - record: ours with the task token issued and sent;
//   - match: that, with the body held against the record;
//   - L1: ours at the level without signatures, record included;
//   - optional: ours without a token, which records a root.
func BenchmarkMiddleware(b *testing.B) {
	head := func(w *world) func() string {
		return func() string {
			return w.from.Token(w.to.Identity).With("wid", "6f1d3a0e-74b9-4a3b-8f0e-6b1d6a3f0c11").Sign(b)
		}
	}
	floor := func(b *testing.B, sign string) {
		w := newWorld(b)
		key, ok := w.from.Key.(*ecdsa.PrivateKey)
		if !ok {
			b.Fatal("the key is none of ECDSA")
		}
		benchRoute(b, head(w), bareCrypto(b, key, sign))
	}
	b.Run("none", func(b *testing.B) { benchRoute(b, nil) })
	b.Run("crypto", func(b *testing.B) { floor(b, "") })
	b.Run("verify", func(b *testing.B) {
		w := newWorld(b, verifyOnly, roomy)
		benchRoute(b, head(w), httpect.Middleware(w.service))
	})
	b.Run("crypto and sign", func(b *testing.B) { floor(b, strings.Repeat("x", 700)) })
	b.Run("record", func(b *testing.B) {
		w := newWorld(b, roomy)
		benchRoute(b, head(w), httpect.Middleware(w.service))
	})
	b.Run("match", func(b *testing.B) {
		w := newWorld(b, roomy)
		benchRoute(b, func() string { return w.headOver(b, benchBody) }, httpect.Middleware(w.service))
	})
	b.Run("L1", func(b *testing.B) {
		w := newWorld(b, acceptL1, roomy)
		issuer, err := core.NewUnsignedIssuer(w.to.Identity)
		if err != nil {
			b.Fatal(err)
		}
		s, err := core.NewService(w.service.Verifier(), issuer, w.service.Audiences())
		if err != nil {
			b.Fatal(err)
		}
		benchRoute(b, func() string { return w.from.Token(w.to.Identity).Unsigned(b) }, httpect.Middleware(s))
	})
	b.Run("optional", func(b *testing.B) {
		w := newWorld(b, roomy)
		benchRoute(b, nil, httpect.Middleware(w.service, httpect.WithMode(httpect.Optional)))
	})
}

// BenchmarkRefusal measures what a stranger can make the middleware do.
func BenchmarkRefusal(b *testing.B) {
	for _, bad := range ecttest.BadTokens() {
		switch bad.Name {
		case "one dot", "another key", "an unknown issuer", "another audience", "nested too deep", "too long":
		default:
			continue
		}
		b.Run(bad.Name, func(b *testing.B) {
			w := newWorld(b)
			h := httpect.Middleware(w.service)(http.HandlerFunc(empty))
			token := []string{bad.Mint(b, w.domain, w.from, w.to.Identity)}
			rw := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
				req.Header[httpect.FieldName] = token
				clear(rw.h)
				h.ServeHTTP(rw, req)
			}
			if rw.status < 400 {
				b.Fatalf("status = %d", rw.status)
			}
		})
	}
}

// BenchmarkBody measures what the middleware adds to reading a body of 1 MiB.
func BenchmarkBody(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1<<20)
	read := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 32<<10)
		for {
			if _, err := r.Body.Read(buf); err != nil {
				return
			}
		}
	})
	run := func(b *testing.B, h http.Handler, mint func() string) {
		var tokens []string
		rw := &discard{h: http.Header{}}
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if len(tokens) == 0 {
				b.StopTimer()
				for range 16 {
					tokens = append(tokens, mint())
				}
				b.StartTimer()
			}
			req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", bytes.NewReader(body))
			req.Header[httpect.FieldName] = tokens[len(tokens)-1:]
			tokens = tokens[:len(tokens)-1]
			clear(rw.h)
			rw.status = http.StatusOK
			h.ServeHTTP(rw, req)
			if rw.status != http.StatusOK {
				b.Fatalf("status = %d", rw.status)
			}
		}
	}
	b.Run("none", func(b *testing.B) {
		w := newWorld(b)
		run(b, read, func() string { return w.head(b) })
	})
	b.Run("hash", func(b *testing.B) {
		w := newWorld(b)
		run(b, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			h := sha256.New()
			buf := make([]byte, 32<<10)
			for {
				n, err := r.Body.Read(buf)
				h.Write(buf[:n])
				if err != nil {
					return
				}
			}
		}), func() string { return w.head(b) })
	})
	b.Run("ignore", func(b *testing.B) {
		w := newWorld(b, ignoreBody)
		run(b, httpect.Middleware(w.service)(read), func() string { return w.head(b) })
	})
	sum := hashText(body)
	b.Run("match", func(b *testing.B) {
		w := newWorld(b)
		run(b, httpect.Middleware(w.service)(read), func() string {
			return w.from.Token(w.to.Identity).With("out_hash", sum).Sign(b)
		})
	})
}
