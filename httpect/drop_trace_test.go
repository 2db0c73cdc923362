// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/httpect"
)

// TestDropTrace: behind it there is no trace of the caller's, neither in the request nor in
// what OpenTelemetry makes of it; a handler of OpenTelemetry's that stands further out has
// read it before.
func TestDropTrace(t *testing.T) {
	type found struct {
		headers []string
		bag     int
		kept    string
	}
	protos(t, func(t *testing.T, proto string) {
		for name, c := range map[string]struct {
			wrap   func(o *telemetry, h http.Handler) http.Handler
			traced bool
		}{
			"outside of otelhttp": {func(o *telemetry, h http.Handler) http.Handler {
				return httpect.DropTrace(otelhttp.NewHandler(h, "", o.options()...))
			}, false},
			"inside of otelhttp": {func(o *telemetry, h http.Handler) http.Handler {
				return otelhttp.NewHandler(httpect.DropTrace(h), "", o.options()...)
			}, true},
		} {
			t.Run(name, func(t *testing.T) {
				got, o := make(chan found, 1), newTelemetry(t)
				site := serve(t, proto, c.wrap(o, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					got <- found{traceIn(r.Header), baggage.FromContext(r.Context()).Len(), r.Header.Get("X-Request-Id")}
				})))
				ctx := traced(t.Context(), t)
				req := newRequest(t, "GET", site.URL, nil).WithContext(ctx)
				for name := range others {
					req.Header[name] = []string{"1", "2"}
				}
				req.Header.Set("X-Request-Id", "kept")
				client := &http.Client{Transport: newTelemetry(t).transport(site.transport(t))}
				if r, err := readReply(client.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
					t.Fatalf("%v, %v", r, err)
				}
				seen := wait(t, got, "the request")
				if len(seen.headers) > 0 || (seen.bag > 0) != c.traced || seen.kept != "kept" {
					t.Errorf("the handler sees %+v", seen)
				}
				site.Close() // which waits for what runs further out
				spans := o.spans.Ended()
				if len(spans) != 1 {
					t.Fatalf("%d spans", len(spans))
				}
				theirs := trace.SpanContextFromContext(ctx).TraceID()
				if s := spans[0]; s.Parent().IsValid() != c.traced || (s.SpanContext().TraceID() == theirs) != c.traced ||
					(s.SpanContext().TraceState().Len() > 0) != c.traced || len(s.Links()) > 0 {
					t.Errorf("span %v of parent %v with %d links", s.SpanContext(), s.Parent(), len(s.Links()))
				}
			})
		}
	})
}

// TestDropTraceRaw: what is on the wire is found in whatever case it is written, and in
// trailers as well, which over HTTP/1 need not be announced.
func TestDropTraceRaw(t *testing.T) {
	for name, c := range map[string]struct {
		header, trailer string
		want            http.Header
	}{
		"a body of a length": {"tRaCePaReNt: x\r\nX-B3-TRACEID: x\r\nbaggage: a\r\nbaggage: b\r\nContent-Length: 4\r\n\r\nbody", "", nil},
		"no body":            {"traceparent: x\r\n\r\n", "", nil},
		"chunks":             {"traceparent: x\r\nTransfer-Encoding: chunked\r\n\r\n", "", nil},
		"announced trailers": {
			"Trailer: traceparent, X-Kept, Baggage\r\nTransfer-Encoding: chunked\r\n\r\n", "TRACEPARENT: x\r\nbaggage: y\r\nX-Kept: kept\r\n",
			http.Header{"X-Kept": {"kept"}},
		},
		"announced, not sent": {
			"Trailer: traceparent, X-Kept\r\nTransfer-Encoding: chunked\r\n\r\n", "", http.Header{"X-Kept": nil},
		},
		"trailers as they come": {
			"Transfer-Encoding: chunked\r\n\r\n", "traceparent: x\r\nx-b3-spanid: x\r\nX-Kept: kept\r\n", http.Header{"X-Kept": {"kept"}},
		},
		"trailers of tracing alone": {"Transfer-Encoding: chunked\r\n\r\n", "traceparent: x\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			type both struct{ header, trailer http.Header }
			got := make(chan both, 1)
			site := serve(t, http1, httpect.DropTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // what came shows in the trailers
				got <- both{r.Header, r.Trailer}
			})))
			text := "POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n" + c.header
			if strings.Contains(c.header, "chunked") {
				text += "4\r\nbody\r\n0\r\n" + c.trailer + "\r\n"
			}
			if r := site.raw(t, "POST", text); r.StatusCode != 200 {
				t.Fatalf("%v", r)
			}
			r := wait(t, got, "the request")
			if names := traceIn(r.header); len(names) > 0 {
				t.Errorf("the handler sees %q", names)
			}
			if len(r.trailer) == 0 {
				r.trailer = nil
			}
			if d := cmp.Diff(c.want, r.trailer); d != "" {
				t.Errorf("trailer (-want +got):\n%s", d)
			}
		})
	}
}

// TestDropTraceHTTP2: over HTTP/2 trailers are announced.
func TestDropTraceHTTP2(t *testing.T) {
	got := make(chan http.Header, 1)
	site := serve(t, http2, httpect.DropTrace(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // what came shows in the trailers
		got <- r.Trailer
	})))
	req := newRequest(t, "POST", site.URL, nil)
	req.Trailer, req.ContentLength = http.Header{"Traceparent": nil, "X-Kept": nil}, -1
	req.Body = io.NopCloser(&atEnd{strings.NewReader("body"), func() {
		req.Trailer["Traceparent"], req.Trailer["X-Kept"] = []string{"x"}, []string{"kept"}
	}})
	if r, err := site.do(req); err != nil || r.err != nil {
		t.Fatalf("%v, %v", r, err)
	}
	if d := cmp.Diff(http.Header{"X-Kept": {"kept"}}, wait(t, got, "the trailer")); d != "" {
		t.Errorf("trailer (-want +got):\n%s", d)
	}
}

// TestDropTraceOutside: what runs further out keeps the request that it has, and learns the
// pattern of the route all the same.
func TestDropTraceOutside(t *testing.T) {
	for _, fields := range []http.Header{{}, {"Traceparent": {"x"}, "Accept": {"*/*"}}} {
		t.Run(fmt.Sprint(len(fields)), func(t *testing.T) {
			var inside *http.Request
			mux := http.NewServeMux()
			mux.HandleFunc("GET /things/{id}", func(_ http.ResponseWriter, r *http.Request) { inside = r })
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/things/7", nil)
			r.Header = fields.Clone()
			httpect.DropTrace(mux).ServeHTTP(httptest.NewRecorder(), r)
			if d := cmp.Diff(fields, r.Header); d != "" {
				t.Errorf("the request further out (-was +is):\n%s", d)
			}
			if r.Pattern != "GET /things/{id}" {
				t.Errorf("pattern %q further out", r.Pattern)
			}
			if same := inside == r; same != (len(fields) == 0) {
				t.Errorf("the handler has the request of further out: %t", same)
			}
			if slices.Contains(traceIn(inside.Header), "traceparent") {
				t.Error("the handler sees a traceparent")
			}
		})
	}
}
