// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-ect/ect/core"
)

// response stands between the handler and the connection: it hashes what is written,
// and keeps the beginning of it until the token is known or must become a trailer.
// It has no Unwrap, which would let writes go round the hash.
type response struct {
	w    http.ResponseWriter
	x    *exchange
	hash hash.Hash
	buf  []byte
	// limit is how much is kept before it is sent.
	limit int
	// status is 0 until the handler decided it, and header is nil: the fields as they
	// were then, which is what net/http would send.
	status int
	header http.Header
	// streaming tells that the header is out.
	streaming bool
	// trailer tells that a token was announced as a trailer, silent that none is to be.
	trailer, silent bool
	hijacked        bool
	// duplex tells that the handler reads and writes at once over HTTP/1.
	duplex bool
	// failed tells that the peer cannot have got all that was written.
	failed bool
}

// record runs the handler and ends the task, however the handler ends.
func (x *exchange) record(w http.ResponseWriter, next http.Handler) {
	rw := &response{w: w, x: x, hash: sha256.New(), limit: x.m.buffer}
	panicked := true
	defer func() {
		if panicked {
			// The panic goes on; what the handler wrote and was kept back is dropped.
			x.finish(core.Completion{Action: x.route(), Outcome: core.OutcomeError, Keep: true}) //nolint:errcheck // observers were told, and the connection ends anyway
		}
	}()
	next.ServeHTTP(rw, x.request)
	action := x.actionOf()
	panicked = false

	if x.releaseIfRefused() {
		rw.pass()
		return
	}
	if !rw.hijacked { // or what is read would be the hijacker's
		x.drain(rw.streaming)
	}
	rw.end(action)
}

// end completes the response of a handler that returned.
func (rw *response) end(action string) {
	x := rw.x
	rw.decide(http.StatusOK)
	differs := x.differs()
	if differs != nil && !rw.streaming && !rw.hijacked {
		rw.silent = true
		rw.replace(differs)
	}
	// A message that is refused after all is recorded, and gets no answer.
	c := core.Completion{
		Action: action, Outcome: rw.outcome(differs != nil), Status: rw.status, Keep: differs != nil || rw.hijacked,
	}
	if rw.hijacked {
		c.Status = http.StatusSwitchingProtocols
	} else if !rw.failed {
		c.OutHash = core.Hash{Sum: [32]byte(rw.hash.Sum(nil)), Present: true}
	}
	answer, err := x.finish(c)
	switch {
	case rw.hijacked:
	case rw.streaming && (err != nil || differs != nil):
		// The header is out: the one way left to say that something is wrong.
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way to abort a response
	case err != nil:
		rw.silent = true
		rw.replace(core.NewError(core.CodeUnrecorded, err))
		rw.pass()
	case rw.streaming:
		rw.sendTrailer(answer)
	default:
		rw.sendHeader(answer)
	}
}

func (rw *response) outcome(differs bool) core.Outcome {
	switch {
	case rw.x.request.Context().Err() != nil || rw.failed:
		return core.OutcomeCancelled
	case rw.status >= http.StatusInternalServerError || differs:
		return core.OutcomeError
	}
	return core.OutcomeOK
}

// finish issues the task token, if the service records. The request's context may be
// done; the record is not.
func (x *exchange) finish(c core.Completion) (*core.Answer, error) {
	if x.task == nil {
		return &core.Answer{}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.request.Context()), issueTimeout)
	defer cancel()
	c.InpHash = emptyHash
	if x.body != nil {
		c.InpHash = x.body.content()
	}
	a, err := x.task.Finish(ctx, c)
	if err != nil {
		x.m.service.Unrecorded(ctx, core.NewError(core.CodeUnrecorded, err))
	}
	return a, err
}

// replace drops what the handler answered for a problem document.
func (rw *response) replace(err *core.Error) {
	h := rw.w.Header()
	clear(h)
	maps.Copy(h, rw.x.before)
	rw.buf, rw.status, rw.header = nil, 0, nil
	rw.hash.Reset()
	rw.limit = max(rw.limit, DefaultResponseBuffer)
	rw.x.m.writeProblem(rw, rw.x.request, err)
}

// sendHeader sends a response that was kept whole, its token in the header.
func (rw *response) sendHeader(a *core.Answer) {
	rw.send(func(h http.Header) {
		if tokens := rw.fit(a, headerSize(h), DefaultHeaderBytes); len(tokens) > 0 {
			h[FieldName] = tokens
		}
	})
}

