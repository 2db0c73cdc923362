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

// FlushError sends what was written so far; the token becomes a trailer. A response
// without a body has nothing to flush before its token.
func (rw *response) FlushError() error {
	if rw.hijacked {
		return http.ErrHijacked
	}
	rw.decide(http.StatusOK)
	if !rw.streaming {
		if !bodyAllowed(rw.status) || rw.x.request.Method == http.MethodHead {
			return nil
		}
		if err := rw.stream(); err != nil {
			return err
		}
	}
	return http.NewResponseController(rw.w).Flush()
}

// Flush implements http.Flusher.
func (rw *response) Flush() {
	if err := rw.FlushError(); err != nil && rw.streaming && !rw.hijacked && !errors.Is(err, http.ErrNotSupported) {
		rw.failed = true
	}
}

// Hijack implements http.Hijacker. The connection is the handler's from then on: the
// task is recorded without a hash of what goes over it, and no token is sent.
func (rw *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(rw.w).Hijack()
	rw.hijacked = rw.hijacked || err == nil
	return c, b, err
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
