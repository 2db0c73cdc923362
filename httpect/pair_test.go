// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// pair is a caller with a transport, and the service that it calls.
type pair struct {
	*world // of the service called
	site   *site
	caller *core.Service
	// told is what the observers of the caller were told.
	told   *seen
	client *http.Client
	peer   core.Audience
}

// calls is what a test changes about a pair before it is made.
type calls struct {
	proto  string
	peer   core.Audience
	policy core.Policy
	// bare leaves the middleware out: the handler answers itself.
	bare bool
	// wrap makes the handler of the service called, where the middleware is not furthest out.
	wrap func(*core.Service) http.Handler
	// base wraps the transport below ours.
	base   func(http.RoundTripper) http.RoundTripper
	server []func(*httptest.Server)
	world  []func(*setup)
	// options are those of the caller's transport.
	options []httpect.TransportOption
}

func newPair(t testing.TB, handler http.Handler, edits ...func(*calls)) *pair {
	t.Helper()
	c := calls{proto: http1, peer: core.Audience{Tokens: true, Hashes: true, Answer: core.AnswerRequired}}
	p := &pair{told: newSeen()}
	// The policy of the caller is needed before there is one, so edits run twice.
	for _, e := range edits {
		e(&c)
	}
	p.world = newWorld(t, c.world...)
	c.policy = p.from.Policy()
	for _, e := range edits {
		e(&c)
	}
	if c.wrap != nil {
		handler = c.wrap(p.service)
	} else if !c.bare {
		handler = httpect.Middleware(p.service)(handler)
	}
	p.site = serve(t, c.proto, handler, c.server...)
	p.peer = c.peer
	p.peer.ID, p.peer.Endpoints = p.to.Identity, append(p.peer.Endpoints, p.site.URL)
	p.caller, _ = newService(t, p.domain, p.from, setup{policy: c.policy, tells: []core.Audience{p.peer}}, p.told)
	tr := p.site.transport(t)
	tr.DisableCompression = false
	var base http.RoundTripper = tr
	if c.base != nil {
		base = c.base(base)
	}
	p.client = &http.Client{Transport: newTransport(t, p.caller, base, c.options...)}
	return p
}

func newTransport(tb testing.TB, s *core.Service, base http.RoundTripper, opts ...httpect.TransportOption) *httpect.Transport {
	tb.Helper()
	tr, err := httpect.NewTransport(s, base, opts...)
	if err != nil {
		tb.Fatalf("NewTransport: %v", err)
	}
	return tr
}

func over(proto string) func(*calls)        { return func(c *calls) { c.proto = proto } }
func answerOptional(c *calls)               { c.peer.Answer = core.AnswerOptional }
func bare(c *calls)                         { c.bare = true }
func inWorld(f func(*setup)) func(c *calls) { return func(c *calls) { c.world = []func(*setup){f} } }

// start begins a task of the caller.
func (p *pair) start(t testing.TB) (context.Context, *core.Task) {
	t.Helper()
	return startTask(t, p.caller)
}

func startTask(t testing.TB, s *core.Service) (context.Context, *core.Task) {
	t.Helper()
	ctx, task, err := s.StartTask(t.Context(), "test")
	if err != nil {
		t.Fatalf("StartTask: %v", err)
	}
	return ctx, task
}

// call makes a call of a task and reads the response whole.
func (p *pair) call(ctx context.Context, t testing.TB, method, path string, body io.Reader) (*reply, error) {
	t.Helper()
	return readReply(p.client.Do(newRequest(t, method, p.site.URL+path, body).WithContext(ctx)))
}

// end finishes a task and returns what its token says.
func end(ctx context.Context, t testing.TB, task *core.Task) core.Claims {
	t.Helper()
	a, err := task.Finish(ctx, core.Completion{})
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	return a.Issued.Claims()
}

// onlyPred fails unless a token comes after one other alone.
func onlyPred(t testing.TB, c core.Claims, want core.UUID, what string) {
	t.Helper()
	if len(c.Pred) != 1 || c.Pred[0] != want {
		t.Errorf("pred = %v, want %s, %v", c.Pred, what, want)
	}
}

// tokensIn returns the token lines of a header, whatever case their name has.
func tokensIn(h http.Header) (all []string) {
	for name, values := range h {
		if strings.EqualFold(name, httpect.FieldName) || strings.EqualFold(name, receiptField) {
			all = append(all, values...)
		}
	}
	return all
}
