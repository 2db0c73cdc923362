// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// TestTraceRedirect: each request of a chain of redirects is judged by where it goes.
func TestTraceRedirect(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		for name, stranger := range map[string]*core.TraceHeaders{"to a stranger": nil, "to another peer": new(core.Baggage)} {
			for _, tokens := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/tokens=%t", name, tokens), func(t *testing.T) {
					got := newReceiver()
					end := serve(t, proto, got)
					begin := serve(t, proto, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						got.ServeHTTP(rw, r)
						http.Redirect(rw, r, end.URL+"/", http.StatusTemporaryRedirect)
					}))
					w := newWorld(t)
					tells := []core.Audience{{ID: "urn:begin", Endpoints: []string{begin.URL}, Tokens: tokens, Answer: core.AnswerOptional, Trace: everyTrace}}
					want := []string{}
					if stranger != nil {
						tells = append(tells, core.Audience{ID: "urn:end", Endpoints: []string{end.URL}, Trace: *stranger})
						want = expected(*stranger)
					}
					caller, _ := newService(t, w.domain, w.from, setup{policy: w.from.Policy(), tells: tells}, newSeen())
					o := newTelemetry(t)
					client := &http.Client{Transport: o.transport(newTransport(t, caller, insecureBase(t, begin)))}
					ctx, _ := startTask(t, caller)
					req := newRequest(t, "POST", begin.URL, strings.NewReader("body")).WithContext(traced(ctx, t))
					for name := range others { // http.Client takes them along
						req.Header.Set(name, "1")
					}
					if r, err := readReply(client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
						t.Fatalf("%v, %v", r, err)
					}
					if d := cmp.Diff(expected(everyTrace), traceIn(wait(t, got, "the first request").Header)); d != "" {
						t.Errorf("what arrived first (-want +got):\n%s", d)
					}
					last := wait(t, got, "the second request")
					if d := cmp.Diff(want, traceIn(last.Header)); d != "" {
						t.Errorf("what arrived last (-want +got):\n%s", d)
					}
					if tokensIn(last.Header) != nil {
						t.Error("a token was sent on")
					}
				})
			}
		}
	})
}

// TestTraceCase: headers of tracing are found in whatever case their names are, with all of
// their values.
func TestTraceCase(t *testing.T) {
	got := newReceiver()
	site := serve(t, http1, got)
	w := newWorld(t, func(s *setup) {
		s.tells = []core.Audience{{ID: "urn:to", Endpoints: []string{site.URL}, Trace: core.Baggage}}
	})
	for name, rt := range map[string]http.RoundTripper{
		"transport": newTransport(t, w.service, site.transport(t)), "guard": newGuard(t, w.service, site.transport(t)),
	} {
		t.Run(name, func(t *testing.T) {
			req := newRequest(t, "GET", site.URL, nil)
			for _, field := range []string{"traceparent", "TRACEPARENT", "Traceparent", "tRACESTATE", "b3", "X-b3-TraceId", "x-Datadog-trace-ID"} {
				req.Header[field] = []string{"a", "b"}
			}
			req.Header["bAGGAGE"] = []string{"c", "d"}
			if _, err := readReply((&http.Client{Transport: rt}).Do(req)); err != nil {
				t.Fatal(err)
			}
			r := wait(t, got, "the request")
			if d := cmp.Diff([]string{"baggage"}, traceIn(r.Header)); d != "" {
				t.Errorf("what arrived (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]string{"c", "d"}, r.Header["Baggage"]); d != "" {
				t.Errorf("the baggage (-want +got):\n%s", d)
			}
		})
	}
}

// roundTripper is a function as one.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTraceUnchanged: the caller's request stays as it is, and where there is nothing to take
// out it is the one that is sent.
func TestTraceUnchanged(t *testing.T) {
	const there = "https://there.example"
	w := newWorld(t, func(s *setup) {
		s.tells = []core.Audience{{ID: "urn:to", Endpoints: []string{there}, Trace: core.TraceParent}}
	})
	var sent *http.Request
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	for name, rt := range map[string]http.RoundTripper{"transport": newTransport(t, w.service, base), "guard": newGuard(t, w.service, base)} {
		for _, c := range []struct {
			name   string
			fields http.Header
			same   bool
		}{
			{"nothing of tracing", http.Header{"Accept": {"*/*"}}, true},
			{"no header at all", nil, true},
			{"what goes there", http.Header{"Traceparent": {"x"}, "X-B3-Traceid": {"x"}}, true},
			{"what does not", http.Header{"Traceparent": {"x"}, "Baggage": {"x", "y"}}, false},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				req := newRequest(t, "GET", there+"/path", nil)
				req.Header = c.fields
				was := req.Clone(t.Context())
				if _, err := readReply(rt.RoundTrip(req)); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(was.Header, req.Header); d != "" {
					t.Errorf("the caller's request (-was +is):\n%s", d)
				}
				if (sent == req) != c.same {
					t.Errorf("the request that was sent is the caller's: %t, want %t", sent == req, c.same)
				}
			})
		}
	}
}

