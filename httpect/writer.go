// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"net/http"
)

// Header implements http.ResponseWriter.
func (rw *response) Header() http.Header { return rw.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (rw *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		rw.w.WriteHeader(status) // net/http's own way to say what is wrong with it
		return
	case rw.hijacked || rw.status != 0:
		return // net/http logs a superfluous call and goes on; so do we, without the log
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		strip(rw.w.Header())
		rw.w.WriteHeader(status)
		return
	}
	rw.decide(status)
}

// decide fixes status and header, once.
func (rw *response) decide(status int) {
	if rw.status != 0 {
		return
	}
	rw.status = status
	rw.header.take(rw.w.Header())
	if !rw.waits() {
		rw.begin()
	}
}

// waits tells whether the header has to wait: for the token of a task, or for the end of
// a body that may differ.
func (rw *response) waits() bool {
	x := rw.x
	return x.task != nil || x.body != nil && x.want().Present
}

// Write implements http.ResponseWriter.
func (rw *response) Write(p []byte) (int, error) {
	if rw.hijacked {
		return 0, http.ErrHijacked
	}
	rw.decide(http.StatusOK)
	if !bodyAllowed(rw.status) {
		return 0, http.ErrBodyNotAllowed
	}
	switch {
	case rw.streaming:
		return rw.out(p)
	case rw.x.request.Method == http.MethodHead:
		return len(p), nil // as net/http does; the hash is that of the empty content
	case len(rw.buf)+len(p) <= rw.limit:
		rw.buf = append(rw.buf, p...)
		return len(p), nil
	}
	if err := rw.stream(); err != nil {
		return 0, err
	}
	return rw.out(p)
}

// out writes what goes out at once.
func (rw *response) out(p []byte) (int, error) {
	if rw.hash != nil {
		rw.hash.Write(p)
	}
	n, err := rw.w.Write(p)
	if err != nil {
		rw.failed = true
	}
	return n, err
}

// bodyAllowed tells whether a status may have content (RFC 9110, 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
