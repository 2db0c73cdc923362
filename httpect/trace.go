// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-ect/ect/core"
)

// NewTraceGuard returns an http.RoundTripper over base that takes headers of distributed
// tracing out of every request whose peer does not get them ([core.Audience].Trace), and does
// nothing else; nil as base means http.DefaultTransport. A redirect is judged by where it
// leads. It is for clients without a [Transport], which does the same, and for what sets such
// headers further in than one:
//
//	guard, err := httpect.NewTraceGuard(service, nil)
//	...
//	transport, err := httpect.NewTransport(service, otelhttp.NewTransport(guard))
//
// It is an error if the service is nil, or an endpoint of its audiences that looks like HTTP
// is no origin in the form of [Origin]. What it returns is safe for concurrent use.
func NewTraceGuard(s *core.Service, base http.RoundTripper) (http.RoundTripper, error) {
	if s == nil {
		return nil, errors.New("httpect: NewTraceGuard: the service is nil")
	}
	if err := checkOrigins(s.Audiences()); err != nil {
		return nil, fmt.Errorf("httpect: NewTraceGuard: %w", err)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &traceGuard{s.Audiences(), base}, nil
}

type traceGuard struct {
	audiences *core.Audiences
	base      http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (g *traceGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	s := sieve{tokens: true}
	if s.holds(req.Header) || req.Trailer != nil {
		s.trace = g.audiences.TraceAt(Origin(req.URL))
	}
	return g.base.RoundTrip(s.request(req))
}

// checkLeak tells observers of headers of tracing that something further in than the
// transport has set, and that its peer does not get. They have gone by now.
func (t *Transport) checkLeak(ctx context.Context, resp *http.Response, s sieve) {
	sent := resp.Request
	if sent == nil || sent.URL == nil {
		return
	}
	s.tokens = true
	if !s.holds(sent.Header) {
		return
	}
	var names []string
	for name := range sent.Header {
		if !s.passes(name) {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	t.service.Leaked(ctx, Origin(sent.URL), names)
}

// DropTrace returns a handler that takes headers of distributed tracing out of each request,
// its trailers included, before next gets it: those of W3C Trace Context and W3C Baggage, and
// their like of other systems ([core.TraceParent]). It is for a listener at the edge of a
// trust domain, where callers must not choose which trace their requests are part of, nor
// what is in its baggage. It goes outside of whatever reads such headers, otelhttp's handler
// first of all: what runs further out still finds them.
func DropTrace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := untraced(r)
		defer func() {
			if in.Pattern != r.Pattern {
				r.Pattern = in.Pattern // which net/http's mux sets on the request that it is given
			}
		}()
		next.ServeHTTP(w, in)
	})
}

// untraced returns a request without headers of tracing, r itself if it has none.
func untraced(r *http.Request) *http.Request {
	s := sieve{tokens: true}
	// Over HTTP/1 a trailer that was not announced may follow chunks as well.
	trailers := r.Trailer != nil || len(r.TransferEncoding) > 0
	if !s.holds(r.Header) && !trailers {
		return r
	}
	in := r.WithContext(r.Context())
	in.Header = r.Header.Clone()
	s.strip(in.Header)
	if !trailers || r.Body == nil {
		return in
	}
	in.Trailer = r.Trailer.Clone()
	s.strip(in.Trailer)
	in.Body = &lateTrailer{r.Body, func() {
		for name, values := range r.Trailer { // which net/http has filled by now
			if !s.passes(name) {
				continue
			}
			if in.Trailer == nil {
				in.Trailer = http.Header{}
			}
			in.Trailer[name] = values
		}
	}}
	return in
}
