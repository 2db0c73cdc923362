// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-ect/ect/core"
)

// Transport is an http.RoundTripper that records the calls of a task and verifies their
// answers. Tokens go to the peers that the service's audiences name and to nobody else.
// It is safe for concurrent use.
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
	for _, e := range s.Audiences().Endpoints() {
		if !strings.HasPrefix(strings.ToLower(e), "http") {
			continue
		}
		if u, err := url.Parse(e); err != nil || Origin(u) != e {
			return nil, fmt.Errorf("httpect: NewTransport: endpoint %q is not an origin such as https://host:8443", e)
		}
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

// RoundTrip implements http.RoundTripper. Its errors are those of the call itself, of
// issuing the dispatch, and [core.ErrNoTask]; what is wrong with an answer is an error of the
// response's body.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, ok := t.service.Audiences().AtEndpoint(Origin(req.URL))
	if !ok {
		resp, err := t.base.RoundTrip(withoutFields(req))
		if err == nil {
			hideFields(resp)
		}
		return resp, err
	}
	resp, err := t.call(req, to)
	if err != nil && resp == nil && req.Body != nil {
		req.Body.Close() //nolint:errcheck // a RoundTripper closes the body also when it fails; the first error is the caller's
	}
	return resp, err
}

// withoutFields returns a request that passes no token on.
func withoutFields(req *http.Request) *http.Request {
	ctx := hideInformational(req.Context())
	if !carries(req.Header) && req.Trailer == nil && ctx == req.Context() {
		return req
	}
	out := req.WithContext(ctx)
	out.Header = req.Header.Clone()
	strip(out.Header)
	ownTrailer(req, out)
	return out
}

// ownTrailer gives a request a trailer section of its own, into which what the caller
// sets while the body is sent is copied, tokens and receipts left out.
func ownTrailer(req, out *http.Request) {
	if req.Trailer == nil {
		return
	}
	own := req.Trailer.Clone()
	strip(own)
	out.Trailer = own
	if out.Body == nil || out.Body == http.NoBody {
		return
	}
	end := func() {
		maps.Copy(own, req.Trailer)
		strip(own)
	}
	out.Body = &lateTrailer{out.Body, end}
	if again := out.GetBody; again != nil {
		out.GetBody = func() (io.ReadCloser, error) {
			b, err := again()
			if err != nil {
				return nil, err
			}
			return &lateTrailer{b, end}, nil
		}
	}
}

// lateTrailer is a request's body whose end completes the trailer section.
type lateTrailer struct {
	io.ReadCloser
	end func()
}

// Read implements io.Reader.
func (l *lateTrailer) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if isEOF(err) {
		l.end()
	}
	return n, err
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
	out := req.Clone(hideInformational(ctx))
	if out.Header == nil {
		out.Header = http.Header{}
	}
	strip(out.Header)
	ownTrailer(req, out)
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