// TestTraceTrailers: trailers of a request are no way round, whether they are set before the
// request is sent or while its body is.
func TestTraceTrailers(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		got := newReceiver()
		site := serve(t, proto, got)
		for _, tokens := range []bool{true, false} {
			for _, mask := range []core.TraceHeaders{0, core.Baggage, everyTrace} {
				for _, how := range []string{"transport", "guard"} {
					t.Run(fmt.Sprintf("%s/tokens=%t/%03b", how, tokens, mask), func(t *testing.T) {
						w := newWorld(t, func(s *setup) {
							s.tells = []core.Audience{{ID: "urn:to", Endpoints: []string{site.URL}, Tokens: tokens, Answer: core.AnswerOptional, Trace: mask}}
						})
						var rt http.RoundTripper = newTransport(t, w.service, site.transport(t))
						if how == "guard" {
							rt = newGuard(t, w.service, site.transport(t))
						}
						ctx, _ := startTask(t, w.service)
						req := newRequest(t, "POST", site.URL, nil).WithContext(ctx)
						req.Trailer = http.Header{"Traceparent": {"early"}, "Baggage": nil, "B3": nil, "X-Kept": nil}
						req.ContentLength = -1
						req.Body = io.NopCloser(&atEnd{strings.NewReader("body"), func() {
							req.Trailer["Baggage"], req.Trailer["X-Kept"], req.Trailer["B3"] = []string{"late"}, []string{"kept"}, []string{"late"}
						}})
						if r, err := readReply((&http.Client{Transport: rt}).Do(req)); err != nil || r.err != nil {
							t.Fatalf("%v, %v", r, err)
						}
						r := wait(t, got, "the request")
						want := []string{}
						for _, name := range []string{"b3", "baggage", "traceparent"} {
							if mask.Passes(name) {
								want = append(want, name)
							}
						}
						if d := cmp.Diff(want, traceIn(r.Trailer)); d != "" {
							t.Errorf("what arrived (-want +got):\n%s", d)
						}
						if r.Trailer.Get("X-Kept") != "kept" {
							t.Errorf("trailer %v", r.Trailer)
						}
						if d := cmp.Diff([]string{"b3", "baggage", "traceparent"}, traceIn(req.Trailer)); d != "" {
							t.Errorf("the caller's trailer (-want +got):\n%s", d)
						}
					})
				}
			}
		}
	})
}

// atEnd is a reader that does something when it comes to its end.
type atEnd struct {
	io.Reader
	do func()
}

func (r *atEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.do()
	}
	return n, err
}

// valuesContext is a context of a type whose values cannot be compared.
type valuesContext struct {
	context.Context //nolint:containedctx // it is one itself
	_               []string
}

// TestAnyContext: what takes headers out compares no contexts, which may be of any type.
func TestAnyContext(t *testing.T) {
	d := ecttest.NewDomain()
	s := d.Service(t, d.Agent(t, "a"))
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	guard, err := httpect.NewTraceGuard(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := httpect.NewTransport(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rt := range []http.RoundTripper{guard, transport} {
		req, err := http.NewRequestWithContext(valuesContext{Context: t.Context()}, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}