// sendTrailer sends the token behind a response that has gone out.
func (rw *response) sendTrailer(a *core.Answer) {
	h := rw.w.Header()
	strip(h) // what the handler set after the header went out
	if !rw.trailer {
		rw.unsent(a)
		return
	}
	limit := DefaultHeaderBytes
	if rw.x.request.ProtoMajor == 1 {
		limit = DefaultTrailerBytes
	}
	if tokens := rw.fit(a, rw.trailerSize(), limit); len(tokens) > 0 {
		h[FieldName] = tokens
	}
}

// trailerSize returns the bytes of the trailers that the handler sends.
func (rw *response) trailerSize() int {
	own := http.Header{}
	announced := strings.Join(rw.header["Trailer"], ",")
	for name, values := range rw.w.Header() {
		bare, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		if prefixed || strings.Contains(strings.ToLower(announced), strings.ToLower(name)) {
			own[bare] = values
		}
	}
	return headerSize(own)
}

// fit returns the tokens of an answer that a section has room for, context left out
// first (profile 9.2).
func (rw *response) fit(a *core.Answer, size, limit int) []string {
	n := fitting(a.Tokens, size, limit)
	if n == 0 {
		rw.unsent(a)
	}
	return a.Tokens[:n]
}

// unsent reports a record that somebody should have got and did not.
func (rw *response) unsent(a *core.Answer) {
	if len(a.Tokens) > 0 {
		rw.x.m.service.Unsent(rw.x.request.Context(), a.Issued)
	}
}

// pass sends what was kept as it is, without a token.
func (rw *response) pass() {
	switch {
	case rw.hijacked:
	case rw.streaming:
		strip(rw.w.Header())
	default:
		rw.decide(http.StatusOK)
		rw.send(func(http.Header) {})
	}
}

// send sends status, header and buffer; last sets the last fields. What the handler set
// after it had decided on the header is put back, since some of it may be trailers.
func (rw *response) send(last func(http.Header)) {
	h := rw.w.Header()
	late := maps.Clone(h)
	clear(h)
	maps.Copy(h, rw.header)
	strip(h)
	addVary(h)
	last(h)
	rw.w.WriteHeader(rw.status)
	if len(rw.buf) > 0 {
		if _, err := rw.w.Write(rw.buf); err != nil {
			rw.failed = true
		}
		rw.buf = nil
	}
	strip(late)
	for name, values := range late {
		if !slices.Equal(values, rw.header[name]) {
			h[name] = values
		}
	}
}

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
	if rw.status == 0 {
		rw.status, rw.header = status, maps.Clone(rw.w.Header())
	}
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
	if rw.x.request.Method == http.MethodHead {
		return len(p), nil // as net/http does; the hash is that of the empty content
	}
	rw.hash.Write(p)
	if !rw.streaming {
		if len(rw.buf)+len(p) <= rw.limit {
			rw.buf = append(rw.buf, p...)
			return len(p), nil
		}
		if err := rw.stream(); err != nil {
			return 0, err
		}
	}
	n, err := rw.w.Write(p)
	if err != nil {
		rw.failed = true
	}
	return n, err
}

var errBufferUnsent = errors.New("httpect: the response could not be written")

// stream sends the header, with a trailer announced if a token is to follow, and what
// was kept.
func (rw *response) stream() error {
	r := rw.x.request
	if r.ProtoMajor == 1 && !rw.duplex {
		rw.x.settle(r.Close || rw.header.Get("Connection") == "close")
	}
	if bad := rw.x.differs(); bad != nil {
		return bad // nothing is out yet: the response becomes a refusal
	}
	rw.trailer = !rw.silent && !rw.x.refused && rw.x.task != nil && rw.x.task.Answerable() && r.ProtoAtLeast(1, 1)
	rw.streaming = true
	rw.send(func(h http.Header) {
		if rw.trailer && r.ProtoMajor == 1 && h.Get("Content-Length") != "" {
			if rw.x.m.length == KeepLength {
				rw.trailer = false
			} else {
				h.Del("Content-Length")
			}
		}
		if rw.trailer {
			h["Trailer"] = append(slices.Clip(h["Trailer"]), FieldName)
		}
	})
	if rw.failed {
		return errBufferUnsent
	}
	return nil
}

// bodyAllowed tells whether a status may have content (RFC 9110, 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

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
