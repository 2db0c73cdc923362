// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"compress/gzip"
	"context"
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

// ErrNoTask reports a call to a peer that gets tokens, made outside any task: there is
// nothing that the call could come after. Start one with [core.Service.StartTask].
var ErrNoTask = errors.New("httpect: the call belongs to no task")

// Transport is an http.RoundTripper that records the calls of a task and verifies their
// answers. Tokens go to the peers that the service's audiences name and to nobody else.
// It is safe for concurrent use.
type Transport struct {
	service *core.Service
	base    http.RoundTripper
	binding core.BodyBinding
	gzip    bool
}

// NewTransport returns a transport over base; nil means http.DefaultTransport. It is an
// error if the service has no issuer, or an endpoint of its audiences that looks like
// HTTP is no origin in the form of [Origin], since no call would ever match it.
func NewTransport(s *core.Service, base http.RoundTripper) (*Transport, error) {
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
	if h, ok := base.(*http.Transport); ok {
		t.gzip = !h.DisableCompression
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper. Its errors are those of the call itself, of
// issuing the dispatch, and [ErrNoTask]; what is wrong with an answer is an error of the
// response's body.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, ok := t.service.Audiences().AtEndpoint(Origin(req.URL))
	if !ok {
		return t.base.RoundTrip(withoutFields(req))
	}
	resp, err := t.call(req, to)
	if err != nil && resp == nil && req.Body != nil {
		req.Body.Close() //nolint:errcheck // a RoundTripper closes the body also when it fails; the first error is the caller's
	}
	return resp, err
}

// withoutFields returns a request that passes no token on.
func withoutFields(req *http.Request) *http.Request {
	if !carries(req.Header) && req.Trailer == nil {
		return req
	}
	out := *req
	out.Header = req.Header.Clone()
	strip(out.Header)
	ownTrailer(req, &out)
	return &out
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
	if out.Body != nil && out.Body != http.NoBody {
		out.Body = &lateTrailer{out.Body, func() {
			maps.Copy(own, req.Trailer)
			strip(own)
		}}
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

func (t *Transport) call(req *http.Request, to core.Audience) (*http.Response, error) {
	ctx := req.Context()
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		return nil, ErrNoTask
	}
	out := req.Clone(ctx)
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
	tokens := d.Tokens()
	n := fitting(tokens, headerSize(out.Header)+len(out.URL.RequestURI()), DefaultHeaderBytes)
	if n == 0 {
		d.Abandon()
		return nil, core.NewError(core.CodeTooLarge, errors.New("the header section has no room for the dispatch"))
	}
	out.Header[FieldName] = tokens[:n]

	resp, err := t.base.RoundTrip(out)
	d.Done() // also where it failed: the peer may have got it
	if err != nil {
		return nil, err
	}
	resp.Request = req // as the caller made it, without the tokens
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// The connection is the caller's now; there is no body to hold against anything.
		strip(resp.Header)
		return resp, nil
	}
	a := &answer{t: t, d: d, to: to, sent: sent, resp: resp, ctx: ctx}
	resp.Request = req.WithContext(context.WithValue(ctx, answerKey{}, a))
	a.begin()
	if decode && resp.ContentLength != 0 && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
		resp.Uncompressed = true
		resp.Body = &gunzip{answer: a}
	}
	return resp, nil
}

// acceptGzip asks for gzip where http.Transport would, so that what is hashed is what is
// on the wire (profile 9.6).
func (t *Transport) acceptGzip(out *http.Request) bool {
	if !t.gzip || out.Method == http.MethodHead || out.Header.Get("Accept-Encoding") != "" || out.Header.Get("Range") != "" {
		return false
	}
	out.Header.Set("Accept-Encoding", "gzip")
	return true
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
	case !to.Hashes:
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

// gunzip decodes a body after it was hashed.
type gunzip struct {
	*answer
	zr  *gzip.Reader
	err error
}

// Read implements io.Reader.
func (g *gunzip) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.zr == nil {
		if g.zr, g.err = gzip.NewReader(g.answer); g.err != nil {
			return 0, g.err
		}
	}
	n, err := g.zr.Read(p)
	if isEOF(err) {
		// The decoder may stop before the end that the record is held against.
		g.drain(DefaultDrain, true)
		if bad := g.failure(); bad != nil {
			err = bad
		}
	}
	g.err = err
	if err != nil && !isEOF(err) {
		return 0, err
	}
	return n, err
}
