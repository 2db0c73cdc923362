// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"time"
)

// The methods here are what handlers may find in a response writer, by asking for the
// interface or through http.ResponseController. They do what the writer below can do; of
// what it cannot, they say http.ErrNotSupported and change nothing.

// find returns the first of a writer and those that it wraps which is a T.
func find[T any](w http.ResponseWriter) (T, bool) {
	for {
		if t, ok := w.(T); ok {
			return t, true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			var none T
			return none, false
		}
		w = wrapper.Unwrap()
	}
}

// flushes tells whether a flush of w does anything.
func flushes(w http.ResponseWriter) bool {
	_, flusher := find[http.Flusher](w)
	_, failing := find[interface{ FlushError() error }](w)
	return flusher || failing
}

// FlushError sends what was written so far; the token becomes a trailer. A response
// without a body has nothing to flush before its token.
func (rw *response) FlushError() error {
	switch {
	case rw.hijacked:
		return http.ErrHijacked
	case !flushes(rw.w):
		return http.ErrNotSupported // and the token may still become a header
	}
	rw.decide(http.StatusOK)
	if !rw.streaming {
		if !bodyAllowed(rw.status) || rw.isHead() {
			return nil
		}
		if err := rw.stream(); err != nil {
			return err
		}
	}
	err := http.NewResponseController(rw.w).Flush()
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		rw.failed = true
	}
	return err
}

// Flush implements http.Flusher.
func (rw *response) Flush() {
	rw.FlushError() //nolint:errcheck // what fails is noted, and a Flusher has no way to say so
}

// Hijack implements http.Hijacker. The connection is the handler's from then on: the
// task is recorded without a hash of what goes over it, and no token is sent.
func (rw *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := find[http.Hijacker](rw.w)
	if !ok {
		return nil, nil, http.ErrNotSupported
	}
	if rw.status != 0 && !rw.streaming {
		rw.silent = true
		rw.begin() // a header that was decided on goes out before the connection does
	}
	c, b, err := h.Hijack()
	rw.hijacked = rw.hijacked || err == nil
	return c, b, err
}

// Push implements http.Pusher, over HTTP/2. What is pushed is a request of its own, which
// carries no token.
func (rw *response) Push(target string, opts *http.PushOptions) error {
	p, ok := find[http.Pusher](rw.w)
	if !ok {
		return http.ErrNotSupported
	}
	return p.Push(target, opts)
}

// SetReadDeadline is for http.ResponseController.
func (rw *response) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(rw.w).SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController.
func (rw *response) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(rw.w).SetWriteDeadline(t)
}

// EnableFullDuplex is for http.ResponseController.
func (rw *response) EnableFullDuplex() error {
	err := http.NewResponseController(rw.w).EnableFullDuplex()
	rw.duplex = rw.duplex || err == nil
	return err
}
