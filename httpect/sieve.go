// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"io"
	"maps"
	"net/http"

	"github.com/go-ect/ect/core"
)

// sieve is what the header and trailer sections of a request go through on its way out.
type sieve struct {
	// trace is what passes of the headers of tracing.
	trace core.TraceHeaders
	// tokens tells that tokens and receipts pass, as they are those of a transport further out.
	tokens bool
}

// passes tells whether a field goes through.
func (s sieve) passes(name string) bool {
	return (s.tokens || !isOurs(name)) && s.trace.Passes(name)
}

// holds tells whether anything of a section does not go through.
func (s sieve) holds(h http.Header) bool {
	for name := range h {
		if !s.passes(name) {
			return true
		}
	}
	return false
}

// strip leaves in a section what goes through.
func (s sieve) strip(h http.Header) {
	for name := range h {
		if !s.trace.Passes(name) {
			delete(h, name)
		}
	}
	if !s.tokens {
		strip(h)
	}
}

// request returns a request that has what goes through; req itself, if that is what it is.
func (s sieve) request(req *http.Request) *http.Request {
	if !s.holds(req.Header) && req.Trailer == nil {
		return req
	}
	out := req.WithContext(req.Context())
	out.Header = req.Header.Clone()
	s.strip(out.Header)
	s.ownTrailer(req, out)
	return out
}

// ownTrailer gives a request a trailer section of its own, into which goes what the caller
// sets while the body is sent.
func (s sieve) ownTrailer(req, out *http.Request) {
	if req.Trailer == nil {
		return
	}
	own := req.Trailer.Clone()
	s.strip(own)
	out.Trailer = own
	if out.Body == nil || out.Body == http.NoBody {
		return
	}
	end := func() {
		maps.Copy(own, req.Trailer)
		s.strip(own)
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

// lateTrailer is a body whose end completes a trailer section.
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
