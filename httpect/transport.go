// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-ect/ect/core"
)

// Transport is an http.RoundTripper that records the calls of a task and verifies their
// answers. Tokens go to the peers that the service's audiences name and to nobody else, and
// so do headers of distributed tracing, as far as each peer's [core.Audience].Trace says; from
// all other requests they are taken out.
//
// What adds such headers belongs further out: otelhttp.NewTransport(transport). Further in, it
// needs a guard of its own, see [NewTraceGuard]. Without one observers are told of what has
// leaked ([core.Observer].Leaked). A Transport is safe for concurrent use.
type Transport struct {
	transportConfig
	service *core.Service
	base    http.RoundTripper
	binding core.BodyBinding
	gzip    bool
}

// NewTransport returns a transport over base; nil means http.DefaultTransport. It is an
// error if the service has no issuer, or an endpoint of its audiences that looks like
// HTTP is no origin in the form of [Origin], since no call would ever match it, or an
// option asks for what there is not.
func NewTransport(s *core.Service, base http.RoundTripper, opts ...TransportOption) (*Transport, error) {
	if s == nil || !s.Records() {
		return nil, errors.New("httpect: NewTransport: the service has no issuer")
	}
	if err := checkOrigins(s.Audiences()); err != nil {
		return nil, fmt.Errorf("httpect: NewTransport: %w", err)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{service: s, base: base, binding: s.Verifier().Policy().Body, gzip: true}
	for _, o := range opts {
		t.transportConfig = o.applyTransport(t.transportConfig)
	}
	if t.altered > ReportAltered {
		return nil, errors.New("httpect: NewTransport: WithAltered: no such policy")
	}
	if h, ok := base.(*http.Transport); ok {
		t.gzip = !h.DisableCompression
	}
	return t, nil
}

// checkOrigins finds endpoints that look like HTTP and that no call would ever match.
func checkOrigins(a *core.Audiences) error {
	for _, e := range a.Endpoints() {
		if !strings.HasPrefix(strings.ToLower(e), "http") {
			continue
		}
		if u, err := url.Parse(e); err != nil || Origin(u) != e {
			return fmt.Errorf("endpoint %q is not an origin such as https://host:8443", e)
		}
	}
	return nil
}

// RoundTrip implements http.RoundTripper. Its errors are those of the call itself, of
// issuing the dispatch, and [core.ErrNoTask]; what is wrong with an answer is an error of the
// response's body.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	at := Origin(req.URL)
	to, ok := t.service.Audiences().AtEndpoint(at)
	if !ok {
		goes := sieve{trace: t.service.Audiences().TraceAt(at)}
		out := req
		if ctx, hides := hideInformational(req.Context()); hides {
			out = req.WithContext(ctx)
		}
		resp, err := t.base.RoundTrip(goes.request(out))
		if err == nil {
			t.checkLeak(req.Context(), resp, goes)
			hideFields(resp)
		}
		return resp, err
	}
	resp, err := t.call(req, to) //nolint:contextcheck // the request has it
	if err != nil && resp == nil && req.Body != nil {
		req.Body.Close() //nolint:errcheck // a RoundTripper closes the body also when it fails; the first error is the caller's
	}
	return resp, err
}

// call makes a call of the task, and once more where the peer says that the first was a
// replay and repeating it is safe.
func (t *Transport) call(req *http.Request, to core.Audience) (*http.Response, error) {
	a, err := t.dispatch(req, to)
	if err != nil {
		return nil, err
	}
	if second := again(req, a.resp); second != nil {
		a.resp.Body.Close() //nolint:errcheck // read whole, and nothing of it is used
		if a, err = t.dispatch(second, to); err != nil {
			if second.Body != nil {
				second.Body.Close() //nolint:errcheck // as above; the first error counts
			}
			return nil, err
		}
	}
	return a.begin(req), nil
}

// dispatch sends a request along with the token that records it.
func (t *Transport) dispatch(req *http.Request, to core.Audience) (*answer, error) {
	ctx := req.Context()
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		return nil, core.ErrNoTask
	}
	hidden, _ := hideInformational(ctx)
	out := req.Clone(hidden)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	goes := sieve{trace: to.Trace}
	goes.strip(out.Header)
	goes.ownTrailer(req, out)
	sent, err := t.hashRequest(out, to)
	if err != nil {
		return nil, err
	}
	d, err := task.Dispatch(ctx, to, core.DispatchInput{OutHash: sent.known})
	if err != nil {
		return nil, err
	}
	decode := t.acceptGzip(out)
	if err := carry(out, to, d.Tokens()); err != nil {
		d.Abandon()
		return nil, err
	}
	d.Sent(ctx)
	resp, err := t.base.RoundTrip(out) //nolint:bodyclose // the answer has it
	d.Done()                           // also where it failed: the peer may have got it
	if err != nil {
		return nil, err
	}
	t.checkLeak(ctx, resp, goes)
	if resp.Body == nil { // as http.Client puts up with
		resp.Body = http.NoBody
	}
	return &answer{t: t, d: d, to: to, sent: sent, resp: resp, ctx: ctx, decode: decode}, nil
}

// sending is what is known of the body of a request.
type sending struct {
	known core.Hash
	body  *body // hashes a body that could not be read before
}

// content returns the hash of what was sent, absent while that is not known.
func (s *sending) content() core.Hash {
	if s.body != nil {
		return s.body.content()
	}
	return s.known
}

// hashRequest hashes a body that can be read twice before it is sent, and any other
// while it is sent.
func (t *Transport) hashRequest(out *http.Request, to core.Audience) (*sending, error) {
	switch {
	case out.Body == nil || out.Body == http.NoBody:
		return &sending{known: emptyHash}, nil
	case out.GetBody == nil:
		b := newBody(out.Body, 0, nil)
		b.declared = out.ContentLength
		out.Body = b
		return &sending{body: b}, nil
	case !to.Hashes && t.binding != core.BodyRequire: // nobody asks for it
		return &sending{}, nil
	}
	r, err := out.GetBody()
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return &sending{known: core.Hash{Sum: [32]byte(h.Sum(nil)), Present: true}}, nil
}
