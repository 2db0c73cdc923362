// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// world is a service on a socket, and a caller of it.
type world struct {
	domain   *ecttest.Domain
	from, to *ecttest.Agent
	url      string
	server   *httptest.Server
	// ran counts how often the handler ran, keysDown how often the peer still cannot look
	// up a key, and signerDown tells that it cannot sign.
	ran        atomic.Int32
	keysDown   atomic.Int32
	signerDown atomic.Bool

	caller *core.Service
	mu     sync.Mutex
	issued []core.Claims // by the caller
}

// kind is what a test changes about a world.
type kind struct {
	// bare leaves the middleware out: the handler answers itself.
	bare    bool
	missing core.MissingPolicy
	context int
}

func newWorld(t *testing.T, k kind, handler http.HandlerFunc) *world {
	t.Helper()
	w := &world{domain: ecttest.NewDomain()}
	w.from, w.to = w.domain.Agent(t, "from"), w.domain.Agent(t, "to")
	var h http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.ran.Add(1)
		handler(rw, r)
	})
	if !k.bare {
		h = httpect.Middleware(w.peer(t, k))(h)
	}
	w.server = httptest.NewUnstartedServer(h)
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.Start()
	t.Cleanup(w.server.Close)
	w.url = w.server.URL
	w.caller = w.domain.ServiceWithPolicy(t, w.from, w.from.Policy(), []core.Audience{{
		ID: w.to.Identity, Endpoints: []string{w.url}, Tokens: true, Hashes: true, Answer: core.AnswerRequired, Context: k.context,
	}}, core.WithObserver(core.Observer{Issued: func(_ context.Context, i *core.Issued) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.issued = append(w.issued, i.Claims())
	}}))
	return w
}

// peer is the service that is called.
func (w *world) peer(t *testing.T, k kind) *core.Service {
	t.Helper()
	p := w.to.Policy()
	if k.missing != 0 {
		p.Missing = k.missing
	}
	v := must(core.NewVerifier(keys{w}, p))(t)
	key := must(core.NewSigner(w.to.Key, w.to.KeyID))(t)
	issuer := must(core.NewIssuer(w.to.Identity, signer{key, w}))(t)
	audiences := must(core.NewAudiences(core.Audience{ID: w.from.Identity, Tokens: true, Hashes: true}))(t)
	return must(core.NewService(v, issuer, audiences))(t)
}

// must returns a value, or ends the test.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var errDown = errors.New("the key service is down")

// keys is a binder that is down for a while.
type keys struct{ w *world }

// Bind implements core.Binder.
func (k keys) Bind(ctx context.Context, u *core.Unverified, e core.Evidence) (core.BoundKey, error) {
	if k.w.keysDown.Add(-1) >= 0 {
		return core.BoundKey{}, core.NewError(core.CodeUnavailable, errDown)
	}
	return k.w.domain.Bind(ctx, u, e)
}

// signer is a signer that may be down.
type signer struct {
	core.Signer
	w *world
}

// Sign implements core.Signer.
func (s signer) Sign(ctx context.Context, input []byte) ([]byte, error) {
	if s.w.signerDown.Load() {
		return nil, errDown
	}
	return s.Signer.Sign(ctx, input)
}

// dispatched returns what the caller dispatched, and checks that each has an id of its
// own.
func (w *world) dispatched(t *testing.T, want int) []core.Claims {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []core.Claims
	ids := map[core.UUID]struct{}{}
	for _, c := range w.issued {
		if c.Action == "dispatch" {
			all = append(all, c)
			ids[c.TaskID] = struct{}{}
		}
	}
	if len(all) != want || len(ids) != want {
		t.Fatalf("the caller dispatched %d times with %d ids, want %d", len(all), len(ids), want)
	}
	return all
}

// unanswered is dispatched, for attempts of which each but the last had no answer: each
// comes after the one before.
func (w *world) unanswered(t *testing.T, want int) []core.Claims {
	t.Helper()
	all := w.dispatched(t, want)
	for n := 1; n < len(all); n++ {
		if len(all[n].Pred) != 1 || all[n].Pred[0] != all[n-1].TaskID {
			t.Errorf("attempt %d comes after %v, want the one before, %v", n+1, all[n].Pred, all[n-1].TaskID)
		}
	}
	return all
}
